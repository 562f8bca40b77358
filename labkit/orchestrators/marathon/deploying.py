"""The app that `deploy` makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import UsageError
from labkit.orchestrators.kubernetes.deploying import pairs

Json = dict[str, Any]

_NO_IMAGE = ("", "-", "process")


def app(
    name: str,
    image: str = "",
    instances: int = 1,
    ports: Mapping[int, int] | Sequence[str] = (),
    *,
    cmd: str = "",
    args: Sequence[str] = (),
    cpus: float = 0.1,
    memory: float = 32.0,
    disk: float = 0.0,
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    constraints: Sequence[Sequence[str]] = (),
    dependencies: Sequence[str] = (),
    health_path: str = "",
    minimum_health: float | None = None,
    over_capacity: float | None = None,
    **more: Any,
) -> Json:
    """An app of Docker containers, or of plain processes where there is no image.

    :param ports: service port → the container's port; a process finds its ports in ``$PORT0``, ``$PORT1``…
    :param memory: MiB; ``disk`` likewise
    :param constraints: ``[["rack", "GROUP_BY"]]``
    :param health_path: checked over HTTP on the first port every two seconds
    :param minimum_health: of upgradeStrategy, with ``over_capacity``
    :param more: whatever else an app may say, in Marathon's own words
    """
    if isinstance(instances, bool) or not isinstance(instances, int) or instances < 0:
        raise UsageError(f"instances must be a whole number from 0 on, not {instances!r}")
    image = image.strip()
    if image.startswith("$ "):  # as a picture shows a process
        image, cmd = "", cmd or image[2:]
    if image in _NO_IMAGE and not cmd and not args:
        raise UsageError("an app needs an image or a command: give cmd=")
    made: Json = {
        "id": name if name.startswith("/") else f"/{name}",
        "instances": instances,
        "cpus": cpus,
        "mem": memory,
    }
    if disk:
        made["disk"] = disk
    if cmd:
        made["cmd"] = cmd
    if args:
        made["args"] = list(args)
    found = pairs(ports)
    if image in _NO_IMAGE:
        if found:
            made["portDefinitions"] = [{"port": port, "protocol": "tcp", "name": f"p{port}"} for port in found]
    else:
        container: Json = {"type": "DOCKER", "docker": {"image": image}}
        if found:
            made["networks"] = [{"mode": "container/bridge"}]
            container["portMappings"] = [
                {"containerPort": target, "hostPort": 0, "servicePort": port, "protocol": "tcp"}
                for port, target in found.items()
            ]
        made["container"] = container
    marks = {**({"HAPROXY_GROUP": "external"} if found else {}), **(labels or {})}
    for key, value in (("env", dict(env or {})), ("labels", marks)):
        if value:
            made[key] = value
    if constraints:
        made["constraints"] = [list(constraint) for constraint in constraints]
    if dependencies:
        made["dependencies"] = list(dependencies)
    if health_path:
        if not found:
            raise UsageError("a health check needs a port: give ports= too")
        made["healthChecks"] = [
            {
                "protocol": "HTTP", "path": health_path, "portIndex": 0, "gracePeriodSeconds": 10,
                "intervalSeconds": 2, "timeoutSeconds": 2, "maxConsecutiveFailures": 3,
            }
        ]  # fmt: skip
    strategy = {"minimumHealthCapacity": minimum_health, "maximumOverCapacity": over_capacity}
    given = {key: value for key, value in strategy.items() if value is not None}
    if given:
        made["upgradeStrategy"] = given
    return {**made, **more}


def with_image(found: Mapping[str, Any], image: str) -> Json:
    """The change that gives an app another image; of a process, another command (``$ python3 -m http.server``)."""
    container = found.get("container")
    if image.startswith("$ "):
        return {"cmd": image[2:]}
    if not container or not container.get("docker"):
        raise UsageError("this app runs a command, not an image: write its new command as “$ command”")
    return {"container": {**container, "docker": {**container["docker"], "image": image}}}

"""The objects that `deploy` creates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import UsageError

Json = dict[str, Any]


def deployment(
    name: str,
    image: str,
    replicas: int = 1,
    ports: Mapping[int, int] | Sequence[str] = (),
    *,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    cpus: float = 0.0,
    memory: str = "",
    max_surge: int | str | None = None,
    max_unavailable: int | str | None = None,
    min_ready_seconds: int = 0,
    grace: int | None = None,
    node_selector: Mapping[str, str] | None = None,
    readiness_path: str = "",
    pod: Mapping[str, Any] | None = None,
    container: Mapping[str, Any] | None = None,
) -> Json:
    """A Deployment whose pods carry ``app: NAME`` and the given labels.

    :param cpus: requested for each pod, in cores; ``memory`` likewise (``"64Mi"``)
    :param grace: terminationGracePeriodSeconds
    :param readiness_path: probed over HTTP on the first port
    :param pod: whatever else a manifest says of its pods (``{"tolerations": […]}``); ``container``: of its container
    """
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise UsageError(f"replicas must be a whole number from 0 on, not {replicas!r}")
    targets = list(pairs(ports).values())
    made: Json = {"name": name, "image": image}
    if command:
        made["command"] = list(command)
    if args:
        made["args"] = list(args)
    if env:
        made["env"] = [{"name": key, "value": value} for key, value in env.items()]
    if targets:
        made["ports"] = [{"containerPort": port} for port in targets]
    requests = {**({"cpu": f"{cpus:g}"} if cpus else {}), **({"memory": memory} if memory else {})}
    if requests:
        made["resources"] = {"requests": requests}
    if readiness_path:
        if not targets:
            raise UsageError("a readiness probe needs a port: give ports= too")
        made["readinessProbe"] = {"httpGet": {"path": readiness_path, "port": targets[0]}, "periodSeconds": 2}
    template: Json = {"containers": [{**made, **(container or {})}]}
    if grace is not None:
        template["terminationGracePeriodSeconds"] = grace
    if node_selector:
        template["nodeSelector"] = dict(node_selector)
    template.update(pod or {})
    spec: Json = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name, **(labels or {})}}, "spec": template},
    }
    if min_ready_seconds:
        spec["minReadySeconds"] = min_ready_seconds
    bounds = {"maxSurge": max_surge, "maxUnavailable": max_unavailable}
    given = {key: value for key, value in bounds.items() if value is not None}
    if given:
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": given}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": spec,
    }


def service(name: str, ports: Mapping[int, int] | Sequence[str]) -> Json:
    """A Service in front of the pods ``app: NAME``. From 30000 on, a published port is also the nodes'."""
    found = pairs(ports)
    public = any(port >= 30000 for port in found)
    rows: list[Json] = []
    for published, target in found.items():
        row: Json = {"name": f"p{published}", "port": target if published >= 30000 else published, "targetPort": target}
        if published >= 30000:
            row["nodePort"] = published
        rows.append(row)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"type": "NodePort" if public else "ClusterIP", "selector": {"app": name}, "ports": rows},
    }


def pairs(ports: Mapping[int, int] | Sequence[str]) -> dict[int, int]:
    """``{8080: 80}`` or ``["8080:80", "9000"]`` as published → target."""
    if isinstance(ports, Mapping):
        return dict(ports)
    found = {}
    for text in ports:
        published, colon, target = str(text).partition(":")
        try:
            found[int(published)] = int(target if colon else published)
        except ValueError:
            raise UsageError(f"{text!r} is no port: write 8080:80 (of the Service:of the container)") from None
    return found

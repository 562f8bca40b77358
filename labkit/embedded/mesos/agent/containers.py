"""What a TaskInfo asks of its container, read once. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

HOST, NONE = "HOST", "NONE"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A port of the agent that leads to one of the container."""

    host: int
    container: int


@dataclass(frozen=True, slots=True)
class Container:
    """``ContainerInfo`` and ``CommandInfo`` of a task that runs as an image."""

    docker: bool  # by Docker's containerizer; else by Mesos' own
    image: str
    on_host: bool  # on the agent's own network
    network: str  # the name of the container's network, "" for the bridge and the host's
    ports: tuple[Mapping, ...]
    given_ports: list[Json]
    command: Json
    env: dict[str, str]  # of docker's parameters
    hostname: str
    workdir: str
    user: str
    entrypoint: tuple[str, ...] | None
    volumes: tuple[tuple[str, str], ...]  # where it is in the container, and which folder of the machine it is
    memory: float  # MiB
    cpus: float
    force_pull: bool

    def args(self, entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> list[str]:
        """What runs, given what the image brings along."""
        command = self.command
        value, arguments = command.get("value"), [str(one) for one in command.get("arguments") or ()]
        if command.get("shell", True) and value is not None:
            return ["/bin/sh", "-c", str(value)]
        start = entrypoint if self.entrypoint is None else self.entrypoint
        if self.docker:  # docker run IMAGE [value] arguments…
            given = [*([str(value)] if value is not None else []), *arguments]
            return [*start, *(given or ([] if self.entrypoint is not None else cmd))]
        if value is not None:  # the first argument is what the program is called
            return [str(value), *arguments[1:]]
        return [*start, *(arguments or cmd)] if start else [*(arguments or cmd)]


def is_image(task: Json) -> bool:
    """Does it run as an image, rather than as a process of this computer?"""
    container = task.get("container") or {}
    return bool(container.get("docker") or (container.get("mesos") or {}).get("image"))


def read(task: Json) -> Container:
    """What a task asks for. Wrong or missing parts are taken as absent: the master has looked at it."""
    container = task.get("container") or {}
    docker = container.get("docker")
    infos = container.get("network_infos") or ()
    name = str(infos[0].get("name", "")) if infos else ""
    parameters = _parameters(docker)
    if docker is not None:
        network = str(docker.get("network") or HOST)
        on_host = network in (HOST, NONE)
        given = docker.get("port_mappings") or _mappings(infos)
        image = str(docker.get("image", ""))
        name = name if network == "USER" else ""
    else:
        on_host, given = not name, _mappings(infos)
        wanted = container["mesos"]["image"]
        image = str((wanted.get("docker") or wanted.get("appc") or {}).get("name", ""))
    amounts = {one["name"]: one["scalar"]["value"] for one in task.get("resources") or () if "scalar" in one}
    entrypoint = parameters.get("entrypoint")
    return Container(
        docker=docker is not None,
        image=image,
        on_host=on_host,
        network=name,
        ports=()
        if on_host
        else tuple(
            Mapping(int(one["host_port"]), int(one["container_port"]))
            for one in given
            if str(one.get("protocol") or "tcp").lower() == "tcp" and one.get("host_port")
        ),
        given_ports=list(given),
        command=task.get("command") or {"shell": False},
        env=dict(_pairs(docker)),
        hostname=str(container.get("hostname") or parameters.get("hostname", "")),
        workdir=parameters.get("workdir", ""),
        user=parameters.get("user", ""),
        entrypoint=None if not entrypoint else (entrypoint,),
        volumes=tuple(_volumes(container)),
        memory=float(amounts.get("mem", 0.0)),
        cpus=float(amounts.get("cpus", 0.0)),
        force_pull=bool((docker or {}).get("force_pull_image")),
    )


def _mappings(infos: Iterable[Json]) -> list[Json]:
    return [mapping for info in infos for mapping in info.get("port_mappings") or ()]


def _parameters(docker: Json | None) -> dict[str, str]:
    return {str(one.get("key")): str(one.get("value", "")) for one in (docker or {}).get("parameters") or ()}


def _pairs(docker: Json | None) -> Iterable[tuple[str, str]]:
    for one in (docker or {}).get("parameters") or ():
        if one.get("key") in ("env", "e"):
            name, _, value = str(one.get("value", "")).partition("=")
            yield name, value


def _volumes(container: Json) -> Iterable[tuple[str, str]]:
    for volume in container.get("volumes") or ():
        inside = str(volume.get("container_path", "")).rstrip("/")
        if inside:
            inside = inside if inside.startswith("/") else f"/mnt/mesos/sandbox/{inside}"
            yield inside, str(volume.get("host_path") or "")

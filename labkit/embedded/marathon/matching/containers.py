"""The container of a task (``TaskBuilder.computeContainerInfo``, ``api/serialization/ContainerSerializer.scala``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.embedded.marathon.matching.discovery import labels_json
from labkit.embedded.marathon.specs.app import App, Port

Json = dict[str, Any]

_DOCKER_NETWORKS = {"host": "HOST", "container": "USER", "container/bridge": "BRIDGE"}


def container(app: App, host_ports: Sequence[int | None], task_id: str, bridge: str) -> Json | None:
    """``ContainerInfo``; None for a plain process on the agent's own network."""
    spec = app.container
    if spec is None:
        # Any network but the host's is given a container by the normalisation.
        return None
    bound = [
        (port, host_port, port.container or host_port)
        for port, host_port in zip(app.ports, host_ports, strict=True)
        if host_port is not None and port.container is not None
    ]
    volumes = [
        {"container_path": each["containerPath"], "host_path": each["hostPath"], "mode": each["mode"]}
        for each in spec.get("volumes") or ()
        if "hostPath" in each
    ]
    found: Json = _docker(app, spec["docker"], bound, task_id) if spec["type"] == "DOCKER" else _mesos(app, spec)
    if volumes:
        found["volumes"] = volumes
    if spec["type"] != "DOCKER" and app.network_mode != "host":
        found["network_infos"] = [_network(network, bound, bridge) for network in app.networks]
    if app.body.get("tty"):
        found["tty_info"] = {}
    return found


Bound = list[tuple[Port, int, int]]


def _docker(app: App, docker: Json, bound: Bound, task_id: str) -> Json:
    parameters = [{"key": each["key"], "value": each["value"]} for each in docker.get("parameters") or ()]
    # So that whoever looks at the Docker daemon finds the task.
    parameters.append({"key": "label", "value": f"MESOS_TASK_ID={task_id}"})
    info: Json = {
        "image": docker["image"],
        "network": _DOCKER_NETWORKS[app.network_mode],
        "privileged": docker.get("privileged", False),
        "parameters": parameters,
        "force_pull_image": docker.get("forcePullImage", False),
    }
    mappings = [
        {"host_port": host_port, "container_port": container_port, "protocol": protocol}
        for port, host_port, container_port in bound
        for protocol in port.protocols
    ]
    if mappings:
        info["port_mappings"] = mappings
    found: Json = {"type": "DOCKER", "docker": info}
    name = next((network["name"] for network in app.networks if network["mode"] == "container"), None)
    if name is not None:
        found["network_infos"] = [{"name": name}]
    return found


def _mesos(app: App, spec: Json) -> Json:
    docker = spec.get("docker")
    mesos: Json = {}
    if docker is not None:
        # Mesos caches images unless it is told to pull them.
        mesos["image"] = {
            "type": "DOCKER",
            "docker": {"name": docker["image"]},
            "cached": not docker.get("forcePullImage", False),
        }
    found: Json = {"type": "MESOS", "mesos": mesos}
    linux = _linux(spec.get("linuxInfo") or {})
    if linux:
        found["linux_info"] = linux
    return found


def _linux(spec: Json) -> Json:
    found: Json = {}
    seccomp = spec.get("seccomp")
    if seccomp is not None:
        found["seccomp"] = {"unconfined": seccomp["unconfined"]}
        if "profileName" in seccomp:
            found["seccomp"]["profile_name"] = seccomp["profileName"]
    ipc = spec.get("ipcInfo")
    if ipc is not None:
        found["ipc_mode"] = ipc["mode"]
        if "shmSize" in ipc:
            found["shm_size"] = ipc["shmSize"]
    return found


def _network(network: Json, bound: Bound, bridge: str) -> Json:
    name = network["name"] if network["mode"] == "container" else bridge
    found: Json = {"ip_addresses": [{}], "labels": labels_json(network.get("labels") or {}), "name": name}
    mappings = [
        {"host_port": host_port, "container_port": container_port, "protocol": ",".join(port.protocols)}
        for port, host_port, container_port in bound
        if all(each == name for each in port.networks)
    ]
    if mappings:
        found["port_mappings"] = mappings
    return found

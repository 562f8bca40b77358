"""A task's container: its ``TaskSpec`` turned into what ``POST /containers/create`` would have taken.

moby does the same in ``daemon/cluster/executor/container/container.go``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.embedded.swarm.objects import Json, Task

from . import templates
from .createrequest import Created, mounts
from .localnetwork import LocalNetwork
from .networkdb import Port

LABEL = "com.docker.swarm"


def name(task: Task) -> str:
    """``web.1.<task id>``."""
    return f"{task.name}.{task.id}"


def image(task: Task) -> str:
    return str((task.spec.get("ContainerSpec") or {}).get("Image") or "")


def host_ports(task: Task) -> list[Json]:
    """The ports that it publishes on its own node."""
    return [port for port in task.endpoint.get("Ports") or () if port.get("PublishMode") == "host"]


def ingress_ports(task: Task) -> tuple[Port, ...]:
    """The ports that the mesh publishes for it."""
    return tuple(
        Port(int(port.get("TargetPort") or 0), int(port["PublishedPort"]), port.get("Protocol") or "tcp")
        for port in task.endpoint.get("Ports") or ()
        if (port.get("PublishMode") or "ingress") == "ingress" and port.get("PublishedPort")
    )


def virtual_ip(task: Task, network_id: str) -> str:
    """The service's address on a network, empty in dnsrr mode."""
    for vip in task.endpoint.get("VirtualIPs") or ():
        if vip.get("NetworkID") == network_id:
            return str(vip.get("Addr") or "").partition("/")[0]
    return ""


def addresses(task: Task) -> dict[str, str]:
    """Network id to the task's address there."""
    return {
        attachment["Network"]: str((attachment.get("Addresses") or [""])[0]).partition("/")[0]
        for attachment in task.networks
    }


def aliases(task: Task, network_id: str) -> tuple[str, ...]:
    for attachment in task.networks:
        if attachment["Network"] == network_id:
            return tuple(alias.lower() for alias in attachment.get("Aliases") or ())
    return ()


def labels(task: Task, spec: Json) -> dict[str, str]:
    """The service's container labels, and the system's over them."""
    return {
        **(spec.get("Labels") or {}),
        f"{LABEL}.node.id": task.node_id,
        f"{LABEL}.service.id": task.service_id,
        f"{LABEL}.service.name": task.service_name,
        f"{LABEL}.task": "",
        f"{LABEL}.task.id": task.id,
        f"{LABEL}.task.name": name(task),
    }


def container_request(task: Task, description: Json | None, networks: Mapping[str, LocalNetwork]) -> Created:
    """What to create. ``networks`` are those of the task by id.

    Raises :class:`templates.TemplateError`, and :class:`BadRequest` for a mount that cannot be.
    """
    given = task.spec.get("ContainerSpec") or {}
    spec = templates.expand_container_spec(given, templates.context(task, description))
    config = _config(task, spec)
    host = _host(task, spec)
    ips = addresses(task)
    attached: dict[str, Json] = {
        networks[network_id].name: {
            "IPAMConfig": {"IPv4Address": ip},
            "NetworkID": network_id,
            "Aliases": list(aliases(task, network_id)) or None,
            "Allocated": networks[network_id].scope == "swarm",
        }
        for network_id, ip in ips.items()
    }
    return Created(config, host, attached or {"bridge": {}}, mounts(config, host))


def _config(task: Task, spec: Json) -> Json:
    exposed: Json = {f"{port['TargetPort']}/{port.get('Protocol') or 'tcp'}": {} for port in host_ports(task)}
    command, args = list(spec.get("Command") or ()), list(spec.get("Args") or ())
    given: Json = {
        "Hostname": spec.get("Hostname"),
        "User": spec.get("User"),
        "Tty": spec.get("TTY"),
        "OpenStdin": spec.get("OpenStdin"),
        "Env": list(spec.get("Env") or ()),
        "Image": spec.get("Image"),
        "WorkingDir": spec.get("Dir"),
        "Labels": labels(task, spec),
        "StopSignal": spec.get("StopSignal"),
        "ExposedPorts": exposed,
        "Healthcheck": spec.get("Healthcheck"),
        "Entrypoint": command,
        "Cmd": args,
    }
    return {key: value for key, value in given.items() if value}


def _host(task: Task, spec: Json) -> Json:
    limits: Json = ((task.spec.get("Resources") or {}).get("Limits")) or {}
    bindings: dict[str, Any] = {}
    for port in host_ports(task):
        published = port.get("PublishedPort")
        key = f"{port['TargetPort']}/{port.get('Protocol') or 'tcp'}"
        bindings[key] = [{"HostIp": "", "HostPort": str(published) if published else ""}]
    dns = spec.get("DNSConfig") or {}
    hosts = [entry.split() for entry in spec.get("Hosts") or ()]
    driver = task.spec.get("LogDriver") or {}
    given: Json = {
        "NetworkMode": "default",
        "PortBindings": bindings,
        "Mounts": spec.get("Mounts"),
        "ReadonlyRootfs": spec.get("ReadOnly"),
        "Init": spec.get("Init"),
        "Sysctls": spec.get("Sysctls"),
        "CapAdd": spec.get("CapabilityAdd"),
        "CapDrop": spec.get("CapabilityDrop"),
        "GroupAdd": spec.get("Groups"),
        "Ulimits": spec.get("Ulimits"),
        "Dns": dns.get("Nameservers"),
        "DnsSearch": dns.get("Search"),
        "DnsOptions": dns.get("Options"),
        "ExtraHosts": [f"{words[1]}:{words[0]}" for words in hosts if len(words) > 1],
        "LogConfig": {"Type": driver["Name"], "Config": driver.get("Options") or {}} if driver.get("Name") else None,
        "Memory": limits.get("MemoryBytes"),
        "NanoCpus": limits.get("NanoCPUs"),
        "PidsLimit": limits.get("Pids"),
    }
    return {key: value for key, value in given.items() if value}

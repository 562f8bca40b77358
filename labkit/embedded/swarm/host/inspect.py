"""A container as the API shows it: ``docker inspect`` and one line of ``docker ps``. Made when asked for."""

from __future__ import annotations

import posixpath

from labkit.embedded.swarm.objects import Json

from .container import Attachment, Container, Health, Mount
from .fields import CONFIG, HOST, full
from .wording import rfc3339nano

_ROOT = "/var/lib/docker"


def inspect(container: Container, size: int | None = None) -> Json:
    """``GET /containers/{id}/json``. ``size`` is the image's size in bytes when ``size=1`` was asked for."""
    home = f"{_ROOT}/containers/{container.id}"
    layer = f"{_ROOT}/overlay2/{container.id}"
    host = full(container.host, HOST)
    logs = "" if container.log_driver == "none" else f"{home}/{container.id}-json.log"
    out: Json = {
        "Id": container.id,
        "Created": rfc3339nano(container.created),
        "Path": container.path,
        "Args": container.args,
        "State": state(container),
        "Image": container.image_id,
        "ResolvConfPath": f"{home}/resolv.conf" if container.started_at else "",
        "HostnamePath": f"{home}/hostname" if container.started_at else "",
        "HostsPath": f"{home}/hosts" if container.started_at else "",
        "LogPath": logs if container.started_at else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "docker-default" if container.started_at else "",
        "ExecIDs": container.execs or None,
        "HostConfig": host,
        "GraphDriver": {
            "Data": {
                "ID": container.id,
                "LowerDir": f"{layer}-init/diff",
                "MergedDir": f"{layer}/merged",
                "UpperDir": f"{layer}/diff",
                "WorkDir": f"{layer}/work",
            },
            "Name": "overlay2",
        },
        "Mounts": [mount.json() for mount in container.mounts],
        "Config": config(container),
        "NetworkSettings": network_settings(container),
    }
    if size is not None:
        written = sum(len(data) for data in (container.files or {}).values() if data)
        out |= {"SizeRw": written, "SizeRootFs": size + written}
    return out


def config(container: Container) -> Json:
    """``Config``. The container's host name is its short id unless it was given one."""
    out = full(container.config, CONFIG)
    if container.network_mode != "host" and not container.network_mode.startswith("container:"):
        out["Hostname"] = container.hostname
    return out


def state(container: Container) -> Json:
    """``State``."""
    out: Json = {
        "Status": container.state,
        "Running": container.running,
        "Paused": container.paused,
        "Restarting": container.restarting,
        "OOMKilled": container.oom_killed,
        "Dead": container.dead,
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": rfc3339nano(container.started_at),
        "FinishedAt": rfc3339nano(container.finished_at),
    }
    if container.health is not None:
        out["Health"] = health(container.health)
    return out


def health(of: Health) -> Json:
    """``State.Health``."""
    return {
        "Status": of.status,
        "FailingStreak": of.failing_streak,
        "Log": [
            {
                "Start": rfc3339nano(probe.start),
                "End": rfc3339nano(probe.end),
                "ExitCode": probe.exit_code,
                "Output": probe.output,
            }
            for probe in of.log
        ],
    }


def network_settings(container: Container) -> Json:
    """``NetworkSettings``; the old fields at its top are those of the default bridge."""
    bridge = container.networks.get("bridge")
    first = bridge if bridge is not None else Attachment("")
    return {
        "Bridge": "",
        "SandboxID": container.sandbox_id,
        "SandboxKey": f"/var/run/docker/netns/{container.sandbox_id[:12]}" if container.sandbox_id else "",
        "Ports": port_map(container),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.endpoint_id,
        "Gateway": first.gateway,
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": first.ip,
        "IPPrefixLen": first.prefix,
        "IPv6Gateway": "",
        "MacAddress": first.mac,
        "Networks": {name: endpoint(attachment) for name, attachment in container.networks.items()},
    }


def endpoint(attachment: Attachment) -> Json:
    """``EndpointSettings``."""
    given = attachment.given
    ipam = given.get("IPAMConfig")
    return {
        "IPAMConfig": ipam if ipam else None,
        "Links": given.get("Links"),
        "Aliases": given.get("Aliases"),
        "MacAddress": attachment.mac,
        "DriverOpts": given.get("DriverOpts"),
        "GwPriority": given.get("GwPriority") or 0,
        "NetworkID": attachment.network_id,
        "EndpointID": attachment.endpoint_id,
        "Gateway": attachment.gateway,
        "IPAddress": attachment.ip,
        "IPPrefixLen": attachment.prefix,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": list(attachment.dns_names) or None,
    }


def port_map(container: Container) -> Json:
    """``Ports``: null for a port that is only exposed."""
    if not container.running or container.restarting:
        return {}
    return {
        port: None if bindings is None else [{"HostIp": ip, "HostPort": str(number)} for ip, number in bindings]
        for port, bindings in container.ports.items()
    }


def summary(container: Container, now: float, image: str) -> Json:
    """One entry of ``GET /containers/json``; ``image`` is the reference, or the id once that names another image."""
    ports: list[Json] = []
    for port, bindings in port_map(container).items():
        number, _, protocol = port.partition("/")
        private = {"PrivatePort": int(number), "Type": protocol}
        if bindings:
            ports += [
                {"IP": b["HostIp"], "PrivatePort": int(number), "PublicPort": int(b["HostPort"]), "Type": protocol}
                for b in bindings
            ]
        else:
            ports.append(private)
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": image,
        "ImageID": container.image_id,
        "Command": container.command(),
        "Created": int(container.created),
        "Ports": ports,
        "Labels": container.labels,
        "State": container.state,
        "Status": container.status(now),
        "HostConfig": {"NetworkMode": container.network_mode},
        "NetworkSettings": {
            "Networks": {
                name: endpoint(attachment) | {"DNSNames": None, "Aliases": None, "Links": None, "DriverOpts": None}
                for name, attachment in container.networks.items()
            }
        },
        "Mounts": [mount.json() for mount in container.mounts],
    }


def volume_source(name: str) -> str:
    """Where a named volume would lie on a real host."""
    return posixpath.join(_ROOT, "volumes", name, "_data")


def volume_mount(name: str, destination: str, mode: str, rw: bool) -> Mount:
    return Mount("volume", name, volume_source(name), destination, "local", mode, rw)

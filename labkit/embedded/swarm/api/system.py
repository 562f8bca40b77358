"""``/_ping``, ``/version``, ``/info``, ``/events``, ``/system/df``, ``/auth``."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from labkit.embedded.swarm import engine
from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host.events import Event, TooSlow, includes
from labkit.embedded.swarm.host.wording import parse_timestamp, rfc3339nano
from labkit.embedded.swarm.objects import Json

from .app import dotted, dumps, stream_headers
from .request import Filters, Reply, Request, Route

_GIT_COMMIT = "45873be"
_GO = "go1.24.3"
_BUILT = "2025-05-30T12:07:16.000000000+00:00"
_CONTAINERD = ("1.7.27", "05044ec0a9a75232cad458027ca83437aae3f4da")
_RUNC = ("1.2.5", "v1.2.5-0-g59923ef")
_INIT = ("0.19.0", "de40ad0")
_DF_TYPES = ("container", "image", "volume", "build-cache")


async def ping(host: Any, request: Request) -> Reply:
    """Any client's first call; it reads the headers."""
    headers = {
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Builder-Version": "2",
        "Swarm": host.swarm.ping_status(),
    }
    if request.method == "HEAD":
        return Reply(200, "", {**headers, "Content-Length": "0"})
    return Reply(200, "OK", headers)


async def version(host: Any, request: Request) -> Json:
    """``docker version``."""
    api, minimum = dotted(engine.API_VERSION), dotted(engine.MIN_API_VERSION)
    details = {
        "ApiVersion": api,
        "Arch": "amd64",
        "BuildTime": _BUILT,
        "Experimental": "false",
        "GitCommit": _GIT_COMMIT,
        "GoVersion": _GO,
        "KernelVersion": engine.KERNEL_VERSION,
        "MinAPIVersion": minimum,
        "Os": "linux",
    }
    return {
        "Platform": {"Name": "labkit embedded engine"},
        "Components": [
            {"Name": "Engine", "Version": engine.VERSION, "Details": details},
            *(
                {"Name": name, "Version": number, "Details": {"GitCommit": commit}}
                for name, (number, commit) in (("containerd", _CONTAINERD), ("runc", _RUNC), ("docker-init", _INIT))
            ),
        ],
        "Version": engine.VERSION,
        "ApiVersion": api,
        "MinAPIVersion": minimum,
        "GitCommit": _GIT_COMMIT,
        "GoVersion": _GO,
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": engine.KERNEL_VERSION,
        "BuildTime": _BUILT,
    }


async def info(host: Any, request: Request) -> Json:
    """``docker info``: the machine, its containers, and the swarm as this node sees it."""
    machine = host.machine
    states = [container.state for container in host.containers]
    running, paused = states.count("running") + states.count("restarting"), states.count("paused")
    swarm = host.swarm.info()
    out: Json = {
        "ID": host.engine_id,
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": host.images.count(),
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", "extfs"],
            ["Supports d_type", "true"],
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
        ],
        "Plugins": {
            "Volume": list(engine.VOLUME_DRIVERS),
            "Network": list(engine.NETWORK_DRIVERS),
            "Authorization": None,
            "Log": list(engine.LOG_DRIVERS),
        },
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": 0,
        "OomKillDisable": False,
        "NGoroutines": 0,
        "SystemTime": rfc3339nano(host.world.clock.time()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "systemd",
        "CgroupVersion": "2",
        "NEventsListener": host.events.listeners,
        "KernelVersion": engine.KERNEL_VERSION,
        "OperatingSystem": engine.OPERATING_SYSTEM,
        "OSVersion": "12",
        "OSType": machine.os,
        "Architecture": machine.arch,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {"Mirrors": [], "Name": "docker.io", "Official": True, "Secure": True},
            },
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
            "Mirrors": None,
        },
        "NCPU": int(machine.cpus),
        "MemTotal": machine.memory,
        "GenericResources": None,
        "DockerRootDir": "/var/lib/docker",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": host.name,
        "Labels": [f"{key}={value}" for key, value in machine.attributes.items()],
        "ExperimentalBuild": False,
        "ServerVersion": engine.VERSION,
        "Runtimes": {
            "io.containerd.runc.v2": {"path": "runc"},
            "runc": {"path": "runc"},
        },
        "DefaultRuntime": "runc",
        "Swarm": swarm,
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": _CONTAINERD[1]},
        "RuncCommit": {"ID": _RUNC[1]},
        "InitCommit": {"ID": _INIT[1]},
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "FirewallBackend": {"Driver": "iptables"},
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        "Containerd": {
            "Address": "/run/containerd/containerd.sock",
            "Namespaces": {"Containers": "moby", "Plugins": "plugins.moby"},
        },
        "Warnings": swarm.get("Warnings"),
    }
    if not request.at_least(1, 50):
        out |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if not request.at_least(1, 49):
        out.pop("FirewallBackend")
        for key in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            out[key]["Expected"] = out[key]["ID"]
    if not request.at_least(1, 46):
        out.pop("Containerd")
    return out


async def events(host: Any, request: Request) -> web.StreamResponse:
    """``docker events``: what is remembered of the time asked for, then what happens, until ``until``."""
    clock = host.world.clock
    now = clock.time()
    since, until = (
        parse_timestamp(text, now) if (text := request.query.get(name, "")) else None for name in ("since", "until")
    )
    if since is not None and until is not None and until < since:
        given = f"({request.query['since']}) cannot be after `until` time ({request.query['until']})"
        raise BadRequest(f"`since` time {given}")
    filters = request.filters()  # names are not checked: the real one does not either

    def wanted(event: Event) -> bool:
        old_client = event.type == "image" and event.action == "create" and not request.at_least(1, 46)
        return not old_client and includes(filters, event)

    response = web.StreamResponse(headers=stream_headers(request, Content_Type="application/json"))
    with host.events.subscribe() as coming:
        past = [event for event in host.events.recorded(since, until) if wanted(event)]
        await response.prepare(request.raw)
        for event in past:
            await response.write(dumps(event.json()) + b"\n")
        if until is not None and until < now:
            return response
        try:
            async with clock.timeout(None if until is None else until - now):
                async for event in coming:
                    if wanted(event):
                        await response.write(dumps(event.json()) + b"\n")
        except (TimeoutError, TooSlow):
            pass
    return response


async def disk_usage(host: Any, request: Request) -> Json:
    """``docker system df``."""
    types = request.raw.query.getall("type", [])
    for given in types:
        if given not in _DF_TYPES:
            raise BadRequest(f"unknown object type: {given}")
    wanted = types or _DF_TYPES
    images = host.images.list(Filters(), request.api_version)
    return {
        "LayersSize": sum(image["Size"] for image in images) if "image" in wanted else 0,
        "Images": images if "image" in wanted else None,
        "Containers": host.containers.disk_usage() if "container" in wanted else None,
        "Volumes": host.volumes.disk_usage() if "volume" in wanted else None,
        "BuildCache": [] if "build-cache" in wanted else None,
    }


async def auth(host: Any, request: Request) -> Json:
    """``docker login``. There is no registry to ask, so it fails as on a machine without a network."""
    await request.body()
    raise ApiError('Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host')


ROUTES: list[Route] = [
    ("GET", "/_ping", ping),
    ("HEAD", "/_ping", ping),
    ("GET", "/version", version),
    ("GET", "/info", info),
    ("GET", "/events", events),
    ("GET", "/system/df", disk_usage),
    ("POST", "/auth", auth),
]

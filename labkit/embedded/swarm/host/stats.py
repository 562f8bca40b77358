"""``docker stats`` and ``docker top``: numbers that programs account for, in the form of a cgroup v2 host."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.objects import Json

from .container import Container
from .runner import NotRunning
from .wording import ZERO_TIME, rfc3339nano

if TYPE_CHECKING:
    from .host import Host

_EMPTY_CPU: Json = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_BLKIO: Json = {
    f"io_{name}_recursive": None
    for name in ("service_bytes", "serviced", "queue", "service_time", "wait_time", "merged", "time")
} | {"sectors_recursive": None}
_TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


def sample(host: Host, container: Container, before: Json | None) -> Json:
    """One answer of ``GET /containers/{id}/stats``; ``before`` is the last one of the same stream."""
    now = host.world.clock.time()
    out: Json = {
        "name": f"/{container.name}",
        "id": container.id,
        "read": rfc3339nano(now) if container.running else ZERO_TIME,
        "preread": before["read"] if before else ZERO_TIME,
        "pids_stats": {},
        "blkio_stats": _BLKIO,
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _EMPTY_CPU,
        "precpu_stats": before["cpu_stats"] if before else _EMPTY_CPU,
        "memory_stats": {},
    }
    process = container.process
    if process is None or not container.running:
        return out
    out["cpu_stats"] = cpu(host, container)
    out["pids_stats"] = {
        "current": len(process.ns.table),
        "limit": container.host.get("PidsLimit") or 18_446_744_073_709_551_615,
    }
    usage = process.ns.memory
    out["memory_stats"] = {
        "usage": usage,
        "stats": {"anon": usage, "file": 0, "active_anon": usage, "inactive_file": 0, "pgfault": usage // 4096},
        "limit": container.host.get("Memory") or host.machine.memory,
    }
    addresses = [name for name, attachment in container.networks.items() if attachment.ip]
    if addresses:
        counters = dict.fromkeys(
            f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")
        )
        out["networks"] = {f"eth{index}": dict.fromkeys(counters, 0) for index in range(len(addresses))}
    return out


def cpu(host: Host, container: Container) -> Json:
    """``cpu_stats`` now: the container's time beside that of the whole machine."""
    assert container.process is not None
    used = int(container.process.cpu_seconds * 1e9)
    return {
        "cpu_usage": {"total_usage": used, "usage_in_kernelmode": used // 4, "usage_in_usermode": used - used // 4},
        # All processors' time since boot, as /proc/stat has it; only differences of it matter.
        "system_cpu_usage": int(host.world.clock.time() * host.machine.cpus * 1e9) % (1 << 62),
        "online_cpus": max(1, int(host.machine.cpus)),
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }


def top(host: Host, container: Container, ps_args: str) -> Json:
    """``GET /containers/{id}/top``. ``ps_args`` other than ``-ef`` changes only the columns of ``aux``."""
    process = container.process
    if not container.running or process is None:
        raise NotRunning(container)
    if container.restarting:
        raise ApiError(f"Container {container.id} is restarting, wait until the container is running")
    base = process.pid
    rows = []
    for entry in process.ns.table.values():
        user = container.config.get("User") or "root"
        pid = str(base + entry.pid - 1)
        parent = str(base + entry.ppid - 1) if entry.ppid else str(base - 20)
        started = time.strftime("%H:%M", time.gmtime(entry.started))
        tty = "pts/0" if container.tty else "?"
        rows.append([user, pid, parent, "0", started, tty, "00:00:00", " ".join(entry.args)])
    if "u" in ps_args.lstrip("-").split(" ")[0] and ps_args not in ("", "-ef"):
        titles = ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]
        memory = str(process.memory // 1024)
        rows = [[row[0], row[1], "0.0", "0.0", memory, memory, row[5], "Ss", row[4], "0:00", row[7]] for row in rows]
        return {"Processes": rows, "Titles": titles}
    return {"Processes": rows, "Titles": _TITLES}

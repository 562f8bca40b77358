"""Files that are made up when somebody reads them: ``/proc``, ``/dev/null``, ``/etc/resolv.conf`` and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.runtime.dns import NAMESERVER

if TYPE_CHECKING:
    from labkit.embedded.runtime.namespaces import Entry, Namespace


def virtual_file(ns: Namespace, path: str) -> bytes | None:
    """The bytes of such a file as the container sees it now, None when there is no such file."""
    if path.startswith("/proc/"):
        return _proc(ns, path.removeprefix("/proc/"))
    if path == "/dev/null":
        return b""
    if path == "/etc/hostname":
        return f"{ns.hostname}\n".encode()
    if path == "/etc/hosts":
        own = "".join(f"{ip}\t{ns.hostname}\n" for ip in ns.addresses)
        return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{own}".encode()
    if path == "/etc/resolv.conf":
        server = ns.resolver.nameserver if ns.resolver is not None else NAMESERVER
        return f"nameserver {server}\noptions ndots:0\n".encode()
    return None


def _proc(ns: Namespace, path: str) -> bytes | None:
    if path == "uptime":
        up = ns.clock.time() - (ns.main.started_at if ns.main else ns.clock.time())
        return f"{up:.2f} {up * ns.machine.cpus:.2f}\n".encode()
    if path == "loadavg":
        return f"0.00 0.00 0.00 1/{len(ns.table)} {max(ns.table, default=1)}\n".encode()
    if path == "meminfo":
        total = ns.machine.memory // 1024
        free = max(0, total - ns.memory // 1024 - 400_000)
        return f"MemTotal:       {total:8} kB\nMemFree:        {free:8} kB\nMemAvailable:   {free:8} kB\n".encode()
    if path == "cpuinfo":
        one = "processor\t: {}\nmodel name\t: labkit virtual CPU\ncpu MHz\t\t: 2000.000\n\n"
        return "".join(one.format(n) for n in range(max(1, int(ns.machine.cpus)))).encode()
    pid, _, name = path.partition("/")
    entry = ns.table.get(int(pid)) if pid.isdigit() else _own(ns) if pid == "self" else None
    if entry is None:
        return None
    if name == "cmdline":
        return b"".join(arg.encode() + b"\0" for arg in entry.args)
    if name == "environ" and entry.process is not None:
        return b"".join(f"{key}={value}".encode() + b"\0" for key, value in entry.process.env.items())
    if name == "comm":
        return f"{entry.args[0].rpartition('/')[2][:15]}\n".encode()
    if name == "status":
        return f"Name:\t{entry.args[0].rpartition('/')[2][:15]}\nPid:\t{entry.pid}\nPPid:\t{entry.ppid}\n".encode()
    return None


def _own(ns: Namespace) -> Entry | None:
    """The container's main process, for whoever asks for itself."""
    return ns.main.entry if ns.main is not None else ns.table.get(1)

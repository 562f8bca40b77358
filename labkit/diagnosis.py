"""What this machine can run, and how to get what is missing: ``labkit doctor``.

Each check is a small function that looks at one thing and returns a :class:`Finding`; none changes anything.
(The module is not called ``doctor`` because the package has a function of that name.)
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError
from labkit.paths import Paths

_EMBEDDED = "The embedded engine (no Docker needed)"
_DOCKER = "The docker engine (real dockerds in containers, real Kubernetes by kind, real Mesos by Compose)"
_EXTRAS = "Only for tests"
_MEBI = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``state`` is "ok", "limited" (works, with what ``remedy`` says) or "missing"."""

    group: str
    what: str
    state: str
    found: str
    remedy: str = ""
    needed: bool = False  # the group's engine does not work without it


@dataclass(frozen=True, slots=True)
class Report:
    """All findings. Prints as text, shows as a table in a notebook."""

    findings: tuple[Finding, ...]

    def groups(self) -> Iterator[tuple[str, list[Finding]]]:
        for group in dict.fromkeys(finding.group for finding in self.findings):
            yield group, [finding for finding in self.findings if finding.group == group]

    def _works(self, group: str) -> bool:
        return not any(f.needed and f.state == "missing" for f in self.findings if f.group == group)

    @property
    def embedded_works(self) -> bool:
        return self._works(_EMBEDDED)

    @property
    def docker_works(self) -> bool:
        return self._works(_DOCKER)

    @property
    def verdict(self) -> str:
        embedded = "labkit.up(…) works here" if self.embedded_works else "labkit.up(…) cannot work here yet"
        docker = "so does engine='docker'" if self.docker_works else "engine='docker' does not"
        return f"{embedded}; {docker}." if self.embedded_works else f"{embedded}."

    def as_dict(self) -> dict[str, Any]:
        return {
            "embedded": self.embedded_works,
            "docker": self.docker_works,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        lines = []
        for group, findings in self.groups():
            lines.append(group)
            for f in findings:
                lines.append(f"  {_SIGNS[f.state]} {f.what}: {f.found}")
                if f.remedy:
                    lines.append(f"      {f.remedy}")
        return "\n".join([*lines, "", self.verdict])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        rows = []
        for group, findings in self.groups():
            rows.append(f"<tr><th colspan='4' style='text-align:left'>{escape(group)}</th></tr>")
            for f in findings:
                cells = (f"{_SIGNS[f.state]} {f.state}", f.what, f.found, f.remedy)
                rows.append("<tr>" + "".join(f"<td style='text-align:left'>{escape(c)}</td>" for c in cells) + "</tr>")
        return f"<table>{''.join(rows)}</table><p><b>{escape(self.verdict)}</b></p>"


_SIGNS = {"ok": "✓", "limited": "~", "missing": "✗"}


def doctor() -> Report:
    """Looks at everything; takes a second or two at most."""
    return Report(tuple(check() for check in _CHECKS))


# -- the embedded engine --------------------------------------------------------------------------------------------


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11)
    remedy = "" if good else "install Python 3.11 or newer: https://www.python.org/downloads/"
    return Finding(_EMBEDDED, "Python", "ok" if good else "missing", found, remedy, needed=True)


def _folders() -> Finding:
    try:
        paths = Paths.of()
        _writable(paths.state)
        _writable(paths.runtime)
        paths.check_socket_length("swarm")
    except LabkitError as error:
        return Finding(_EMBEDDED, "folders", "missing", "cannot be used", str(error), needed=True)
    return Finding(_EMBEDDED, "folders", "ok", f"state in {paths.state}, sockets in {paths.runtime}", needed=True)


def _writable(folder: Path) -> None:
    """Whether the folder can be used or made; looking must not make it."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise LabkitError(f"{there} cannot be written; set LABKIT_STATE_DIR and LABKIT_RUNTIME_DIR to folders of yours")


def _can_bind(address: str, port: int) -> OSError | None:
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def _loopback() -> Finding:
    what = "loopback addresses"
    if _can_bind("127.0.0.1", 0) is not None:
        return Finding(_EMBEDDED, what, "missing", "127.0.0.1 cannot be used", "nothing can listen here", needed=True)
    if _can_bind("127.213.7.9", 0) is None:
        return Finding(_EMBEDDED, what, "ok", "all of 127.0.0.0/8: every machine and task gets its own", needed=True)
    remedy = "works: machines share 127.0.0.1 with a port each, and `labkit status` says which"
    return Finding(_EMBEDDED, what, "limited", "127.0.0.1 only, as on macOS", remedy, needed=True)


def _low_ports() -> Finding:
    what = "ports below 1024"
    if _can_bind("127.0.0.1", 987) is None:
        return Finding(_EMBEDDED, what, "ok", "may be published")
    remedy = "publish 8080 instead of 80; on Linux: sudo sysctl net.ipv4.ip_unprivileged_port_start=0"
    return Finding(_EMBEDDED, what, "limited", "not for this user: such a port falls back to another", remedy)


def _memory() -> Finding:
    import psutil

    available, limit = psutil.virtual_memory().available, _cgroup_limit()
    room = min(available, limit) if limit else available
    found = f"{room // _MEBI} MiB free" + (f" (limit {limit // _MEBI} MiB)" if limit else "")
    if room < 256 * _MEBI:
        return Finding(_EMBEDDED, "memory", "limited", found, "close something: JupyterLab and a sandbox want 300 MiB")
    return Finding(_EMBEDDED, "memory", "ok", found)


def _cgroup_limit() -> int:
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(name).read_text())
        except (OSError, ValueError):  # "max" says that there is none
            continue
        return limit if limit < 1 << 60 else 0
    return 0


def _open_files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= 4096:
        return Finding(_EMBEDDED, "open files", "ok", f"{soft}, may be raised to {hard}")
    remedy = "enough for the labs; about a thousand tasks want 4096: raise `ulimit -Hn`"
    return Finding(_EMBEDDED, "open files", "limited", str(hard), remedy)


def _docker_cli() -> Finding:
    path = shutil.which("docker")
    remedy = (
        "the labs use it in `!docker …` cells and terminals; "
        "the client alone is enough: https://docs.docker.com/engine/install/binaries/"
    )
    if path is None:
        return Finding(_EMBEDDED, "docker CLI", "missing", "not found", remedy)
    version = _output([path, "--version"])
    return Finding(_EMBEDDED, "docker CLI", "ok", version or path)


def _kubectl() -> Finding:
    path = shutil.which("kubectl")
    remedy = "the labs use it in `!kubectl …` cells and terminals: https://kubernetes.io/docs/tasks/tools/"
    if path is None:
        return Finding(_EMBEDDED, "kubectl", "missing", "not found", remedy)
    version = _output([path, "version", "--client"])
    return Finding(_EMBEDDED, "kubectl", "ok", version.removeprefix("Client Version: ") or path)


def _haproxy() -> Finding:
    what = "HAProxy"
    # Debian keeps it in /usr/sbin, which is not on everybody's PATH.
    path = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        remedy = (
            "Marathon's load balancer is labkit's own then, and its pages say so; "
            "for the real one: sudo apt install haproxy, or brew install haproxy"
        )
        return Finding(_EMBEDDED, what, "limited", "not found", remedy)
    version = _output([path, "-v"]).partition(" - ")[0]
    return Finding(_EMBEDDED, what, "ok", version or path)


# -- the docker engine ----------------------------------------------------------------------------------------------


def _docker_engine() -> Finding:
    from labkit.orchestrators.connection import Connection

    what = "Docker engine"
    try:
        connection = Connection("this machine", _host_engine(), 5.0)
        try:
            version = connection.get_json("/version")
        finally:
            connection.close()
    except LabkitError as error:
        remedy = "install and start Docker (https://docs.docker.com/get-started/get-docker/), and be allowed to use it"
        return Finding(_DOCKER, what, "missing", str(error), remedy, needed=True)
    found = f"{version.get('Version')} (API {version.get('ApiVersion')}) at {connection.host}"
    return Finding(_DOCKER, what, "ok", found, needed=True)


def _host_engine() -> dict[str, str]:
    """The environment of this machine's own engine, not of a sandbox that this process points at."""
    try:
        from labkit.engines.hosts import host_engine

        env = dict(host_engine(os.environ))
    except ImportError:
        env = {}
    return {"DOCKER_HOST": "unix:///var/run/docker.sock", **env}


def _privileged() -> Finding:
    from labkit.orchestrators.connection import Connection

    what = "privileged containers"
    try:
        connection = Connection("this machine", _host_engine(), 5.0)
        try:
            options = connection.get_json("/info").get("SecurityOptions") or []
        finally:
            connection.close()
    except LabkitError:
        return Finding(_DOCKER, what, "missing", "no engine to ask", needed=True)
    if any("rootless" in option for option in options):
        remedy = "nodes are docker-in-docker containers, which a rootless engine may refuse; use a rootful one"
        return Finding(_DOCKER, what, "limited", "the engine is rootless", remedy, needed=True)
    return Finding(_DOCKER, what, "ok", "the engine runs as root", needed=True)


def _ipvs() -> Finding:
    what = "IPVS"
    if not sys.platform.startswith("linux"):
        return Finding(_DOCKER, what, "ok", "Docker's own virtual machine has it")
    if Path("/proc/net/ip_vs").exists():
        return Finding(_DOCKER, what, "ok", "loaded")
    remedy = "virtual IPs and ingress ports of the docker engine will not forward; try: sudo modprobe ip_vs"
    return Finding(_DOCKER, what, "limited", "not loaded", remedy)


def _kind() -> Finding:
    path = shutil.which("kind")
    if path is None:
        remedy = (
            "for labkit.up('kubernetes', engine='docker'): https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
        )
        return Finding(_DOCKER, "kind", "missing", "not found", remedy)
    return Finding(_DOCKER, "kind", "ok", _output([path, "version"]) or path)


def _compose() -> Finding:
    what = "Docker Compose"
    remedy = "for labkit.up('marathon', engine='docker'): https://docs.docker.com/compose/install/"
    path = shutil.which("docker")
    version = _output([path, "compose", "version"]) if path is not None else ""
    if "Compose version" not in version:
        return Finding(_DOCKER, what, "missing", "not found", remedy)
    return Finding(_DOCKER, what, "ok", version)


# -- extras ---------------------------------------------------------------------------------------------------------


def _tool(what: str, names: tuple[str, ...], why: str, remedy: str) -> Callable[[], Finding]:
    def check() -> Finding:
        path = next((found for name in names if (found := shutil.which(name))), None)
        if path is None:
            return Finding(_EXTRAS, what, "missing", f"not found ({why})", remedy)
        return Finding(_EXTRAS, what, "ok", path)

    return check


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


_CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _folders,
    _loopback,
    _low_ports,
    _memory,
    _open_files,
    _docker_cli,
    _kubectl,
    _haproxy,
    _docker_engine,
    _privileged,
    _ipvs,
    _kind,
    _compose,
    _tool(
        "Chromium",
        ("chromium", "chromium-browser", "google-chrome", "chrome"),
        "for the browser tests",
        "sudo apt install chromium, or: python -m playwright install chromium",
    ),
)

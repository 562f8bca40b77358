"""What a container is: plain state with slots, a thousand of which fit in a few megabytes, and its words for itself."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.embedded.swarm.objects import Json

from .restarts import Backoff
from .wording import human_duration

if TYPE_CHECKING:
    from labkit.embedded.runtime.logs import Log
    from labkit.embedded.runtime.network import Listener
    from labkit.embedded.runtime.processes import Process

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTHS = ("none", "starting", "healthy", "unhealthy")
STOP_TIMEOUT = 10


class Mount(NamedTuple):
    """A mount as ``docker inspect`` shows it."""

    type: str
    name: str
    source: str
    destination: str
    driver: str
    mode: str
    rw: bool

    def json(self) -> Json:
        out: Json = {"Type": self.type}
        if self.name:
            out["Name"] = self.name
        out |= {"Source": self.source, "Destination": self.destination}
        if self.driver:
            out["Driver"] = self.driver
        return out | {"Mode": self.mode, "RW": self.rw, "Propagation": ""}


@dataclass(slots=True, eq=False)
class Attachment:
    """A container's end on one network. ``ip`` and ``endpoint_id`` are empty until it has been started."""

    network: str
    given: Json = field(default_factory=dict)  # EndpointSettings of the request
    network_id: str = ""
    endpoint_id: str = ""
    ip: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    dns_names: tuple[str, ...] = ()
    pool: str = ""  # where the address goes back to; empty when it is not this host's to give


@dataclass(slots=True)
class Probe:
    """One run of a health check."""

    start: float
    end: float
    exit_code: int
    output: str


@dataclass(slots=True, eq=False)
class Health:
    status: str = "starting"
    failing_streak: int = 0
    log: list[Probe] = field(default_factory=list)
    watchers: list[asyncio.Future[None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Waiter(NamedTuple):
    """Somebody who waits for an exit, or (``removed``) for the container to be gone."""

    future: asyncio.Future[int]
    removed: bool


class Container:
    """One container of a host."""

    __slots__ = (
        "args", "attached", "auto_removing", "backoff", "config", "created", "dead", "error", "execs", "exit_code",
        "files", "finished_at", "health", "host", "id", "image", "image_id", "listeners", "lock", "log", "managed",
        "mounts", "name", "networks", "oom_killed", "path", "paused", "ports", "process", "removing",
        "restart_count", "restart_timer", "restarting", "running", "sandbox_id", "started_at", "stdin",
        "stopped_by_hand", "supervisor", "task_id", "tty_size", "waiters",
    )  # fmt: skip

    def __init__(
        self, identifier: str, name: str, *, config: Json, host: Json, image_id: str, created: float, managed: bool
    ) -> None:
        self.id = identifier
        self.name = name  # without the slash that the API puts before it
        self.config = config
        self.host = host
        self.image: str = config.get("Image", "")
        self.image_id = image_id
        self.created = created
        self.managed = managed  # a task's: what the filter "is-task" asks for
        command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
        self.path: str = command[0] if command else ""
        self.args: list[str] = command[1:]
        self.task_id: str = (config.get("Labels") or {}).get("com.docker.swarm.task.id", "") if managed else ""
        self.mounts: list[Mount] = []
        self.networks: dict[str, Attachment] = {}
        self.ports: dict[str, list[tuple[str, int]] | None] = {}  # "80/tcp" -> bindings, while it runs
        self.sandbox_id = ""

        self.running = False
        self.paused = False
        self.restarting = False
        self.removing = False
        self.dead = False
        self.oom_killed = False
        self.exit_code = 0
        self.error = ""
        self.started_at = 0.0
        self.finished_at = 0.0
        self.restart_count = 0
        self.stopped_by_hand = False
        self.auto_removing = False
        self.health: Health | None = None

        self.process: Process | None = None
        self.log: Log | None = None
        self.files: dict[str, bytes | None] | None = None  # what differs from the image
        self.stdin: Any = None
        self.attached = 0
        self.tty_size: tuple[int, int] = (0, 0)
        self.listeners: list[Listener] | None = None
        self.execs: list[str] | None = None
        self.backoff: Backoff | None = None
        self.restart_timer: Any = None
        self.supervisor: asyncio.Task[None] | None = None
        self.waiters: list[Waiter] | None = None
        self.lock: asyncio.Lock | None = None

    # what it is -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``State.Status``."""
        if self.running:
            return "paused" if self.paused else "restarting" if self.restarting else "running"
        if self.removing:
            return "removing"
        if self.dead:
            return "dead"
        return "exited" if self.started_at else "created"

    def status(self, now: float) -> str:
        """The STATUS column of ``docker ps``: ``Up 3 minutes (healthy)``."""
        if self.running:
            if self.paused:
                return f"Up {human_duration(now - self.started_at)} (Paused)"
            if self.restarting:
                return f"Restarting ({self.exit_code}) {human_duration(now - self.finished_at)} ago"
            health = self.health_words
            return f"Up {human_duration(now - self.started_at)}{f' ({health})' if health else ''}"
        if self.removing:
            return "Removal In Progress"
        if self.dead:
            return "Dead"
        if not self.started_at:
            return "Created"
        return f"Exited ({self.exit_code}) {human_duration(now - self.finished_at)} ago" if self.finished_at else ""

    @property
    def health_status(self) -> str:
        return self.health.status if self.health else "none"

    @property
    def health_words(self) -> str:
        if self.health is None:
            return ""
        return "health: starting" if self.health.status == "starting" else self.health.status

    @property
    def pid(self) -> int:
        return self.process.pid if self.process is not None and self.running and not self.restarting else 0

    @property
    def labels(self) -> dict[str, str]:
        return self.config.get("Labels") or {}

    @property
    def tty(self) -> bool:
        return bool(self.config.get("Tty"))

    @property
    def open_stdin(self) -> bool:
        return bool(self.config.get("OpenStdin"))

    @property
    def network_mode(self) -> str:
        return str(self.host.get("NetworkMode", "bridge"))

    @property
    def hostname(self) -> str:
        return str(self.config.get("Hostname") or self.id[:12])

    @property
    def stop_signal(self) -> str:
        return str(self.config.get("StopSignal") or "SIGTERM")

    @property
    def stop_timeout(self) -> int:
        timeout = self.config.get("StopTimeout")
        return STOP_TIMEOUT if timeout is None else int(timeout)

    @property
    def restart_policy(self) -> Json:
        return self.host.get("RestartPolicy") or {"Name": "no", "MaximumRetryCount": 0}

    @property
    def ip(self) -> str:
        """The address by which others reach it, empty when it has none of its own."""
        return next((attachment.ip for attachment in self.networks.values() if attachment.ip), "")

    @property
    def log_driver(self) -> str:
        return str((self.host.get("LogConfig") or {}).get("Type") or "json-file")

    def command(self) -> str:
        """The COMMAND column: arguments with a space in quotes, as dockerd joins them."""
        return " ".join([self.path, *(f"'{arg}'" if " " in arg else arg for arg in self.args)])

    # who waits for it -----------------------------------------------------------------------------------------

    def wait(self, removed: bool = False) -> asyncio.Future[int]:
        """A future of the next exit code, or of the one it had when it is removed."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(Waiter(future, removed))
        return future

    def tell_waiters(self, *, removed: bool) -> None:
        """It has exited, or it is gone (which ends every wait)."""
        waiting, self.waiters = self.waiters or [], None
        left = []
        for waiter in waiting:
            if waiter.removed and not removed:
                left.append(waiter)
            elif not waiter.future.done():
                waiter.future.set_result(self.exit_code)
        self.waiters = left or None

    # what outlives the process --------------------------------------------------------------------------------

    def record(self) -> Json:
        """The row that is kept of it. A container that runs is started again from its row after a crash."""
        return {
            "name": self.name,
            "config": self.config,
            "host": self.host,
            "image_id": self.image_id,
            "created": self.created,
            "managed": self.managed,
            "mounts": [list(mount) for mount in self.mounts],
            "networks": [asdict(attachment) for attachment in self.networks.values()],
            "ports": self.ports,
            "sandbox_id": self.sandbox_id,
            "running": self.running,
            "paused": self.paused,
            "exit_code": self.exit_code,
            "error": self.error,
            "oom_killed": self.oom_killed,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "restart_count": self.restart_count,
            "stopped_by_hand": self.stopped_by_hand,
        }

    @classmethod
    def restored(cls, identifier: str, row: Json) -> Container:
        """The container of a row; it does not run yet, whatever the row says."""
        container = cls(
            identifier,
            row["name"],
            config=row["config"],
            host=row["host"],
            image_id=row["image_id"],
            created=row["created"],
            managed=row["managed"],
        )
        container.mounts = [Mount(*mount) for mount in row["mounts"]]
        for attachment in row["networks"]:
            attachment["dns_names"] = tuple(attachment["dns_names"])
            container.networks[attachment["network"]] = Attachment(**attachment)
        container.ports = {
            port: None if bindings is None else [(ip, int(number)) for ip, number in bindings]
            for port, bindings in row["ports"].items()
        }
        for name in (
            "sandbox_id", "exit_code", "error", "oom_killed", "started_at", "finished_at", "restart_count",
            "stopped_by_hand",
        ):  # fmt: skip
            setattr(container, name, row[name])
        return container

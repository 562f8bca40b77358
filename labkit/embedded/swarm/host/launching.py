"""What runc does for an engine: a process, in surroundings that are made of a container's configuration."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.files import Files, Layer
from labkit.embedded.runtime.keeper import KeptLayer, ReadOnlyLayer, from_text, to_text
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.namespaces import Limits
from labkit.embedded.runtime.processes import DEFAULT_PATH, Process
from labkit.embedded.runtime.streams import Pipe
from labkit.embedded.runtime.users import UnknownUser
from labkit.embedded.swarm.errors import ApiError

from .container import Container

if TYPE_CHECKING:
    from .host import Host

_RUNC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)


class StartFailed(ApiError):
    """What runc has to complain about; 400 when the command is to blame."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.status = 400


class Launcher:
    """Starts the processes of one host's containers."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._rng = random.Random(host.name)  # one for all its programs: each costs two and a half kilobytes

    async def start(self, container: Container) -> None:
        """Start the container's process. Raises :class:`StartFailed`, and 500 when its image is gone."""
        host = self._host
        world = host.world
        image = host.images.by_id(container.image_id)
        if image is None:
            raise ApiError(f"image {container.image_id} is gone from the catalogue")
        container.log = container.log or Log(world.clock)
        container.stdin = Pipe() if container.open_stdin else None
        addresses = [attachment.ip for attachment in container.networks.values() if attachment.ip]
        if container.network_mode == "host":
            addresses = [host.machine.address]
        process = Process(
            image,
            args=[container.path, *container.args],
            env=_environment(container),
            hostname=host.name if container.network_mode == "host" else container.hostname,
            machine=host.machine,
            addresses=addresses,
            network=world.network,
            clock=world.clock,
            resolver=host.discovery.resolver(container),
            log=container.log,
            files=self.files(container),
            stdin=container.stdin,
            tty=container.tty,
            rng=self._rng,
            limits=_limits(container),
            workdir=container.config.get("WorkingDir") or "",
            user=container.config.get("User") or "",
        )
        try:
            await process.start()
        except ExecutableNotFound as error:
            raise StartFailed(f"{_RUNC}{error}: unknown", error.exit_code) from None
        except UnknownUser as error:
            raise StartFailed(str(error), 128) from None
        container.process = process

    def files(self, container: Container) -> Files:
        """The container's file system, with its volumes mounted."""
        if container.files is None:
            container.files = KeptLayer(lambda: self._keep_files(container))
        mounts: dict[str, Layer] = {}
        for mount in container.mounts:
            if mount.type == "volume":
                data = self._host.volumes.get(mount.name).data
                mounts[mount.destination] = data if mount.rw else ReadOnlyLayer(data)
            elif mount.type == "tmpfs":
                mounts[mount.destination] = {}
        return Files(container.files, mounts=mounts, readonly=bool(container.host.get("ReadonlyRootfs")))

    def restore_files(self, container: Container, row: dict[str, str | None]) -> None:
        """What it had written before the restart."""
        container.files = KeptLayer(lambda: self._keep_files(container), from_text(row))

    def _keep_files(self, container: Container) -> None:
        if not container.removing:
            self._host.keeper.put("files", container.id, lambda: to_text(container.files))

    def limit(self, container: Container) -> None:
        """Limits have changed while it runs."""
        if container.process is not None:
            container.process.ns.limits = _limits(container)


def _environment(container: Container) -> dict[str, str]:
    env = {"PATH": DEFAULT_PATH, "HOSTNAME": container.hostname}  # HOME is whose it is that runs
    if container.tty:
        env["TERM"] = "xterm"
    for entry in container.config.get("Env") or ():
        name, equals, value = entry.partition("=")
        if equals:
            env[name] = value
        else:
            env.pop(name, None)
    return env


def _limits(container: Container) -> Limits:
    cpus = container.host.get("NanoCpus", 0) / 1e9
    if not cpus and container.host.get("CpuQuota"):
        cpus = container.host["CpuQuota"] / (container.host.get("CpuPeriod") or 100_000)
    return Limits(container.host.get("Memory", 0), cpus, container.host.get("PidsLimit") or 0)

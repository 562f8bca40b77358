"""The container runtime of one machine: it runs what it is told and knows what became of it.

It lives apart from the kubelet, as containerd does: when the kubelet stops, containers go on, and what ended meanwhile
is on record when it comes back. Records are written to storage; after the whole process was killed, containers that ran
are ``detached`` until the kubelet brings them back under their old ids.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from labkit.embedded.kubernetes.kubelet.containers import Config, Inside
from labkit.embedded.kubernetes.kubelet.guests import Guest, GuestFiles, Host, Pause
from labkit.embedded.kubernetes.kubelet.parts import Parts
from labkit.embedded.kubernetes.kubelet.records import LOST, Container, Sandbox
from labkit.embedded.runtime import signals
from labkit.embedded.runtime.addresses import PoolExhausted
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.dns import Resolver
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.keeper import Keeper
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.nodes import Node
from labkit.embedded.runtime.processes import DEFAULT_PATH, Process
from labkit.embedded.runtime.streams import Pipe
from labkit.embedded.runtime.users import UnknownUser

log = logging.getLogger("labkit.kubernetes.containerd")

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)
START_FAILED = 128  # the exit code of a container that never ran
MESSAGE_BYTES = 4096  # of a termination message
LOG_BYTES, LOG_LINES = 2048, 80  # of a log that stands in for it

Ended = Callable[[Sandbox, Container], object]


class StartError(Exception):
    """runc could not start it; ``str()`` is in its words."""


class CreateError(Exception):
    """containerd could not make it, so there is no record of it."""


class SandboxError(Exception):
    """A pod could not be given its network."""


class Containerd:
    """Containers of one machine. ``ended`` is told of each that ends, while somebody is set to hear it."""

    def __init__(self, parts: Parts, machine: Machine) -> None:
        self.parts = parts
        self.machine = machine
        self.sandboxes: dict[str, Sandbox] = {}  # by the pod's uid
        self.ended: Ended | None = None
        self.files: dict[str, bytes | None] = {}  # of the machine, as hostPath volumes show them
        self._host_ports: dict[int, list[Any]] = {}  # of pods on the host's network
        self._chores = Chores()
        self.keeper = Keeper(parts.storage, machine.name) if parts.storage is not None else None
        self._restore()

    # sandboxes ------------------------------------------------------------------------------------------------

    def run_sandbox(self, uid: str, namespace: str, name: str, hostname: str, on_host: bool) -> Sandbox:
        """A network for a pod. A pod whose sandbox has died gets a new one, and its old containers stay on record.

        Raises:
            SandboxError: there is no address left.
        """
        old = self.sandboxes.get(uid)
        try:
            ip = self.machine.address if on_host else self.parts.addresses.take(self.machine.name)
        except PoolExhausted as error:
            raise SandboxError(
                'rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type="ptp" failed '
                f"(add): failed to allocate for range 0: {error.strerror}"
            ) from None
        sandbox = Sandbox(
            id=self._new_id(),
            uid=uid,
            namespace=namespace,
            name=name,
            ip=ip,
            hostname=hostname,
            attempt=0 if old is None else old.attempt + 1,
            on_host=on_host,
        )
        if on_host:
            sandbox.ports = self._host_ports
        else:
            self.parts.network.place(ip, self.machine.name)
        if old is not None:
            sandbox.containers, sandbox.volumes = old.containers, old.volumes
            self.stop_sandbox(old)
        self.sandboxes[uid] = sandbox
        return sandbox

    def remove_sandbox(self, sandbox: Sandbox) -> None:
        """The pod is over: forget all about it. Its containers must have ended."""
        if self.sandboxes.get(sandbox.uid) is sandbox:
            del self.sandboxes[sandbox.uid]
            if self.keeper is not None:
                self.keeper.delete("pod", sandbox.uid)
        self.stop_sandbox(sandbox)

    def stop_sandbox(self, sandbox: Sandbox) -> None:
        """Take its network back. What ran in it stays on record."""
        if sandbox.ready and not sandbox.on_host:
            self.parts.network.unplace(sandbox.ip)
            self.parts.addresses.release(self.machine.name, sandbox.ip)
        for listener in sandbox.host_ports or ():
            listener.shut()
        sandbox.host_ports, sandbox.ready = None, False
        self.keep(sandbox)

    # containers -----------------------------------------------------------------------------------------------

    def check_target(self, sandbox: Sandbox, config: Config) -> None:
        """Raises :class:`CreateError` for a container that is to join one which does not run."""
        if config.target and _target(sandbox, config) is None:
            raise CreateError(
                f'failed to generate container "{self._new_id()}" spec: invalid target container: container '
                f'"{config.target}" is not running - in state CONTAINER_EXITED'
            )

    async def start(
        self, sandbox: Sandbox, config: Config, image: Image, reference: str, resolver: Resolver | None, pod: Any
    ) -> Container:
        """Make a container and start it. Raises :class:`StartError`; there is a record of the failure, too."""
        last = sandbox.latest(config.name)
        container = Container(
            id=self._new_id(),
            name=config.name,
            attempt=0 if last is None else last.attempt + 1,
            sandbox=sandbox.attempt,
            image=reference,
            image_id=f"{image.repository}@{image.digest}",
            spec_hash=config.spec_hash,
            log=Log(self.parts.clock),
        )
        self._remember(sandbox, container)
        await self._launch(sandbox, container, config, image, resolver, pod)
        return container

    async def bring_back(
        self, sandbox: Sandbox, container: Container, config: Config, image: Image, resolver: Resolver | None, pod: Any
    ) -> None:
        """Run a container again that was running when the sandbox's process was killed: it never stopped, as it seems.

        Its files and log are new, its id, start and restart count are the old ones.
        """
        started, container.detached, container.log = container.started, False, Log(self.parts.clock)
        await self._launch(sandbox, container, config, image, resolver, pod)
        container.started = started

    async def _launch(
        self, sandbox: Sandbox, container: Container, config: Config, image: Image, resolver: Any, pod: Any
    ) -> None:
        name = getattr(image, "component", "")
        container.component = self.parts.component(name, self.machine.name, pod, sandbox.ip) if name else None
        container.family = image
        if config.user or image.user:  # whoever it runs as may leave a message; root may anyway
            config.files.setdefault(config.termination_path, Node(b"", 0o666))
        host = self._host(sandbox, config) if config.target or config.shares_processes else None
        files = (Files if host is None else GuestFiles)(config.files, mounts=config.mounts, readonly=config.readonly)
        inside = (Inside if host is None else Guest)(
            image,
            hostname=sandbox.hostname,
            machine=self.machine,
            addresses=[sandbox.ip],
            network=self.parts.network,
            clock=self.parts.clock,
            resolver=resolver,
            files=files,
            rng=self.parts.rng,
            limits=config.limits,
            ports=sandbox.ports,
            etc=config.etc,
            component=container.component,
            groups=config.groups,
        )
        if host is not None and isinstance(inside, Guest):
            inside.join(host)
        env = {"PATH": DEFAULT_PATH, "HOSTNAME": sandbox.hostname, **image.env, **config.env}
        if config.tty:
            env.setdefault("TERM", "xterm")
        process = Process(
            image,
            args=config.args or [*image.entrypoint, *image.cmd],
            env=env,
            ns=inside,
            log=container.log,
            stdin=Pipe() if config.stdin else None,
            tty=config.tty,
            workdir=config.workdir,
            user=config.user,
        )
        container.process = process
        try:
            await process.start()
        except (ExecutableNotFound, UnknownUser) as error:
            container.process = None
            container.finished = self.parts.clock.time()
            container.exit_code, container.reason = START_FAILED, "StartError"
            container.message = f"{RUNC}{error}: unknown" if isinstance(error, ExecutableNotFound) else str(error)
            self.keep(sandbox)
            raise StartError(container.message) from None
        container.started = self.parts.clock.time()
        process.ended = lambda: self._ended(sandbox, container, config)
        self.keep(sandbox)

    def _host(self, sandbox: Sandbox, config: Config) -> Host | None:
        """Whose process namespace a container joins."""
        if config.target:
            return _target(sandbox, config)
        if sandbox.processes is None:
            sandbox.processes = Pause(self.parts.clock.time())
        return sandbox.processes

    def _remember(self, sandbox: Sandbox, container: Container) -> None:
        """One that ended before is kept beside the newest: its state is ``lastState``, its log ``--previous``."""
        same = [one for one in sandbox.containers if one.name == container.name]
        for one in same[:-1]:
            sandbox.containers.remove(one)
        sandbox.containers.append(container)

    def _ended(self, sandbox: Sandbox, container: Container, config: Config) -> None:
        process = container.process
        if process is None or process.exit_code is None:
            return
        code = process.exit_code
        container.finished, container.exit_code = process.finished_at, code
        container.reason = "OOMKilled" if process.oom else ("Completed" if code == 0 else "Error")
        container.message = _message(process, config, code)
        self._dispose(container)
        self.keep(sandbox)
        if self.ended is not None:
            self.ended(sandbox, container)

    def _dispose(self, container: Container) -> None:
        container.process = None
        component, container.component = container.component, None
        if component is not None:
            self._chores.start(self._end_component(component))

    async def _end_component(self, component: Any) -> None:
        try:
            await component.stop()
        except Exception:
            log.exception("%s: a component did not end cleanly", self.machine.name)

    def signal(self, container: Container, number: int) -> None:
        """Send a signal; a container that is not there to take it is over."""
        if container.process is not None:
            container.process.kill(number)
        elif container.running:  # it was running before a restart and was never brought back
            container.exit_code, container.reason = LOST, "Unknown"
            container.finished = self.parts.clock.time()

    # the machine's ups and downs -------------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Everything ends at once; what remains is the record that it ran."""
        now = self.parts.clock.time()
        for sandbox in self.sandboxes.values():
            for container in sandbox.running():
                process = container.process
                self._dispose(container)
                container.exit_code, container.reason, container.finished = LOST, "Unknown", now
                if process is not None:
                    process.ended = None
                    process.kill(signals.SIGKILL)
            self.stop_sandbox(sandbox)

    def shut(self) -> None:
        """The whole sandbox ends: processes end, records stay as they are."""
        self.ended = None
        for sandbox in self.sandboxes.values():
            for container in sandbox.running():
                if container.process is not None:
                    container.process.ended = None
                    container.process.kill(signals.SIGKILL)
        self._chores.cancel()

    # records --------------------------------------------------------------------------------------------------

    def keep(self, sandbox: Sandbox) -> None:
        """Write it down."""
        if self.keeper is not None and sandbox.uid in self.sandboxes:
            self.keeper.put("pod", sandbox.uid, sandbox.row)

    def _restore(self) -> None:
        if self.keeper is None:
            return
        for row in self.keeper.all("pod").values():
            sandbox = Sandbox.of(row)
            if sandbox.on_host:
                sandbox.ports = self._host_ports
            elif sandbox.ready and self.parts.addresses.claim(self.machine.name, sandbox.ip):
                self.parts.network.place(sandbox.ip, self.machine.name)
            else:
                sandbox.ready = False
            self.sandboxes[sandbox.uid] = sandbox

    def _new_id(self) -> str:
        return f"{self.parts.rng.getrandbits(256):064x}"


def _target(sandbox: Sandbox, config: Config) -> Host | None:
    """The namespaces of the container that this one is to join, while it runs."""
    process = next((one.process for one in sandbox.containers if one.id == config.target), None)
    return process.ns if process is not None and process.running else None


def _message(process: Process, config: Config, code: int) -> str:
    """What the container leaves behind: its termination message, or the end of its log if it wants that."""
    path, files = config.termination_path, process.ns.files  # as root sees them, which the kubelet is
    text = files.read(path)[:MESSAGE_BYTES].decode("utf-8", "replace") if files.isfile(path) else ""
    if text or not config.fall_back_to_logs or code == 0:
        return text
    lines = process.log.lines(tail=LOG_LINES)
    return b"".join(line.data for line in lines)[-LOG_BYTES:].decode("utf-8", "replace")


__all__ = ["Containerd", "CreateError", "Ended", "SandboxError", "StartError"]

"""A container: an image of the runtime, under Docker's or Mesos' own containerizer."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import orjson

from labkit.embedded.mesos.agent import environment, sandbox, statuses
from labkit.embedded.mesos.agent.command import fetch_into
from labkit.embedded.mesos.agent.containers import Container, Mapping, read
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.records import Run
from labkit.embedded.mesos.agent.work import Connection, LaunchError
from labkit.embedded.runtime import signals
from labkit.embedded.runtime.addresses import PoolExhausted
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.images.catalogue import UnknownImage
from labkit.embedded.runtime.images.reference import InvalidReference
from labkit.embedded.runtime.listeners import Connected, Listener
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.namespaces import Limits, Namespace
from labkit.embedded.runtime.processes import DEFAULT_PATH, Process
from labkit.embedded.runtime.splice import splice
from labkit.embedded.runtime.users import UnknownUser

Json = dict[str, Any]

LOOK_UP = 0.05  # sandbox seconds that a registry takes to answer
RATE, LONGEST = 400e6, 0.5  # bytes a second, and the longest that a pull may take: lessons are to be quick
MIB = 1024 * 1024
MAX_FILE = 16 * MIB  # of a fetched file that a container is to see
MEMORY = "REASON_CONTAINER_LIMITATION_MEMORY"
NOT_STARTED = 127


class ImageWork:
    """A task that runs as an image."""

    __slots__ = (
        "_ended",
        "_fetched",
        "_host",
        "_image",
        "_listeners",
        "_oom",
        "_run",
        "_status",
        "ip",
        "log",
        "process",
        "wanted",
    )

    def __init__(self, host: Host, run: Run) -> None:
        self._host = host
        self._run = run
        self.wanted: Container = read(run.task)
        self.log = Log(host.clock)
        self.process: Process | None = None
        self.ip = ""
        self._image: Image | None = None
        self._fetched: dict[str, bytes | None] | None = None
        self._listeners: list[Listener] | None = None
        self._status: Json | None = None
        self._ended: Callable[[int], object] | None = None
        self._oom = False

    @property
    def noun(self) -> str:
        return "Container" if self.wanted.docker else "Command"

    # before it runs ---------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        host, name = self._host, self.wanted.image
        image = host.images.get(name)
        if image is None or self.wanted.force_pull:
            image = await self._pull(name)
        self._image = image
        uris = list((self._run.task.get("command") or {}).get("uris") or ())
        if uris:
            directory = self._run.directory
            try:
                sandbox.make(directory)
            except OSError as error:
                raise LaunchError(f"Failed to launch container: Failed to create the sandbox: {error}") from None
            await fetch_into(uris, directory, self._run.container_id)
            self._fetched = _load(Path(directory))

    async def _pull(self, name: str) -> Image:
        host = self._host
        try:
            image = host.catalogue.find(name)
        except (UnknownImage, InvalidReference) as error:
            await host.clock.sleep(LOOK_UP)
            raise LaunchError(_pull_words(self.wanted, str(error))) from None
        if image.id not in host.layers:
            await host.clock.sleep(min(LONGEST, LOOK_UP + image.size / RATE))
            host.layers.add(image.id)
        host.images[name] = image
        return image

    # running ----------------------------------------------------------------------------------------------------

    async def start(self, ended: Callable[[int], object]) -> None:
        host, run, wanted, image = self._host, self._run, self.wanted, self._image
        assert image is not None
        self._ended = ended
        try:
            self.ip = host.address if wanted.on_host else host.addresses.take()
        except PoolExhausted as error:
            raise LaunchError(f"Failed to launch container: {error.strerror}") from None
        hostname = wanted.hostname or (host.machine.name if wanted.on_host else run.container_id.replace("-", "")[:12])
        env = {
            "PATH": DEFAULT_PATH,
            "HOSTNAME": hostname,
            **image.env,
            **wanted.env,
            **environment.of_container(run.task, run.container_id),
        }
        if wanted.on_host:
            env.setdefault("LIBPROCESS_IP", host.address)
        ns = Namespace(
            image,
            hostname=hostname,
            machine=host.machine,
            addresses=[self.ip],
            network=host.network,
            clock=host.clock,
            resolver=host.resolver,
            files=Files(mounts=self._mounts()) if wanted.volumes or self._fetched else None,
            rng=None,
            limits=Limits(memory=int(wanted.memory * MIB), cpus=wanted.cpus),
            ports=host.ports if wanted.on_host else None,
        )
        process = Process(
            image,
            args=wanted.args(image.entrypoint, image.cmd),
            env=env,
            ns=ns,
            log=self.log,
            workdir=wanted.workdir,
            user=wanted.user,
        )
        self.process = process
        try:
            await process.start()
        except (ExecutableNotFound, UnknownUser) as error:
            self._not_started(error)
            return
        process.ended = self._over
        try:
            await self._open_ports()
        except OSError as error:
            self.log.write("stderr", f"docker: Error response from daemon: {error.strerror}\n".encode())
            process.ended = None
            process.kill(signals.SIGKILL)
            self._release()
            raise LaunchError(f"Failed to launch container: {error.strerror}", source=statuses.EXECUTOR) from None

    def _mounts(self) -> dict[str, MutableMapping[str, bytes | None]]:
        """Folders of the machine are the same for all its containers."""
        mounts: dict[str, MutableMapping[str, bytes | None]] = {
            inside: self._host.volumes.setdefault(outside, {}) if outside else {}
            for inside, outside in self.wanted.volumes
        }
        if self._fetched is not None:
            mounts[environment.CONTAINER_SANDBOX] = self._fetched
        return mounts

    def _not_started(self, error: Exception) -> None:
        self.log.write("stderr", f"docker: Error response from daemon: OCI runtime create failed: {error}\n".encode())
        self.log.close()
        self.process = None
        self._release()
        code = error.exit_code if isinstance(error, ExecutableNotFound) else NOT_STARTED
        asyncio.get_running_loop().call_soon(self._tell, code)

    async def _open_ports(self) -> None:
        for mapping in self.wanted.ports:
            listener = await self._host.network.listen(
                self._host.machine, self._host.address, mapping.host, self._forward(mapping)
            )
            if self._listeners is None:
                self._listeners = []
            self._listeners.append(listener)

    def _forward(self, mapping: Mapping) -> Connected:
        host, ip = self._host, self.ip

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                target = await host.network.connect(host.machine.name, ip, mapping.container, timeout=10.0)
            except OSError:
                writer.transport.abort()
                return
            await splice((reader, writer), target)

        return forward

    def _over(self) -> None:
        process, self.process = self.process, None
        if process is None or process.exit_code is None:
            return
        self._release()
        code = process.exit_code
        self._oom = process.oom and not self.wanted.docker
        if not self.wanted.docker and 128 < code < 160:
            code = 128 - code  # Mesos' own executor waits for the process itself, and sees the signal
        self._tell(code)

    def _tell(self, code: int) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(code)

    def _release(self) -> None:
        for listener in self._listeners or ():
            listener.shut()
        self._listeners = None
        if self.ip and not self.wanted.on_host:
            self._host.addresses.release(self.ip)

    # while it runs ----------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """``docker stop``: the signal that the image wants."""
        name = self._image.stop_signal if self._image is not None else ""
        self.signal(signals.number(name) if name else signals.SIGTERM)

    def signal(self, number: int) -> None:
        if self.process is not None:
            self.process.kill(number)

    def freeze(self) -> None:
        """Processes of the runtime are held by their machine's gate."""

    def thaw(self) -> None:
        pass

    def discard(self) -> None:
        self._ended = None
        process, self.process = self.process, None
        if process is not None:
            process.ended = None
            process.kill(signals.SIGKILL)
            self._release()

    def container_status(self) -> Json:
        if not self.ip:  # it has not been started
            return {"container_id": {"value": self._run.container_id}}
        if self._status is None:
            info: Json = {"ip_addresses": [{"protocol": "IPv4", "ip_address": self.ip}]}
            if self.wanted.network:
                info["name"] = self.wanted.network
            if self.wanted.given_ports:
                info["port_mappings"] = self.wanted.given_ports
            self._status = {"container_id": {"value": self._run.container_id}, "network_infos": [info]}
        return self._status

    def describe(self) -> tuple[str, Json | None]:
        """``docker inspect`` in ``data``, as the Docker executor sends it."""
        if not self.wanted.docker:
            return "", None
        labels = {"labels": [{"key": "Docker.NetworkSettings.IPAddress", "value": self.ip}]}
        return b64encode(orjson.dumps([self.inspect()])).decode(), labels

    def inspect(self) -> Json:
        """What ``docker inspect`` would say, in short."""
        process, run = self.process, self._run
        return {
            "Id": run.container_id.replace("-", "") * 2,
            "Name": f"/mesos-{run.container_id}",
            "State": {"Status": "running" if process is not None else "exited", "Running": process is not None},
            "Image": self._image.id if self._image is not None else "",
            "Config": {"Image": self.wanted.image, "Cmd": process.args if process is not None else []},
            "HostConfig": {"NetworkMode": "host" if self.wanted.on_host else self.wanted.network or "bridge"},
            "NetworkSettings": {"IPAddress": "" if self.wanted.on_host else self.ip},
        }

    def end_words(self, code: int) -> tuple[str, str]:
        if self._oom:
            return (
                MEMORY,
                f"Memory limit exceeded: Requested: {self.wanted.memory:g}MB Maximum Used: {self.wanted.memory:g}MB",
            )
        return "", f"{self.noun} {statuses.exit_words(code)}"

    async def execute(self, command: Json) -> int:
        if self.process is None:
            raise OSError("the container does not run")
        value = str(command.get("value", ""))
        args = ["sh", "-c", value] if command.get("shell", True) else [value, *(command.get("arguments") or ())[1:]]
        try:
            started = await self.process.exec(args, environment.own(command), log=Log(self._host.clock))
        except (ExecutableNotFound, UnknownUser) as error:
            raise OSError(str(error)) from None
        try:
            return await started.wait()
        finally:
            if started.running:
                started.kill(signals.SIGKILL)

    async def connect(self, port: int) -> Connection:
        if self.process is None:
            raise ConnectionRefusedError(111, "Connection refused")
        return await self.process.connect("127.0.0.1", port)

    def output(self, stream: str) -> bytes | None:
        return b"".join(line.data for line in self.log.lines() if line.stream == stream)


def _pull_words(wanted: Container, why: str) -> str:
    name = wanted.image if ":" in wanted.image.rpartition("/")[2] or "@" in wanted.image else f"{wanted.image}:latest"
    if wanted.docker:
        return (
            "Failed to launch container: Failed to run 'docker -H unix:///var/run/docker.sock pull "
            f"{name}': exited with status 1; stderr='Error response from daemon: {why}\n'"
        )
    return f"Failed to launch container: Failed to pull the image '{name}': {why}"


def _load(directory: Path) -> dict[str, bytes | None]:
    """Files that were fetched, for the container to see. Blocking, but they have just been written."""
    return {
        f"/{path.relative_to(directory)}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.stat().st_size <= MAX_FILE
    }

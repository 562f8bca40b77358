"""What the API server asks a kubelet for: logs, exec, attach, and connections to pods (the kubelet's port 10250)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest, InternalError, NotFound
from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.kubelet.records import Container
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.logs import Log, LogLine
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.splice import Stream
from labkit.embedded.runtime.streams import Source
from labkit.embedded.runtime.users import UnknownUser

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet
    from labkit.embedded.kubernetes.kubelet.worker import Worker


class ExecFailed(InternalError):
    """The command could not be started; the API server passes on what runc said. ``exit_code`` is 126 or 127."""

    def __init__(self, words: str, exit_code: int) -> None:
        super().__init__(words)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class LogOptions:
    """``PodLogOptions``: times in seconds since the epoch of sandbox time."""

    follow: bool = False
    previous: bool = False
    since: float | None = None
    tail: int | None = None
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: str = "All"  # All, Stdout or Stderr


class NodeApi:
    """In-process; the caller sees to it that the machine can be reached."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    # logs -----------------------------------------------------------------------------------------------------

    def logs(
        self, namespace: str, pod: str, container: str = "", options: LogOptions | None = None
    ) -> AsyncIterator[bytes]:
        """The log of a container, line by line as bytes.

        Raises at once, in the kubelet's words: :class:`~labkit.embedded.kubernetes.errors.BadRequest` for a container
        that has not been started or has no predecessor, ``NotFound`` for a pod that is not here.
        """
        options = options or LogOptions()
        found, name = self._container_for_logs(namespace, pod, container, options.previous)
        log = found.log
        if log is None:
            raise InternalError(f"unable to retrieve container logs for {found.uid}")
        return self._lines(log, options, follow=options.follow and found.running, name=name)

    def _container_for_logs(self, namespace: str, pod: str, name: str, previous: bool) -> tuple[Container, str]:
        worker = self._worker(namespace, pod)
        name = name or pods.containers(worker.pod)[0]["name"]
        if all(one["name"] != name for one in pods.every_container(worker.pod)):
            raise BadRequest(f"container {name} is not valid for pod {pod}")
        sandbox = worker.sandbox
        if previous:
            found = sandbox.previous(name) if sandbox is not None else None
            if found is None:
                latest = sandbox.latest(name) if sandbox is not None else None
                if latest is not None and not latest.running and name in worker.reasons:
                    return latest, name  # it waits for its restart, so the one that ended is the previous one
                raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
            return found, name
        latest = sandbox.latest(name) if sandbox is not None else None
        if latest is None or (latest.log is None and not latest.running):
            raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {self._waits(worker, name)}')
        return latest, name

    def _waits(self, worker: Worker, name: str) -> str:
        reason, message = worker.reasons.get(name, ("", ""))
        if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
            if reason == "ErrImagePull":
                return "image can't be pulled"
            return "trying and failing to pull image" if reason != "InvalidImageName" else reason
        if reason:
            return message if reason == "CreateContainerConfigError" and not message else reason
        return "PodInitializing" if pods.init_containers(worker.pod) else "ContainerCreating"

    async def _lines(self, log: Log, options: LogOptions, *, follow: bool, name: str) -> AsyncIterator[bytes]:
        left = options.limit_bytes

        def shown(line: LogLine) -> bytes:
            stamp = f"{_nano(line.time)} ".encode() if options.timestamps else b""
            return stamp + line.data

        def wanted(line: LogLine) -> bool:
            return options.stream == "All" or line.stream == options.stream.lower()

        if not follow:
            for line in log.lines(since=options.since, tail=options.tail):
                if not wanted(line):
                    continue
                data = shown(line)
                if left is not None:
                    data, left = data[:left], left - min(left, len(data))
                if data:
                    yield data
            return
        async for line in log.follow(since=options.since, tail=options.tail):
            if not wanted(line):
                continue
            data = shown(line)
            if left is not None:
                data, left = data[:left], left - min(left, len(data))
            if data:
                yield data
            if left == 0:
                return

    # exec and attach ------------------------------------------------------------------------------------------

    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        stdin: Source | None = None,
        *,
        tty: bool = False,
    ) -> Process:
        """Start a command in a running container; its output is in ``process.log``, its end in ``process.wait()``.

        Raises:
            NotFound, BadRequest: no such pod, no such container, or it does not run.
            ExecFailed: the command is not in the image.
        """
        found = self._running(namespace, pod, container)
        assert found.process is not None
        try:
            return await found.process.exec(command, {"TERM": "xterm"} if tty else None, stdin, tty=tty)
        except (ExecutableNotFound, UnknownUser) as error:
            identifier = f"{self._kubelet.parts.rng.getrandbits(256):064x}"
            raise ExecFailed(
                "error executing command in container: failed to exec in container: failed to start exec "
                f'"{identifier}": OCI runtime exec failed: exec failed: unable to start container process: {error}: '
                "unknown",
                getattr(error, "exit_code", 126),
            ) from None

    def attach(self, namespace: str, pod: str, container: str = "") -> Process:
        """The main process of a running container: tap its log, feed its ``stdin``. Errors as :meth:`exec`."""
        found = self._running(namespace, pod, container)
        assert found.process is not None
        return found.process

    def _running(self, namespace: str, pod: str, name: str) -> Container:
        worker = self._worker(namespace, pod)
        name = name or pods.containers(worker.pod)[0]["name"]
        sandbox = worker.sandbox
        found = sandbox.latest(name) if sandbox is not None else None
        if sandbox is None or found is None:
            raise InternalError(f'unable to upgrade connection: container not found ("{name}")')
        if not found.running or found.process is None:
            raise InternalError(f'unable to upgrade connection: container not found ("{name}")')
        return found

    # port-forward ---------------------------------------------------------------------------------------------

    async def dial(self, namespace: str, pod: str, port: int) -> Stream:
        """Connect to ``localhost:port`` inside the pod. OSError when nobody listens there."""
        worker = self._worker(namespace, pod)
        sandbox = worker.sandbox
        if sandbox is None or not sandbox.ready:
            raise ConnectionRefusedError(111, "Connection refused")
        listeners = sandbox.ports.get(port)
        if not listeners:
            raise ConnectionRefusedError(111, "Connection refused")
        return await asyncio.open_connection(listeners[0].real_host, listeners[0].real_port)

    def _worker(self, namespace: str, pod: str) -> Worker:
        worker = self._kubelet.worker(namespace, pod)
        if worker is None:
            raise NotFound(kinds.PODS.plural, "", pod)
        return worker


def _nano(time: float) -> str:
    from labkit.embedded.kubernetes.times import rfc3339

    whole = int(time)
    return f"{rfc3339(whole)[:-1]}.{int((time - whole) * 1e9):09d}Z"

"""``pods/exec`` and ``pods/attach``: the streams of a process, over a WebSocket or SPDY.

Channels are those of ``k8s.io/apimachinery/pkg/util/remotecommand``: standard input, output and error, an error channel
on which a ``Status`` says how it ended, and the terminal's sizes. ``v5.channel.k8s.io`` adds that the client can close
its standard input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import orjson
from aiohttp import web

from labkit.embedded.kubernetes.apiserver.answers import Taken, text
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.nodes import container_name
from labkit.embedded.kubernetes.apiserver.spdy import Mux, Stream
from labkit.embedded.kubernetes.apiserver.wires import (
    is_websocket,
    open_spdy,
    open_websocket,
    receive,
    require_upgrade,
)
from labkit.embedded.kubernetes.errors import BadRequest, InternalError, StatusError
from labkit.embedded.kubernetes.kubelet.nodeapi import ExecFailed
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.streams import CAPACITY, Pipe

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
SOCKET_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", "")
SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
OPEN_TIMEOUT = 30.0  # seconds of the wall clock until a SPDY client has opened its streams
LAG = 4 * 1024 * 1024  # bytes of output that may wait for a client before it is cut off


@dataclass(frozen=True, slots=True)
class Wanted:
    """``PodExecOptions``, ``PodAttachOptions``."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Channels(Protocol):
    """The client's side of the streams."""

    async def send(self, channel: int, data: bytes) -> None: ...

    async def read_input(self, stdin: Pipe) -> None:
        """Feed what the client types until it ends or goes."""
        ...

    async def finish(self, status: Json) -> None:
        """Say how it ended, and close."""
        ...


def _wanted(call: Call) -> Wanted:
    query = call.query
    tty = query.flag("tty")
    wanted = Wanted(
        stdin=query.flag("stdin"),
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr") and not tty,  # a terminal has only one output
        tty=tty,
    )
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return wanted


async def serve_exec(call: Call) -> web.StreamResponse:
    """Run a command in a container."""
    target, server = call.target, call.server
    assert target is not None
    pod = server.nodes.pod(target.namespace, target.name)
    container = container_name(pod, call.query.get("container"))
    require_upgrade(call.raw)
    command = call.query.all("command")
    if not command:
        raise BadRequest("you must specify a command for the container")
    wanted = _wanted(call)
    api = await server.nodes.of(pod)
    try:
        api.attach(target.namespace, target.name, container)
    except InternalError:  # it does not run; the kubelet's own words, before anything is upgraded
        return text(500, f'container not found ("{container}")', nosniff=False)

    async def start(stdin: Pipe | None) -> Process:
        return await api.exec(target.namespace, target.name, container, command, stdin, tty=wanted.tty)

    return await _serve(call, wanted, start, command)


async def serve_attach(call: Call) -> web.StreamResponse:
    """Look at the main process of a container, and type into it if it listens."""
    target, server = call.target, call.server
    assert target is not None
    pod = server.nodes.pod(target.namespace, target.name)
    container = container_name(pod, call.query.get("container"))
    require_upgrade(call.raw)
    wanted = _wanted(call)
    api = await server.nodes.of(pod)
    try:
        process = api.attach(target.namespace, target.name, container)
    except InternalError:
        words = f"container {container} not found in pod {target.name}_{target.namespace}"
        return text(500, words, nosniff=False)
    return await _serve(call, wanted, None, [], process)


Starter = Callable[[Pipe | None], Awaitable[Process]]


async def _serve(
    call: Call, wanted: Wanted, start: Starter | None, command: list[str], process: Process | None = None
) -> web.StreamResponse:
    raw = call.raw
    if is_websocket(raw):
        socket = await open_websocket(raw, SOCKET_PROTOCOLS)
        await _run(_SocketChannels(socket), wanted, start, command, process)
        return socket
    wire, protocol = open_spdy(raw, SPDY_PROTOCOLS)
    mux = Mux(wire)
    reading = asyncio.ensure_future(mux.run())
    try:
        channels = await _SpdyChannels.open(mux, wanted, statuses=protocol == SPDY_PROTOCOLS[0])
        if channels is not None:
            await _run(channels, wanted, start, command, process)
    finally:
        reading.cancel()
        await mux.close()
    return Taken()


async def _run(
    channels: Channels, wanted: Wanted, start: Starter | None, command: list[str], process: Process | None
) -> None:
    """Connect the channels with a process, until it or the client has ended."""
    stdin: Pipe | None = Pipe() if wanted.stdin else None
    if start is not None:
        try:
            process = await start(stdin)
        except ExecFailed as error:
            await channels.finish(_internal(str(error)))
            return
        except StatusError as error:
            await channels.finish(_internal(str(error)))
            return
    assert process is not None
    if start is None:
        stdin = process.stdin if wanted.stdin and isinstance(process.stdin, Pipe) else None
    output = _Output(wanted)
    untap = process.log.tap(output.take)
    typing = asyncio.ensure_future(channels.read_input(stdin if stdin is not None else _nowhere()))
    sending = asyncio.ensure_future(output.pump(channels))
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({ending, typing, sending}, return_when=asyncio.FIRST_COMPLETED)
        # The end of standard input is not the end: only a client that is gone ends it from its side.
        if not ending.done() and typing.done() and typing.exception() is None and not sending.done():
            await asyncio.wait({ending, sending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            output.end()
            await sending
            # To have been attached to what then fails is no failure: its exit code is for the status to tell.
            await channels.finish(_ended(ending.result() if start is not None else 0, command))
    except ConnectionError:
        pass
    finally:
        untap()
        for task in (typing, sending, ending):
            task.cancel()
        await asyncio.gather(typing, sending, ending, return_exceptions=True)
        if start is not None and process.running:
            process.kill(9)  # containerd ends what a client that is gone has started


def _nowhere() -> Pipe:
    pipe = Pipe()
    pipe.close_reading()
    return pipe


class _Output:
    """What a process writes, on its way to a client that may be slow."""

    def __init__(self, wanted: Wanted) -> None:
        self._channels = {"stdout": STDOUT if wanted.stdout else None, "stderr": STDERR if wanted.stderr else None}
        if wanted.tty:
            self._channels["stderr"] = self._channels["stdout"]
        self._waiting: list[tuple[int, bytes]] = []
        self._size = 0
        self._woken = asyncio.Event()
        self._ended = False
        self._lost = False

    def take(self, stream: str, data: bytes) -> None:
        channel = self._channels.get(stream)
        if channel is None or self._lost:
            return
        self._waiting.append((channel, data))
        self._size += len(data)
        self._lost = self._size > LAG
        self._woken.set()

    def end(self) -> None:
        self._ended = True
        self._woken.set()

    async def pump(self, channels: Channels) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            waiting, self._waiting = self._waiting, []
            for channel, data in waiting:
                await channels.send(channel, data)
                self._size -= len(data)
            if self._lost:
                raise ConnectionResetError("the client does not read")
            if self._ended and not self._waiting:
                return


def _ended(code: int, command: list[str]) -> Json:
    """The ``Status`` of a process that has ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _internal(words: str) -> Json:
    return {
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": "InternalError",
        "details": {"causes": [{"message": words.removeprefix("Internal error occurred: ")}]},
        "code": 500,
    }


class _SocketChannels:
    """A WebSocket: the first byte of each message is its channel."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._first = True

    async def send(self, channel: int, data: bytes) -> None:
        for start in range(0, len(data), CAPACITY):
            await self._socket.send_bytes(bytes((channel,)) + data[start : start + CAPACITY])

    async def read_input(self, stdin: Pipe) -> None:
        while message := await receive(self._socket):
            channel = message[0]
            try:
                if channel == STDIN and len(message) > 1:
                    await stdin.write(message[1:])
                elif channel == CLOSE and message[1:2] == bytes((STDIN,)):
                    stdin.feed_eof()
            except BrokenPipeError:
                pass
        stdin.feed_eof()
        raise ConnectionResetError("the client is gone")

    async def finish(self, status: Json) -> None:
        await self.send(ERROR, orjson.dumps(status))
        await self._socket.close()


class _SpdyChannels:
    """SPDY: a stream for each channel, opened by the client with its name in ``streamtype``."""

    def __init__(self, streams: dict[str, Stream], *, statuses: bool) -> None:
        self._streams = streams
        self._statuses = statuses

    @classmethod
    async def open(cls, mux: Mux, wanted: Wanted, *, statuses: bool) -> _SpdyChannels | None:
        """Wait until the client has opened what it asked for; None when it does not."""
        names = {"error"}
        names |= {name for name in ("stdin", "stdout", "stderr") if getattr(wanted, name)}
        if wanted.tty and statuses:
            names.add("resize")
        streams: dict[str, Stream] = {}
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                while not names <= streams.keys():
                    stream = await mux.accept()
                    if stream is None:
                        return None
                    streams[stream.headers.get("streamtype", "")] = stream
        except TimeoutError:
            return None
        return cls(streams, statuses=statuses)

    async def send(self, channel: int, data: bytes) -> None:
        name = {STDOUT: "stdout", STDERR: "stderr"}[channel]
        stream = self._streams.get(name)
        if stream is not None and not stream.ended:
            await stream.write(data)

    async def read_input(self, stdin: Pipe) -> None:
        stream = self._streams.get("stdin")
        if stream is None:
            # Only the error stream tells of the client's end then: nothing is ever written to it.
            await self._streams["error"].read()
            if self._streams["error"].input.at_eof and self._streams["error"].ended:
                raise ConnectionResetError("the client is gone")
            return
        while data := await stream.read():
            try:
                await stdin.write(data)
            except BrokenPipeError:
                pass
        stdin.feed_eof()

    async def finish(self, status: Json) -> None:
        error = self._streams["error"]
        if self._statuses:
            await error.write(orjson.dumps(status))
        elif status["status"] != "Success":
            await error.write(status["message"].encode())
        for stream in self._streams.values():
            await stream.end()


__all__ = ["serve_attach", "serve_exec"]

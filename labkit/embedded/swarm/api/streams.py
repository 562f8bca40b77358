"""Streams between a client and a container: hijacked connections (attach, exec), and logs.

After its answer ``101 UPGRADED`` (or plain 200 for clients that did not ask for an upgrade) a connection belongs to
the two sides: bytes of the client are standard input until it half-closes, output comes back in frames, or raw where
a terminal has mixed the streams anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from labkit.embedded.hijacked import Detached, Hijacked
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.streams import Pipe
from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict
from labkit.embedded.swarm.host import frames
from labkit.embedded.swarm.host.container import Container
from labkit.embedded.swarm.host.detachkeys import DetachKeys, parse_keys
from labkit.embedded.swarm.host.wording import parse_timestamp

from .app import stream_headers
from .request import Request


def hijack(request: Request, tty: bool) -> Hijacked:
    """Answer and take the connection over. Clients send nothing before they have the answer.

    What is written before :meth:`Hijacked.opened` has returned is kept until then.
    """
    raw = request.raw
    transport = raw.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    if not isinstance(transport, asyncio.Transport):
        raise BadRequest("hijack connection missing")
    headers = {**stream_headers(request)}
    if "Upgrade" in raw.headers:
        lines = ["HTTP/1.1 101 UPGRADED"]
        headers |= {
            "Content-Type": frames.content_type(tty, request.api_version),
            "Connection": "Upgrade",
            "Upgrade": "tcp",
        }
    else:
        lines = ["HTTP/1.1 200 OK"]
        headers |= {"Content-Type": frames.RAW}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    return Hijacked(transport, raw.protocol)


def pump_output(log: Log, client: Hijacked, *, tty: bool, stdout: bool, stderr: bool) -> Callable[[], None]:
    """Send what a process writes to the client as it comes. Returns what ends it."""
    wanted = {"stdout": stdout, "stderr": stderr}

    def tap(stream: str, data: bytes) -> None:
        if wanted.get(stream):
            client.write(data if tty else frames.frame(frames.STREAMS[stream], data))

    return log.tap(tap)


async def pump_input(client: Hijacked, pipe: Pipe, *, keys: DetachKeys | None, close: bool) -> bool:
    """Feed what the client sends to a process until it half-closes. True when it has typed the detach keys."""
    while data := await client.read():
        detached = False
        if keys is not None:
            data, detached = keys.filter(data)
        try:
            await pipe.write(data)
        except BrokenPipeError:
            return False
        if detached:
            return True
    if close:
        pipe.feed_eof()
    return False


def detach_keys(text: str) -> DetachKeys:
    """The keys of ``--detach-keys``; :class:`BadRequest` for what are none."""
    if not text:
        return DetachKeys()
    keys = parse_keys(text)
    if keys is None:
        raise BadRequest(f"Invalid detach keys ({text}) provided")
    return DetachKeys(keys)


async def attach(host: Any, request: Request) -> web.StreamResponse:
    """``POST /containers/{id}/attach``: ``docker attach``, and the first half of ``docker run``."""
    container: Container = host.containers.get(request.match["id"])
    reference = request.match["id"]
    if container.paused:
        raise Conflict(f"container {reference} is paused, unpause the container before attach")
    if container.restarting:
        raise Conflict(f"container {reference} is restarting, wait until the container is running")
    keys = detach_keys(request.query.get("detachKeys", ""))
    container.log = container.log or Log(host.world.clock)
    # From the answer on the client may start the container, which may end at once: listen before it can.
    ended = container.wait()
    client = hijack(request, container.tty)
    stdout, stderr, stream = request.flag("stdout"), request.flag("stderr"), request.flag("stream")
    if request.flag("logs"):
        for line in container.log.lines():
            if {"stdout": stdout, "stderr": stderr}[line.stream]:
                client.write(line.data if container.tty else frames.frame(frames.STREAMS[line.stream], line.data))
    host.containers.log(container, "attach")
    stop = pump_output(container.log, client, tty=container.tty, stdout=stdout, stderr=stderr) if stream else None
    try:
        await client.opened()
        if stop is not None:
            await _attached(host, container, client, keys, request.flag("stdin"), ended)
    finally:
        ended.cancel()
        if stop is not None:
            stop()
    await client.close()
    return Detached()


async def _attached(
    host: Any, container: Container, client: Hijacked, keys: DetachKeys, stdin: bool, ended: asyncio.Future[int]
) -> None:
    """Until the container ends, the client leaves, or it types the detach keys."""
    typing: asyncio.Task[bool] | None = None
    if stdin and container.open_stdin:
        typing = asyncio.create_task(_type(container, client, keys))
    gone = asyncio.ensure_future(_until(client.closed))
    try:
        while not ended.done() and not gone.done():
            waiting: set[Any] = {ended, gone} | ({typing} if typing is not None else set())
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if typing is not None and typing.done():
                if typing.exception() is None and typing.result():
                    host.containers.log(container, "detach")
                    break
                typing = None
        await client.drain()
    finally:
        gone.cancel()
        if typing is not None:
            typing.cancel()


async def _until(future: asyncio.Future[None]) -> None:
    await asyncio.shield(future)


async def _type(container: Container, client: Hijacked, keys: DetachKeys) -> bool:
    """Standard input of a container; before its start the keys wait in the connection."""
    while container.process is None or container.stdin is None:
        if container.removing:
            return False
        await asyncio.sleep(0.002)
    once = bool(container.config.get("StdinOnce"))
    return await pump_input(client, container.stdin, keys=keys if container.tty else None, close=once)


# logs ---------------------------------------------------------------------------------------------------------


def parse_tail(text: str) -> int | None:
    """``--tail``; anything that is no number is ``all``, as dockerd reads it."""
    try:
        number = int(text)
    except ValueError:
        return None
    return None if number < 0 else number


async def logs(host: Any, request: Request) -> web.StreamResponse:
    """``GET /containers/{id}/logs``."""
    wanted = {"stdout": request.flag("stdout"), "stderr": request.flag("stderr")}
    if not any(wanted.values()):
        raise BadRequest("Bad parameters: you must choose at least one stream")
    container: Container = host.containers.get(request.match["id"])
    if container.removing or container.dead:
        raise Conflict("can not get logs from container which is dead or marked for removal")
    if container.log_driver == "none":  # what others keep, the real engine reads from a cache of its own
        raise NotReadable
    now = host.world.clock.time()
    since, until = (request.query.get(name, "") for name in ("since", "until"))
    period = (
        parse_timestamp(since, now) if since and since != "0" else None,
        parse_timestamp(until, now) if until and until != "0" else None,
        parse_tail(request.query.get("tail", "all")),
    )
    details = _log_details(container) if request.flag("details") else None
    timestamps = request.flag("timestamps")
    content_type = frames.content_type(container.tty, request.api_version)
    response = web.StreamResponse(headers=stream_headers(request, Content_Type=content_type))
    await response.prepare(request.raw)
    log = container.log

    def rendered(line: Any) -> bytes:
        return frames.render(
            line.stream, line.data, line.time, timestamps=timestamps, details=details, multiplexed=not container.tty
        )

    if log is None:
        return response
    if request.flag("follow") and container.running:
        async for line in log.follow(*period):
            if wanted[line.stream]:
                await response.write(rendered(line))
    else:
        data = b"".join(rendered(line) for line in log.lines(*period) if wanted[line.stream])
        if data:
            await response.write(data)
    return response


def _log_details(container: Container) -> dict[str, str]:
    """What ``--details`` adds: labels and variables that the log driver's options name."""
    options = (container.host.get("LogConfig") or {}).get("Config") or {}
    labels = {name: container.labels[name] for name in _names(options.get("labels")) if name in container.labels}
    env = dict(entry.partition("=")[::2] for entry in container.config.get("Env") or ())
    return {**labels, **{name: env[name] for name in _names(options.get("env")) if name in env}}


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


class _NotReadable(ApiError):
    status = 501


NotReadable = _NotReadable("configured logging driver does not support reading")

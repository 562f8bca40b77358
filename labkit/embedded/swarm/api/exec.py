"""``docker exec``: create in ``/containers/{id}/exec``, then ``/exec/{id}``."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.streams import Pipe
from labkit.embedded.runtime.users import UnknownUser
from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host import frames
from labkit.embedded.swarm.host.execs import Exec
from labkit.embedded.swarm.objects import Json

from . import streams
from .containers import container, size
from .request import Reply, Request, Route

_RUNC = "OCI runtime exec failed: exec failed: unable to start container process: "


async def create(host: Any, request: Request) -> Reply:
    """``POST /containers/{id}/exec``."""
    body = await request.json()
    made = host.execs.create(container(host, request), body if isinstance(body, dict) else {})
    return Reply(201, {"Id": made.id})


async def inspect(host: Any, request: Request) -> Json:
    """``GET /exec/{id}/json``: the CLI reads the exit code here."""
    return dict(host.execs.get(request.match["id"]).json())


async def start(host: Any, request: Request) -> web.StreamResponse | Reply:
    """``POST /exec/{id}/start``: detached, or on a hijacked connection until the process ends."""
    body = await request.json()
    execution: Exec = host.execs.get(request.match["id"])
    host.execs.check(execution.container)
    if not isinstance(body, dict):
        raise BadRequest("invalid JSON: json: cannot unmarshal array into Go value of type container.ExecStartOptions")
    if body.get("Detach"):
        host.execs.begin(execution)
        try:
            await host.execs.launch(execution)
        except ExecutableNotFound as error:
            raise BadRequest(f"{_RUNC}{error}: unknown") from None
        except UnknownUser as error:
            raise ApiError(str(error)) from None
        return Reply(200)
    tty = bool(body.get("Tty"))
    keys = streams.detach_keys(execution.detach_keys)
    try:
        host.execs.begin(execution)
    except ApiError as error:
        client = streams.hijack(request, tty)
        await client.opened()
        client.write(_framed(tty, f"{error.message}\r\n".encode()))
        await client.close()
        return streams.Detached()
    client = streams.hijack(request, tty)
    await client.opened()
    await _run(host, execution, client, tty, keys)
    await client.close()
    return streams.Detached()


def _framed(tty: bool, data: bytes) -> bytes:
    return data if tty else frames.frame(frames.STDOUT, data)


async def _run(host: Any, execution: Exec, client: streams.Hijacked, tty: bool, keys: Any) -> None:
    execution.log = Log(host.world.clock)
    pipe = Pipe() if execution.stdin_open else None
    stop = streams.pump_output(
        execution.log, client, tty=tty, stdout=execution.stdout_open, stderr=execution.stderr_open
    )
    typing: asyncio.Task[bool] | None = None
    try:
        try:
            process = await host.execs.launch(execution, pipe)
        except ExecutableNotFound as error:
            client.write(_framed(tty, f"{_RUNC}{error}: unknown\r\n".encode()))
            return
        except UnknownUser as error:
            client.write(_framed(tty, f"{error}\r\n".encode()))
            return
        ended = asyncio.create_task(process.wait())
        waiting: set[asyncio.Task[Any]] = {ended}
        if pipe is not None:
            typing = asyncio.create_task(
                streams.pump_input(client, pipe, keys=keys if execution.tty else None, close=True)
            )
            waiting.add(typing)
        while not ended.done():
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if typing is not None and typing.done():
                waiting.discard(typing)
                if typing.result():  # left by the detach keys: the process runs on
                    host.containers.log(execution.container, "exec_detach", {"execID": execution.id})
                    return
        await client.drain()
    finally:
        stop()
        if typing is not None:
            typing.cancel()


async def resize(host: Any, request: Request) -> Reply:
    """The size of the client's terminal; of no consequence to programs here."""
    size(request, "h"), size(request, "w")
    execution: Exec = host.execs.get(request.match["id"])
    if not execution.running:
        raise BadRequest("exec process is not started")
    return Reply(200)


ROUTES: list[Route] = [
    ("POST", "/containers/{id}/exec", create),
    ("GET", "/exec/{id}/json", inspect),
    ("POST", "/exec/{id}/start", start),
    ("POST", "/exec/{id}/resize", resize),
]

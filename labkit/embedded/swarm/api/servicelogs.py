"""``/services/{id}/logs`` and ``/tasks/{id}/logs``: the lines of many containers on many nodes in one stream.

A manager asks the nodes of the tasks for their lines. A node that it cannot reach is named at the end of the stream,
as SwarmKit's log broker does; its lines are left out.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from labkit.embedded.runtime.logs import LogLine
from labkit.embedded.swarm.controlapi.find import find
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.host import frames
from labkit.embedded.swarm.host.wording import parse_timestamp
from labkit.embedded.swarm.objects import Service, Task, TaskState
from labkit.embedded.swarm.store import Store

from .app import stream_headers
from .request import Request, Route

_CONTEXT = "com.docker.swarm"


@dataclass(frozen=True)
class Options:
    """What a client asked for."""

    streams: frozenset[str]
    follow: bool
    timestamps: bool
    details: bool
    since: float | None
    tail: int | None

    @classmethod
    def read(cls, request: Request, now: float) -> Options:
        """From the query. Raises ApiError 500 as dockerd does."""
        streams = frozenset(name for name in ("stdout", "stderr") if request.flag(name))
        if not streams:
            raise ApiError("Bad parameters: you must choose at least one stream")
        since = request.query.get("since", "")
        return cls(
            streams=streams,
            follow=request.flag("follow"),
            timestamps=request.flag("timestamps"),
            details=request.flag("details"),
            since=parse_timestamp(since, now) if since else None,
            tail=_tail(request.query.get("tail", "")),
        )


def _tail(text: str) -> int | None:
    if text in ("", "all"):
        return None
    try:
        number = int(text)
    except ValueError:
        raise ApiError('tail value must be a positive integer or "all"') from None
    if number < 0:
        raise ApiError("negative tail values not supported")
    return number


async def service_logs(host: Any, request: Request) -> web.StreamResponse:
    """``docker service logs SERVICE``."""
    options = Options.read(request, host.world.clock.time())
    store = await host.swarm.leader_store()
    service = find(store, Service, request.match["id"])
    tty = _is_tty(service.spec["TaskTemplate"])
    selection = Selection(store, lambda task: task.service_id == service.id, lambda: store.tasks_of_service(service.id))
    return await _stream(host, request, options, selection, tty)


async def task_logs(host: Any, request: Request) -> web.StreamResponse:
    """``docker service logs TASK``."""
    options = Options.read(request, host.world.clock.time())
    store = await host.swarm.leader_store()
    id = find(store, Task, request.match["id"]).id
    task = store.get(Task, id)

    def current() -> list[Task]:
        found = store.get(Task, id)
        return [] if found is None else [found]

    tty = task is not None and _is_tty(task.spec)
    return await _stream(host, request, options, Selection(store, lambda other: other.id == id, current, True), tty)


def _is_tty(task_spec: dict[str, Any]) -> bool:
    return bool(task_spec["ContainerSpec"].get("TTY"))


@dataclass(frozen=True)
class Selection:
    """Which tasks; ``one`` of them was named itself, so that it counts even if it does not run yet."""

    store: Store
    holds: Callable[[Task], bool]
    current: Callable[[], list[Task]]
    one: bool = False


Line = tuple[LogLine, Task]


async def _stream(host: Any, request: Request, options: Options, selection: Selection, tty: bool) -> web.StreamResponse:
    headers = stream_headers(request, Content_Type=frames.content_type(tty, request.api_version))
    response = web.StreamResponse(headers=headers)
    await response.prepare(request.raw)

    async def send(line: LogLine, task: Task) -> None:
        if line.stream in options.streams:
            details = _details(task) if options.details else None
            await response.write(
                frames.render(
                    line.stream,
                    line.data,
                    line.time,
                    timestamps=options.timestamps,
                    details=details,
                    multiplexed=not tty,
                )
            )

    lines, problems = _recorded(host, options, selection)
    if options.follow:
        with _following(host, options, selection) as coming:
            async for line, task in coming:
                await send(line, task)
        return response
    for line, task in lines:
        await send(line, task)
    if problems:
        words = (
            "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. "
            f"some logs could not be retrieved for the following reasons: {', '.join(problems)}\n"
        )
        await response.write(words.encode() if tty else frames.frame(frames.SYSTEMERR, words.encode()))
    return response


def _details(task: Task) -> dict[str, str]:
    return {
        f"{_CONTEXT}.node.id": task.node_id,
        f"{_CONTEXT}.service.id": task.service_id,
        f"{_CONTEXT}.task.id": task.id,
    }


def _reachable(host: Any, task: Task) -> Any | None:
    """The host of the task's node if this one can talk to it."""
    other = host.world.host_of_node(task.node_id)
    if other is None or not host.world.fleet.reachable(host.name, other.name):
        return None
    return other


def _log(other: Any, task: Task) -> Any | None:
    """The log of the task's container, if there is one on that host."""
    container = other.containers.of_task(task.id)
    return None if container is None else container.log


def _recorded(host: Any, options: Options, selection: Selection) -> tuple[Iterator[Line], list[str]]:
    """What has been written so far, in order of time, and what could not be had."""
    parts: list[list[Line]] = []
    problems: dict[str, None] = {}
    for task in selection.current():
        if not task.node_id:
            if selection.one:
                problems[f"task {task.id} has not been scheduled"] = None
            continue
        if task.status.state < TaskState.RUNNING and not selection.one:
            continue
        other = _reachable(host, task)
        if other is None:
            problems[f"node {task.node_id} is not available"] = None
            continue
        log = _log(other, task)
        if log is not None:
            parts.append([(line, task) for line in log.lines(options.since, None, options.tail)])
    return heapq.merge(*parts, key=lambda item: item[0].time), list(problems)


@contextmanager
def _following(host: Any, options: Options, selection: Selection) -> Iterator[AsyncIterator[Line]]:
    """The recorded lines and then the new ones of all tasks that there are or will be."""
    queue: asyncio.Queue[Line] = asyncio.Queue(maxsize=1024)
    tasks: set[asyncio.Task[None]] = set()
    followed: set[str] = set()

    async def pump(log: Any, other: Any, task: Task, tail: int | None) -> None:
        async for line in log.follow(options.since, None, tail):
            if host.world.fleet.reachable(host.name, other.name):
                await queue.put((line, task))

    def look(tail: int | None) -> None:
        for task in selection.current():
            other = _reachable(host, task) if task.node_id and task.id not in followed else None
            log = _log(other, task) if other is not None else None
            if log is not None:
                followed.add(task.id)
                tasks.add(asyncio.ensure_future(pump(log, other, task, tail)))

    async def watch() -> None:
        with selection.store.watch(Task) as changes:
            look(options.tail)
            async for batch in changes:
                if any(selection.holds(change.object) for change in batch):
                    look(None)

    async def drain() -> AsyncIterator[Line]:
        while True:
            yield await queue.get()

    tasks.add(asyncio.ensure_future(watch()))
    try:
        yield drain()
    finally:
        for running in tasks:
            running.cancel()


ROUTES: list[Route] = [
    ("GET", "/services/{id}/logs", service_logs),
    ("GET", "/tasks/{id}/logs", task_logs),
]

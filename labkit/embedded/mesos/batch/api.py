"""The batch framework's HTTP API, on port 8088 of its machine. JSON in and out; errors are ``{"message": …}``.

====================  =========================================================================================
``POST /jobs``        ``{"name", "maps", "reduces", "seconds", "cpus", "mem", "image", "spread"}``, each with
                      a default: 201. ``spread`` 0.5: a task takes from half as long to half as long again
``GET /jobs``         ``{"jobs": […]}``, the oldest first
``GET /jobs/ID``      one: its state (RUNNING, SUCCEEDED, FAILED, KILLED), stage, progress and counts of tasks
``DELETE /jobs/ID``   end it and its tasks: 202
``GET /health``       200, without credentials
====================  =========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from labkit.embedded.mesos.batch import jobs
from labkit.embedded.runtime.listeners import Listener

if TYPE_CHECKING:
    from labkit.embedded.mesos.batch.framework import Batch

MAX_BODY = 64 * 1024


async def serve(batch: Batch) -> Listener:
    """Listen on the framework's machine."""
    given = batch.options.guard
    guard = given.varied(realm="batch", open_paths=("/health",)) if given is not None else None

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if guard is not None and (refusal := guard.refuse(request)) is not None:
            return refusal
        return await answer(batch, request)

    address = batch.fleet.machine(batch.machine).address
    return await batch.network.listen_http(batch.machine, address, batch.options.port, handle)


async def answer(batch: Batch, request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request that was let in."""
    parts = [part for part in request.path.split("/") if part]
    if parts == ["health"]:
        return _reply(200, {"connected": batch.running})
    if not parts or parts[0] != "jobs" or len(parts) > 2:
        return _refuse(404, f"there is nothing at {request.path}; there are /jobs and /jobs/ID")
    if len(parts) == 1:
        if request.method in ("GET", "HEAD"):
            return _reply(200, {"jobs": [job.shown() for job in batch.jobs.values()]})
        return await _submit(batch, request) if request.method == "POST" else _not_allowed("GET, POST")
    job = batch.jobs.get(parts[1])
    if job is None:
        return _refuse(404, f"no job is called {parts[1]!r}")
    if request.method in ("GET", "HEAD"):
        return _reply(200, job.shown())
    if request.method == "DELETE":
        batch.kill(job)
        return _reply(202, job.shown())
    return _not_allowed("GET, DELETE")


async def _submit(batch: Batch, request: web.BaseRequest) -> web.StreamResponse:
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_BODY:
            return _refuse(413, f"a job takes no more than {MAX_BODY} bytes")
    try:
        spec = jobs.parse(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        return _refuse(400, f"that is no JSON: {error}")
    except jobs.JobError as error:
        return _refuse(422, str(error))
    return _reply(201, batch.submit(spec).shown())


def _reply(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _refuse(status: int, message: str) -> web.Response:
    return _reply(status, {"message": message})


def _not_allowed(methods: str) -> web.Response:
    made = _refuse(405, f"only {methods}")
    made.headers["Allow"] = methods
    return made

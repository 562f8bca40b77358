"""Marathon's HTTP server: the leader answers, the others pass requests on (``LeaderProxyFilter.scala``)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from labkit.embedded.marathon.api import apps, deployments, eventstream, groups, system, tasks
from labkit.embedded.marathon.api.answers import MAX_BODY, Answer, Handler, Refused, Request, Route
from labkit.embedded.marathon.core.store import StoreFailed
from labkit.embedded.marathon.specs import SpecError

if TYPE_CHECKING:
    from labkit.embedded.marathon.core.marathon import Marathon
    from labkit.embedded.runtime.listeners import Listener

log = logging.getLogger(__name__)

NO_LEADER = "Could not determine the current leader"
CONSISTENT_AFTER = 10  # looks, a quarter of a second apart, until somebody leads
WAIT = 0.25
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"))

# Longer patterns first: an app's id may hold slashes.
ROUTES: list[Route] = [
    *tasks.ROUTES,
    *apps.ROUTES,
    *groups.ROUTES,
    *deployments.ROUTES,
    *eventstream.ROUTES,
    *system.ROUTES,
]


# Bodies there are JSON by name, too (``@Consumes``): curl calls what it sends a form unless it is told.
_JSON_ONLY = re.compile(r"/v2/(apps|tasks/delete)(/.*)?")
_JSON_TYPES = frozenset(("application/json", "application/*", "*/*", ""))


def _foreign(raw: web.Request) -> bool:
    """Does it bring something that is taken for no JSON?"""
    if raw.method not in ("POST", "PUT", "PATCH") or not raw.body_exists or _JSON_ONLY.fullmatch(raw.path) is None:
        return False
    return raw.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _JSON_TYPES


class Table:
    """Routes by method and the first two names of the path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._all = [(method, re.compile(pattern), handler) for method, pattern, handler in routes]

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        for own, pattern, handler in self._all:
            if own == method and (match := pattern.fullmatch(path)) is not None:
                return handler, {key: value or "" for key, value in match.groupdict().items()}
        return None

    def methods(self, path: str) -> list[str]:
        return sorted({own for own, pattern, _ in self._all if pattern.fullmatch(path)})


class Server:
    """Listens on the Marathon's machine. ``middlewares``: whom to let in (:mod:`labkit.embedded.guard`)."""

    def __init__(self, marathon: Marathon, middlewares: Iterable[Any] = ()) -> None:
        self._marathon = marathon
        self._middlewares = list(middlewares)
        self._table = Table(ROUTES)
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._client: aiohttp.ClientSession | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it really listens."""
        listener = self._listener
        return (listener.real_host, listener.real_port) if listener is not None and not listener.closed else None

    async def start(self) -> None:
        if self._listener is not None and not self._listener.closed:
            return
        app = web.Application(client_max_size=MAX_BODY, middlewares=self._middlewares)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        assert self._runner.server is not None
        host, _, port = self._marathon.host_port.rpartition(":")
        network = self._marathon.network
        self._listener = await network.listen_protocol(self._marathon.machine, host, int(port), self._runner.server)

    async def stop(self) -> None:
        """Connections break, as when the process ends."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shut()
            listener.abort_connections()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.shutdown()
            if runner.server is not None:
                await runner.server.shutdown(0.1)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # -- one request

    async def handle(self, raw: web.Request) -> web.StreamResponse:
        marathon = self._marathon
        await marathon.fleet.gate(marathon.machine).wait()
        if raw.path.rstrip("/") == "/ping":
            return web.Response(text="pong")
        for _ in range(CONSISTENT_AFTER):
            if marathon.is_leader:
                return await self._answer(raw)
            leader = marathon.leader
            if leader is not None and leader != marathon.host_port:
                return await self._pass_on(raw, leader)
            await marathon.clock.sleep(WAIT)
        return _error(503, NO_LEADER)

    async def _answer(self, raw: web.Request) -> web.StreamResponse:
        marathon = self._marathon
        term = marathon.term
        assert term is not None
        headers = {
            "X-Marathon-Leader": f"http://{marathon.host_port}",
            "X-Frame-Options": "DENY",
            "X-XSS-Protection": "1; mode=block",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
            "Expires": "0",
        }
        try:
            found = self._table.find(
                "GET" if raw.method == "HEAD" and "/pods" not in raw.path else raw.method, raw.path
            )
            if found is None:
                answer = self._no_route(raw)
            elif _foreign(raw):
                answer = _error(415, "Unsupported Media Type")
            else:
                handler, match = found
                request = Request(raw, marathon, term, match)
                request.headers = headers
                result = await handler(request)
                if isinstance(result, web.StreamResponse):
                    return result
                answer = result.response()
        except SpecError as error:
            answer = Answer(error.body(), error.status).response()
        except Refused as error:
            answer = Answer(error.body, error.status).response()
        except StoreFailed as error:
            answer = _error(503, str(error))
        except (asyncio.CancelledError, web.HTTPException):
            raise
        except Exception as error:
            log.exception("%s %s", raw.method, raw.path_qs)
            answer = _error(500, f"{type(error).__name__}: {error}")
        answer.headers.extend(headers)
        return answer

    def _no_route(self, raw: web.Request) -> web.Response:
        methods = self._table.methods(raw.path)
        if raw.method == "OPTIONS" and methods:
            return web.Response(headers={"Allow": ",".join([*methods, "OPTIONS"])})
        if methods:
            answer = _error(405, "Method Not Allowed")
            answer.headers["Allow"] = ",".join([*methods, "OPTIONS"])
            return answer
        return _error(404, "URI not found")

    # -- of those that do not lead

    async def _pass_on(self, raw: web.Request, leader: str) -> web.StreamResponse:
        marathon = self._marathon
        host, _, port = leader.rpartition(":")
        if raw.path.startswith("/v2/events"):
            return web.Response(status=302, headers={"Location": f"http://{leader}{raw.path_qs}"})
        via = f"1.1 {marathon.host_port}"
        if via in raw.headers.get("X-Marathon-Via", ""):
            return _error(502, "Detected proxying loop")
        if self._client is None:
            self._client = aiohttp.ClientSession(auto_decompress=False)
        headers = {name: value for name, value in raw.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["X-Marathon-Via"] = ", ".join(each for each in (raw.headers.get("X-Marathon-Via"), via) if each)
        headers["Host"] = raw.host
        real = marathon.network.real(host, int(port)) or (host, int(port))
        if not self._reaches(host):
            return _error(502, "Failed to connect to Marathon leader")
        url = f"http://{real[0]}:{real[1]}{raw.path_qs}"
        try:
            async with self._client.request(
                raw.method, url, headers=headers, data=await raw.read(), allow_redirects=False
            ) as answer:
                body = await answer.read()
                passed = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, headers=passed, body=body)
        except (aiohttp.ClientError, OSError):
            return _error(502, "Failed to connect to Marathon leader")

    def _reaches(self, host: str) -> bool:
        fleet, me = self._marathon.fleet, self._marathon.machine
        return any(machine.address == host and fleet.reachable(me, name) for name, machine in fleet.machines.items())


def _error(status: int, message: str) -> web.Response:
    return Answer({"message": message}, status).response()

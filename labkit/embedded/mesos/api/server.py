"""A master's HTTP server: paths in all the forms that clients use, and who answers them.

``/state``, ``/state.json``, ``/master/state`` and ``/master/state/`` are one path. What only the leader can say is
answered by any other master with a redirect, or 503 while there is no leader; words are those of ``http.cpp``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from labkit.embedded.guard import PRINCIPAL, Guard
from labkit.embedded.mesos.api import metrics, operator, state
from labkit.embedded.mesos.api.http import JSON, PROTOBUF, accepts_json, json_answer, plain, stream
from labkit.embedded.mesos.api.shapes import OPERATOR_CALL, SCHEDULER_CALL, ShapeError, convert
from labkit.embedded.mesos.master import views
from labkit.embedded.mesos.master.answers import (
    OK,
    Answer,
    bad_request,
    method_not_allowed,
    not_found,
    not_implemented,
)
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.master import Master
from labkit.embedded.mesos.version import BUILD
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.network import Network

log = logging.getLogger(__name__)

Json = dict[str, Any]
Handler = Callable[["MasterServer", web.Request, str], Awaitable[web.StreamResponse]]

MAX_BODY = 64 * 1024 * 1024
KEEP_ALIVE = 3600.0
OPEN_PATHS = (
    "/health",
    "/master/health",
    "/redirect",
    "/master/redirect",
    "/version",
    "/master/version",
    "/version.json",
)  # a real master asks nobody there


def realm(path: str) -> str:
    """The realm of a path, as ``constants.hpp`` names them."""
    path = path.removeprefix("/master")
    if path == "/api/v1/scheduler":
        return "mesos-master-scheduler"
    return f"mesos-master-{'readwrite' if path in _READWRITE else 'readonly'}"


_READWRITE = frozenset({"/api/v1", "/api/v1/operator", "/teardown", "/weights", "/quota", "/reserve", "/unreserve"})


class MasterServer:
    """Listens on the master's address whenever the master runs."""

    def __init__(self, master: Master, network: Network, guard: Guard) -> None:
        self.master = master
        self.gate = master.fleet.gate(master.machine)
        self._network = network
        self._guard = guard.varied(realm=realm, open_paths=OPEN_PATHS)
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._chores = Chores()
        self._wanted = False
        master.on_change(self._changed)

    def _changed(self) -> None:
        """The master's process has ended, or has begun again: so does its server."""
        if not self.master.running:
            self.shut()
        elif self._wanted:
            self._chores.start(self._listen())

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it is found from outside of the sandbox; None while it does not listen."""
        listener = self._listener
        return None if listener is None or listener.closed else (listener.real_host, listener.real_port)

    async def start(self) -> None:
        """Listen for as long as the master runs, from now on. Harmless when it does."""
        self._wanted = True
        await self._listen()

    async def _listen(self) -> None:
        if not self.master.running or (self._listener is not None and not self._listener.closed):
            return
        if self._runner is None:
            app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
            app.router.add_route("*", "/{tail:.*}", self._handle)
            self._runner = web.AppRunner(
                app,
                handle_signals=False,
                access_log=None,
                handler_cancellation=True,  # a scheduler that goes away is disconnected
                keepalive_timeout=KEEP_ALIVE,
                shutdown_timeout=0.1,
            )
            await self._runner.setup()
        assert self._runner.server is not None
        pid = self.master.pid
        if self._listener is not None and not self._listener.closed:
            return
        self._listener = await self._network.listen_protocol(pid.machine, pid.address, pid.port, self._runner.server)

    def shut(self) -> None:
        """As when the process ends: connections break."""
        if self._listener is not None:
            self._listener.shut()
            self._listener = None

    async def close(self) -> None:
        """For good."""
        self._wanted = False
        self._chores.cancel()
        self.shut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # -- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await self.gate.wait()
        if not self.master.running:
            return web.Response(status=503)
        path = _key(request.path)
        handler = ROUTES.get(path)
        if handler is None:
            return plain(not_found())
        try:
            return await handler(self, request, path)
        except web.HTTPException:
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            return web.Response(status=500, text=f"{type(error).__name__}: {error}")

    def elsewhere(self, request: web.Request) -> web.Response:
        return plain(self.master.elsewhere(request.raw_path))


def _key(path: str) -> str:
    """One form of all the forms of a path."""
    path = path.rstrip("/") or "/"
    if path.startswith("/master/"):
        path = path[len("/master") :]
    elif path == "/master":
        path = "/"
    return path.removesuffix(".json") if path != "/.json" else path


# -- handlers


def _leaders(show: Callable[[Master, Leadership, Mapping[str, str]], Any]) -> Handler:
    """What only the leader knows; it looks at no method."""

    async def handler(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
        lead = server.master.leading
        if lead is None:
            return server.elsewhere(request)
        return json_answer(show(server.master, lead, request.query), request.query)

    return handler


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    """A ``size_t``: what is below zero is next to endless, and ``limit=-1`` means all (as avmesos-cli has it)."""
    try:
        value = int(query.get(name, default))
    except ValueError:
        return default
    return value if value >= 0 else sys.maxsize


def _show_tasks(master: Master, lead: Leadership, query: Mapping[str, str]) -> Json:
    return state.tasks(
        lead,
        query.get("framework_id"),
        query.get("task_id"),
        _number(query, "limit", state.TASK_LIMIT),
        _number(query, "offset", 0),
        query.get("order") == "asc",
    )


def _own(show: Callable[[Master], Any]) -> Handler:
    """What every master says of itself."""

    async def handler(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
        return json_answer(show(server.master), request.query)

    return handler


async def _flags(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    if request.method not in ("GET", "HEAD"):
        return plain(method_not_allowed(("GET",), request.method))
    return json_answer({"flags": server.master.options.flags()}, request.query)


async def _health(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    return plain(OK)


async def _redirect(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    return plain(server.master.elsewhere(""))


async def _weights(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    lead = server.master.leading
    if lead is None:
        return server.elsewhere(request)
    if request.method == "GET":
        return json_answer(views.get_weights(lead)["weight_infos"], request.query)
    if request.method != "PUT":
        return plain(method_not_allowed(("GET", "PUT"), request.method))
    data = await request.read()
    shown = data.decode(errors="replace")
    try:
        infos = orjson.loads(data)
        if not isinstance(infos, list):
            raise ValueError("not a JSON array")
    except ValueError as error:
        return plain(bad_request(f"Failed to parse update weights request JSON '{shown}': {error}"))
    try:
        call = convert({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}}, OPERATOR_CALL)
    except ShapeError as error:
        return plain(bad_request(f"Failed to convert weights JSON array to protobuf '{shown}': {error}"))
    return plain(operator.update_weights(lead, call["update_weights"]["weight_infos"]))


async def _teardown(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    lead = server.master.leading
    if lead is None:
        return server.elsewhere(request)
    if request.method != "POST":
        return plain(method_not_allowed(("POST",), request.method))
    form = parse_qs((await request.read()).decode(errors="replace"))
    if "frameworkId" not in form:
        return plain(bad_request("Missing 'frameworkId' query parameter in the request body"))
    return plain(operator.teardown(lead, form["frameworkId"][0]))


async def _absent(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    if path in _EMPTY and request.method in ("GET", "HEAD"):
        # There is none, and that is what a real master says as long as nobody asks for one.
        return server.elsewhere(request) if server.master.leading is None else json_answer({}, request.query)
    return plain(not_implemented(f"{path} is not simulated in this sandbox"))


_EMPTY = frozenset({"/maintenance/schedule", "/maintenance/status", "/quota"})


async def _no_file(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    if not request.query.get("path"):
        return plain(bad_request("Expecting 'path=value' in query.\n"))
    return plain(not_found())


async def _page(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    master = server.master
    leads = "It leads." if master.elected else "It does not lead."
    shown = "".join(f'<li><a href="{one}">{one}</a></li>' for one in _PAGES)
    body = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Mesos master</title>"
        "<style>:root{color-scheme:light dark}body{font:16px system-ui;margin:2rem}</style>"
        f"<h1>Mesos {BUILD['version']} master on {master.machine}</h1><p>{leads} Its answers are JSON; the cluster is"
        f" drawn in the labs' dashboard.</p><ul>{shown}</ul></html>"
    )
    return web.Response(text=body, content_type="text/html")


_PAGES = (
    "/redirect",
    "/state",
    "/slaves",
    "/frameworks",
    "/tasks",
    "/roles",
    "/metrics/snapshot",
    "/flags",
    "/version",
)


async def _call(request: web.Request, shape: Any) -> Json | Answer:
    """A call of that shape, or what is wrong with the request."""
    if request.method != "POST":
        return method_not_allowed(("POST",), request.method)
    kind = request.headers.get("Content-Type")
    if kind is None:
        return bad_request("Expecting 'Content-Type' to be present")
    if kind != JSON:
        # Protobuf is the real one's second language; here nobody speaks it.
        return Answer(415, f"Expecting 'Content-Type' of {JSON} or {PROTOBUF}")
    try:
        return convert(orjson.loads(await request.read()), shape)
    except orjson.JSONDecodeError as error:
        return bad_request(f"Failed to parse body into JSON: {error}")
    except ShapeError as error:
        return bad_request(f"Failed to convert JSON into Call protobuf: {error}")


async def _scheduler(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    master = server.master
    if master.leading is None:
        return server.elsewhere(request)
    call = await _call(request, SCHEDULER_CALL)
    if isinstance(call, Answer):
        return plain(call)
    if call.get("type") in ("SUBSCRIBE", "RECONCILE_OPERATIONS") and not accepts_json(request.headers.get("Accept")):
        return plain(_not_acceptable())
    answer = master.handle_scheduler(call, request.get(PRINCIPAL), request.headers.get("Mesos-Stream-Id"))
    return plain(answer) if isinstance(answer, Answer) else await stream(request, answer, server.gate)


async def _operator(server: MasterServer, request: web.Request, path: str) -> web.StreamResponse:
    master = server.master
    if master.leading is None:
        return server.elsewhere(request)
    call = await _call(request, OPERATOR_CALL)
    if isinstance(call, Answer):
        return plain(call)
    if not accepts_json(request.headers.get("Accept")):
        return plain(_not_acceptable())
    if master.leading is None:
        return server.elsewhere(request)
    if call.get("type") == "SUBSCRIBE":
        return await stream(request, master.leading.subscribers.subscribe(), server.gate)
    made = operator.answer(master, master.leading, call)
    return plain(made) if isinstance(made, Answer) else json_answer(made)


def _not_acceptable() -> Answer:
    return Answer(406, f"Expecting 'Accept' to allow '{PROTOBUF}' or '{JSON}'")


ROUTES: Mapping[str, Handler] = {
    "/": _page,
    "/api/v1": _operator,
    "/api/v1/operator": _operator,  # as pymesos calls it
    "/api/v1/scheduler": _scheduler,
    "/files/browse": _no_file,
    "/files/debug": _own(lambda master: {}),
    "/files/download": _no_file,
    "/files/read": _no_file,
    "/flags": _flags,
    "/frameworks": _leaders(lambda master, lead, query: state.frameworks(lead, query.get("framework_id"))),
    "/health": _health,
    "/metrics/snapshot": _own(metrics.snapshot),
    "/redirect": _redirect,
    "/roles": _leaders(lambda master, lead, query: state.roles(lead)),
    "/slaves": _leaders(lambda master, lead, query: state.slaves(lead, query.get("slave_id"))),
    "/state": _leaders(lambda master, lead, query: state.state(master, lead)),
    "/state-summary": _leaders(lambda master, lead, query: state.state_summary(master, lead)),
    "/tasks": _leaders(_show_tasks),
    "/teardown": _teardown,
    "/version": _own(lambda master: BUILD),
    "/weights": _weights,
    **dict.fromkeys(
        (
            "/create-volumes",
            "/destroy-volumes",
            "/machine/down",
            "/machine/up",
            "/maintenance/schedule",
            "/maintenance/status",
            "/quota",
            "/reserve",
            "/unreserve",
        ),
        _absent,
    ),
}

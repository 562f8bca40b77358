"""A sandbox's private control API: its state, the plugs of its machines, its clock, its end.

It listens on ``<run>/control.sock``, for the person who owns the sandbox alone, and knows no orchestrator: whatever
has machines and a clock (:class:`ControlledWorld`) can be controlled. Errors are ``{"message": …}``.

=========================================  =====================================================================
``GET /status``                            what :meth:`ControlledWorld.status` says
``POST /machines/NAME/fail|heal|pause``    pull the plug, undo everything, freeze
``POST /machines/NAME/partition``          cut it off; ``{"from": [names]}``: from these only, the rest stays with it
``POST /machines/NAME/slow``               ``{"seconds": x}``: everything from and to it takes x longer each way
``POST /components/MACHINE/NAME/stop``     end a part of the orchestrator (``kube-scheduler``); ``start`` undoes it
``GET /explain/NAMESPACE/NAME``            why a task is where it is, or waits, to its scheduler; 404: it has no say
``POST /clock``                            ``{"speed": x}``
``POST /shutdown``                         end the process; everything is kept
=========================================  =====================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from aiohttp import web

from labkit.embedded.runtime.machines import Fleet, UnknownMachine

log = logging.getLogger(__name__)

Json = dict[str, Any]

MAX_BODY = 64 * 1024


class ControlledWorld(Protocol):
    """What the control API needs of a sandbox."""

    fleet: Fleet

    def status(self) -> Json:
        """The sandbox as ``GET /status`` shows it."""

    def set_speed(self, speed: float) -> None:
        """Let sandbox time run this fast. Raises ValueError."""

    def request_shutdown(self) -> None:
        """End the process soon; everything is kept."""


class UnknownComponent(LookupError):
    """The machine has no component of that name; ``str()`` is for the person who asked."""


class Components(Protocol):
    """What a world has whose orchestrator's own parts can be stopped and started by name."""

    async def stop(self, machine: str, name: str) -> None:
        """End it, until it is started again. Raises UnknownComponent."""

    async def start(self, machine: str, name: str) -> None:
        """Let it run again. Raises UnknownComponent."""


class ControlError(Exception):
    """A request that cannot be done; ``str()`` says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _fail(fleet: Fleet, name: str, body: Json) -> None:
    fleet.fail(name)


def _heal(fleet: Fleet, name: str, body: Json) -> None:
    fleet.heal(name)


def _pause(fleet: Fleet, name: str, body: Json) -> None:
    fleet.pause(name)


def _partition(fleet: Fleet, name: str, body: Json) -> None:
    away = body.get("from")
    if away is None:
        fleet.partition([name])
        return
    if not isinstance(away, list) or not away or not all(isinstance(item, str) for item in away):
        raise ControlError(400, '"from" must be a list of machine names')
    for item in away:
        fleet.machine(item)
    if name in away:
        raise ControlError(400, f"{name} cannot be cut off from itself")
    fleet.partition([name, *(other for other in fleet.machines if other != name and other not in away)])


def _slow(fleet: Fleet, name: str, body: Json) -> None:
    try:
        fleet.slow(name, _number(body, "seconds"))
    except ValueError as error:
        raise ControlError(400, str(error)) from None


VERBS: dict[str, Callable[[Fleet, str, Json], None]] = {
    "fail": _fail,
    "heal": _heal,
    "pause": _pause,
    "partition": _partition,
    "slow": _slow,
}


def _number(body: Json, key: str) -> float:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ControlError(400, f'"{key}" must be a number')
    return float(value)


class Control:
    """The control API of one world."""

    def __init__(self, world: ControlledWorld) -> None:
        self.world = world

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_get("/status", self._answering(self._status))
        app.router.add_post("/machines/{name}/{verb}", self._answering(self._machine))
        app.router.add_post("/components/{machine}/{name}/{verb}", self._answering(self._component))
        app.router.add_get("/explain/{namespace}/{name}", self._answering(self._explain))
        app.router.add_post("/clock", self._answering(self._clock))
        app.router.add_post("/shutdown", self._answering(self._shutdown))
        app.router.add_route("*", "/{tail:.*}", self._answering(self._unknown))
        return app

    def _answering(
        self, handler: Callable[[web.Request], Awaitable[Json]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return _json(200, await handler(request))
            except ControlError as error:
                return _json(error.status, {"message": str(error)})
            except UnknownMachine as error:
                return _json(404, {"message": str(error)})
            except web.HTTPException as error:
                return _json(error.status, {"message": error.reason})
            except Exception as error:
                log.exception("control request %s failed", request.path)
                return _json(500, {"message": f"{type(error).__name__}: {error}"})

        return answer

    async def _status(self, request: web.Request) -> Json:
        return self.world.status()

    async def _machine(self, request: web.Request) -> Json:
        name, verb = request.match_info["name"], request.match_info["verb"]
        act = VERBS.get(verb)
        if act is None:
            raise ControlError(404, f"unknown verb {verb!r}; there are {', '.join(VERBS)}")
        fleet = self.world.fleet
        fleet.machine(name)
        act(fleet, name, await _body(request))
        return self.world.status()

    async def _component(self, request: web.Request) -> Json:
        machine, name, verb = (request.match_info[key] for key in ("machine", "name", "verb"))
        components: Components | None = getattr(self.world, "components", None)
        if components is None:
            raise ControlError(404, "this sandbox has no components that could be stopped")
        acts = {"stop": components.stop, "start": components.start}
        if verb not in acts:
            raise ControlError(404, f"unknown verb {verb!r}; there are {', '.join(acts)}")
        self.world.fleet.machine(machine)
        try:
            await acts[verb](machine, name)
        except UnknownComponent as error:
            raise ControlError(404, str(error)) from None
        return self.world.status()

    async def _explain(self, request: web.Request) -> Json:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        explain: Callable[[str, str], Json | None] | None = getattr(self.world, "explain", None)
        told = explain(namespace, name) if explain is not None else None
        if told is None:
            raise ControlError(404, f"no scheduler can say anything of {namespace}/{name}")
        return told

    async def _clock(self, request: web.Request) -> Json:
        try:
            self.world.set_speed(_number(await _body(request), "speed"))
        except ValueError as error:
            raise ControlError(400, str(error)) from None
        return self.world.status()

    async def _shutdown(self, request: web.Request) -> Json:
        self.world.request_shutdown()
        return {"message": "shutting down"}

    async def _unknown(self, request: web.Request) -> Json:
        raise ControlError(404, f"there is no {request.method} {request.path}")


async def _body(request: web.Request) -> Json:
    data = await request.read()
    if not data.strip():
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ControlError(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ControlError(400, "the body must be a JSON object")
    return body


def _json(status: int, body: Json) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body) + b"\n", content_type="application/json")

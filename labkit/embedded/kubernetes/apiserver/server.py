"""The API server: from a request to its answer, and the component that can be stopped and started."""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from labkit.embedded.kubernetes.apiserver import guard, nonresources, paths, resources, reviews, subresources
from labkit.embedded.kubernetes.apiserver.answers import NOT_FOUND, Taken, failure, text
from labkit.embedded.kubernetes.apiserver.authentication import Authenticator, impersonated
from labkit.embedded.kubernetes.apiserver.authorization import Attributes, Authorizer
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.door import Door
from labkit.embedded.kubernetes.apiserver.parameters import Query
from labkit.embedded.kubernetes.apiserver.paths import Target
from labkit.embedded.kubernetes.apiserver.tokens import Tokens
from labkit.embedded.kubernetes.errors import InternalError, MethodNotAllowed, PathNotFound, StatusError
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kinds import groups
from labkit.embedded.kubernetes.registry import Registry, Watch
from labkit.embedded.kubernetes.users import User
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.apiserver.nodes import Nodes

log = logging.getLogger(__name__)

PORT = 6443
KEEP_ALIVE = 3600.0  # seconds; clients keep connections for as long as they like
MAX_HEADER = 64 * 1024


class ApiServer:
    """Serves the registry over HTTPS on a machine's address."""

    def __init__(
        self,
        registry: Registry,
        etcd: Etcd,
        *,
        fleet: Fleet,
        network: Network,
        machine: str,
        tokens: Tokens,
        nodes: Nodes,
        door: Door,
        names: frozenset[str] = frozenset(),
        components_health: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """``components_health`` gives the name of each component and what is wrong with it ("": nothing)."""
        self.registry = registry
        self.etcd = etcd
        self.fleet = fleet
        self.network = network
        self.machine = machine
        self.tokens = tokens
        self.nodes = nodes
        self.door = door
        self.names = names
        self.components_health = components_health
        self.authenticator = Authenticator(tokens)
        self.authorizer = Authorizer()
        self.watches: set[Watch] = set()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.gate = fleet.gate(machine)
        self._listener: Listener | None = None
        self._server: web.Server | None = None

    @property
    def clock(self) -> Clock:
        return self.fleet.clock

    # -- life

    @property
    def running(self) -> bool:
        return self._listener is not None and not self._listener.closed

    async def start(self, context: ssl.SSLContext | None, port: int = PORT) -> None:
        """Listen, and let the components in. Harmless when it runs."""
        if self.running:
            return
        if self._server is None:
            self._server = web.Server(
                self.handle,
                handler_cancellation=True,  # a client that goes away ends its watch
                access_log=None,
                keepalive_timeout=KEEP_ALIVE,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                auto_decompress=False,
            )
        address = self.fleet.machine(self.machine).address
        self._listener = await self.network.listen_protocol(self.machine, address, port, self._server, tls=context)
        self.door.open()

    async def stop(self) -> None:
        """As when its process dies: connections break, nobody gets in. Harmless when it does not run."""
        self.door.close()
        for watch in tuple(self.watches):
            watch.close()
        if self._listener is not None:
            self._listener.shut()
            self._listener = None

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        if self._server is not None:
            await self._server.shutdown(0.1)

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it is found from outside of the sandbox; None while it does not run."""
        listener = self._listener
        return None if listener is None else (listener.real_host, listener.real_port)

    # -- requests

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """One request, from the connection to the answer. Whatever goes wrong in it stays in it."""
        if self.gate.closed:  # the machine is paused: the connection is there, and nothing comes
            await self.gate.wait()
        call = Call(self, raw, "", _NO_QUERY, _NOBODY, "")
        try:
            answer = await self._answer(call)
        except StatusError as error:
            answer = call.failed(error)
        except ConnectionError:  # the client went away in the middle of a stream
            return Taken()
        except Exception as error:
            log.exception("%s %s failed", raw.method, raw.raw_path)
            answer = call.failed(InternalError(f"{type(error).__name__}: {error}"))
        target = call.target
        self.requests[call.verb or raw.method, target.resource if target is not None else "", answer.status] += 1
        if self.gate.closed:
            await self.gate.wait()
        return answer

    async def _answer(self, call: Call) -> web.StreamResponse:
        raw = call.raw
        stranger = guard.refuse(raw.headers, self.names)
        if stranger is not None:
            return failure(stranger)
        path, _, query = raw.raw_path.partition("?")
        call.path = path = _local(path)
        if query:
            call.query = Query(query)
        transport = raw.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        call.user = self.authenticator.authenticate(raw.headers, certificate)
        if "Impersonate-User" in raw.headers or "Impersonate-Group" in raw.headers:
            call.user = impersonated(raw.headers, call.user, self._may_impersonate)
        call.target = target = paths.parse(path)
        if target is None:
            call.verb = raw.method.lower()
            self.authorizer.require(call.user, Attributes(call.verb, path=path))
            return nonresources.answer(call)
        return await self._resource(call, target)

    async def _resource(self, call: Call, target: Target) -> Any:
        raw = call.raw
        call.verb = verb = paths.verb_of(raw.method, target, watch=call.query.flag("watch"))
        asked = Attributes(
            verb, target.group, target.version, target.resource, target.subresource, target.scope, target.name
        )
        self.authorizer.require(call.user, asked)
        if target.kind is None:
            if target.group and target.group not in groups():
                return text(404, NOT_FOUND)
            raise PathNotFound
        if not target.allows(raw.method):
            raise MethodNotAllowed
        if not target.kind.stored:
            return await reviews.answer(call)
        handler = subresources.find(call) if target.part is not None else resources.VERBS.get(verb)
        if handler is None:
            raise MethodNotAllowed
        return await handler(call)

    def _may_impersonate(self, user: User, group: str, resource: str, namespace: str, name: str) -> None:
        plural, _, sub = resource.partition("/")
        self.authorizer.require(user, Attributes("impersonate", group, "v1", plural, sub, namespace, name))


_NO_QUERY = Query()
_NOBODY = User("")


def _local(path: str) -> str:
    """The path of a request whose first line carries a whole URL, as a proxy's does."""
    if path.startswith("/"):
        return path
    rest = path.partition("://")[2]
    return "/" + rest.partition("/")[2]


__all__ = ["PORT", "ApiServer"]

"""Who may speak to the HTTP servers of a sandbox: whoever has its credentials, and no web page.

Mesos with ``--authenticate_http_readonly``, ``--authenticate_http_readwrite`` and ``--authenticate_http_frameworks``,
and Marathon with ``--http_credentials``, ask for HTTP basic credentials on everything but a few probes; so do these.
Beyond the real ones, names of the outside world (a rebound DNS name) and pages of another origin are refused, since a
browser on this computer could be made to send requests, with a password that somebody has typed into it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# request[PRINCIPAL]: who asks, None on a path that is open to everybody. Older aiohttps take any text as a key.
PRINCIPAL: Any = getattr(web, "RequestKey", lambda name, kind: name)("principal", object)


class Guard:
    """An aiohttp middleware: ``web.Application(middlewares=[guard])``.

    ``users`` is password by name; none of them: no credentials are asked for. ``open_paths`` need none (a trailing
    slash does not matter). ``names`` are what the sandbox's servers are called besides their addresses
    (``marathon.mesos``). ``realm`` is what a browser shows, of a path if it is a function.
    """

    __middleware_version__ = 1

    def __init__(
        self,
        users: dict[str, str],
        *,
        realm: str | Callable[[str], str] = "labkit",
        open_paths: Iterable[str] = (),
        names: Iterable[str] = (),
        unauthorized: Callable[[], web.Response] | None = None,
    ) -> None:
        self._users = {name: password.encode() for name, password in users.items()}
        self._realm = realm if callable(realm) else lambda path: realm
        self._open = frozenset(open_paths)
        self._names = frozenset(names)
        self._unauthorized = unauthorized or (lambda: web.Response(status=401))

    def varied(
        self,
        *,
        realm: str | Callable[[str], str],
        open_paths: Iterable[str] = (),
        unauthorized: Callable[[], web.Response] | None = None,
    ) -> Guard:
        """The same people and names at another server."""
        users = {name: password.decode() for name, password in self._users.items()}
        return Guard(users, realm=realm, open_paths=open_paths, names=self._names, unauthorized=unauthorized)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self.refuse(request)
        return await handler(request) if refusal is None else refusal

    def refuse(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to somebody who is not let in. Who is let in is in ``request[PRINCIPAL]``."""
        words = stranger(request.headers.get("Host"), request.headers.get("Origin"), request.scheme, self._names)
        if words is not None:
            return web.Response(status=403, text=words)
        request[PRINCIPAL] = None
        path = request.path.rstrip("/") or "/"
        given = request.headers.get("Authorization")
        who = self.principal(given) if given is not None else None
        if who is not None:
            request[PRINCIPAL] = who
        elif self._users and path not in self._open:
            answer = self._unauthorized()
            answer.headers["WWW-Authenticate"] = f'Basic realm="{self._realm(path)}"'
            return answer
        return None

    def principal(self, header: str) -> str | None:
        """Who the value of an Authorization header stands for, None if for nobody known here."""
        scheme, _, coded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        known = self._users.get(name)
        # Compared even for a name that nobody has, so that an answer's time tells nothing.
        same = hmac.compare_digest(known if known is not None else b"\0", password.encode())
        return name if colon and known is not None and same else None


def stranger(host: str | None, origin: str | None, scheme: str, names: frozenset[str]) -> str | None:
    """Why a request is not from here: the words of a 403, None if it is."""
    if host is None or not is_local(host, names):
        return f"A sandbox answers on this machine only, not as {host!r}."
    if origin is not None and origin != f"{scheme}://{host}":
        return f"A sandbox does not answer pages of another origin ({origin})."
    return None


@lru_cache(maxsize=512)
def is_local(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header means this computer: a loopback address, ``localhost``, or one of ``names``."""
    name = name_of(host)
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def name_of(host: str) -> str:
    """The name or address in a Host header, without a port, brackets and the dot of a name's end."""
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host.rpartition(":")[0] if host.count(":") == 1 else host
    return name.rstrip(".").lower()


__all__ = ["PRINCIPAL", "Guard", "is_local", "name_of", "stranger"]

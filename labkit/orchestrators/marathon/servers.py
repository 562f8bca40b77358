"""Several servers that stand for one service: ask the one that answered last, another one when that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import orjson
import requests
from urllib3.exceptions import NewConnectionError

from labkit.errors import UsageError
from labkit.orchestrators.marathon.errors import ServiceError, Unreachable

CONNECT = 1.5  # seconds for a connection: on one machine it takes none, over a network a few tenths
RESTING = 10.0  # seconds for which one that failed is asked last
_AWAY = (502, 503, 504)  # a proxy without a leader behind it, or a server that does not lead and knows nobody who does
MOVED = (301, 302, 307, 308)


@dataclass(frozen=True, slots=True)
class Server:
    """One base URL, its credentials taken out of it."""

    url: str
    auth: tuple[str, str] | None = None

    @classmethod
    def of(cls, text: str) -> Server:
        """Raises UsageError for what is no http URL."""
        text = text.strip()
        try:
            parts = urlsplit((text if "://" in text else f"http://{text}").rstrip("/"))
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{text!r} is no URL of a server: write http://user:password@host:port")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        url = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        return cls(url, auth)

    @property
    def with_credentials(self) -> str:
        """The URL as it was given."""
        scheme, _, rest = self.url.partition("://")
        return (
            f"{scheme}://{quote(self.auth[0], safe='')}:{quote(self.auth[1], safe='')}@{rest}"
            if self.auth
            else self.url
        )

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, and who gave it."""

    server: Server
    status: int
    content: bytes

    def json(self) -> Any:
        """The body; None for an empty one."""
        return orjson.loads(self.content) if self.content.strip() else None


class Servers:
    """Requests to whichever server of a service answers. Safe to use from several threads.

    A read goes on to the next server on every failure; what changes something only when it certainly was not done
    (the connection was refused, or the server said that it does not lead).

    Args:
        what: "Marathon" | "Mesos", for messages.
        urls: with credentials inside; a text with commas is several.
        timeout: seconds for one server's answer.
        refused: makes the error of an answer that is one.
    """

    def __init__(
        self,
        what: str,
        urls: Iterable[str],
        timeout: float,
        refused: Callable[[int, bytes], ServiceError],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        found = [Server.of(part) for url in urls for part in url.split(",") if part.strip()]
        self.all = tuple(dict.fromkeys(found))
        if not self.all:
            raise UsageError(f"there is no URL of {what}")
        self.timeout = timeout
        self._what = what
        self._refused = refused
        self._clock = clock
        self._failed: dict[Server, float] = {}
        self._last: Server | None = None
        self._lock = threading.Lock()
        self._session = requests.Session()
        # Proxies and .netrc of the environment are for the world outside: a sandbox is on this machine.
        self._session.trust_env = not all(_local(server.host) for server in self.all)

    @property
    def name(self) -> str:
        """The URL of the one that is asked next, without credentials."""
        return self.in_order()[0].url

    def in_order(self) -> list[Server]:
        """Who is asked, one after the other: the last that answered, then the others; those that failed lately last."""
        now = self._clock()
        with self._lock:
            rest = {server for server, at in self._failed.items() if now - at < RESTING}
            return sorted(self.all, key=lambda server: (server in rest, server != self._last))

    def get(self, path: str, params: Any = None, timeout: float | None = None) -> Any:
        """The JSON at a path."""
        return self.request("GET", path, params, timeout=timeout).json()

    def request(
        self,
        method: str,
        path: str,
        params: Any = None,
        json: Any = None,
        *,
        data: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """An answer below 400, from any server. Raises the service's own error, or Unreachable."""
        problems: list[ServiceError] = []
        queue = self.in_order()
        tried: set[str] = set()
        while queue:
            server = queue.pop(0)
            if server.netloc in tried:
                continue
            tried.add(server.netloc)
            try:
                response = self.send(server, method, path, params, json, data=data, timeout=timeout)
            except requests.RequestException as error:
                self._note(server, failed=True)
                problems.append(Unreachable(f"{self._what} at {server.url} {_words(error)}"))
                if method != "GET" and not _never_sent(error):
                    raise problems[-1] from error  # it may have been done all the same
                continue
            status, content = response.status_code, response.content
            if status in MOVED:
                queue = self.follow(server, response.headers.get("Location", ""), queue)
                continue
            if status in _AWAY:
                problems.append(Unreachable(str(self._refused(status, content)), status))
                self._note(server, failed=True)
                continue
            self._note(server, failed=False)
            if status >= 400:
                raise self._refused(status, content)
            return Answer(server, status, content)
        # A server that answered says more than one that did not.
        said = max(problems, key=lambda problem: problem.status, default=None)
        raise said or Unreachable(f"no {self._what} leads just now: each names another one")

    def send(
        self,
        server: Server,
        method: str,
        path: str,
        params: Any = None,
        json: Any = None,
        *,
        data: Mapping[str, str] | None = None,
        timeout: float | None = None,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One request to one server, whatever it answers; redirects are not followed."""
        body, kind = (orjson.dumps(json), "application/json") if json is not None else (data, None)
        return self._session.request(
            method,
            server.url + path,
            params=params,
            data=body,
            auth=server.auth,
            headers={**({"Content-Type": kind} if kind else {}), **(headers or {})},
            timeout=(CONNECT, timeout or self.timeout),
            allow_redirects=False,
            stream=stream,
        )

    def close(self) -> None:
        self._session.close()

    def _note(self, server: Server, *, failed: bool) -> None:
        with self._lock:
            if failed:
                self._failed[server] = self._clock()
                self._last = None if self._last == server else self._last
            else:
                self._failed.pop(server, None)
                self._last = server

    def follow(self, server: Server, location: str, queue: list[Server]) -> list[Server]:
        """Who is asked after a redirect: the leader that was named, then the others.

        One that we know goes by our own URL of it. Another one (a leader that advertises an address inside of a
        container network, say) is tried after all that we know, with the credentials of the one that named it.
        """
        parts = urlsplit(location if "://" in location else f"http:{location}")
        if not parts.netloc:
            return queue
        known = next((one for one in self.all if one.netloc == parts.netloc), None)
        if known is not None:
            return [known, *queue]
        return [*queue, Server(f"{parts.scheme or 'http'}://{parts.netloc}", server.auth)]


def _local(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _never_sent(error: requests.RequestException) -> bool:
    """Whether no connection came about at all, so that the request cannot have been carried out."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)


def _words(error: requests.RequestException) -> str:
    text = str(error)
    if isinstance(error, requests.Timeout):
        return "does not answer"
    if "refused" in text:
        return "cannot be reached: connection refused"
    if "resolve" in text or "Name or service" in text:
        return "cannot be reached: its name is unknown here"
    return f"cannot be reached: {text.splitlines()[0][:160]}"

"""Where a balancer reads Marathon: over HTTP with credentials, as marathon-lb does, or in this process."""

from __future__ import annotations

import asyncio
import base64
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from labkit.embedded.marathon.discovery.lb import http1
from labkit.embedded.marathon.discovery.lb.dial import Dial

log = logging.getLogger(__name__)

Json = dict[str, Any]

RELEVANT = ("api_post_event", "health_status_changed_event", "status_update_event")
_APPS = "/v2/apps?embed=apps.tasks"
_EVENTS = "/v2/events?plan-format=light&" + "&".join(f"event_type={each}" for each in RELEVANT)
_SILENCE = 300.0  # seconds without a byte after which a stream counts as broken
_PATIENCE = 46.0


class Unavailable(ConnectionError):
    """No Marathon answers."""


class Marathon(Protocol):
    """What a balancer asks of Marathon."""

    async def apps(self) -> list[Json]:
        """The apps with their tasks. Raises OSError (:class:`Unavailable`)."""
        ...

    def events(self) -> AsyncIterator[str]:
        """The types of events as they come; first "" when the stream is open. Ends or raises OSError with it."""
        ...


class LocalMarathon:
    """A Marathon of this process. ``fetch`` gives what ``GET /v2/apps?embed=apps.tasks`` answers.

    ``follow(fn)`` has ``fn(event)`` called with each event's JSON, and returns what ends that.
    """

    def __init__(
        self,
        fetch: Callable[[], Json | Awaitable[Json]],
        follow: Callable[[Callable[[Json], object]], Callable[[], object]],
    ) -> None:
        self._fetch = fetch
        self._follow = follow

    async def apps(self) -> list[Json]:
        found = self._fetch()
        return list((await found if inspect.isawaitable(found) else found)["apps"])

    async def events(self) -> AsyncIterator[str]:
        waiting: asyncio.Queue[str] = asyncio.Queue()
        end = self._follow(lambda event: waiting.put_nowait(event.get("eventType", "")))
        try:
            yield ""
            while True:
                yield await waiting.get()
        finally:
            end()


class HttpMarathon:
    """The Marathons at ``urls``, tried in turn; whoever answered last is asked first. ``dial`` obeys the plugs."""

    def __init__(self, urls: Sequence[str], dial: Dial, credentials: tuple[str, str] | None = None) -> None:
        self._urls = list(urls)
        self._dial = dial
        self._authorization = ""
        if credentials is not None:
            self._authorization = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()

    async def apps(self) -> list[Json]:
        for url in tuple(self._urls):
            try:
                async with asyncio.timeout(_PATIENCE):
                    text = b"".join([piece async for piece in self._get(url, _APPS)])
                found = orjson.loads(text)["apps"]
            except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as error:
                log.info("Error calling GET %s%s, trying next host: %s", url, _APPS, error)
                continue
            self._prefer(url)
            return list(found)
        raise Unavailable("no Marathon answers")

    async def events(self) -> AsyncIterator[str]:
        for url in tuple(self._urls):
            opened = False
            try:
                async with aclosing(self._get(url, _EVENTS, "text/event-stream")) as pieces:
                    async for line in _lines(pieces):
                        if not opened:
                            opened = True
                            self._prefer(url)
                            yield ""
                        if line.startswith(b"event:"):
                            yield line[6:].strip().decode("utf-8", "replace")
                return
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                log.info("the event stream of %s: %s", url, error)
                if opened:
                    return
        raise Unavailable("no Marathon answers")

    def _prefer(self, url: str) -> None:
        index = self._urls.index(url)
        self._urls = self._urls[index:] + self._urls[:index]

    async def _get(self, url: str, path: str, accept: str = "application/json") -> AsyncGenerator[bytes, None]:
        """The body of ``GET``; the first piece is empty and comes with the head. One redirect is followed."""
        for _ in range(2):
            place = urlsplit(url)
            reader, writer = await self._dial(place.hostname or "", place.port or 80)
            try:
                writer.write(self._request(place.netloc, path, accept))
                async with asyncio.timeout(_PATIENCE):
                    head = await http1.read_head(reader)
                if head is None:
                    raise ConnectionResetError("no answer")
                status, location = head.start[1], head.get("location")
                if status in ("301", "302", "307", "308") and location:
                    there = urlsplit(location)
                    url, path = f"{there.scheme}://{there.netloc}", f"{there.path}?{there.query}"
                    continue
                if status != "200":
                    raise ConnectionError(f"{status} {url}{path}")
                yield b""
                pieces = http1.content(reader, http1.response_body(head, "GET"))
                while True:
                    async with asyncio.timeout(_SILENCE):
                        try:
                            piece = await anext(pieces)
                        except StopAsyncIteration:
                            return
                    yield piece
            finally:
                writer.close()
        raise ConnectionError(f"too many redirects from {url}")

    def _request(self, host: str, path: str, accept: str) -> bytes:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host.rpartition('@')[2]}", f"Accept: {accept}"]
        lines += ["User-Agent: marathon-lb", "Connection: close"]
        if self._authorization:
            lines.append(f"Authorization: {self._authorization}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines of pieces; an empty line at once, so that an open stream without an event is noticed."""
    rest = b""
    async for piece in pieces:
        if not piece:
            yield b""
            continue
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r")

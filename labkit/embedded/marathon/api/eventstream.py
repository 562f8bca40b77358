"""``/v2/events``: server-sent events (``core/event/impl/stream``, Jetty's EventSourceServlet)."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from labkit.embedded.marathon.api.answers import Refused, Request, Route
from labkit.embedded.marathon.events import Event

HEARTBEAT = 10.0  # seconds; Jetty sends an empty line so that dead connections are noticed
MAX_OUTSTANDING = 5000  # events; who is that slow is cut off


async def stream(request: Request) -> web.StreamResponse:
    """All events, or those of the given ``event_type``s.

    ``plan-format=light`` leaves ``original`` and ``target`` out of deployment plans, as every Marathon since 1.8 does;
    here they are in by default, for clients that cannot read a plan without them (the one on PyPI cannot).
    """
    term, raw = request.term, request.raw
    accepted = raw.headers.get("Accept", "").split(",")
    if not any(each.partition(";")[0].strip() == "text/event-stream" for each in accepted):
        # Jetty's servlet asks for it by name, and leaves others to a method that it does not have.
        raise Refused(405, "HTTP method GET is not supported by this URL")
    types = frozenset(request.queries("event_type"))
    light = request.query("plan-format") == "light"
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Connection": "close"}
    )
    response.headers.extend(request.headers)
    await response.prepare(raw)
    waiting: asyncio.Queue[Event | None] = asyncio.Queue(MAX_OUTSTANDING)

    def take(event: Event) -> None:
        if types and event.type not in types:
            return
        try:
            waiting.put_nowait(event)
        except asyncio.QueueFull:
            end()

    def end() -> None:
        unsubscribe()
        while not waiting.empty():
            waiting.get_nowait()
        waiting.put_nowait(None)

    unsubscribe = term.bus.subscribe(take)
    closed = request.marathon.on_standby(end)
    request.term.bus.publish("event_stream_attached", {"remoteAddress": request.client})
    try:
        while True:
            try:
                async with term.clock.timeout(HEARTBEAT):
                    event = await waiting.get()
            except TimeoutError:
                await response.write(b"\r\n")
                continue
            if event is None:
                break
            parts = []
            while event is not None:
                body = event.light() if light else event.full()
                parts.append(b"event: %s\r\ndata: %s\r\n\r\n" % (event.type.encode(), body))
                if waiting.empty():
                    break
                event = waiting.get_nowait()
            await response.write(b"".join(parts))
            if event is None:
                break
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        unsubscribe()
        closed()
        term.bus.publish("event_stream_detached", {"remoteAddress": request.client})
    return response


ROUTES: list[Route] = [("GET", r"/v2/events/?", stream)]

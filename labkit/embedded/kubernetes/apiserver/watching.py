"""Watches on the wire: a line of JSON for each event, in chunks, until either side ends it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from labkit.embedded.kubernetes.apiserver import negotiation, render
from labkit.embedded.kubernetes.apiserver.answers import JSON, common_headers
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.negotiation import Form
from labkit.embedded.kubernetes.apiserver.parameters import ListParameters
from labkit.embedded.kubernetes.errors import Expired, StatusError
from labkit.embedded.kubernetes.etcd import Event
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Watch

MIN_TIMEOUT = 1800.0  # seconds; --min-request-timeout: a watch without a timeout gets one between this and twice this
SLOW = 30.0  # seconds of the wall clock that a reader may not read before it is dropped
BOOKMARK_EVERY = 60.0  # seconds; what the real watch cache aims at
BATCH = 256 * 1024  # bytes of events that are written at once


class Stream(web.StreamResponse):
    """A chunked answer that is written straight to the transport."""

    def __init__(
        self, mime: str = JSON, status: int = 200, reason: str = "OK", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._status = status
        self._head = f"HTTP/1.1 {status} {reason}\r\n"
        self._lines = "".join([f"{name}: {value}\r\n" for name, value in (("Content-Type", mime), *headers) if value])
        self._keep_alive: bool | None = True
        self._request: web.BaseRequest | None = None
        self._chunked_body = True

    @property
    def status(self) -> int:
        return self._status

    @property
    def keep_alive(self) -> bool | None:
        return self._keep_alive

    async def begin(self, request: web.BaseRequest) -> None:
        """Send the head. Raises ConnectionResetError when the client is gone."""
        if request.transport is None:
            raise ConnectionResetError("the client is gone")
        self._request = request
        # HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        self._chunked_body = request.version >= (1, 1)
        self._keep_alive = bool(request.keep_alive) and self._chunked_body
        head = f"{self._head}{common_headers()}{self._lines}"
        head += "Transfer-Encoding: chunked\r\n" if self._chunked_body else ""
        request.transport.write(f"{head}{'' if self._keep_alive else _CLOSE}\r\n".encode())

    def send(self, data: bytes) -> None:
        """Hand a piece to the transport. Raises ConnectionResetError when the client is gone."""
        request = self._request
        if request is None or request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        request.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked_body else data)

    async def drain(self) -> None:
        """Wait until the client has read most of it. Raises TimeoutError when it has stopped reading."""
        assert self._request is not None
        if self._request.protocol.writing_paused:
            async with asyncio.timeout(SLOW):
                await self._request.writer.drain()

    async def end(self) -> None:
        request = self._request
        if request is not None and request.transport is not None and self._chunked_body:
            request.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection: what was promised does not come."""
        if self._request is not None and self._request.transport is not None:
            self._request.transport.abort()
        self._keep_alive = False

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None  # begin() has

    async def write_eof(self, data: Any = b"") -> None:
        return None


_CLOSE = "Connection: close\r\n"


async def serve(call: Call, wanted: ListParameters) -> Stream:
    """Answer a watch. Errors before its first byte are raised, an expired version is an event (HTTP 200)."""
    target, kind, server = call.target, call.kind, call.server
    assert target is not None
    form = negotiation.accepted(call.raw.headers.get("Accept", ""), stream=True)
    if form.as_kind == "Table":
        render.include_object(call)
    # A watch of one object is a watch of its collection with a field selector.
    fields = wanted.fields
    if target.name:
        fields = f"metadata.name={target.name}"
    stream = Stream()
    try:
        watch = server.registry.watch(
            kind,
            target.namespace,
            labels=wanted.labels or None,
            fields=fields or None,
            version=wanted.version,
            bookmarks=wanted.bookmarks,
            initial=wanted.initial,
        )
    except Expired as error:
        await stream.begin(call.raw)
        stream.send(_line("ERROR", error.status()))
        await stream.end()
        return stream
    server.watches.add(watch)
    clock = server.clock
    patience = wanted.timeout if wanted.timeout else MIN_TIMEOUT * (1 + random.random())
    timer = clock.call_later(patience, watch.close)
    try:
        await stream.begin(call.raw)
        await _pump(call, watch, stream, form)
        await stream.end()
    except TimeoutError:
        stream.abort()
    except StatusError:  # the store can no longer say what is: as a watch that breaks
        stream.abort()
    finally:
        timer.cancel()
        watch.close()
        server.watches.discard(watch)
    return stream


async def _pump(call: Call, watch: Watch, stream: Stream, form: Form) -> None:
    """Send events until the watch ends."""
    server = call.server
    etcd = server.etcd
    told = _Transformer(call, form) if form.as_kind else None
    bookmark = server.clock.call_later(BOOKMARK_EVERY, _bookmark, call, watch) if watch.bookmarks else None
    gate = server.gate
    try:
        while await watch.wait():
            if gate.closed:  # the machine is paused
                await gate.wait()
            events = watch.take()
            if events:
                await etcd.durable(events[-1].revision)  # nobody may hear of what could still be lost
            lines: list[bytes] = []
            size = 0
            for event in events:
                line = event.line if told is None else told.line(event)
                lines.append(line)
                size += len(line)
                if size > BATCH:
                    stream.send(b"".join(lines))
                    await stream.drain()
                    lines, size = [], 0
            if lines:
                stream.send(b"".join(lines))
                await stream.drain()
    finally:
        if bookmark is not None:
            bookmark.cancel()


def _bookmark(call: Call, watch: Watch) -> None:
    if watch.closed:
        return
    if call.server.etcd.running:
        watch.bookmark(call.server.etcd.revision)
    call.server.clock.call_later(BOOKMARK_EVERY, _bookmark, call, watch)


def _line(type_: str, obj: Json) -> bytes:
    return orjson.dumps({"type": type_, "object": obj}, option=orjson.OPT_APPEND_NEWLINE)


class _Transformer:
    """Events whose objects are tables or metadata only. Columns are defined in the first table alone."""

    def __init__(self, call: Call, form: Form) -> None:
        self._call = call
        self._form = form
        self._first = True

    def line(self, event: Event) -> bytes:
        obj, form, call = event.obj, self._form, self._call
        if form.as_kind == "Table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            if event.type == "BOOKMARK":
                return _line(event.type, self._bookmark(obj))
            shown = render.table(call, call.kind, [obj], form, metadata, columns=self._first)
            self._first = False
            return _line(event.type, shown)
        return _line(event.type, render.partial(obj, form))

    def _bookmark(self, obj: Json) -> Json:
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self._form.version}",
            "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
            "columnDefinitions": None,
            "rows": [{"cells": None, "object": render.partial(obj, self._form)}],
        }

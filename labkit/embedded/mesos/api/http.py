"""Answers of a libprocess server: JSON with or without jsonp, plain words, and endless streams of records."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from labkit.embedded.mesos.master.answers import Answer
from labkit.embedded.runtime.gates import Gate

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.subscription import Subscription

Json = dict[str, Any]

JSON, PROTOBUF = "application/json", "application/x-protobuf"
_CALLBACK = re.compile(r"^[\w.$\[\]]{1,128}$")


def plain(answer: Answer) -> web.Response:
    """Words, or nothing."""
    response = web.Response(status=answer.status, headers=answer.headers)
    if answer.text:
        response.text = answer.text
        response.content_type = "text/plain"
    return response


def json_answer(body: Any, query: Mapping[str, str] | None = None) -> web.Response:
    """JSON, or a call of the function that ``jsonp`` names."""
    data = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    callback = (query or {}).get("jsonp")
    if callback is not None and _CALLBACK.match(callback):
        return web.Response(body=callback.encode() + b"(" + data + b");", content_type="text/javascript")
    return web.Response(body=data, content_type=JSON)


def accepts_json(header: str | None) -> bool:
    """Does an Accept header allow JSON? None does."""
    if header is None:
        return True
    for item in header.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            continue
        if kind in ("*", "*/*", "application/*", JSON):
            return True
    return False


def record(event: Json) -> bytes:
    """RecordIO: the number of bytes, a line feed, the bytes."""
    data = orjson.dumps(event)
    return b"%d\n%s" % (len(data), data)


async def stream(request: web.Request, line: Subscription, gate: Gate) -> web.StreamResponse:
    """Events as they come, until one side hangs up. A frozen machine sends nothing."""
    response = web.StreamResponse(headers={"Content-Type": JSON, "Mesos-Stream-Id": line.stream_id})
    response.enable_chunked_encoding()
    waiting: list[bytes] = []
    woken = asyncio.Event()
    ended = False

    def event(one: Json) -> None:
        waiting.append(record(one))
        woken.set()

    def end() -> None:
        nonlocal ended
        ended = True
        woken.set()

    line.attach(event, end)
    try:
        await response.prepare(request)
        while True:
            await woken.wait()
            woken.clear()
            await gate.wait()
            if waiting:
                data = b"".join(waiting)
                waiting.clear()
                await response.write(data)
            if ended and not waiting:  # the last words may have come together with the end
                break
        await response.write_eof()
    except ConnectionError:
        pass
    finally:
        line.hang_up()
    return response

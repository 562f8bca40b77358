"""Heads and bodies as they pass by; and what is no HTTP, or HTTP that two proxies would read in two ways."""

from __future__ import annotations

import asyncio

import pytest

from labkit.embedded.marathon.discovery.lb import http1
from labkit.embedded.marathon.discovery.lb.http1 import BadMessage


def reader(data: bytes) -> asyncio.StreamReader:
    made = asyncio.StreamReader()
    made.feed_data(data)
    made.feed_eof()
    return made


async def test_a_head_is_kept_as_it_came() -> None:
    data = b"GET /a%20b?c HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\n\r\n"
    head = await http1.read_head(reader(data))
    assert head is not None
    assert (head.encode(), head.get("x-one")) == (data, "1")
    assert await http1.read_head(reader(b"")) is None


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / SPDY/3\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        await http1.read_head(reader(data))


@pytest.mark.parametrize(
    ("head", "method", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", "GET", 5),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD", 0),
        (b"HTTP/1.1 204 No Content", "GET", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", "GET", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "GET", None),
        (b"HTTP/1.0 200 OK", "GET", -1),
    ],
)
async def test_how_long_an_answer_is(head: bytes, method: str, length: int | None) -> None:
    found = await http1.read_head(reader(head + b"\r\n\r\n"))
    assert found is not None
    assert http1.response_body(found, method) == length


async def test_chunks_on_the_wire_and_out_of_it() -> None:
    data = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\nnext"
    whole = reader(data)
    assert b"".join([piece async for piece in http1.body(whole, None)]) == data[:-4]
    assert await whole.read() == b"next"
    plain = reader(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b"".join([piece async for piece in http1.content(plain, None)]) == b"abcde"
    with pytest.raises(BadMessage):
        _ = [piece async for piece in http1.body(reader(b"zz\r\n"), None)]
    with pytest.raises(asyncio.IncompleteReadError):
        _ = [piece async for piece in http1.body(reader(b"ab"), 3)]

"""labkit's own balancer: what a client sends is one request, whatever the server does with it."""

from __future__ import annotations

import asyncio

import pytest

from .fakes import Lab, app, task


@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_nobody_reads_is_no_next_request(place: Lab, framing: bytes) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nno\n")
        await reader.read()  # until the balancer hangs up
        writer.close()

    ip = place.fleet.machine("agent-1").address
    server = await asyncio.start_server(refuse, ip, 0)
    port = server.sockets[0].getsockname()[1]
    place.marathon.apps.append(app(labels={"HAPROXY_0_MODE": "http"}, tasks=[task(ip, port)]))
    balancer = await place.balancer("labkit")
    host, _, number = balancer.place(10000).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(number))
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    start = b"%x\r\n" % 100000 if b"chunked" in framing else b""
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + start)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(hidden)
    writer.write_eof()
    rest = await asyncio.wait_for(reader.read(), 5)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in head
    assert rest == b"no\n"
    assert len(asked) == 1
    writer.close()
    server.close()

"""Carrying bytes between two connections, as docker-proxy, IPVS and kube-proxy's rules do."""

from __future__ import annotations

import asyncio

_CHUNK = 64 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def splice(one: Stream, other: Stream) -> None:
    """Copy both ways until both sides have finished. A half-close is passed on; a reset ends both."""
    there = asyncio.create_task(_copy(one[0], other[1]))
    try:
        await _copy(other[0], one[1])
        await there
    except OSError:
        for _, writer in (one, other):
            writer.transport.abort()
    finally:
        there.cancel()
        one[1].close()
        other[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()

"""Messages between masters and agents that are processes of their own: a line of JSON each, over TCP.

A real one listens for them on the port of its HTTP API, in libprocess' own form; these listen on a port beside it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

import orjson

from labkit.embedded.mesos.libprocess import Json, Pid, Process
from labkit.embedded.runtime.chores import Chores

log = logging.getLogger(__name__)

BESIDE = 10000  # added to the port of the HTTP API
_LIMIT = 64 * 1024 * 1024


class _Line:
    """What goes from one process here to one elsewhere, in order; ends with its connection."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.more = asyncio.Event()


class TcpPost:
    """As :class:`labkit.embedded.mesos.libprocess.Post`, for the one process that is registered here."""

    def __init__(self) -> None:
        self._processes: dict[Pid, Process] = {}
        self._servers: dict[Pid, asyncio.Server] = {}
        self._lines: dict[tuple[Pid, Pid], _Line] = {}
        self._links: set[tuple[Pid, Pid]] = set()
        self._incoming: set[asyncio.StreamWriter] = set()
        self._chores = Chores()

    def register(self, pid: Pid, process: Process) -> None:
        self._processes[pid] = process
        self._chores.start(self._listen(pid))

    def unregister(self, pid: Pid) -> None:
        self._processes.pop(pid, None)
        server = self._servers.pop(pid, None)
        if server is not None:
            server.close()
        for writer in tuple(self._incoming):  # as when the process ends
            writer.close()
        self._links = {link for link in self._links if link[0] != pid}

    def link(self, me: Pid, other: Pid) -> None:
        self._links.add((me, other))
        self._line(me, other)

    def unlink(self, me: Pid, other: Pid) -> None:
        self._links.discard((me, other))

    def send(self, sender: Pid, receiver: Pid, message: str, body: Json) -> None:
        line = self._line(sender, receiver)
        parcel = {"from": _write(sender), "to": _write(receiver), "message": message, "body": body}
        line.waiting.append(orjson.dumps(parcel) + b"\n")
        line.more.set()

    def close(self) -> None:
        self._chores.cancel()

    # -- going out

    def _line(self, me: Pid, other: Pid) -> _Line:
        line = self._lines.get((me, other))
        if line is None:
            line = self._lines[me, other] = _Line()
            self._chores.start(self._carry(me, other, line))
        return line

    async def _carry(self, me: Pid, other: Pid, line: _Line) -> None:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(other.address, other.port + BESIDE)
            ended = asyncio.ensure_future(reader.read())  # the other side says nothing here: this is its end
            while not ended.done():
                while line.waiting:
                    writer.write(line.waiting.popleft())
                await writer.drain()
                line.more.clear()
                more = asyncio.ensure_future(line.more.wait())
                await asyncio.wait({more, ended}, return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
        except OSError as error:
            log.info("%s cannot write to %s: %s", me, other, error)
        finally:
            self._lines.pop((me, other), None)
            if writer is not None:
                writer.close()
        if (me, other) in self._links:
            self._links.discard((me, other))
            if me in self._processes:
                self._processes[me].exited(other)

    # -- coming in

    async def _listen(self, pid: Pid) -> None:
        server = await asyncio.start_server(self._hear, "0.0.0.0", pid.port + BESIDE, limit=_LIMIT)
        if pid in self._processes:
            self._servers[pid] = server
        else:
            server.close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._incoming.add(writer)
        try:
            while line := await reader.readline():
                parcel = orjson.loads(line)
                process = self._processes.get(Pid(*parcel["to"]))
                if process is None:
                    return
                process.receive(Pid(*parcel["from"]), parcel["message"], parcel["body"])
        except (OSError, ValueError) as error:
            log.warning("a message was lost: %s", error)
        finally:
            self._incoming.discard(writer)
            writer.close()


def _write(pid: Pid) -> list[object]:
    return [pid.name, pid.machine, pid.address, pid.port]

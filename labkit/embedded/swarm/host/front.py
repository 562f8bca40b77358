"""Published ports on 127.0.0.1, where tutorials look for them, beside those on the machines' own addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.network import Network

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


class Front:
    """One a sandbox. A port belongs to whoever opened it first and passes to the next when that one closes it.

    A port that another program (or another sandbox) holds is left alone, and a note says where to go instead.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._serving: dict[int, dict[Hashable, Serve]] = {}
        self._ports: dict[Hashable, int] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._chores = Chores()

    def open(self, key: Hashable, port: int, serve: Serve) -> None:
        """Serve connections to ``127.0.0.1:port``; ``key`` is whoever asks."""
        holders = self._serving.setdefault(port, {})
        holders[key] = serve
        self._ports[key] = port
        if len(holders) == 1:
            self._chores.start(self._listen(port))

    def close(self, key: Hashable) -> None:
        port = self._ports.pop(key, None)
        if port is None:
            return
        holders = self._serving[port]
        holders.pop(key, None)
        if not holders:
            del self._serving[port]
            server = self._servers.pop(port, None)
            if server is not None:
                server.close()

    async def _listen(self, port: int) -> None:
        try:
            server = await asyncio.start_server(lambda *stream: self._serve(port, *stream), "127.0.0.1", port)
        except OSError:
            self._network.note(
                f"127.0.0.1:{port} is taken by another program (or may not be opened without a privilege), so the "
                f"published port {port} is found on the machines' addresses only."
            )
            return
        if port in self._serving and port not in self._servers:
            self._servers[port] = server
        else:
            server.close()

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        holders = self._serving.get(port)
        if not holders:
            writer.transport.abort()
            return
        try:
            await next(iter(holders.values()))(reader, writer)
        except (OSError, EOFError):
            pass  # one of the two went away
        finally:
            writer.close()

    def shut(self) -> None:
        """The sandbox ends."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        self._serving.clear()
        self._ports.clear()

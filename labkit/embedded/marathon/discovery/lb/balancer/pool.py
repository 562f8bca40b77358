"""Which server of a service gets the next connection."""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager

from labkit.embedded.marathon.discovery.lb.haproxy.config import cookie
from labkit.embedded.marathon.discovery.lb.model import Server, Service

COOKIE = "mesosphere_server_id"


class Pool:
    """The servers of one service, and how busy each is. Counters of servers that stay live on over an update."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._turn = 0
        self.active: dict[Server, int] = {}
        self.total: dict[Server, int] = {}

    def update(self, service: Service) -> None:
        """Balance these servers from now on; who is gone finishes what it has open."""
        self.service = service
        self.total = {server: self.total.get(server, 0) for server in service.servers}

    def pick(self, source: str = "", wanted: str = "", tried: Container[Server] = ()) -> Server | None:
        """The next server, None when there is none that has not been ``tried``.

        ``source`` is the client's address (``balance source``), ``wanted`` what its cookie says (sticky services);
        a draining server only gets those who ask for it.
        """
        there = [server for server in self.service.servers if server not in tried]
        if wanted and self.service.sticky:
            for server in there:
                if cookie(server) == wanted:
                    return server
        ready = [server for server in there if not server.draining]
        if not ready:
            return None
        match self.service.balance.split("(")[0].split()[0] if self.service.balance else "roundrobin":
            case "leastconn":
                least = min(self.active.get(server, 0) for server in ready)
                ready = [server for server in ready if self.active.get(server, 0) == least]
            case "source":
                return ready[zlib.crc32(source.encode()) % len(ready)]
            case "first":
                return ready[0]
        self._turn += 1
        return ready[self._turn % len(ready)]

    @contextmanager
    def busy(self, server: Server) -> Iterator[None]:
        """While a connection to that server is open."""
        self.active[server] = self.active.get(server, 0) + 1
        self.total[server] = self.total.get(server, 0) + 1
        try:
            yield
        finally:
            self.active[server] -= 1
            if not self.active[server]:
                del self.active[server]

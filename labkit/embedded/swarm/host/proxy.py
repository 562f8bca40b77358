"""Whom a connection to a published port or a virtual IP is carried to, as docker-proxy and IPVS decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.splice import Stream, splice

from .networkdb import Endpoint

PATIENCE = 2.0  # sandbox seconds for one task to answer before the next one is tried


async def connect_any(
    network: Network, fleet: Fleet, machine: str, candidates: Sequence[tuple[Endpoint, int]], start: int, source: str
) -> Stream | None:
    """Connect from ``machine`` to the first of ``candidates`` (task and port) that answers, beginning at ``start``.

    None when nobody does. A task on a machine that does not answer costs no time: its turn goes to the next.
    """
    count = len(candidates)
    for step in range(count):
        endpoint, port = candidates[(start + step) % count]
        if endpoint.machine != machine and not fleet.reachable(machine, endpoint.machine):
            continue
        try:
            return await network.connect(machine, endpoint.ip, port, source=source or None, timeout=PATIENCE)
        except OSError:  # refused, timed out, unreachable: all of them are OSErrors
            continue
    return None


class Balancer:
    """Hands each connection to the next task of a service, round robin."""

    def __init__(
        self,
        network: Network,
        fleet: Fleet,
        candidates: Callable[[str], list[tuple[Endpoint, int]]],
        first: int = 0,
    ) -> None:
        """``candidates(machine)`` are the tasks that a connection from that machine may go to, with their port.

        ``first`` is the place in the round at which to begin.
        """
        self._network = network
        self._fleet = fleet
        self._candidates = candidates
        self._turn = first

    async def serve(self, client: Stream, machine: str, source: str = "") -> None:
        """Serve one connection that came in on (or from) ``machine``; nobody to serve it resets it."""
        candidates = self._candidates(machine)
        self._turn += 1
        stream = None
        if candidates:
            stream = await connect_any(
                self._network, self._fleet, machine, candidates, self._turn % len(candidates), source
            )
        if stream is None:
            client[1].transport.abort()
            return
        await splice(client, stream)

"""The way to the API server for the components of the sandbox: the wire between them, without its bytes.

Controllers, scheduler and kubelets live in the same process as the API server. They call the registry directly, but
only through a :class:`Door`, which fails as their connection would: when a machine is off, cut off, paused or slow, and
when the API server does not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet, Unreachable

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry import Registry

__all__ = ["Door", "Unreachable"]

TIMEOUT = 10.0  # sandbox seconds that a client waits for an API server that is paused


class Door:
    """What a component on some machine enters the API server by."""

    def __init__(self, registry: Registry, fleet: Fleet, machine: str, address: str = "") -> None:
        """``machine`` is where the API server runs; it is closed until :meth:`open` is called."""
        self._registry = registry
        self._fleet = fleet
        self._machine = machine
        self._address = address or machine
        self.opened = asyncio.Event()  # set while the API server runs
        self._connections: dict[str, dict[object, Callable[[], object]]] = {}
        self._forget = fleet.subscribe(self._plugged)

    @property
    def is_open(self) -> bool:
        """Whether the API server runs."""
        return self.opened.is_set()

    def open(self) -> None:
        self.opened.set()

    def close(self) -> None:
        """The API server has ended: every connection breaks."""
        self.opened.clear()
        for machine in tuple(self._connections):
            self._break(machine)

    def dispose(self) -> None:
        """Nobody will use it any more."""
        self.close()
        self._forget()

    @property
    def clock(self) -> Clock:
        return self._fleet.clock

    def enter(self, machine: str) -> Registry:
        """The registry, if a request from ``machine`` gets there now.

        Raises:
            Unreachable: it does not; the words are those of a client's failed connection.
        """
        if not self.opened.is_set() or not self._fleet.connected(machine, self._machine):
            raise self._refusal(machine)
        return self._registry

    def hold(self, machine: str) -> Awaitable[None] | None:
        """What a request has to wait for on its way: a paused machine at either end, a slow wire. None: nothing."""
        fleet = self._fleet
        return None if fleet.quick(machine, self._machine) else self._wait(machine)

    async def _wait(self, machine: str) -> None:
        fleet = self._fleet
        await fleet.gate(machine).wait()
        if delay := fleet.delay(machine, self._machine):
            await fleet.clock.sleep(2 * delay)
        if not self.reachable(machine):
            return  # enter() says so
        try:
            async with fleet.clock.timeout(TIMEOUT):
                await fleet.gate(self._machine).wait()
        except TimeoutError:
            raise Unreachable(f'Get "https://{self._address}:6443": context deadline exceeded') from None

    def connect(self, machine: str, lost: Callable[[], object]) -> Callable[[], None]:
        """Have ``lost()`` called once, when a long-lived connection (a watch) from ``machine`` breaks.

        Returns what ends the connection from this side. A machine that is merely paused keeps its connections.
        """
        key = object()
        mine = self._connections.setdefault(machine, {})
        mine[key] = lost

        def end() -> None:
            mine.pop(key, None)

        return end

    def reachable(self, machine: str) -> bool:
        """Whether a connection from ``machine`` would be made, sooner or later."""
        return self.opened.is_set() and self._fleet.connected(machine, self._machine)

    def _refusal(self, machine: str) -> Unreachable:
        if self._fleet.connected(machine, self._machine):
            return Unreachable(f"dial tcp {self._address}:6443: connect: connection refused")
        return Unreachable(f"dial tcp {self._address}:6443: connect: no route to host")

    def _plugged(self, name: str, what: str) -> None:
        for machine in tuple(self._connections) if what in ("fail", "partition") else ():
            if not self._fleet.connected(machine, self._machine):
                self._break(machine)

    def _break(self, machine: str) -> None:
        connections = self._connections.get(machine, {})
        while connections:
            _, lost = connections.popitem()
            lost()

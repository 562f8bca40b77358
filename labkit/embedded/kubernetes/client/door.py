"""The way from a machine to the API server: open, shut, or slow.

Components share a process with the API server, so a call is a function call. The door puts back what a wire would do:
it refuses while the server is stopped or the machine cut off, and holds still while the machine is paused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Unreachable

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry import Registry

__all__ = ["Door", "OpenDoor", "Unreachable"]


class Door(Protocol):
    """What a :class:`~labkit.embedded.kubernetes.client.client.Client` goes through for every call."""

    @property
    def clock(self) -> Clock: ...

    def enter(self, machine: str) -> Registry:
        """The registry, as seen from that machine. Raises :class:`Unreachable` when nobody answers there."""
        ...

    def hold(self, machine: str) -> Awaitable[None] | None:
        """What to wait for before going on: a paused machine, a slow wire. None, the common case: nothing."""
        ...

    def connect(self, machine: str, lost: Callable[[], object]) -> Callable[[], None]:
        """Have ``lost()`` called once, when a long-lived connection from that machine breaks; returns what ends it."""
        ...


class OpenDoor:
    """A door that is always open, for tests; ``shut`` names machines that find it closed ("*": all)."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.clock = clock
        self.registry = registry
        self.shut: set[str] = set()
        self._connections: dict[object, tuple[str, Callable[[], object]]] = {}

    def enter(self, machine: str) -> Registry:
        if self.shut and (machine in self.shut or "*" in self.shut):
            raise Unreachable("connect: connection refused")
        return self.registry

    def hold(self, machine: str) -> Awaitable[None] | None:
        return None

    def connect(self, machine: str, lost: Callable[[], object]) -> Callable[[], None]:
        key = object()
        self._connections[key] = machine, lost

        def end() -> None:
            self._connections.pop(key, None)

        return end

    def close(self, machine: str = "*") -> None:
        """Shut it for that machine and break its connections."""
        self.shut.add(machine)
        for key, (whose, lost) in list(self._connections.items()):
            if machine in ("*", whose):
                self._connections.pop(key)
                lost()

    def open(self, machine: str = "*") -> None:
        """Undo :meth:`close`."""
        self.shut.discard(machine)

"""What a balancer has to do, whichever of the two it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from labkit.embedded.marathon.discovery.lb.haproxy.config import Places
from labkit.embedded.marathon.discovery.lb.model import Service


class Balancer(Protocol):
    """HAProxy or labkit's own. It may be started again after a stop."""

    kind: str  # "haproxy" or "labkit"
    notes: list[str]  # what it could not do, in words
    places: Places

    @property
    def bound(self) -> Collection[tuple[str, int]]:
        """Addresses and ports on which a program of its own listens, of which the network knows nothing."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def apply(self, services: Sequence[Service]) -> None:
        """Balance these from now on. Open requests are finished where they are."""
        ...

    def freeze(self, frozen: bool) -> None:
        """The machine is paused, or no more."""
        ...

    def kill(self) -> None:
        """The machine has lost its power."""
        ...

    async def states(self) -> dict[tuple[str, str], str]:
        """(back end, server) -> ``UP``, ``DOWN``, ``MAINT`` or ``no check``."""
        ...

    async def pids(self) -> list[int]: ...

    def config_text(self) -> str: ...

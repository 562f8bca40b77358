"""What planning has to know of an instance."""

from __future__ import annotations

from typing import Protocol

from labkit.embedded.marathon.constraints import Placed

RUN = "Running"  # the goal of one that is to stay


class Deployed(Placed, Protocol):
    """An instance, however far it has come. Times are seconds of sandbox time."""

    @property
    def goal(self) -> str: ...

    @property
    def condition(self) -> str: ...

    @property
    def since(self) -> float:
        """Since when it has this condition."""

    @property
    def staged_at(self) -> float | None: ...

    @property
    def started_at(self) -> float | None: ...

    @property
    def considered_healthy(self) -> bool:
        """Healthy, or there is nothing that could say so."""

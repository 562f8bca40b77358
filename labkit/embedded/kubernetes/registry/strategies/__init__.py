"""What is a kind's own in how its objects are stored. A kind without a row here is :class:`Strategy` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.registry.strategies.base import Strategy

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

__all__ = ["Strategy", "strategies"]


def strategies(registry: Registry) -> dict[Kind, Strategy]:
    """A strategy for every kind that is stored."""
    from labkit.embedded.kubernetes.registry.strategies import core, pods, services, workloads

    rows: dict[Kind, type[Strategy]] = {
        **core.STRATEGIES,
        **pods.STRATEGIES,
        **services.STRATEGIES,
        **workloads.STRATEGIES,
    }
    return {kind: rows.get(kind, Strategy)(kind, registry) for kind in kinds.stored()}

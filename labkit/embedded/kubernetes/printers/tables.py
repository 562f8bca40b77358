"""Columns and rows."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def table(kind: Kind, objs: Iterable[Json], now: float, *, include: str = "Metadata") -> tuple[list[Json], list[Json]]:
    """``columnDefinitions`` and ``rows`` of a Table.

    ``now`` is seconds since the epoch on the sandbox's clock; ``include`` is the request's ``includeObject``: ``None``,
    ``Metadata`` or ``Object``.
    """
    raise NotImplementedError

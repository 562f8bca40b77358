"""From a snapshot to a picture: :func:`graph` (networkx) for the curious, layout and scene for the drawing,
``figure`` (plotly) for the live view, ``svg`` and ``export`` for pictures that stand alone.

Nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .export import save
    from .nxgraph import graph

__all__ = ["graph", "save"]

_HOMES = {"graph": "nxgraph", "save": "export"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)

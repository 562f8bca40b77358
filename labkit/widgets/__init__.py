"""What shows a sandbox in a notebook: :func:`graph` (the live picture) and :func:`dashboard` (picture and controls).

:func:`rollout` has the knobs of one Deployment, :func:`offers` makes you a framework of a Mesos. All but the knobs give
the same widget for the same sandbox each time: a figure sends 5 MB of JavaScript to the page, so one is shown in
several places rather than made again, and one person is one framework.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from .board import Dashboard
    from .figurewidget import GraphWidget
    from .knobs import Rollout
    from .offerdesk import Desk
    from .protocol import SandboxLike
    from .view import GraphView

__all__ = ["dashboard", "graph", "offers", "rollout"]

_lock = threading.Lock()
_views: WeakKeyDictionary[SandboxLike, GraphView] = WeakKeyDictionary()
_dashboards: WeakKeyDictionary[SandboxLike, Dashboard] = WeakKeyDictionary()
_desks: WeakKeyDictionary[SandboxLike, Desk] = WeakKeyDictionary()


def graph(sandbox: SandboxLike) -> GraphWidget:
    """The live network graph of a sandbox: a plotly ``FigureWidget`` that keeps itself up to date."""
    return _view(sandbox).widget


def dashboard(sandbox: SandboxLike) -> Dashboard:
    """Graph, controls, event log and history of a sandbox."""
    from .board import Dashboard

    view = _view(sandbox)
    with _lock:
        if sandbox not in _dashboards:
            _dashboards[sandbox] = Dashboard(sandbox, view)
        return _dashboards[sandbox]


def rollout(sandbox: SandboxLike, workload: str) -> Rollout:
    """Sliders for ``maxSurge`` and ``maxUnavailable`` of a Deployment, and a button that rolls out another image."""
    from .knobs import Rollout

    return Rollout(sandbox, workload)


def offers(sandbox: SandboxLike) -> Desk:
    """A desk at which you are a framework: the offers of a Mesos as cards, to be used or given back."""
    from .offerdesk import Desk

    with _lock:
        if sandbox not in _desks:
            _desks[sandbox] = Desk(sandbox)
        return _desks[sandbox]


def _view(sandbox: SandboxLike) -> GraphView:
    from .view import GraphView

    with _lock:
        if sandbox not in _views:
            _views[sandbox] = GraphView(sandbox)
        return _views[sandbox]

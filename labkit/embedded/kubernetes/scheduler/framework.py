"""What a plug-in is: a row that makes, for one pod, something to ask of each node.

The real framework's extension points, as far as they are used: a :class:`Filter`'s ``prepare`` is ``PreFilter``, its
:class:`Check` is ``Filter``; a :class:`Score`'s ``prepare`` is ``PreScore``, its :class:`Scoring` is ``Score`` and
``NormalizeScore``. ``prepare`` gives None where the plug-in has no say (the real one's ``Skip``).

All of it is pure: checks and scorings look at the pod's shape, the cluster and a node, and change none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape

MAX_SCORE = 100


class Refusal(NamedTuple):
    """Why a node will not do. ``final``: pushing other pods aside would not help (``UnschedulableAndUnresolvable``)."""

    plugin: str
    reasons: tuple[str, ...]
    final: bool = False


class Check:
    """What one filter asks of each node, for one pod."""

    names: frozenset[str] | None = None
    """If not None, only these nodes need to be looked at at all."""

    def refuse(self, node: NodeInfo) -> Refusal | None:
        """None: the node will do."""
        raise NotImplementedError

    def copy(self) -> Check:
        """One that :meth:`shift` may change. Those that look at nothing but the node itself may return themselves."""
        return self

    def shift(self, node: NodeInfo, pod: PodInfo, sign: int) -> None:
        """What if ``pod`` came to ``node`` (1), or left it (-1)? The node itself is told by the caller."""


class Filter(NamedTuple):
    plugin: str
    prepare: Callable[[Shape, Cluster], Check | Refusal | None]
    """A refusal stands for all nodes."""


class Scoring:
    """What one score gives each node, for one pod: the more the better, between 0 and 100 once normalised."""

    def score(self, node: NodeInfo) -> int:
        raise NotImplementedError

    def normalized(self, scores: Sequence[int]) -> Sequence[int]:
        """All nodes' scores, brought between 0 and 100. May depend on the greatest and the least of them only."""
        return scores


class Score(NamedTuple):
    plugin: str
    weight: int
    prepare: Callable[[Shape, Cluster, Sequence[NodeInfo]], Scoring | None]
    """Is given the nodes that passed the filters."""


def proportional(scores: Sequence[int], *, reverse: bool = False) -> Sequence[int]:
    """In proportion to the greatest (``helper.DefaultNormalizeScore``)."""
    most = max(scores, default=0)
    if most == 0:
        return [MAX_SCORE] * len(scores) if reverse else scores
    found = [MAX_SCORE * score // most for score in scores]
    return [MAX_SCORE - score for score in found] if reverse else found

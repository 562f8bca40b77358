"""Why here, why not there, why pending: the last decision about a pod, node by node, as plain data.

The table of a decision is kept as it was when it was made, as far as there is room; for older ones, and those of a
ranking, which has no table, it is worked out anew from the cluster as it is now (``asOf`` says which).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import Decision, Diagnosis, Scores, find_feasible, prioritize
from labkit.embedded.kubernetes.scheduler.framework import Refusal
from labkit.embedded.kubernetes.scheduler.pods import PodInfo
from labkit.embedded.kubernetes.scheduler.profile import FILTERS, SCORES
from labkit.embedded.kubernetes.times import rfc3339

REMEMBERED = 1_000  # pods
ROWS = 5_000  # rows of kept tables, a row being a node
LARGEST_TABLE = 100

NOW, DECISION = "now", "decision"


class _Row(tuple[Any, ...]):
    """A node: its name, its refusal or None, raw scores, normalised scores (in the order of the profile), total."""

    __slots__ = ()


@dataclass(slots=True)
class _Record:
    uid: str
    time: float
    node: str
    message: str
    nominated: str
    rows: tuple[_Row, ...] | None


class Explanations:
    """What is remembered of decisions, the newest last."""

    def __init__(self) -> None:
        self._records: OrderedDict[Key, _Record] = OrderedDict()
        self._rows = 0
        self._with_rows: OrderedDict[Key, None] = OrderedDict()

    def note(
        self,
        pod: PodInfo,
        time: float,
        decision: Decision | None,
        nodes: Iterable[str] = (),
        *,
        node: str = "",
        message: str = "",
        nominated: str = "",
    ) -> None:
        """Remember how it went. ``decision`` None: there is no table; else ``nodes`` are all that there were."""
        self.forget(pod.key)
        rows = None
        if decision is not None and decision.diagnosis.nodes <= LARGEST_TABLE:
            rows = _rows(decision.diagnosis, decision.scores, nodes)
            self._rows += len(rows)
            self._with_rows[pod.key] = None
        self._records[pod.key] = _Record(pod.uid, time, node, message, nominated, rows)
        while self._rows > ROWS:
            self._drop_rows(next(iter(self._with_rows)))
        if len(self._records) > REMEMBERED:
            self.forget(next(iter(self._records)))

    def forget(self, key: Key) -> None:
        if key in self._records:
            self._drop_rows(key)
            del self._records[key]

    def _drop_rows(self, key: Key) -> None:
        record = self._records[key]
        if record.rows is not None:
            self._rows -= len(record.rows)
            record.rows = None
            del self._with_rows[key]

    def get(self, key: Key) -> _Record | None:
        return self._records.get(key)


_NOT_ASKED = Refusal("", ())


def _rows(diagnosis: Diagnosis, scores: Scores | None, nodes: Iterable[str]) -> tuple[_Row, ...]:
    feasible = {node.name for node in scores.nodes} if scores is not None else set()
    found = [
        _Row((name, diagnosis.refused.get(name) or diagnosis.absent or _NOT_ASKED, (), (), None))
        for name in nodes
        if name not in feasible
    ]
    if scores is None:
        return tuple(found)
    raws = [scores.raw.get(score.plugin) for score in SCORES]
    evens = [scores.normalized.get(score.plugin) for score in SCORES]
    for index, node in enumerate(scores.nodes):
        if not scores.totals:
            found.append(_Row((node.name, None, (), (), None)))
            continue
        raw = tuple([None if column is None else column[index] for column in raws])
        even = tuple([None if column is None else column[index] for column in evens])
        found.append(_Row((node.name, None, raw, even, scores.totals[index])))
    return tuple(found)


def explain(pod: PodInfo, record: _Record | None, cluster: Cluster, now: float, state: Mapping[str, Any]) -> Json:
    """All that is known about the place of a pod, ready to become JSON. ``state`` is put in as it is."""
    if record is not None and record.uid != pod.uid:
        record = None
    message = record.message if record is not None else ""
    if record is not None and record.rows is not None:
        rows, as_of, time = record.rows, DECISION, record.time
    else:
        rows, as_of, time = _again(pod, cluster), NOW, now
    return {
        "pod": {"namespace": pod.key[0], "name": pod.key[1], "uid": pod.uid, "priority": pod.shape.priority},
        **state,
        "node": pod.node or None,
        "nominatedNode": (record.nominated if record is not None else pod.nominated) or None,
        "message": message,
        "decidedAt": rfc3339(record.time) if record is not None else None,
        "asOf": as_of,
        "asOfTime": rfc3339(time),
        "filters": [filter.plugin for filter in FILTERS],
        "scores": [{"plugin": score.plugin, "weight": score.weight} for score in SCORES],
        "nodes": [_node(row) for row in sorted(rows, key=itemgetter(0))],
    }


def _again(pod: PodInfo, cluster: Cluster) -> tuple[_Row, ...]:
    """The table as a decision now would have it; a pod that has its place is looked at as if it had none."""
    placed = cluster.pods.get(pod.key)
    home = cluster.nodes.get(placed.node) if placed is not None else None
    if placed is not None and home is not None:
        home.remove(placed)
    try:
        candidate = replace(pod, node="", nominated="")
        diagnosis = Diagnosis(len(cluster.nodes))
        feasible = find_feasible(candidate, cluster, diagnosis)
        scores = prioritize(pod.shape, cluster, feasible) if feasible else None
        return _rows(diagnosis, scores, cluster.nodes)
    finally:
        if placed is not None and home is not None:
            home.add(placed)


def _node(row: _Row) -> Json:
    name, refusal, raw, even, total = row
    return {
        "name": name,
        "feasible": refusal is None,
        "filters": _verdicts(refusal),
        "scores": [
            {
                "plugin": score.plugin,
                "raw": raw[index],
                "normalized": even[index],
                "weighted": even[index] * score.weight,
            }
            for index, score in enumerate(SCORES)
            if raw and raw[index] is not None
        ],
        "total": total,
    }


def _verdicts(refusal: Refusal | None) -> list[Json]:
    """Of each filter: passed, or why not; those after the first that refused were not asked (None)."""
    found: list[Json] = []
    passed: bool | None = None if refusal is _NOT_ASKED else True
    for filter in FILTERS:
        if refusal is not None and filter.plugin == refusal.plugin:
            found.append({"plugin": filter.plugin, "passed": False, "message": ", ".join(refusal.reasons)})
            passed = None
        else:
            found.append({"plugin": filter.plugin, "passed": passed, "message": ""})
    return found

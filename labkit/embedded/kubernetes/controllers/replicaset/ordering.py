"""Which pods go first when there are too many (``ActivePodsWithRanks`` in controller_utils.go).

Those go first that are: not assigned to a node; pending, then unknown, then running; not ready; cheaper to delete
(``controller.kubernetes.io/pod-deletion-cost``); on a node with more pods of the same kin; ready for a shorter time;
restarted more often; younger. Ages are compared by their order of magnitude only (base 2), and chance, in the form of
the uid, decides among those alike: so that scaling down does not always end the pods of one moment.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.pods import ready_since, restarts
from labkit.embedded.kubernetes.objects import Json, annotations_of, is_pod_active, is_pod_ready, status_of, uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_cost(pod: Json) -> int:
    """What its annotation says, 0 when it says nothing that is a number of 32 bits."""
    text = annotations_of(pod).get(DELETION_COST, "0")
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and digits != "0") or text == "-0":
        return 0  # a leading zero or plus sign is refused by the API server anyway
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def doubled_up(pods: Iterable[Json], kin: Iterable[Json]) -> dict[str, int]:
    """By pod uid, how many active pods of its kin (``kin``: those of all ReplicaSets of one owner) its node has."""
    on_node = Counter(pod["spec"].get("nodeName", "") for pod in kin if is_pod_active(pod))
    return {uid_of(pod): on_node[pod["spec"].get("nodeName", "")] for pod in pods}


@dataclass(slots=True)
class _Ranked:
    pod: Json
    standing: tuple[int, ...]  # lower goes first
    ready_at: float | None
    created_at: float
    restarts: int


def to_delete(pods: list[Json], count: int, kin: Iterable[Json], now: float) -> list[Json]:
    """The ``count`` pods that go first."""
    if count >= len(pods):
        return pods
    ranks = doubled_up(pods, kin)

    def compare(a: _Ranked, b: _Ranked) -> int:
        return _compare(a, b, now)

    ranked = sorted((_ranked(pod, ranks) for pod in pods), key=cmp_to_key(compare))
    return [one.pod for one in ranked[:count]]


def _ranked(pod: Json, ranks: Mapping[str, int]) -> _Ranked:
    ready = is_pod_ready(pod)
    standing = (
        1 if pod["spec"].get("nodeName") else 0,
        _PHASES.get(status_of(pod).get("phase", "Pending"), 0),
        1 if ready else 0,
        deletion_cost(pod),
        -ranks[uid_of(pod)],
    )
    created = pod["metadata"].get("creationTimestamp")
    return _Ranked(pod, standing, ready_since(pod), times.parse(created) if created else 0.0, restarts(pod))


def _compare(a: _Ranked, b: _Ranked, now: float) -> int:
    """Negative: ``a`` goes before ``b``."""
    if a.standing != b.standing:
        return -1 if a.standing < b.standing else 1
    if a.ready_at is not None and b.ready_at is not None and a.ready_at != b.ready_at:
        return _by_age(a, b, a.ready_at, b.ready_at, now)
    if a.restarts != b.restarts:
        return b.restarts - a.restarts
    if a.created_at != b.created_at:
        return _by_age(a, b, a.created_at, b.created_at, now)
    return 0


def _by_age(a: _Ranked, b: _Ranked, since_a: float, since_b: float, now: float) -> int:
    difference = _magnitude(now - since_a) - _magnitude(now - since_b)
    if difference:
        return difference
    first, second = uid_of(a.pod), uid_of(b.pod)
    return (first > second) - (first < second)


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1

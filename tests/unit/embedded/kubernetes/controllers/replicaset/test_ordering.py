import random
from typing import Any

import pytest

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.replicaset.ordering import DELETION_COST, deletion_cost, to_delete
from labkit.embedded.kubernetes.objects import Json

NOW = 1_750_000_000.0


def pod(
    name: str, node: str = "n1", phase: str = "Running", ready: float | None = 100, age: float = 200, **more: Any
) -> Json:
    """``ready`` and ``age`` are seconds ago."""
    conditions = []
    if ready is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": times.rfc3339(NOW - ready)}]
    restarts = more.pop("restarts", 0)
    return {
        "metadata": {
            "name": name,
            "uid": more.pop("uid", name),
            "creationTimestamp": times.rfc3339(NOW - age),
            "annotations": {DELETION_COST: str(more.pop("cost", 0))},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]},
    }


def first(*pods: Json, kin: list[Json] | None = None) -> str:
    mixed = list(pods)
    random.Random(1).shuffle(mixed)
    (chosen,) = to_delete(mixed, 1, list(pods) if kin is None else kin, NOW)
    return str(chosen["metadata"]["name"])


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        (pod("a", node="", phase="Pending", ready=None), pod("b", phase="Pending", ready=None)),
        (pod("a", phase="Pending", ready=None), pod("b", phase="Unknown", ready=None)),
        (pod("a", phase="Unknown", ready=None), pod("b", phase="Running", ready=None)),
        (pod("a", ready=None), pod("b")),
        (pod("a", cost=-1), pod("b", cost=0)),
        (pod("a", cost=5, ready=100), pod("b", cost=10, ready=1)),
        (pod("a", ready=10), pod("b", ready=1000)),
        (pod("a", restarts=3), pod("b", restarts=1)),
        (pod("a", age=10), pod("b", age=1000)),
    ],
)
def test_who_goes_first(goes: Json, stays: Json) -> None:
    assert first(goes, stays, kin=[]) == "a"


def test_those_on_a_node_with_more_of_their_kin_go_first() -> None:
    pods = [pod("a", node="n1"), pod("b", node="n2")]
    assert first(*pods, kin=[*pods, pod("old", node="n2")]) == "b"


def test_ages_of_one_order_of_magnitude_are_alike_and_the_uid_decides() -> None:
    # 1000 and 1010 seconds have the same logarithm; the lower uid goes, although it is the older pod.
    older, younger = pod("older", ready=1010, uid="1"), pod("younger", ready=1000, uid="2")
    assert first(older, younger, kin=[]) == "older"


def test_all_go_when_all_are_too_many() -> None:
    pods = [pod("a"), pod("b")]
    assert to_delete(pods, 2, pods, NOW) == pods


@pytest.mark.parametrize(
    ("text", "cost"), [("7", 7), ("-7", -7), ("", 0), ("+7", 0), ("07", 0), ("x", 0), ("9" * 12, 0)]
)
def test_a_deletion_cost_that_is_no_number_counts_as_none(text: str, cost: int) -> None:
    assert deletion_cost({"metadata": {"annotations": {DELETION_COST: text}}}) == cost

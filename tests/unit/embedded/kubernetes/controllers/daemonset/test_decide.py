from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.daemonset.decide import Plan, Rules, limits, placing, rolling, status
from labkit.embedded.kubernetes.controllers.history import HASH_LABEL
from labkit.embedded.kubernetes.objects import Json, name_of

NOW = 1_750_000_000.0
RUN, STAY, LEAVE = (True, True), (False, True), (False, False)


def rules(surge: int = 0, unavailable: int = 1) -> Rules:
    return Rules("new", 0, surge, unavailable, NOW)


def pod(name: str, digest: str = "new", ready: bool = True, phase: str = "Running", age: int = 10, **meta: Any) -> Json:
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {HASH_LABEL: digest},
            "creationTimestamp": times.rfc3339(NOW - age),
            **meta,
        },
        "spec": {"nodeName": "n"},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": "Ready", "status": str(ready), "lastTransitionTime": times.rfc3339(NOW - age)},
            ],
        },
    }


def placed(should: dict[str, tuple[bool, bool]], pods: dict[str, list[Json]], **given: Any) -> Plan:
    return placing(should, pods, given.pop("rules", rules()), surges=given.pop("surges", False), **given)


def never(pod: Json) -> bool:
    return False


def names(pods: list[Json]) -> list[str]:
    return [name_of(one) for one in pods]


def test_a_pod_where_one_shall_be_none_elsewhere() -> None:
    plan = placed({"a": RUN, "b": STAY, "c": LEAVE}, {"b": [pod("b1")], "c": [pod("c1")]}, backs_off=never)
    assert plan.nodes == ["a"]
    assert names(plan.delete) == ["c1"]


def test_of_several_the_oldest_stays() -> None:
    plan = placed({"a": RUN}, {"a": [pod("young", age=5), pod("old", age=50)]}, backs_off=never)
    assert names(plan.delete) == ["young"]


def test_what_ended_goes_and_a_failed_one_may_have_to_wait() -> None:
    there = {"a": [pod("failed", phase="Failed")], "b": [pod("done", phase="Succeeded")]}
    plan = placed({"a": RUN, "b": RUN}, there, backs_off=never)
    assert names(plan.delete) == ["failed", "done"]
    assert names(plan.failed) == ["failed"]
    assert names(plan.succeeded) == ["done"]
    assert names(placed({"a": RUN, "b": RUN}, there, backs_off=lambda _: True).delete) == ["done"]


def test_pods_for_a_node_that_is_gone_go_unless_they_are_bound() -> None:
    waiting = pod("waiting")
    waiting["spec"] = {}
    assert names(placed({}, {"gone": [waiting, pod("bound")]}, backs_off=never).delete) == ["waiting"]


def test_with_surge_a_new_and_an_old_one_may_be_there_until_the_new_one_serves() -> None:
    pair = {"a": [pod("old", "old", age=50), pod("new", ready=False)]}
    given = {"backs_off": never, "surges": True, "rules": rules(surge=1)}
    assert placed({"a": RUN}, pair, **given).delete == []
    served = {"a": [pod("old", "old", age=50), pod("new")]}
    assert names(placed({"a": RUN}, served, **given).delete) == ["old"]


def test_as_many_old_ones_go_as_may_be_missing() -> None:
    should = dict.fromkeys("abcd", RUN)
    pods = {node: [pod(node, "old")] for node in "abcd"}
    assert len(rolling(should, pods, rules(unavailable=2)).delete) == 2
    pods["a"] = [pod("a2", ready=False)]
    assert len(rolling(should, pods, rules(unavailable=2)).delete) == 1
    pods["b"] = []
    assert rolling(should, pods, rules(unavailable=2)).delete == []


def test_an_old_one_that_does_not_serve_is_replaced_at_once() -> None:
    pods = {"a": [pod("a", "old", ready=False)], "b": [pod("b", "old")]}
    assert names(rolling({"a": RUN, "b": RUN}, pods, rules()).delete) == ["a"]


def test_surge_makes_new_ones_first() -> None:
    should = dict.fromkeys("abc", RUN)
    pods = {node: [pod(node, "old")] for node in "abc"}
    plan = rolling(should, pods, rules(surge=2, unavailable=0))
    assert len(plan.nodes) == 2
    assert plan.delete == []
    pods["a"] = [pod("a", "old"), pod("a2")]
    assert names(rolling(should, pods, rules(surge=2, unavailable=0)).delete) == ["a"]


@pytest.mark.parametrize(
    ("surge", "unavailable", "expected"), [(0, 1, (0, 1)), ("10%", 0, (1, 0)), (0, "30%", (0, 2)), (0, 0, (0, 1))]
)
def test_limits_round_up(surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    assert limits(surge, unavailable, 5) == expected


def test_the_status_counts_nodes() -> None:
    should = {"a": RUN, "b": RUN, "c": LEAVE, "d": RUN}
    pods = {"a": [pod("a")], "b": [pod("b", "old", ready=False)], "c": [pod("c")]}
    assert status(should, pods, rules(), 2, {"collisionCount": 1}) == {
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "desiredNumberScheduled": 3,
        "numberReady": 1,
        "observedGeneration": 2,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "collisionCount": 1,
    }


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8), st.integers(1, 4))
def test_no_more_are_missing_than_may_be(rows: list[tuple[bool, bool]], unavailable: int) -> None:
    """Rows: is the node's pod new, is it ready."""
    pods = {str(n): [pod(str(n), "new" if new else "old", ready)] for n, (new, ready) in enumerate(rows)}
    plan = rolling(dict.fromkeys(pods, RUN), pods, rules(unavailable=unavailable))
    missing = sum(not ready for _, ready in rows)
    taken = sum(rows[int(name_of(one))][1] for one in plan.delete)  # of those that served
    assert missing + taken <= max(unavailable, missing)

"""Path elements of items, also of those that have been met before."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes.patch.apply import elements
from labkit.embedded.kubernetes.patch.apply.elements import elements_of
from labkit.embedded.kubernetes.patch.shapes import Shape

NAMED = Shape(
    {"type": "array", "items": {}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["testname"]}
)
PORTS = Shape(
    {"type": "array", "items": {}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]}
)


@pytest.mark.parametrize("round", ["first", "again"])
def test_a_key_is_its_value_and_its_type(round: str) -> None:
    for value, text in (("1", '"1"'), (1, "1"), (True, "true"), ("true", '"true"'), ("é", '"é"')):
        assert elements_of([{"testname": value}], NAMED) == {f'k:{{"testname":{text}}}': {"testname": value}}


@pytest.mark.parametrize("round", ["first", "again"])
def test_all_keys_count(round: str) -> None:
    items = [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}, {"port": 1}]
    assert elements_of(items[:2], PORTS) == {
        'k:{"port":1,"protocol":"TCP"}': items[0],
        'k:{"port":1,"protocol":"UDP"}': items[1],
    }
    assert elements_of(items, PORTS) is None  # TCP is what is meant if nothing is said


@pytest.mark.parametrize("odd", [None, "a", ["a"], 1, {}, {"testname": None}])
def test_a_list_with_something_unfit_is_one_thing(odd: Any) -> None:
    known = {"testname": "a"}
    assert elements_of([known], NAMED) is not None
    assert elements_of([known, odd], NAMED) is None
    assert elements_of([known, dict(known)], NAMED) is None  # and so is one that has an item twice


def test_what_was_met_before_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_LIMIT", 3)
    monkeypatch.setattr(elements, "_plain", {})
    for number in range(10):
        value = f"pod-{number}"
        assert elements_of([{"testname": value}], NAMED) == {f'k:{{"testname":"{value}"}}': {"testname": value}}
        assert len(elements._plain["testname"]) <= 3

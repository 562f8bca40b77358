"""Resources, attributes and ids."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.mesos import attributes, ids, roles
from labkit.embedded.mesos.resources import EMPTY, Resources, ResourcesError

PORTS = st.sets(st.integers(1, 60), max_size=40)


def ports(numbers: set[int]) -> Resources:
    return Resources.of(
        [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": n, "end": n} for n in numbers]}}]
    )


def test_text_and_json() -> None:
    bag = Resources.parse("cpus:4;mem:4096;ports:[31000-31099, 31101-31199];disk(ads):10.5;zones:{a,b}")
    assert str(bag) == (
        "cpus:4; mem:4096; disk(reservations: [(STATIC,ads)]):10.5; ports:[31000-31099, 31101-31199]; zones:{a, b}"
    )
    assert Resources.of(bag.json()) == bag
    assert bag.summary() == {
        "disk": 10.5,
        "mem": 4096.0,
        "gpus": 0.0,
        "cpus": 4.0,
        "ports": "[31000-31099, 31101-31199]",
        "zones": "{a, b}",
    }
    assert bag.roles == {"ads"}
    assert bag.available_to("web").disk == 0
    assert bag.available_to("ads/batch").disk == 10.5
    assert bag.json("web")[0]["allocation_info"] == {"role": "web"}


@pytest.mark.parametrize("text", ["cpus", "cpus:x", "cpus:-1", "ports:[5-3]", "ports:[a-b]", "ports:[1-2", "s:{a"])
def test_bad_text(text: str) -> None:
    with pytest.raises(ResourcesError):
        Resources.parse(text)


@pytest.mark.parametrize(
    "item", [{}, {"name": "x", "type": "SCALAR"}, {"name": "x", "type": "NO"}, {"name": "x", "type": "RANGES"}, 5]
)
def test_bad_json(item: object) -> None:
    with pytest.raises(ResourcesError):
        Resources.of([item])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"name": "", "type": "SCALAR", "scalar": {"value": 1}}, "Resource ':1' is invalid: Empty resource name"),
        ({"name": "cpus", "type": "SCALAR"}, "Resource 'cpus:0' is invalid: Invalid scalar resource"),
        (
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": -1.5}, "allocation_info": {"role": "web"}},
            "Resource 'cpus(allocated: web):-1.5' is invalid: Invalid scalar resource: value <= 0",
        ),
        (
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.0001}},
            "Resource 'cpus:0.0001' is invalid: Invalid scalar resource: value <= 0",
        ),
        ({"name": "ports", "type": "RANGES"}, "Resource 'ports:[]' is invalid: Invalid ranges resource"),
        (
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 9, "end": 3}]}},
            "Resource 'ports:[9-3]' is invalid: Invalid ranges resource: begin > end",
        ),
        (
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 5}, {"begin": 5, "end": 9}]}},
            "Resource 'ports:[1-5, 5-9]' is invalid: Invalid ranges resource: overlapping ranges",
        ),
        (
            {"name": "disks", "type": "SET", "set": {"item": ["a", "a"]}},
            "Resource 'disks:{a, a}' is invalid: Invalid set resource: duplicated elements",
        ),
        ({"name": "x", "type": "TEXT"}, "Resource 'x:{}' is invalid: Unsupported resource type"),
    ],
)
def test_what_is_wrong_with_a_resource(item: Any, words: str) -> None:
    with pytest.raises(ResourcesError) as caught:
        Resources.of([item])
    assert str(caught.value) == words


def test_nothing_of_a_resource_is_none() -> None:
    assert Resources.of([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0}}]) == EMPTY


def test_thousandths_add_up() -> None:
    tenth = Resources.parse("cpus:0.1")
    assert tenth + tenth + tenth == Resources.parse("cpus:0.3")
    assert Resources.parse("cpus:0.3") - tenth - tenth - tenth == EMPTY
    assert not Resources.parse("cpus:0")


@given(PORTS, PORTS)
def test_ports_are_sets_of_numbers(one: set[int], other: set[int]) -> None:
    a, b = ports(one), ports(other)
    assert set((a + b).ports()) == one | other
    assert a + b == ports(one | other)
    assert a - b == ports(one - other)
    assert a.contains(b) == (other <= one)


def test_dominant_share() -> None:
    total = Resources.parse("cpus:10;mem:1000")
    assert Resources.parse("cpus:1;mem:300").dominant(total) == ("mem", 0.3)


def test_attributes() -> None:
    found = attributes.parse("rack:a;level:10.5;ports:[1-3]\nzone:b")
    assert attributes.summary(found) == {"rack": "a", "level": 10.5, "ports": "[1-3]", "zone": "b"}
    assert attributes.text_of(found[1]) == "10.5"
    with pytest.raises(attributes.AttributesError):
        attributes.parse("rack")


def test_ids() -> None:
    made = ids.MasterIds(random.Random(1))
    assert made.agent() == f"{made.master}-S0"
    assert made.framework() == f"{made.master}-0000"
    assert made.offer() == f"{made.master}-O0"
    assert ids.is_update_id(ids.update_id(random.Random(1)))
    assert not ids.is_update_id("short")
    assert not ids.is_update_id(None)


@pytest.mark.parametrize("role", ["", "/a", "a/", "a//b", ".", "a/..", "-a", "a b", "a/*"])
def test_bad_roles(role: str) -> None:
    assert roles.why_invalid(role)


@pytest.mark.parametrize("role", ["*", "ads", "ads/batch", "a-b.c_d"])
def test_good_roles(role: str) -> None:
    assert roles.why_invalid(role) is None

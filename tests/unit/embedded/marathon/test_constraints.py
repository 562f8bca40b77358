"""Constraints against a plain reading of Marathon's documentation."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.marathon.constraints import (
    Agent,
    Placements,
    attribute_text,
    compile_constraint,
    scalar_text,
    to_kill,
)

Json = dict[str, Any]


@dataclass(frozen=True)
class At:
    id: str
    host: str
    rack: str | None = None
    version: str = "v1"
    region: str | None = None
    zone: str | None = None

    @property
    def attributes(self) -> tuple[Json, ...]:
        return () if self.rack is None else ({"name": "rack", "text": {"value": self.rack}},)


def met(raw: list[str], offer: At, placed: list[At], wanted: int = 10) -> bool:
    constraint = compile_constraint(raw)
    return constraint.met(offer, Placements.of([constraint], "v1", placed), wanted)


R1, R2, R3, NONE = (At(rack or "none", f"host-{rack}", rack) for rack in ("r1", "r2", "r3", None))


@pytest.mark.parametrize(
    ("raw", "offer", "placed", "expected"),
    [
        (["rack", "UNIQUE"], R1, [], True),
        (["rack", "UNIQUE"], R1, [R2], True),
        (["rack", "UNIQUE"], R1, [R1], False),
        (["hostname", "UNIQUE"], R1, [R1], False),
        (["@hostname", "UNIQUE"], R2, [R1], True),
        (["rack", "CLUSTER"], R1, [], True),
        (["rack", "CLUSTER"], R1, [R1], True),
        (["rack", "CLUSTER"], R2, [R1], False),
        (["rack", "CLUSTER", "r1"], R1, [R2], True),
        (["rack", "CLUSTER", "r1"], R2, [], False),
        (["rack", "LIKE", "r[12]"], R2, [], True),
        (["rack", "LIKE", "r"], R2, [], False),
        (["rack", "LIKE", ".*"], R2, [], True),
        (["rack", "UNLIKE", "r[12]"], R2, [], False),
        (["rack", "UNLIKE", "r"], R2, [], True),
        (["rack", "MAX_PER", "2"], R1, [R1], True),
        (["rack", "MAX_PER", "2"], R1, [R1, R1], False),
        (["rack", "MAX_PER", "2"], R2, [R1, R1], True),
        (["rack", "IS", "r1"], R1, [], True),
        (["rack", "IS", "r1"], R2, [], False),
        (["rack", "GROUP_BY"], R1, [R1], True),
        (["rack", "GROUP_BY"], R1, [R1, R2], True),
        (["rack", "GROUP_BY"], R1, [R1, R1, R2], False),
        (["rack", "GROUP_BY"], R3, [R1, R1, R2], True),
    ],
)
def test_operators(raw: list[str], offer: At, placed: list[At], expected: bool) -> None:
    assert met(raw, offer, placed) is expected


@pytest.mark.parametrize(
    ("value", "wanted", "offer", "placed", "expected"),
    [
        ("2", 4, R1, [], True),
        ("2", 4, R1, [R1], True),
        ("2", 4, R1, [R1, R1], False),
        ("2", 5, R1, [R1, R1], True),
        ("2", 5, R1, [R1, R1, R1], False),
        ("2", 5, R2, [R1, R1, R1, R2, R2], False),
        ("2", 4, R3, [R1, R2], False),
        ("4", 4, R3, [R1, R2], True),
        ("3", 3, R1, [R1], False),
    ],
)
def test_group_by_with_a_number(value: str, wanted: int, offer: At, placed: list[At], expected: bool) -> None:
    """With a number of groups an instance may go ahead before all groups are known, up to its group's share."""
    assert met(["rack", "GROUP_BY", value], offer, placed, wanted) is expected


@pytest.mark.parametrize(
    "raw",
    [
        ["rack", "UNIQUE"],
        ["rack", "CLUSTER"],
        ["rack", "CLUSTER", "x"],
        ["rack", "GROUP_BY"],
        ["rack", "GROUP_BY", "2"],
        ["rack", "LIKE", ".*"],
        ["rack", "MAX_PER", "1"],
        ["rack", "IS", "x"],
        ["@zone", "LIKE", ".*"],
    ],
)
def test_an_agent_without_the_attribute_fails_all(raw: list[str]) -> None:
    assert not met(raw, NONE, [])


def test_but_unlike() -> None:
    assert met(["rack", "UNLIKE", ".*"], NONE, [R1])


def test_fault_domains() -> None:
    here = At("a", "h", region="r1", zone="z1")
    assert met(["@zone", "IS", "z1"], here, [])
    assert not met(["@region", "UNIQUE"], here, [At("b", "g", region="r1", zone="z2")])


def test_instances_of_an_older_configuration_do_not_count() -> None:
    assert met(["rack", "UNIQUE"], R1, [At("old", "h", "r1", version="v0")])


def test_an_agent_from_an_offer() -> None:
    agent = Agent.of_offer(
        {
            "agent_id": {"value": "s1"},
            "hostname": "h",
            "domain": {"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}},
            "attributes": [{"name": "cores", "type": "SCALAR", "scalar": {"value": 8}}],
        }
    )
    assert (agent.region, agent.zone) == ("r", "z")
    for value, expected in (("8.0", True), ("8.0004", True), ("8.1", False)):
        constraint = compile_constraint(["cores", "IS", value])
        assert constraint.met(agent, Placements([constraint], "v1"), 1) is expected


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"text": {"value": "a"}}, "a"),
        ({"scalar": {"value": 1.0}}, "1"),
        ({"scalar": {"value": 100}}, "100"),
        ({"scalar": {"value": 1.00051}}, "1.001"),
        ({"scalar": {"value": 1.25}}, "1.25"),
        ({"ranges": {"range": [{"begin": 200, "end": 300}, {"begin": 1, "end": 2}]}}, "[1-2,200-300]"),
        ({"set": {"item": ["b", "a"]}}, "{a,b}"),
    ],
)
def test_attributes_compare_as_text(attribute: Json, text: str) -> None:
    assert attribute_text(attribute) == text


# -- the documentation, said without any cleverness


def documented(raw: list[str], offer: At, placed: list[At], wanted: int) -> bool:
    _, operator, value = [*raw, ""][:3]
    mine = offer.rack
    if mine is None:
        return operator == "UNLIKE"
    racks = [each.rack for each in placed]
    sizes = Counter(racks)
    if operator == "UNIQUE":
        return all(rack != mine for rack in racks)
    if operator == "CLUSTER":
        return mine == value if value else not racks or racks[0] == mine
    if operator == "LIKE":
        return re.fullmatch(value, mine) is not None
    if operator == "UNLIKE":
        return re.fullmatch(value, mine) is None
    if operator == "MAX_PER":
        return sizes[mine] + 1 <= int(value)
    if operator == "IS":
        return mine == value
    if not value:  # never more in a known rack than in the least used of all that are known
        return sizes[mine] == 0 or all(size >= sizes[mine] for size in sizes.values())
    groups = int(value)
    if sizes[mine] == 0:
        return len(sizes) < groups
    # There is a way to spread all instances evenly that has one more here.
    share, rest = wanted // groups, wanted % groups
    over = sum(size - share for size in sizes.values() if size > share)
    return sizes[mine] + 1 <= share or (sizes[mine] == share and over + 1 <= rest)


racks = st.sampled_from(["r1", "r2", "r3", "x", None])
raws = st.sampled_from(
    [["rack", "UNIQUE"], ["rack", "CLUSTER"], ["rack", "CLUSTER", "r1"], ["rack", "LIKE", "r[12]"]]
    + [["rack", "UNLIKE", "r.*"], ["rack", "IS", "r3"], ["rack", "GROUP_BY"]]
    + [["rack", operator, str(n)] for n in (1, 2, 3) for operator in ("MAX_PER", "GROUP_BY")]
)


@settings(max_examples=400, deadline=None)
@given(raws, racks, st.lists(racks, max_size=8), st.integers(0, 9))
def test_as_documented(raw: list[str], rack: str | None, others: list[str | None], wanted: int) -> None:
    placed = [At(str(index), f"h{index}", other) for index, other in enumerate(others)]
    offer = At("offer", "h", rack)
    assert met(raw, offer, placed, wanted) is documented(raw, offer, placed, wanted)


@settings(max_examples=150, deadline=None)
@given(raws, st.lists(st.tuples(st.booleans(), racks), max_size=12))
def test_placements_kept_are_placements_made_anew(raw: list[str], steps: list[tuple[bool, str | None]]) -> None:
    constraint = compile_constraint(raw)
    kept = Placements([constraint], "v1")
    there: list[At] = []
    for add, rack in steps:
        if add or not there:
            there.append(At(str(len(there)), "h", rack))
            kept.add(there[-1])
        else:
            kept.remove(there.pop())
    assert kept.counts == Placements.of([constraint], "v1", there).counts


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.integers(0, 12))
def test_group_by_ends_even(groups: int, wanted: int) -> None:
    """Whoever takes every offer that will do ends with an even spread."""
    placed: list[At] = []
    for _ in range(wanted):
        offer = next(
            At(str(len(placed)), "h", f"r{n}")
            for n in range(groups)
            if met(["rack", "GROUP_BY", str(groups)], At("o", "h", f"r{n}"), placed, wanted)
        )
        placed.append(offer)
    sizes = Counter(each.rack for each in placed)
    assert not sizes or max(sizes.values()) - min([*sizes.values(), *[0] * (groups - len(sizes))]) <= 1


# -- whom to kill


def spread(placed: list[At]) -> int:
    sizes = Counter(each.rack for each in placed)
    return max(sizes.values()) - min(sizes.values())


def test_the_biggest_group_loses_first() -> None:
    placed = [At(str(n), "h", rack) for n, rack in enumerate(["r1", "r1", "r1", "r2"])]
    chosen = to_kill([compile_constraint(["rack", "GROUP_BY"])], placed, 2)
    assert [each.rack for each in chosen] == ["r1", "r1"]


@pytest.mark.parametrize("operator", [["rack", "UNIQUE"], ["rack", "MAX_PER", "3"], ["rack", "CLUSTER"]])
def test_only_group_by_has_a_say(operator: list[str]) -> None:
    assert to_kill([compile_constraint(operator)], [R1, R1, R2], 1) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["r1", "r2", "r3"]), min_size=1, max_size=10), st.integers(0, 10))
def test_killing_never_makes_it_less_even(where: list[str], count: int) -> None:
    placed = [At(str(n), "h", rack) for n, rack in enumerate(where)]
    chosen = to_kill([compile_constraint(["rack", "GROUP_BY"])], placed, count)
    assert len(chosen) == len({each.id for each in chosen}) <= max(count, 0) or count >= len(placed)
    left = Counter(each.rack for each in placed)
    left.subtract(each.rack for each in chosen)
    if count < len(placed):
        assert max(left.values()) - min(left.values()) <= max(1, spread(placed))


def test_numbers_as_text() -> None:
    assert [scalar_text(value) for value in (0.0, 1.0005, 1.1005, 10.0, 0.5)] == ["0", "1", "1.101", "10", "0.5"]

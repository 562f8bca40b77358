"""How many to start, whom to kill, and rolling restarts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.marathon.planning import kill_order, propose, restart_strategy, to_replace
from labkit.embedded.marathon.specs import App, Config, empty_root, parse_app


@dataclass
class Instance:
    id: str
    condition: str = "Running"
    started_at: float | None = 1.0
    staged_at: float | None = 0.0
    since: float = 0.0
    goal: str = "Running"
    considered_healthy: bool = True
    version: str = "v1"
    host: str = "h"
    region: str | None = None
    zone: str | None = None
    attributes: tuple[Any, ...] = ()


def app(instances: int, version: str = "v1", health: float = 1.0, over: float = 1.0, **fields: Any) -> App:
    strategy = {"minimumHealthCapacity": health, "maximumOverCapacity": over}
    data = {"id": "/a", "cmd": "sleep 1", "instances": instances, "upgradeStrategy": strategy, **fields}
    return parse_app(data, empty_root(), Config(), version)


def some(count: int, prefix: str = "i", **fields: Any) -> list[Instance]:
    return [Instance(f"{prefix}{n}", started_at=float(n), **fields) for n in range(count)]


def ids(instances: list[Instance]) -> list[str]:
    return [each.id for each in instances]


# -- scaling


@pytest.mark.parametrize(
    ("there", "wanted", "start", "kill"),
    [(0, 3, 3, 0), (3, 3, 0, 0), (2, 5, 3, 0), (5, 2, 0, 3), (2, 0, 0, 2)],
)
def test_scale(there: int, wanted: int, start: int, kill: int) -> None:
    found = propose(app(wanted), some(there))
    assert (found.to_start, len(found.to_decommission)) == (start, kill)


def test_those_that_end_or_were_given_up_do_not_count() -> None:
    there = [Instance("a"), Instance("b", goal="Decommissioned"), Instance("c", condition="UnreachableInactive")]
    assert propose(app(3), there).to_start == 2


def test_the_sentenced_go_first_and_are_replaced_when_too_few_are_left() -> None:
    found = propose(app(3), some(4), to_kill=["i1", "i2"])
    assert sorted(ids(found.to_decommission)) == ["i1", "i2"]
    assert found.to_start == 1
    found = propose(app(2), some(4), to_kill=["i1"])
    assert ids(found.to_decommission) == ["i1", "i3"]
    assert found.to_start == 0


def test_the_youngest_or_the_oldest() -> None:
    assert ids(propose(app(1), some(3)).to_decommission) == ["i2", "i1"]
    assert ids(propose(app(1, killSelection="OLDEST_FIRST"), some(3)).to_decommission) == ["i0", "i1"]


def test_by_condition() -> None:
    there = [
        Instance("running", started_at=9.0),
        Instance("scheduled", "Scheduled", None, None),
        Instance("staging", "Staging", None, 5.0),
        Instance("staging-later", "Staging", None, 6.0),
        Instance("starting", "Starting", None, 5.0, 7.0),
        Instance("unreachable", "Unreachable"),
    ]
    expected = ["unreachable", "staging-later", "staging", "starting", "running", "scheduled"]
    assert ids(kill_order(there, "YOUNGEST_FIRST")) == expected
    expected[1], expected[2] = expected[2], expected[1]
    assert ids(kill_order(there, "OLDEST_FIRST")) == expected


def test_group_by_steers_kills() -> None:
    def on(rack: str, id: str) -> Instance:
        return Instance(id, attributes=({"name": "rack", "text": {"value": rack}},))

    there = [on("r1", "a"), on("r1", "b"), on("r2", "c"), on("r1", "d")]
    found = propose(app(2, constraints=[["rack", "GROUP_BY"]]), there)
    assert ids(found.to_decommission) == ["a", "b"]


CONDITIONS = ["Running", "Staging", "Starting", "Unreachable", "Scheduled", "UnreachableInactive"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CONDITIONS), st.booleans(), st.booleans()), max_size=8),
    st.integers(0, 8),
    st.sampled_from([[], [["hostname", "GROUP_BY"]]]),
)
def test_scaling_arithmetic(made: list[tuple[str, bool, bool]], wanted: int, constraints: list[list[str]]) -> None:
    there = [
        Instance(str(n), condition, goal="Running" if runs else "Decommissioned")
        for n, (condition, runs, _) in enumerate(made)
    ]
    sentenced = [str(n) for n, (_, _, doomed) in enumerate(made) if doomed]
    found = propose(app(wanted, constraints=constraints), there, to_kill=sentenced)
    counted = [each for each in there if each.goal == "Running" and each.condition != "UnreachableInactive"]
    killed = ids(found.to_decommission)
    assert len(set(killed)) == len(killed)
    assert set(killed) <= set(ids(counted))
    assert set(killed) >= set(sentenced) & set(ids(counted))
    assert len(counted) - len(killed) + found.to_start == wanted
    assert found.to_start >= 0


# -- rolling restarts


@pytest.mark.parametrize(
    ("instances", "health", "over", "there", "healthy", "kill_now", "capacity"),
    [
        (1, 0.5, 0.0, 1, 1, 0, 2),
        (1, 0.5, 0.0, 0, 0, 0, 1),
        (2, 0.5, 0.0, 2, 2, 1, 2),
        (10, 0.1, 0.0, 1, 1, 0, 10),
        (10, 0.1, 1.0, 10, 10, 9, 20),
        (10, 1.0, 1.0, 10, 10, 0, 20),
        (5, 1.0, 0.0, 5, 5, 0, 6),
        (5, 1.0, 0.0, 5, 3, 0, 5),
        (5, 1.0, 0.0, 7, 7, 2, 6),
        (4, 0.75, 0.5, 4, 4, 1, 6),
        (3, 0.0, 0.0, 3, 3, 3, 3),
        (3, 1.0, 0.34, 3, 3, 0, 4),
    ],
)
def test_restart_strategies(
    instances: int, health: float, over: float, there: int, healthy: int, kill_now: int, capacity: int
) -> None:
    current = some(there)
    for each in current[healthy:]:
        each.considered_healthy = False
    found = restart_strategy(app(instances, "v2", health, over), current)
    assert (found.kill_now, found.max_capacity) == (kill_now, capacity)


def test_the_unhealthy_go_first() -> None:
    there = [Instance("well"), Instance("ill", considered_healthy=False), Instance("well2")]
    assert to_replace(app(3, "v2"), there).to_kill == ["ill", "well", "well2"]


def test_what_a_former_leader_has_started_counts() -> None:
    found = to_replace(app(3, "v2"), [*some(3), *some(2, "n", version="v2")])
    assert found.started == 2
    assert found.old == {"i0", "i1", "i2"}
    assert found.start_now() == 1
    assert found.start_now() == 0


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 8),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    st.integers(0, 8),
    st.randoms(use_true_random=False),
)
def test_a_restart_always_ends(instances: int, health: float, over: float, there: int, rng: Any) -> None:
    """New ones become healthy and old ones end in any order: all are replaced, and the promises hold meanwhile."""
    wanted = app(instances, "v2", health, over)
    state = to_replace(wanted, some(there))
    enough = math.ceil(instances * health)
    starting, serving, ending = 0, 0, 0
    for _ in range(state.strategy.kill_now):
        ending += state.kill_next() is not None
    starting += state.start_now()
    for _ in range(200):
        alive = len(state.old) - ending
        assert alive + serving >= min(enough, there)
        assert len(state.old) + starting + serving <= max(state.strategy.max_capacity, there)
        if not state.old and serving == instances:
            break
        if ending and (not starting or rng.random() < 0.5):
            ending -= 1
            state.old.pop()
            starting += state.start_now()
        else:
            assert starting, "stuck"
            starting -= 1
            serving += 1
            ending += state.kill_next() is not None
    assert not state.old
    assert serving == instances

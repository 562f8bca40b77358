"""Dominant Resource Fairness: nothing is given twice, and shares go by weight."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.mesos.allocator import Allocator, Offerable
from labkit.embedded.mesos.resources import EMPTY, Resources
from labkit.embedded.runtime.clock import ManualClock


class Market:
    """An allocator, and what it has given."""

    def __init__(self, agents: int, weights: dict[str, float] | None = None, seed: int = 1) -> None:
        self.clock = ManualClock()
        self.allocator = Allocator(self.clock, random.Random(seed), self.offered, weights=weights)
        self.total = Resources.parse("cpus:4;mem:4096;ports:[1-100]")
        self.held: list[tuple[str, str, str, Resources]] = []  # framework, agent, role, what
        for number in range(agents):
            self.allocator.add_agent(f"a{number}", self.total, {})

    def offered(self, framework: str, offerable: Offerable) -> None:
        for role, by_agent in offerable.items():
            for agent, resources in by_agent.items():
                self.held.append((framework, agent, role, resources))

    def round(self) -> None:
        self.allocator.allocate(list(self.allocator._agents))

    def decline(self, at: int, seconds: float) -> None:
        framework, agent, role, resources = self.held.pop(at % len(self.held))
        self.allocator.recover(framework, agent, role, resources, {"refuse_seconds": seconds})

    def use(self, at: int, cpus: int) -> None:
        """Keep some of it, give the rest back at once."""
        framework, agent, role, resources = self.held.pop(at % len(self.held))
        taken = Resources({("cpus", "*"): min(cpus, resources.scalars.get(("cpus", "*"), 0))})
        self.allocator.recover(framework, agent, role, resources - taken, None)
        if taken.cpus:
            self.held.append((framework, agent, role, taken))

    def check(self) -> None:
        """Whatever an agent has is somebody's or free, and of nothing is there more than there was."""
        for agent in self.allocator._agents:
            held = EMPTY
            for _, on, _, resources in self.held:
                if on == agent:
                    assert not set(held.ports()) & set(resources.ports())
                    held = held + resources
            free = self.allocator.free(agent)
            assert free + held == self.total
            assert not set(free.ports()) & set(held.ports())

    def cpus(self, framework: str) -> float:
        return sum(resources.cpus for name, _, _, resources in self.held if name == framework)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("round"), st.integers(0, 9), st.integers(0, 4000)),
        st.tuples(st.just("decline"), st.integers(0, 9), st.integers(0, 20)),
        st.tuples(st.just("use"), st.integers(0, 9), st.integers(1, 4000)),
        st.tuples(st.just("suppress"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("revive"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("quit"), st.integers(0, 2), st.integers(0, 1)),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(STEPS, st.integers(0, 999))
def test_nothing_is_ever_given_twice(steps: list[tuple[str, int, int]], seed: int) -> None:
    market = Market(3, {"b": 2.0}, seed)
    names = ["f0", "f1", "f2"]
    for name, role in zip(names, ("a", "b", "b/c"), strict=True):
        market.allocator.add_framework(name, [role])
    for what, one, two in steps:
        name = names[one % 3]
        if what == "round":
            market.round()
        elif what == "decline" and market.held:
            market.decline(one, two)
        elif what == "use" and market.held:
            market.use(one, two)
        elif what == "suppress" and name in market.allocator._frameworks:
            market.allocator.suppress(name, ())
        elif what == "revive" and name in market.allocator._frameworks:
            market.allocator.revive(name, ())
        elif what == "quit" and name in market.allocator._frameworks:
            for held in [item for item in market.held if item[0] == name]:
                market.held.remove(held)
                market.allocator.recover(*held[:3], held[3])
            market.allocator.remove_framework(name)
        market.check()


@pytest.mark.parametrize(("weights", "expected"), [({}, (20, 20)), ({"b": 3.0}, (10, 30))])
def test_shares_go_by_weight(weights: dict[str, float], expected: tuple[int, int]) -> None:
    market = Market(10, weights)
    market.allocator.add_framework("f1", ["a"])
    market.allocator.add_framework("f2", ["b"])
    market.round()
    got = (market.cpus("f1"), market.cpus("f2"))
    assert all(abs(one - other) <= 4 for one, other in zip(got, expected, strict=True)), got


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(2, 12))
def test_nobody_is_far_above_its_share_while_another_starves(seed: int, agents: int) -> None:
    market = Market(agents, seed=seed)
    for name in ("f0", "f1", "f2"):
        market.allocator.add_framework(name, [name])
    market.round()
    held = sorted(market.cpus(name) for name in ("f0", "f1", "f2"))
    assert held[-1] - held[0] <= 4  # one agent: offers are not divided
    assert sum(held) == 4 * agents


def test_the_dominant_resource_counts() -> None:
    market = Market(0)
    allocator = market.allocator
    allocator.add_agent("big", Resources.parse("cpus:9;mem:18000"), {})
    allocator.add_framework("memory", ["a"])
    allocator.add_framework("cpu", ["b"])
    allocator.allocated("memory", "big", "a", Resources.parse("cpus:1;mem:4000"))  # 2/9 of the memory
    allocator.allocated("cpu", "big", "b", Resources.parse("cpus:3;mem:1000"))  # 3/9 of the cpus
    assert list(allocator._roles.sort()) == ["a", "b"]
    assert allocator.shares()["b"]["share"] == pytest.approx(1 / 3)


def test_a_role_shares_with_those_below_it() -> None:
    market = Market(8)
    market.allocator.add_framework("f0", ["eng/web"])
    market.allocator.add_framework("f1", ["eng/batch"])
    market.allocator.add_framework("f2", ["sales"])
    market.round()
    assert [market.cpus(name) for name in ("f0", "f1", "f2")] == [8, 8, 16]


async def test_rounds_come_by_the_clock_and_when_something_changes() -> None:
    market = Market(2)
    market.allocator.start()
    market.allocator.add_framework("f0", ["*"])
    await market.clock.advance(0)
    assert len(market.held) == 2
    market.decline(0, 0)
    await market.clock.advance(0.5)
    assert len(market.held) == 1
    await market.clock.advance(0.6)
    assert len(market.held) == 2
    market.decline(0, 3)
    await market.clock.advance(2.8)
    assert len(market.held) == 1
    await market.clock.advance(1.3)
    assert len(market.held) == 2
    market.allocator.stop()


def test_filters_let_more_through() -> None:
    market = Market(1)
    market.allocator.add_framework("f0", ["*"])
    market.allocator.allocated("other", "a0", "*", Resources.parse("cpus:2"))
    market.round()
    market.decline(0, 100)
    market.round()
    assert not market.held
    market.allocator.recover("other", "a0", "*", Resources.parse("cpus:2"))
    market.round()
    assert market.cpus("f0") == 4

"""Raft's promises over random histories. A failure names its seed; ``Simulation(seed)`` plays it again."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.embedded.swarm.raft.roles import Settings

from .simulation import Simulation

SEEDS = 1200


@pytest.mark.parametrize("batch", range(12))
def test_promises_hold_in_random_histories(batch: int) -> None:
    size = SEEDS // 12
    for seed in range(batch * size, (batch + 1) * size):
        simulation = Simulation(
            seed,
            members=1 + seed % 5,
            settings=Settings(pre_vote=seed % 3 == 0, check_quorum=seed % 7 != 0),
            loss=(seed % 4) * 0.05,
        )
        try:
            simulation.live(120)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("seed", range(60))
def test_after_the_storm_a_write_is_possible_again(seed: int) -> None:
    simulation = Simulation(10_000 + seed, members=3 + seed % 3, settings=Settings(pre_vote=seed % 2 == 0), loss=0.1)
    simulation.live(100)
    simulation.calm()
    leader = simulation.leader()
    assert leader is not None
    index = simulation.propose()
    assert index is not None
    simulation.settle()
    simulation.tick()
    simulation.settle()
    for id in leader.membership.members:
        assert simulation.applied[id][index - 1].index == index
    simulation.check_all()


events = st.lists(
    st.tuples(st.sampled_from(["tick", "deliver", "propose", "crash", "restart", "cut", "heal"]), st.integers(0, 6)),
    max_size=80,
)


@given(events=events)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_promises_hold_in_histories_that_hypothesis_makes_up(events: list[tuple[str, int]]) -> None:
    simulation = Simulation(1, members=3)
    for what, number in events:
        up, down = sorted(simulation.rafts), sorted(simulation.down)
        if what == "tick":
            for _ in range(number + 1):
                simulation.tick()
        elif what == "deliver":
            for _ in range(number + 1):
                simulation.deliver(0)
        elif what == "propose":
            simulation.propose(up[number % len(up)])
        elif what == "crash" and len(up) > 1:
            simulation.crash(up[number % len(up)])
        elif what == "restart" and down:
            simulation.restart(down[number % len(down)])
        elif what == "cut":
            simulation.partition({1 + number % 3})
        elif what == "heal":
            simulation.heal()
        simulation.check_new_leader()
    simulation.check_all()

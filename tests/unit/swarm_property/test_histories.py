"""Whatever is done to a swarm, in whatever order: what must hold, holds, and in the end it is as it was asked for.

A failure of the first test names its seed: ``asyncio.run(live(made_up(seed, length)))`` plays it again.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .history import OPERATIONS, live, made_up

SEEDS = 1000
BATCHES = 10


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_histories(batch: int) -> None:
    size = SEEDS // BATCHES
    for seed in range(batch * size, (batch + 1) * size):
        try:
            asyncio.run(live(made_up(seed, 4 + seed % 12)))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


numbers = st.integers(0, 12)
operations = st.lists(st.tuples(st.sampled_from(OPERATIONS), numbers, numbers, numbers), max_size=12)


@given(operations=operations)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_histories_that_hypothesis_makes_up(operations: list[tuple[str, int, int, int]]) -> None:
    asyncio.run(live([("create", 0, 3, 0), *operations]))

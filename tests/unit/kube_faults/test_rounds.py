"""Three hundred random rounds of machine loss, stopped components and busy users.

What must hold, holds at every change, and once all is healed the cluster comes to rest as it was asked for.

A failure names its seed: ``asyncio.run(live(folder, seed, made_up(seed)))`` plays it again, with the same names and
times (but for the order of what happens within one moment, where real sockets have a say).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.embedded.kubernetes import components

from .history import live, made_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

ROUNDS = 300
BATCHES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For the certificates, which are made once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(components, "SETTLE", 0.0)  # nobody waits by the wall's clock for a component to stop
        yield tmp_path_factory.mktemp("kube-rounds")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_rounds(folder: Path, batch: int) -> None:
    size = ROUNDS // BATCHES
    granted = reckoned = 0
    for seed in range(batch * size, (batch + 1) * size):
        operations = made_up(seed)
        try:
            watchdog = asyncio.run(live(folder, seed, operations)).watchdog
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {[name for name, *_ in operations]}: {error}") from error
        granted += watchdog.evictions
        reckoned += watchdog.evictions_of_budgets
    assert granted > size, "too little is evicted"
    assert reckoned > size / 2, "too little is evicted to say anything about budgets"

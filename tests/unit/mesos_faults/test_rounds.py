"""Three hundred random rounds of machine loss, stopped components, crashed tasks and busy users.

What must hold, holds at every change, and once all is healed everything is as it was asked for.

A failure names its seed: ``asyncio.run(live(folder, seed, made_up(seed)))`` plays it again, with the same names and
times (but for the order of what happens within one moment, where real sockets have a say).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from .history import live, made_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

ROUNDS = 300
BATCHES = 10


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_rounds(tmp_path: Path, batch: int) -> None:
    size = ROUNDS // BATCHES
    acknowledged = launched = deployed = 0
    for seed in range(batch * size, (batch + 1) * size):
        operations = made_up(seed)
        try:
            history = asyncio.run(live(tmp_path, seed, operations))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {[name for name, *_ in operations]}: {error}") from error
        acknowledged += history.acknowledged
        launched += len(history.watchdog.launched)
        deployed += len(history.watchdog.begun)
    assert acknowledged > 2 * size, "little is asked for"
    assert launched > 5 * size, "little is launched"
    assert deployed > 2 * size, "little is deployed"

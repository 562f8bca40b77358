"""What the four-letter words say of latency is counted in whole milliseconds."""

from __future__ import annotations

import pytest

from labkit.embedded.zookeeper.serving import Counts


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [((0.0004, 0.0009), (0, 0, 0)), ((0.0014, 0.0299), (1, 15, 29)), ((1.0015,), (1001, 1001, 1001))],
)
def test_latencies(seconds: tuple[float, ...], milliseconds: tuple[float, float, float]) -> None:
    counts = Counts()
    for latency in seconds:
        counts.answer(latency)
    assert counts.latency_min is not None
    found = (counts.latency_min, counts.latency_sum / counts.answers, counts.latency_max)
    assert [1000 * each for each in found] == pytest.approx(milliseconds)

"""When the process looks for garbage."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from labkit.embedded import memory


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.enable()
    gc.unfreeze()


def test_what_is_there_when_it_is_up_is_not_looked_at_again() -> None:
    gc.disable()
    memory.settle()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == memory.YOUNG


def test_it_tidies_up_once_after_a_burst_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    # how many steps more objects were there at each look; a tidy process starts at nothing again
    looks = iter([0, 0, 5, 9, 9, 0, 0, 1, 1, 0])
    tidied: list[int] = []
    count = 0

    def grown() -> int:
        nonlocal count
        count += 1
        return next(looks)

    monkeypatch.setattr(memory, "EVERY", 0)
    monkeypatch.setattr(memory, "_grown", grown)
    monkeypatch.setattr(memory, "tidy", lambda: tidied.append(count))
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(memory.keep_tidy())
    assert tidied == [5]


def test_tidying_collects_cycles_wherever_it_runs() -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    seen = weakref.ref(Knot())
    assert seen() is not None
    memory.tidy()
    assert seen() is None

"""What goes out of the picture by itself: when, in which steps, and what was never in it."""

from __future__ import annotations

from dataclasses import replace

from labkit.model import State, Task
from labkit.topology.fading import FADE, FRESH, Fading

ALIVE = Task("t", "web.1", "web", State.RUNNING, node="n")
DEAD = replace(ALIVE, state=State.FAILED)


def test_a_task_that_died_turns_pale_and_then_goes() -> None:
    fading = Fading()
    fading.note("t", ALIVE, DEAD, 10.0)
    assert fading.next_change == 10.0 + FRESH
    assert fading.due(10.0) == set()
    assert not fading.is_pale("t", DEAD, 10.0)
    assert fading.due(10.0 + FRESH) == {"t"}
    assert fading.is_pale("t", DEAD, 10.0 + FRESH)
    assert not fading.is_gone("t", DEAD, 10.0 + FRESH)
    assert fading.next_change == 10.0 + FADE
    assert fading.due(10.0 + FADE) == {"t"}
    assert fading.is_gone("t", DEAD, 10.0 + FADE)
    assert fading.next_change is None


def test_one_that_was_never_seen_alive_is_gone_at_once() -> None:
    fading = Fading()
    fading.note("t", None, DEAD, 10.0)
    assert fading.is_gone("t", DEAD, 10.0)
    assert fading.next_change is None


def test_hearing_of_a_death_again_does_not_make_it_fresh() -> None:
    fading = Fading()
    fading.note("t", ALIVE, DEAD, 10.0)
    fading.note("t", DEAD, replace(DEAD, message="exit 1"), 11.0)
    assert fading.is_pale("t", DEAD, 10.0 + FRESH)


def test_the_living_are_neither_pale_nor_gone() -> None:
    fading = Fading()
    fading.note("t", ALIVE, DEAD, 10.0)
    fading.note("t", DEAD, ALIVE, 12.0)
    assert not fading.is_pale("t", ALIVE, 100.0)
    assert not fading.is_gone("t", ALIVE, 100.0)
    fading.note("t", ALIVE, DEAD, 101.0)  # and may die anew
    assert not fading.is_pale("t", DEAD, 101.0 + FRESH / 2)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.controllers.deployment.rolling import (
    Limits,
    Size,
    limits,
    most_unavailable,
    scale_new,
    scale_old,
)


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "expected"),
    [
        ("25%", "25%", 4, Limits(1, 1)),
        ("25%", "25%", 3, Limits(1, 0)),  # surge rounds up, unavailable down
        ("25%", "25%", 10, Limits(3, 2)),
        (0, "25%", 3, Limits(0, 1)),  # nothing could move otherwise
        (0, 0, 5, Limits(0, 1)),
        ("100%", 0, 7, Limits(7, 0)),
        ("1%", "1%", 0, Limits(0, 1)),
    ],
)
def test_limits(surge: int | str, unavailable: int | str, desired: int, expected: Limits) -> None:
    assert limits(surge, unavailable, desired) == expected


def test_no_more_may_be_missing_than_shall_be() -> None:
    assert most_unavailable(3, Limits(0, 10)) == 3
    assert most_unavailable(0, Limits(0, 1)) == 0


def test_a_new_set_grows_as_far_as_there_is_room() -> None:
    assert scale_new(10, Limits(3, 2), Size("new", 0), [Size("old", 10, 10)]) == 3
    assert scale_new(10, Limits(3, 2), Size("new", 3), [Size("old", 10, 10)]) == 3
    assert scale_new(10, Limits(3, 2), Size("new", 3), [Size("old", 8, 8)]) == 5
    assert scale_new(10, Limits(3, 2), Size("new", 9), [Size("old", 0)]) == 10
    assert scale_new(3, Limits(1, 0), Size("new", 7), [Size("old", 5, 5)]) == 3


def test_old_sets_shrink_as_the_new_one_becomes_available() -> None:
    old = [Size("old", 10, 10)]
    assert scale_old(10, Limits(3, 2), Size("new", 3, 0), old) == {"old": [8]}
    assert scale_old(10, Limits(3, 2), Size("new", 5, 0), [Size("old", 8, 8)]) == {}
    assert scale_old(10, Limits(3, 2), Size("new", 5, 5), [Size("old", 8, 8)]) == {"old": [3]}
    assert scale_old(10, Limits(3, 2), Size("new", 10, 10), [Size("old", 0)]) == {}


def test_what_does_not_serve_goes_first() -> None:
    # One old set is broken altogether: it makes way before a pod that serves does.
    old = [Size("good", 8, 8), Size("broken", 2, 0)]
    assert scale_old(10, Limits(3, 2), Size("new", 3, 0), old) == {"broken": [0]}


sizes = st.integers(0, 15)


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, Limits, Size, list[Size]]:
    desired = draw(sizes)
    allowed = limits(draw(st.integers(0, 5)), draw(st.integers(0, 5)), desired)

    def size(name: str) -> Size:
        wanted = draw(sizes)
        return Size(name, wanted, draw(st.integers(0, wanted)))

    return desired, allowed, size("new"), [size(f"old-{number}") for number in range(draw(st.integers(0, 3)))]


@given(situations())
def test_growing_never_makes_more_than_desired_and_surge(situation: tuple[int, Limits, Size, list[Size]]) -> None:
    desired, allowed, new, old = situation
    grown = scale_new(desired, allowed, new, old)
    rest = sum(one.wanted for one in old)
    assert grown <= max(desired, new.wanted)
    if grown > new.wanted:
        assert grown + rest <= desired + allowed.surge


@given(situations())
def test_shrinking_never_takes_an_available_pod_too_many(situation: tuple[int, Limits, Size, list[Size]]) -> None:
    desired, allowed, new, old = situation
    steps = scale_old(desired, allowed, new, old)
    before = new.available + sum(one.available for one in old)
    after = new.available
    for one in old:
        size = steps.get(one.name, [one.wanted])[-1]
        assert 0 <= size <= one.wanted
        after += min(one.available, size)  # what is not available is ended first
    at_least = desired - most_unavailable(desired, allowed)
    assert after >= min(before, at_least)


@given(situations())
def test_a_rollout_that_nothing_hinders_ends(situation: tuple[int, Limits, Size, list[Size]]) -> None:
    desired, allowed, new, old = situation
    for _ in range(200):
        new = Size(new.name, wanted := scale_new(desired, allowed, new, old), wanted)
        old = [Size(one.name, one.wanted, one.wanted) for one in old]
        steps = scale_old(desired, allowed, new, old)
        old = [Size(one.name, size := steps.get(one.name, [one.wanted])[-1], size) for one in old]
        if new.wanted == desired and not any(one.wanted for one in old):
            return
    raise AssertionError((desired, allowed, new, old))

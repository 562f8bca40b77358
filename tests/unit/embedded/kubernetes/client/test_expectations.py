from labkit.embedded.kubernetes.client import Expectations
from labkit.embedded.runtime.clock import ManualClock


def test_nothing_expected_is_satisfied() -> None:
    assert Expectations(ManualClock()).satisfied("web")


def test_creations_are_counted_and_deletions_told_apart() -> None:
    expectations = Expectations(ManualClock())
    expectations.expect("web", creations=2, deletions=["a", "b"])
    expectations.created("web", 2)
    expectations.deleted("web", "a")
    expectations.deleted("web", "a")  # seen twice: it goes, then it is gone
    assert not expectations.satisfied("web")
    expectations.deleted("web", "b")
    assert expectations.satisfied("web")


async def test_what_never_comes_is_not_waited_for_longer_than_five_minutes() -> None:
    clock = ManualClock()
    expectations = Expectations(clock)
    expectations.expect("web", creations=1)
    await clock.advance(299)
    assert not expectations.satisfied("web")
    await clock.advance(2)
    assert expectations.satisfied("web")


def test_who_is_gone_is_forgotten() -> None:
    expectations = Expectations(ManualClock())
    expectations.expect("web", creations=1)
    expectations.forget("web")
    expectations.created("web")
    assert expectations.satisfied("web")

from labkit.embedded.kubernetes.client.correlate import COMBINED, Correlator


def test_the_same_again_is_counted() -> None:
    correlator = Correlator()
    first = correlator.observe("pod", "Failed", "no", 0)
    again = correlator.observe("pod", "Failed", "no", 60)
    assert first is not None
    assert again is not None
    assert again.series is first.series
    assert (first.times, again.times, again.series.first) == (1, 2, 0)


def test_ten_that_differ_in_their_message_only_become_one() -> None:
    correlator = Correlator()
    seen = [correlator.observe("web", "Created", f"pod {number}", number) for number in range(20)]
    messages = [one.message for one in seen if one is not None]
    assert messages[:9] == [f"pod {number}" for number in range(9)]
    assert messages[9] == COMBINED + "pod 9"
    assert seen[9] is not None
    assert seen[19] is not None
    assert seen[19].series is seen[9].series
    assert seen[19].times == 11


def test_after_ten_minutes_of_silence_messages_stand_for_themselves_again() -> None:
    correlator = Correlator()
    for number in range(12):
        correlator.observe("web", "Created", f"pod {number}", number)
    later = correlator.observe("web", "Created", "pod 99", 700)
    assert later is not None
    assert later.message == "pod 99"


def test_a_source_may_say_25_things_about_an_object_and_one_more_each_five_minutes() -> None:
    correlator = Correlator()
    said = [correlator.observe("web", f"reason {number}", "", 0) for number in range(30)]
    assert [one is not None for one in said] == [True] * 25 + [False] * 5
    assert correlator.observe("another", "reason", "", 0) is not None
    assert correlator.observe("web", "late", "", 299) is None
    assert correlator.observe("web", "later", "", 301) is not None


def test_it_forgets_what_was_used_longest_ago() -> None:
    correlator = Correlator(limit=2)
    for name in ("a", "b", "c"):
        correlator.observe(name, "Failed", "no", 0)
    again = correlator.observe("a", "Failed", "no", 1)
    assert again is not None
    assert again.times == 1


def test_what_was_combined_stands_beside_what_was_said_before() -> None:
    correlator = Correlator()
    said = [correlator.observe("web", "Failed", text, 0) for text in ("a", "b", "a", "b", "c")]
    assert [one and (one.message, one.times) for one in said] == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("c", 1)]
    assert said[0] is not None
    assert said[2] is not None
    assert said[2].series is said[0].series

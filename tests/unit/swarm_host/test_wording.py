"""How Go prints what people read."""

from __future__ import annotations

import pytest

from labkit.embedded.runtime import durations
from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host import wording
from labkit.embedded.swarm.host.frames import frame, render
from labkit.embedded.swarm.host.signals import parse_signal

NOW = 1_795_361_018.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (120, "2 minutes"), (2700, "45 minutes"), (3600, "About an hour"), (7200, "2 hours"), (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"), (86400 * 100, "3 months"), (86400 * 800, "2 years"),
    ],
)  # fmt: skip
def test_ages(seconds: float, words: str) -> None:
    assert wording.human_duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (0.001, "1ms"), (1.5, "1.5s"), (90, "1m30s"), (3600, "1h0m0s"), (-2, "-2s"), (0.0000015, "1.5µs")],
)
def test_durations(seconds: float, words: str) -> None:
    assert durations.go_duration(seconds) == words
    assert durations.parse_duration(words) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "x", "1s2", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    assert durations.parse_duration(text) is None


def test_times() -> None:
    assert wording.rfc3339nano(0) == "0001-01-01T00:00:00Z"
    assert wording.rfc3339nano(NOW) == "2026-11-22T15:23:38.5Z"
    assert wording.rfc3339fixed(NOW) == "2026-11-22T15:23:38.500000000Z"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("1795361018.5", NOW), ("2026-11-22T15:23:38.5Z", NOW), ("2026-11-22T16:23:38.5+01:00", NOW),
        ("2026-11-22", 1_795_305_600), ("2026-11-22T15:23", 1_795_360_980), ("10m", NOW - 600), ("0", 0),
    ],
)  # fmt: skip
def test_moments(text: str, when: float) -> None:
    assert wording.parse_timestamp(text, NOW) == pytest.approx(when)


def test_what_is_no_moment() -> None:
    with pytest.raises(ApiError, match=r'strconv\.ParseInt: parsing "yesterday": invalid syntax'):
        wording.parse_timestamp("yesterday", NOW)


@pytest.mark.parametrize(("text", "number"), [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("64", 64)])
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    ("text", "words"),
    [("FOO", "invalid signal: FOO"), ("0", "invalid signal: 0"), ("33", "the linux daemon does not support signal 33")],
)
def test_what_is_no_signal(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_signal(text)


def test_frames() -> None:
    assert frame(2, b"abc") == b"\x02\x00\x00\x00\x00\x00\x00\x03abc"
    details = {"b": "x y", "a": "1"}
    line = render("stdout", b"hi\n", NOW, timestamps=True, details=details, multiplexed=False)
    assert line == b"2026-11-22T15:23:38.500000000Z a=1,b=x+y hi\n"
    assert render("stderr", b"x", 0, timestamps=False, details=None, multiplexed=True)[0] == 2

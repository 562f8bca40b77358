from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import times


def test_seconds_and_microseconds() -> None:
    assert times.rfc3339(1_750_000_000.9) == "2025-06-15T15:06:40Z"
    assert times.micro(1_750_000_000.000123) == "2025-06-15T15:06:40.000123Z"
    assert times.rfc3339(1_750_000_000.1) is times.rfc3339(1_750_000_000.9), "one second, one string"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2025-06-15T15:06:40Z", 1_750_000_000),
        ("2025-06-15T17:06:40+02:00", 1_750_000_000),
        ("2025-06-15T15:06:40.5Z", 1_750_000_000.5),
        ("2025-06-15T15:06:40.123456789Z", 1_750_000_000.123456),
        ("2025-06-15t15:06:40z", 1_750_000_000),
    ],
)
def test_what_can_be_read(text: str, seconds: float) -> None:
    assert times.parse(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "now", "2025-06-15", "2025-06-15 15:06:40Z", "2025-06-15T15:06:40", "2025-13-15T15:06:40Z"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse(text)


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_there_and_back(seconds: int, micros: int) -> None:
    assert times.parse(times.rfc3339(seconds)) == seconds
    assert times.parse(times.micro(seconds + micros / 1e6)) == pytest.approx(seconds + micros / 1e6, abs=2e-6)

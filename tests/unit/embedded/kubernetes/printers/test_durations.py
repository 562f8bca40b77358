"""Durations as people read them: ``apimachinery/pkg/util/duration``'s own cases."""

import pytest

from labkit.embedded.kubernetes.printers.durations import between, human, since

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"), (-1.9, "0s"), (-0.5, "0s"), (0, "0s"), (1.9, "1s"), (70, "70s"), (119, "119s"),
        (2 * MINUTE, "2m"), (190, "3m10s"), (9 * MINUTE + 59, "9m59s"), (10 * MINUTE + 30, "10m"),
        (2 * HOUR + 59 * MINUTE, "179m"), (3 * HOUR, "3h"), (7 * HOUR + 59 * MINUTE, "7h59m"), (8 * HOUR + 1, "8h"),
        (47 * HOUR + 59 * MINUTE, "47h"), (2 * DAY, "2d"), (2 * DAY + HOUR, "2d1h"), (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + 5 * HOUR, "8d"), (2 * YEAR - 1, "729d"), (2 * YEAR, "2y"), (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR - 1, "7y364d"), (8 * YEAR + DAY, "8y"),
    ],
)  # fmt: skip
def test_human(seconds, text):
    assert human(seconds) == text


def test_since():
    assert since("1970-01-01T00:00:10Z", 75) == "65s"
    assert since("1970-01-01T00:00:10.500000Z", 75) == "64s"
    assert since(None, 0) == since("", 0) == since("soon", 0) == "<unknown>"
    assert between("1970-01-01T00:00:10Z", "1970-01-01T00:02:15Z") == "2m5s"

"""Times and base64, as Go reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.embedded.kubernetes.schema import scalars

KEPT: list[tuple[Callable[[Any], Any], str, str]] = [
    (scalars.time, "2026-11-22T18:37:38Z", "2026-11-22T18:37:38Z"),
    (scalars.time, "2026-11-22T18:37:38.75Z", "2026-11-22T18:37:38Z"),
    (scalars.time, "2026-11-22T18:37:38+02:00", "2026-11-22T16:37:38Z"),
    (scalars.micro_time, "2026-11-22T18:37:38.000123Z", "2026-11-22T18:37:38.000123Z"),
    (scalars.micro_time, "2026-11-22T20:37:38.5+02:00", "2026-11-22T18:37:38.500000Z"),
    (scalars.encoded, "YWJj", "YWJj"),
    (scalars.encoded, "YWJj\n", "YWJj"),
    (scalars.encoded, "", ""),
    (scalars.int_or_string, "25%", "25%"),
]

REFUSED: list[tuple[Callable[[Any], Any], str, str]] = [
    (scalars.time, "2020-01-01T00:00:00Zx", 'parsing time "2020-01-01T00:00:00Zx": extra text: "x"'),
    (scalars.time, "2020-01-01", 'parsing time "2020-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
    (scalars.time, "2020-02-30T00:00:00Z", 'parsing time "2020-02-30T00:00:00Z": day out of range'),
    (
        scalars.micro_time,
        "2020-01-01T00:00:00Z",
        'parsing time "2020-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    ),
    (scalars.encoded, "abc", "illegal base64 data at input byte 0"),
    (scalars.encoded, "YWJj!", "illegal base64 data at input byte 4"),
]


@pytest.mark.parametrize(("read", "text", "kept"), KEPT)
def test_what_is_kept_of_a_value(read: Callable[[Any], Any], text: str, kept: str) -> None:
    found = read(text)
    assert found == kept
    if text == kept:
        assert found is text


@pytest.mark.parametrize(("read", "text", "words"), REFUSED)
def test_words_for_what_is_malformed(read: Callable[[Any], Any], text: str, words: str) -> None:
    with pytest.raises(scalars.Malformed) as raised:
        read(text)
    assert str(raised.value) == words

"""Ranges of whole numbers, such as ports: in order, not touching each other, both ends included."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Range = tuple[int, int]

_RANGE = re.compile(r"^\s*(\d+)\s*-\s*(\d+)\s*$")


class RangesError(ValueError):
    """The text is no list of ranges."""


def ranges_text(spans: Iterable[Range]) -> str:
    """``[31000-31099, 31200-31200]``."""
    return "[" + ", ".join(f"{begin}-{end}" for begin, end in spans) + "]"


def parse_ranges(text: str) -> list[Range]:
    """Reads ``[31000-31099,31200-31200]``. Raises :class:`RangesError`."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise RangesError(f"Failed to parse ranges {text}: expecting [begin-end,…]")
    spans: list[Range] = []
    for part in text[1:-1].split(","):
        if not part.strip():
            continue
        match = _RANGE.match(part)
        if match is None:
            raise RangesError(f'Expecting one or more "ranges" in {text}')
        begin, end = int(match[1]), int(match[2])
        if begin > end:
            raise RangesError(f"Invalid ranges: {begin}-{end} ends before it begins")
        spans.append((begin, end))
    return spans


def merge(spans: list[Range]) -> tuple[Range, ...]:
    """In order, and those that overlap or touch as one."""
    if len(spans) == 1:
        return (spans[0],) if spans[0][0] <= spans[0][1] else ()
    merged: list[Range] = []
    for begin, end in sorted(spans):
        if begin > end:
            continue
        if merged and begin <= merged[-1][1] + 1:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return tuple(merged)


def join(spans: tuple[Range, ...], added: tuple[Range, ...]) -> tuple[Range, ...]:
    """Both in one. A few that come to many are put in where they belong, without a look at all the others."""
    if len(added) > 4:
        return merge([*spans, *added])
    for begin, end in added:
        low = bisect_left(spans, begin - 1, key=_end)  # the first that could touch it
        high = bisect_right(spans, end + 1, lo=low, key=_begin)
        if low < high:
            begin, end = min(begin, spans[low][0]), max(end, spans[high - 1][1])
        spans = (*spans[:low], (begin, end), *spans[high:])
    return spans


def cut(spans: tuple[Range, ...], taken: tuple[Range, ...]) -> tuple[Range, ...]:
    for begin, end in taken:
        low = bisect_left(spans, begin, key=_end)
        high = bisect_right(spans, end, lo=low, key=_begin)
        if low == high:
            continue
        left = [(spans[low][0], begin - 1)] if spans[low][0] < begin else []
        if spans[high - 1][1] > end:
            left.append((end + 1, spans[high - 1][1]))
        spans = (*spans[:low], *left, *spans[high:])
    return spans


def covers(spans: tuple[Range, ...], wanted: tuple[Range, ...]) -> bool:
    for begin, end in wanted:
        at = bisect_left(spans, end, key=_end)
        if at == len(spans) or spans[at][0] > begin:
            return False
    return True


def _begin(span: Range) -> int:
    return span[0]


def _end(span: Range) -> int:
    return span[1]

"""Waiting for a condition: the only sleep there is in the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def until(
    look: Callable[[], T | Literal[False] | None], timeout: float = 30.0, what: str = "", every: float = 0.05
) -> T:
    """Looks again and again until it sees something true, and returns that.

    A look that raises AssertionError or LookupError has not seen it yet. When the time is over, the failure tells
    what was last seen.
    """
    deadline = time.monotonic() + timeout
    pause = every
    while True:
        last: object
        try:
            last = seen = look()
            if seen:
                return seen
        except (AssertionError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or look}; last seen: {last!r}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.4)

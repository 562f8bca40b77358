"""A sandbox that comes back on another block of addresses: what is stored has to move along.

Its old block may have been taken by another sandbox meanwhile. Real clusters do not survive that; here every address of
the old block that is written down anywhere becomes the same one of the new block, before anything is read.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from labkit.embedded.runtime.storage import Storage


def relocate(storage: Storage, old: str, new: str) -> int:
    """Move everything that is stored from block ``old`` (``127.18``) to ``new``; returns how many rows have changed."""
    pattern = re.compile(rb"(?<![0-9.])" + re.escape(f"{old}.".encode()))
    changed = 0
    with storage.transaction():
        for kind in storage.kinds():
            for key, obj in storage.all(kind).items():
                moved = _moved(obj, pattern, f"{new}.".encode())
                if moved is not None:
                    storage.put(kind, key, moved)
                    changed += 1
    return changed


def _moved(obj: Any, pattern: re.Pattern[bytes], new: bytes) -> Any:
    encoded = orjson.dumps(obj)
    moved, count = pattern.subn(new, encoded)
    return orjson.Fragment(moved) if count else None

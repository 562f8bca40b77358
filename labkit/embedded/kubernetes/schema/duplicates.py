"""Keys that a JSON body has twice: an error under ``fieldValidation=Strict``, a warning under ``Warn``."""

from __future__ import annotations

import json
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema.compile import Place, words


def duplicates(body: bytes) -> tuple[str, ...]:
    """Paths of keys that a body has twice, of which the last counts; printed as ``duplicate field "spec.replicas"``.

    The quick parser keeps no trace of them, so this reads the body again: some 25 µs for a pod.
    """
    found = False

    def pairs(items: list[tuple[str, Any]]) -> _Pairs | Json:
        nonlocal found
        kept = dict(items)
        if len(kept) == len(items):
            return kept
        found = True
        return _Pairs(items)

    try:
        value = json.loads(body, object_pairs_hook=pairs)
    except ValueError:
        return ()
    if not found:
        return ()
    paths: list[Place] = []
    _collect(value, None, paths)
    return tuple(dict.fromkeys(words(place) for place in paths))


class _Pairs(dict[str, Any]):
    """An object that has a key twice: it remembers which."""

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        super().__init__(items)
        seen: set[str] = set()
        self.twice = [key for key, _ in items if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def _collect(value: Any, place: Place, paths: list[Place]) -> None:
    if isinstance(value, _Pairs):
        paths.extend((place, key) for key in value.twice)
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, (place, key), paths)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, (place, index), paths)

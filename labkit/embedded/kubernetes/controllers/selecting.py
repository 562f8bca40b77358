"""Which selectors select which objects, kept up to date from events: nobody looks through all pods at each of them.

A selector is filed under one label that it demands, so a pod's event looks at its own few labels, not at every Service
of its namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.objects import Json, Key, key_of, labels_of
from labkit.embedded.kubernetes.selectors import Selector

Label = tuple[str, str]
_NOTHING: Mapping[Key, Json] = {}


@dataclass(slots=True)
class _Selecting:
    key: Key
    selector: Selector
    drawer: Label | None  # a label that it demands; None: it has no such
    members: dict[Key, Json] = field(default_factory=dict)


class Selections:
    """Selectors by the key of who selects, and the objects of the same namespace that each of them has."""

    def __init__(self, objects: Callable[[str], Iterable[Json]]) -> None:
        """``objects(namespace)`` are those that a new selector may choose from."""
        self._objects = objects
        self._selectors: dict[Key, _Selecting] = {}
        # By namespace, which mostly has none, then by the demanded label.
        self._drawers: dict[str, dict[Label | None, dict[Key, _Selecting]]] = {}
        self._of: dict[Key, tuple[_Selecting, ...]] = {}  # who selects an object; absent: nobody

    def select(self, key: Key, selector: Selector) -> bool:
        """``key`` selects by it from now on. False: as it did before."""
        old = self._selectors.get(key)
        if old is not None:
            if old.selector == selector:
                return False
            self.unselect(key)
        demanded = _demanded(selector)
        new = self._selectors[key] = _Selecting(key, selector, demanded)
        self._drawers.setdefault(key[0], {}).setdefault(demanded, {})[key] = new
        for obj in self._objects(key[0]):
            if selector.matches(labels_of(obj)):
                at = key_of(obj)
                new.members[at] = obj
                self._of[at] = (*self._of.get(at, ()), new)
        return True

    def unselect(self, key: Key) -> None:
        """``key`` selects nothing any more."""
        old = self._selectors.pop(key, None)
        if old is None:
            return
        drawers = self._drawers[key[0]]
        del drawers[old.drawer][key]
        if not drawers[old.drawer]:
            del drawers[old.drawer]
        if not drawers:
            del self._drawers[key[0]]
        for at in old.members:
            self._file(at, tuple(other for other in self._of[at] if other is not old))

    def put(self, obj: Json) -> list[Key]:
        """An object came or changed: who selects it, now or until now."""
        at = key_of(obj)
        drawers = self._drawers.get(at[0])
        if drawers is None:
            return []
        labels = labels_of(obj)
        before = self._of.get(at, ())
        now = tuple(selector for selector in _candidates(drawers, labels) if selector.selector.matches(labels))
        for selector in now:
            selector.members[at] = obj
        if before == now:
            return [selector.key for selector in now]
        for selector in before:
            if selector not in now:
                selector.members.pop(at, None)
        self._file(at, now)
        return list(dict.fromkeys(selector.key for selector in (*before, *now)))

    def drop(self, obj: Json) -> list[Key]:
        """An object is gone: who selected it."""
        at = key_of(obj)
        before = self._of.pop(at, ())
        for selector in before:
            selector.members.pop(at, None)
        return [selector.key for selector in before]

    def members(self, key: Key) -> Mapping[Key, Json]:
        """What ``key`` selects. A live view."""
        selector = self._selectors.get(key)
        return _NOTHING if selector is None else selector.members

    def of(self, obj: Json) -> list[Key]:
        """Who selects the object."""
        return [selector.key for selector in self._of.get(key_of(obj), ())]

    def _file(self, at: Key, selectors: tuple[_Selecting, ...]) -> None:
        if selectors:
            self._of[at] = selectors
        else:
            self._of.pop(at, None)


def _candidates(
    drawers: Mapping[Label | None, Mapping[Key, _Selecting]], labels: Mapping[str, str]
) -> Iterable[_Selecting]:
    for label in (*labels.items(), None):
        if (drawer := drawers.get(label)) is not None:
            yield from drawer.values()


def _demanded(selector: Selector) -> Label | None:
    """One label that it demands with its value."""
    return next(((one.key, one.values[0]) for one in selector.requirements if one.operator in ("=", "==")), None)

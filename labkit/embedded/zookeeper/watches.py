"""One-shot watches of one member: who wants to know what, and who is told.

As in the real one there are two tables: ``data`` for getData and exists, ``children`` for getChildren. A client is
told once per change, also when both of its watches saw it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from labkit.embedded.zookeeper.ops import CHILDREN, DELETED, Event

C = TypeVar("C")


class Watches(Generic[C]):
    """Watchers are connections, or whatever is hashable."""

    def __init__(self) -> None:
        self._data: dict[str, dict[C, None]] = {}
        self._children: dict[str, dict[C, None]] = {}
        self._of: dict[C, set[tuple[bool, str]]] = {}

    def add(self, path: str, watcher: C, *, children: bool = False) -> None:
        """Tell it once of the next change: of the node, or with ``children`` of which children there are."""
        table = self._children if children else self._data
        table.setdefault(path, {})[watcher] = None
        self._of.setdefault(watcher, set()).add((children, path))

    def take(self, event: Event) -> list[C]:
        """Who is to be told of this, and will not be told again."""
        told: dict[C, None] = {}
        if event.type != CHILDREN:
            told.update(self._pop(event.path, False))
        if event.type in (CHILDREN, DELETED):
            told.update(self._pop(event.path, True))
        return list(told)

    def _pop(self, path: str, children: bool) -> dict[C, None]:
        found = (self._children if children else self._data).pop(path, {})
        for watcher in found:
            self._of[watcher].discard((children, path))
            if not self._of[watcher]:
                del self._of[watcher]
        return found

    def forget(self, watcher: C) -> None:
        """It has gone, and wants to know nothing any more."""
        for children, path in self._of.pop(watcher, ()):
            table = self._children if children else self._data
            watchers = table[path]
            del watchers[watcher]
            if not watchers:
                del table[path]

    def clear(self) -> None:
        """Nobody is told any more."""
        self._data.clear()
        self._children.clear()
        self._of.clear()

    @property
    def count(self) -> int:
        """How many there are (``mntr``, ``wchs``)."""
        return sum(len(paths) for paths in self._of.values())

    # Summaries tell of data watches only, as those of the real one.

    def by_watcher(self) -> dict[C, set[str]]:
        """``wchc``: the paths that each client watches."""
        found = {watcher: {path for children, path in wanted if not children} for watcher, wanted in self._of.items()}
        return {watcher: seen for watcher, seen in found.items() if seen}

    def by_path(self) -> dict[str, list[C]]:
        """``wchp``: the clients that watch each path."""
        return {path: list(watchers) for path, watchers in self._data.items()}

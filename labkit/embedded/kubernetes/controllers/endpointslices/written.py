"""What a controller has written and its informer has not heard of yet.

An informer's cache is behind the store; who plans from the cache alone would write the same slice twice.
(``staging/src/k8s.io/endpointslice/util/endpointslice_tracker.go`` makes the real one wait instead.)
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.kubernetes.objects import Json, Key, name_of, uid_of, version_of


class Written:
    """The newest slices of each owner, as far as this controller wrote them itself."""

    def __init__(self) -> None:
        self._of: dict[Key, dict[str, Json]] = {}  # by owner, by name
        self._gone: dict[str, None] = {}  # uids of those that it deleted, until that is heard of

    def put(self, owner: Key, slice: Json) -> None:
        """It wrote this one."""
        self._of.setdefault(owner, {})[name_of(slice)] = slice

    def removed(self, owner: Key, slice: Json) -> None:
        """It deleted this one."""
        self._of.get(owner, {}).pop(name_of(slice), None)
        self._gone[uid_of(slice)] = None

    def heard(self, owner: Key, slice: Json) -> bool:
        """The informer tells of a slice that is there. Returns whether that is news."""
        mine = self._of.get(owner, {})
        own = mine.get(name_of(slice))
        if own is None or uid_of(own) != uid_of(slice):
            return True
        if version_of(slice) < version_of(own):
            return False
        del mine[name_of(slice)]
        if not mine:
            del self._of[owner]
        return version_of(slice) > version_of(own)

    def heard_gone(self, owner: Key, slice: Json) -> bool:
        """The informer tells that a slice is gone. Returns whether that is news."""
        mine = self._of.get(owner, {})
        own = mine.get(name_of(slice))
        if own is not None and uid_of(own) == uid_of(slice):
            del mine[name_of(slice)]
        return self._gone.pop(uid_of(slice), False) is False

    def newest(self, owner: Key, cached: Iterable[Json]) -> list[Json]:
        """The slices as they are by now."""
        mine = dict(self._of.get(owner, {}))
        found = []
        for slice in cached:
            own = mine.pop(name_of(slice), None)
            if own is not None and version_of(own) >= version_of(slice):
                found.append(own)
            elif uid_of(slice) not in self._gone:
                found.append(slice)
        return [*found, *mine.values()]

    def forget(self, owner: Key) -> None:
        self._of.pop(owner, None)

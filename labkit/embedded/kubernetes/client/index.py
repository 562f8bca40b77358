"""A cache of objects with indexes: what an informer keeps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from labkit.embedded.kubernetes.objects import Json, Key, controller_of

IndexBy = Callable[[Json], Iterable[Hashable]]
_NOTHING: Mapping[Key, Json] = {}


class Index:
    """The objects by some value of theirs; an object may have none or several."""

    def __init__(self, values: IndexBy) -> None:
        self.values = values
        self._drawers: dict[Hashable, dict[Key, Json]] = {}

    def replace(self, key: Key, old: Json | None, new: Json | None) -> None:
        before = () if old is None else tuple(self.values(old))
        after = () if new is None else tuple(self.values(new))
        if before == after:
            if new is not None:
                for value in after:
                    self._drawers[value][key] = new
            return
        for value in before:
            if value not in after:
                drawer = self._drawers[value]
                drawer.pop(key, None)
                if not drawer:
                    del self._drawers[value]
        if new is not None:
            for value in after:
                self._drawers.setdefault(value, {})[key] = new

    def at(self, value: Hashable) -> Mapping[Key, Json]:
        return self._drawers.get(value, _NOTHING)


class Cache(dict[Key, Json]):
    """Objects by (namespace, name), with indexes. Only its informer writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self._indexes: dict[str, Index] = {}

    def add_index(self, name: str, values: IndexBy) -> None:
        """Index by ``values(obj)`` from now on. A second one of that name is taken to be the same."""
        if name in self._indexes:
            return
        index = self._indexes[name] = Index(values)
        for key, obj in self.items():
            index.replace(key, None, obj)

    def at(self, index: str, value: Hashable) -> Mapping[Key, Json]:
        """The objects that have this value, by key. A live view: copy it before you await."""
        return self._indexes[index].at(value)

    def put(self, key: Key, obj: Json) -> Json | None:
        """Put it in; returns what was there."""
        old = self.get(key)
        self[key] = obj
        for index in self._indexes.values():
            index.replace(key, old, obj)
        return old

    def take(self, key: Key) -> Json | None:
        """Take it out."""
        old = self.pop(key, None)
        if old is not None:
            for index in self._indexes.values():
                index.replace(key, old, None)
        return old


# -- what controllers look things up by


def by_namespace(obj: Json) -> tuple[Hashable, ...]:
    return (obj["metadata"].get("namespace", ""),)


def by_controller(obj: Json) -> tuple[Hashable, ...]:
    """The uid of the object that manages it."""
    owner = controller_of(obj)
    return () if owner is None else (owner["uid"],)


def by_node(pod: Json) -> tuple[Hashable, ...]:
    """The node that a pod is bound to."""
    node = pod["spec"].get("nodeName")
    return (node,) if node else ()


def orphans(obj: Json) -> tuple[Hashable, ...]:
    """The namespace of an object that nobody manages: who might adopt it looks there."""
    return by_namespace(obj) if controller_of(obj) is None else ()

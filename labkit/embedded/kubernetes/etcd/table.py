"""The objects of one kind, found by key, by namespace and, for pods, by node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.etcd.record import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key

_NONE: Mapping[str, Record] = {}


def _node_of(pod: Json) -> str:
    spec = pod.get("spec")
    return spec.get("nodeName") or "" if spec else ""


# Field selectors that have an index: every kubelet lists and watches its own pods, and there may be 500 of them. The
# real API server has the same one (``registry/core/pod/strategy.go``: ``NodeNameTriggerFunc``).
INDEXED: Mapping[Kind, tuple[str, Callable[[Json], str]]] = {kinds.PODS: ("spec.nodeName", _node_of)}


def sort_key(key: Key) -> str:
    """The order of etcd's keys: ``namespace/name`` byte by byte, so that ``a-b/x`` comes before ``a/x``."""
    return f"{key[0]}/{key[1]}"


class Table:
    """Current records of a kind. Only :class:`Etcd` writes to it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.records: dict[Key, Record] = {}
        self.revision = 0  # of the last change, deletions included
        self._namespaces: dict[str, dict[str, Record]] = {}
        indexed = INDEXED.get(kind)
        self._field = indexed[0] if indexed else ""
        self._value_of = indexed[1] if indexed else None
        self._indexed: dict[str, dict[Key, Record]] = {}
        self._sorted: list[Key] | None = None

    def set(self, key: Key, old: Record | None, new: Record | None) -> None:
        """Put ``new`` (None: nothing) in the place of ``old``."""
        if new is None:
            del self.records[key]
            inside = self._namespaces[key[0]]
            del inside[key[1]]
            if not inside:
                del self._namespaces[key[0]]
            self._sorted = None
        else:
            self.records[key] = new
            if old is None:
                self._sorted = None
                self._namespaces.setdefault(key[0], {})[key[1]] = new
            else:
                self._namespaces[key[0]][key[1]] = new
        if self._value_of is not None:
            before = None if old is None else self._value_of(old.obj)
            after = None if new is None else self._value_of(new.obj)
            if before is not None and before != after:
                rows = self._indexed[before]
                del rows[key]
                if not rows:
                    del self._indexed[before]
            if new is not None and after is not None:
                self._indexed.setdefault(after, {})[key] = new

    def in_namespace(self, namespace: str) -> Mapping[str, Record]:
        """By name; empty when there is nothing."""
        return self._namespaces.get(namespace, _NONE)

    def keys(self, namespace: str = "", index: tuple[str, str] | None = None) -> list[Key]:
        """Keys in the order of etcd, of all namespaces or of one, or of those in the index. Do not change the list."""
        if index is not None and index[0] == self._field:
            found: Iterable[Key] = self._indexed.get(index[1], ())
            return sorted((key for key in found if not namespace or key[0] == namespace), key=sort_key)
        if namespace:
            return [(namespace, name) for name in sorted(self._namespaces.get(namespace, ()))]
        if self._sorted is None:
            self._sorted = sorted(self.records, key=sort_key)
        return self._sorted

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records.values())

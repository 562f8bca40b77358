"""Dominant Resource Fairness: who has the smallest part of what counts most for it, goes first.

As ``src/master/allocator/mesos/sorter/drf/sorter.cpp`` has it. Clients (frameworks) are leaves of a tree of roles; a
node's share is the greatest part of any one scalar resource that it holds, divided by its weight. Siblings are put in
order by share, then by how often they were given something, then by name; the order of the leaves is that of a walk
through the tree. Ranges and sets (ports) do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.embedded.mesos.resources import Resources

DEFAULT_WEIGHT = 1.0


class _Node:
    __slots__ = ("allocated", "children", "count", "name", "path", "weight")

    def __init__(self, name: str, path: str, weight: float = DEFAULT_WEIGHT) -> None:
        self.name = name
        self.path = path
        self.weight = weight
        self.allocated: dict[str, int] = {}  # thousandths by name
        self.count = 0  # how often something was given
        self.children: dict[str, _Node] = {}


_SELF = "."  # the leaf of a role that has both clients and roles below it


class Sorter:
    """Clients by path (``ads/batch``), and what each holds."""

    def __init__(self) -> None:
        self._root = _Node("", "")
        self._clients: dict[str, tuple[_Node, ...]] = {}  # path -> nodes from below the root to its own
        self._active: set[str] = set()
        self._weights: dict[str, float] = {}
        self.total: dict[str, int] = {}

    # -- clients

    def __contains__(self, path: str) -> bool:
        return path in self._clients

    def add(self, path: str) -> None:
        """A new client; it takes part once it is activated."""
        if path not in self._clients:
            self._clients[path] = self._line(path)

    def _line(self, path: str) -> tuple[_Node, ...]:
        node, line, walked = self._root, [], ""
        for name in path.split("/"):
            walked = f"{walked}/{name}" if walked else name
            child = node.children.get(name)
            if child is None:
                child = node.children[name] = _Node(name, walked, self._weights.get(walked, DEFAULT_WEIGHT))
            line.append(child)
            node = child
        # What it holds itself must not be mixed up with what roles below it hold.
        leaf = node.children.get(_SELF)
        if leaf is None:
            leaf = node.children[_SELF] = _Node(_SELF, path)
        return (*line, leaf)

    def remove(self, path: str) -> None:
        """The client is gone, with all that it held."""
        line = self._clients.pop(path, None)
        self._active.discard(path)
        if line is None:
            return
        held = line[-1].allocated
        for node in line[:-1]:
            for name, value in held.items():
                _less(node.allocated, name, value)
        parents = (self._root, *line)
        for parent, node in zip(reversed(parents[:-1]), reversed(line), strict=True):
            if node.name == _SELF or not node.children:
                del parent.children[node.name]

    def activate(self, path: str) -> None:
        """It is sorted (again)."""
        if path in self._clients:
            self._active.add(path)

    def deactivate(self, path: str) -> None:
        """It keeps what it has, and is not sorted any more."""
        self._active.discard(path)

    def set_weight(self, path: str, weight: float) -> None:
        """Of a role, whether it has clients yet or not."""
        self._weights[path] = weight
        node = self._root
        for name in path.split("/"):
            found = node.children.get(name)
            if found is None:
                return
            node = found
        node.weight = weight

    # -- what they hold

    def allocated(self, path: str, resources: Resources) -> None:
        """Something was given to a client."""
        for node in self._clients[path]:
            node.count += 1
            for (name, _), value in resources.scalars.items():
                node.allocated[name] = node.allocated.get(name, 0) + value

    def unallocated(self, path: str, resources: Resources) -> None:
        """Something came back from a client."""
        for node in self._clients.get(path, ()):
            for (name, _), value in resources.scalars.items():
                _less(node.allocated, name, value)

    def holds(self, path: str) -> Mapping[str, int]:
        """What a client itself holds, thousandths by name."""
        line = self._clients.get(path)
        return {} if line is None else line[-1].allocated

    # -- order

    def share(self, path: str) -> float:
        """The dominant share of a client, or of a role with all below it, not divided by its weight."""
        node = self._root
        for name in path.split("/"):
            found = node.children.get(name)
            if found is None:
                return 0.0
            node = found
        return self._share(node)

    def _share(self, node: _Node) -> float:
        best = 0.0
        total = self.total
        for name, value in node.allocated.items():
            whole = total.get(name, 0)
            if whole and value / whole > best:
                best = value / whole
        return best

    def sort(self) -> Iterator[str]:
        """The active clients, who is to be given something next first."""
        if len(self._active) == 1:
            yield from self._active
            return
        yield from self._walk(self._root)

    def _walk(self, node: _Node) -> Iterator[str]:
        for child in sorted(node.children.values(), key=self._key):
            if child.name == _SELF:
                if child.path in self._active:
                    yield child.path
            else:
                yield from self._walk(child)

    def _key(self, node: _Node) -> tuple[float, int, str]:
        return (self._share(node) / node.weight, node.count, node.path)


def _less(held: dict[str, int], name: str, value: int) -> None:
    left = held.get(name, 0) - value
    if left > 0:
        held[name] = left
    else:
        held.pop(name, None)

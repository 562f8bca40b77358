"""Who hears of a change: the watchers of one kind, by what they watch, and the history that late ones catch up from.

A watcher is filed under the narrowest thing that it asks for: one object's name, a node (pods), a namespace, or all. A
change looks into these few drawers only, so 500 kubelets that watch their own pods cost an event no more than one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from labkit.embedded.kubernetes.etcd.record import Change, Event
from labkit.embedded.kubernetes.etcd.table import INDEXED
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

# The watch cache of the real one keeps at most 100·1024 events of a kind (``watch_cache.go``); the lower number is for
# a laptop, and the bytes are what :class:`Etcd` bounds over all kinds together.
HISTORY_EVENTS = 10_000
FEWEST_EVENTS = 100  # that are kept however old they are (``defaultLowerBoundCapacity``)

Matches = Callable[[Json], bool]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a watcher wants of a kind: "" is everything. ``matches`` decides what of that it is told.

    ``index`` and ``by_index`` only say in which drawer to look: ``matches`` has to ask for that value, too.
    """

    namespace: str = ""
    name: str = ""
    index: str = ""  # the value of the indexed field (a pod's spec.nodeName) when ``by_index``
    by_index: bool = False
    matches: Matches | None = None  # label and field selector; None: everything

    @property
    def drawer(self) -> tuple[str, str, str]:
        if self.name:
            return "name", self.namespace, self.name
        if self.by_index:
            return "index", "", self.index
        return ("namespace", self.namespace, "") if self.namespace else ("all", "", "")

    def covers(self, obj: Json) -> bool:
        """Whether the object is within namespace, name and selector."""
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        if self.name and metadata.get("name") != self.name:
            return False
        return self.matches is None or self.matches(obj)


class Watcher:
    """One watch at the hub. ``put`` is called for each event, at once and in order; it must be quick."""

    __slots__ = ("after", "ended", "plain", "put", "scope")

    def __init__(self, scope: Scope, put: Callable[[Event], None], ended: Callable[[], None], after: int = 0) -> None:
        self.scope = scope
        self.put = put
        self.ended = ended  # called when the store ends the watch by itself
        self.after = after  # revisions up to here are of no interest
        # A drawer may hold more than what is asked for, but not for somebody who wants it all.
        self.plain = scope.matches is None and not scope.by_index and not (scope.name and not scope.namespace)

    def tell(self, change: Change) -> None:
        """Say what the change means to this watcher: a selector can make an update an ``ADDED`` or ``DELETED``."""
        if change.revision <= self.after:
            return
        if self.plain:
            self.put(change.plain)
            return
        covers = self.scope.covers
        before = change.old is not None and covers(change.old.obj)
        if change.new is not None and covers(change.new.obj):
            self.put(change.modified if before else change.added)
        elif before:
            self.put(change.deleted)


class Hub:
    """Watchers and history of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.history: deque[Change] = deque()
        self.since = 0  # the history holds every change after this revision
        self.size = 0  # bytes, roughly
        self._value_of = INDEXED[kind][1] if kind in INDEXED else None
        self._drawers: dict[tuple[str, str, str], dict[Watcher, None]] = {}
        self._watching = 0

    def publish(self, change: Change) -> None:
        """Keep it in the history and tell who watches."""
        history = self.history
        history.append(change)
        self.size += change.size
        if len(history) > HISTORY_EVENTS:
            self.drop()
        if not self._watching:
            return
        drawers = self._drawers
        namespace, name = change.key
        wanted: tuple[tuple[str, str, str], ...]
        wanted = (("all", "", ""), ("namespace", namespace, ""), ("name", namespace, name), ("name", "", name))
        if not namespace:
            wanted = (("all", "", ""), ("name", "", name))
        for drawer in wanted:
            if (watchers := drawers.get(drawer)) is not None:
                for watcher in tuple(watchers):
                    watcher.tell(change)
        if self._value_of is not None:
            before = None if change.old is None else self._value_of(change.old.obj)
            after = None if change.new is None else self._value_of(change.new.obj)
            for value in (before,) if before == after else (before, after):
                if value is not None and (watchers := drawers.get(("index", "", value))) is not None:
                    for watcher in tuple(watchers):
                        watcher.tell(change)

    def drop(self) -> None:
        """Forget the oldest change."""
        oldest = self.history.popleft()
        self.since = oldest.revision
        self.size -= oldest.size

    def forget(self, until: int, keep: int = 0) -> None:
        """Forget the changes up to a revision, but for the last ``keep``."""
        while len(self.history) > keep and self.history[0].revision <= until:
            self.drop()
        if not keep:
            self.since = max(self.since, until)

    def after(self, revision: int) -> list[Change]:
        """Changes after that revision, oldest first. Whoever asks has compared it to ``since``."""
        found: list[Change] = []
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found

    def add(self, watcher: Watcher) -> None:
        self._drawers.setdefault(watcher.scope.drawer, {})[watcher] = None
        self._watching += 1

    def remove(self, watcher: Watcher) -> None:
        """Harmless when it is not there any more."""
        drawer = self._drawers.get(watcher.scope.drawer)
        if drawer is not None and watcher in drawer:
            del drawer[watcher]
            self._watching -= 1
            if not drawer:
                del self._drawers[watcher.scope.drawer]

    def watchers(self) -> list[Watcher]:
        return [watcher for drawer in self._drawers.values() for watcher in drawer]

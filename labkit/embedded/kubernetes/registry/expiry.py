"""Objects that go by themselves some time after their last write: Events, after an hour.

The real one gives them a lease in etcd. Here somebody looks every minute, as long as there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

EVERY = 60.0  # seconds


class Expiry:
    """Looks after the kinds whose strategy has a ``ttl``."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._watched: set[Kind] = set()

    def watch_over(self, kind: Kind) -> None:
        """There is an object of that kind. Cheap when it is known."""
        if kind not in self._watched:
            self._watched.add(kind)
            self._registry.clock.call_later(EVERY, self._look, kind)

    def _look(self, kind: Kind) -> None:
        registry = self._registry
        ttl = registry.strategies[kind].ttl
        self._watched.discard(kind)
        if not registry.etcd.running:
            self.watch_over(kind)
            return
        table = registry.etcd.table(kind)
        now = registry.clock.time()
        for record in list(table):
            if ttl is not None and now - _last_written(record.obj) >= ttl:
                try:
                    registry.remove(kind, record)
                except StatusError:
                    break
        if len(table):
            self.watch_over(kind)


def _last_written(obj: Json) -> float:
    """As far as the object tells: Events are written whenever they are seen again."""
    said = obj.get("lastTimestamp") or (obj.get("series") or {}).get("lastObservedTime") or obj.get("eventTime")
    created: str = obj["metadata"]["creationTimestamp"]
    try:
        return max(times.parse(said), times.parse(created)) if said else times.parse(created)
    except ValueError:
        return times.parse(created)

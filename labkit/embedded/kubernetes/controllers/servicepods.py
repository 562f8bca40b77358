"""The frame of the controllers that list the pods of Services: who selects whom, and how often to look.

Each pod's event costs as much as it has labels; a Service with many endpoints is brought in order less often.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.client.index import by_namespace
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.selecting import Selections
from labkit.embedded.kubernetes.controllers.serving import (
    SECONDS_PER_ENDPOINT,
    TriggerTimes,
    has_selector,
    offers_else,
)
from labkit.embedded.kubernetes.objects import Json, Key, key_of, spec_of


class ServicePodsController(Controller):
    """Queues the key of every Service whose pods, or that itself, changed."""

    def setup(self) -> None:
        self.trigger_times = TriggerTimes()
        self._not_before: dict[Key, float] = {}
        self.pods = self.informers[kinds.PODS]
        self.pods.add_index("namespace", by_namespace)
        self._selections = Selections(lambda namespace: self.pods.by_index("namespace", namespace))
        self.services = self.watch(kinds.SERVICES, self._service, lambda _, new: self._service(new), self._service_gone)
        self.watch(kinds.PODS, self._pod, self._pod_changed, self._pod_gone)

    def soon(self, key: Key) -> None:
        """Queue a Service, for when it may be looked at again."""
        self.queue.add_after(key, self._not_before.get(key, 0.0) - self.clock.time())

    def listed(self, key: Key, endpoints: int) -> None:
        """It was brought in order and has so many endpoints."""
        self._not_before[key] = self.clock.time() + endpoints * SECONDS_PER_ENDPOINT

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._not_before.pop(key, None)
        self.trigger_times.forget(key)

    def pods_of(self, key: Key) -> Iterable[Json]:
        return self._selections.members(key).values()

    def selecting(self, pod: Json) -> list[Key]:
        """The Services that select it."""
        return self._selections.of(pod)

    def _service(self, service: Json) -> None:
        key = key_of(service)
        if has_selector(service):
            self._selections.select(key, selectors.of_map(spec_of(service)["selector"]))
        else:
            self._selections.unselect(key)
        self.queue.add(key)

    def _service_gone(self, service: Json) -> None:
        key = key_of(service)
        self._selections.unselect(key)
        self.queue.add(key)

    def _pod(self, pod: Json) -> None:
        for key in self._selections.put(pod):
            self.soon(key)

    def _pod_changed(self, old: Json, new: Json) -> None:
        keys = self._selections.put(new)
        if keys and offers_else(old, new):
            for key in keys:
                self.soon(key)

    def _pod_gone(self, pod: Json) -> None:
        for key in self._selections.drop(pod):
            self.soon(key)

"""What the API server has of a few kinds, kept current by list and watch, each kind on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.orchestrators.kubernetes.connection import ApiError, Connection, Gone

Json = dict[str, Any]

_WATCH = 300.0  # seconds that one watch lasts
_BACKOFF = (0.2, 0.5, 1.0, 2.0)  # seconds between tries while it cannot be read
_PAGE = 500
_PULSE = 2.0  # seconds between questions


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind to follow, in the versions it may be served in, best first."""

    name: str  # "deployments"
    groups: tuple[str, ...]  # "/apis/apps/v1", the first that the server has
    needed: bool = True  # a picture without it would be wrong; else a server that lacks it is fine


RESOURCES = (
    Resource("nodes", ("/api/v1",)),
    Resource("pods", ("/api/v1",)),
    Resource("services", ("/api/v1",)),
    Resource("replicationcontrollers", ("/api/v1",)),
    Resource("deployments", ("/apis/apps/v1",)),
    Resource("replicasets", ("/apis/apps/v1",)),
    Resource("daemonsets", ("/apis/apps/v1",)),
    Resource("statefulsets", ("/apis/apps/v1",), needed=False),
    Resource("jobs", ("/apis/batch/v1",)),
    Resource("endpointslices", ("/apis/discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1beta1")),
)


class Reflector:
    """One kind: the objects by uid, each the very one until the server sends another."""

    def __init__(self, resource: Resource, connection: Connection, news: Callable[[], None]) -> None:
        self.resource = resource
        self.items: dict[str, Json] = {}
        self.version = 0  # grows with every change
        self.error = "not read yet"
        self.listed = threading.Event()
        self._connection = connection
        self._news = news
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"labkit-watch-{resource.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                path, since = self._list()
                failures = 0
                self._follow(path, since)
            except Gone:
                continue
            except Exception as error:  # a server that is gone for a while; the picture says so and lives on
                self._failed(error)
                failures += 1
                self._stopping.wait(_BACKOFF[min(failures, len(_BACKOFF)) - 1])

    def _failed(self, error: Exception) -> None:
        if not self.resource.needed and isinstance(error, ApiError) and error.status == 404:
            self.error = ""
            self.listed.set()
            self._stopping.wait(60)
            return
        self.error = str(error) or type(error).__name__
        self.listed.set()
        self._news()

    def _list(self) -> tuple[str, str]:
        path, found, params = "", {}, {"limit": _PAGE}
        for group in self.resource.groups:
            path = f"{group}/{self.resource.name}"
            try:
                page = self._connection.get(path, params)
                break
            except ApiError as error:
                if error.status != 404 or group == self.resource.groups[-1]:
                    raise
        while True:
            for item in page["items"] or ():
                found[item["metadata"]["uid"]] = item
            following = page["metadata"].get("continue")
            if not following:
                break
            page = self._connection.get(path, {**params, "continue": following})
        # What did not change stays the object it was, so that nothing is read anew after a lost connection.
        before = self.items
        for uid, item in found.items():
            old = before.get(uid)
            if old is not None and old["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]:
                found[uid] = old
        self._become(found)
        return path, page["metadata"]["resourceVersion"]

    def _become(self, items: dict[str, Json]) -> None:
        self.items = items
        self.version += 1
        self.error = ""
        self.listed.set()
        self._news()

    def _follow(self, path: str, since: str) -> None:
        while not self._stopping.is_set():
            for event in self._connection.watch(path, since, _WATCH):
                item = event["object"]
                since = item["metadata"]["resourceVersion"]
                if self._stopping.is_set():
                    return
                if event["type"] == "BOOKMARK":
                    continue
                items = self.items  # copied by those who read: one copy a look is cheaper than one an event
                if event["type"] == "DELETED":
                    items.pop(item["metadata"]["uid"], None)
                else:
                    items[item["metadata"]["uid"]] = item
                self.version += 1
                self._news()


class Pulse:
    """Asks now and then whether the API server lives: a watch that is silent looks the same when nobody is there."""

    def __init__(self, connection: Connection, news: Callable[[], None]) -> None:
        self.error = ""
        self._connection = connection
        self._news = news
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labkit-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_PULSE):
            try:
                self._connection.text("/livez")
                error = ""
            except ApiError as failed:
                # Whoever may not ask (403) has been answered by a server that lives.
                error = "" if failed.status in (401, 403, 404) else str(failed)
            except Exception as failed:
                error = str(failed) or type(failed).__name__
            if error != self.error:
                self.error = error
                self._news()


class Cache:
    """All kinds of :data:`RESOURCES`. Threads start with :meth:`start`."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self.reflectors = {r.name: Reflector(r, connection, self._changed.set) for r in RESOURCES}
        self._pulse = Pulse(connection, self._changed.set)
        self._started = False

    def start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                for reflector in self.reflectors.values():
                    reflector.start()
                self._pulse.start()

    def ready(self, timeout: float) -> bool:
        """Waits until each kind was listed once, or could not be."""
        return all(reflector.listed.wait(timeout) for reflector in self.reflectors.values())

    @property
    def error(self) -> str:
        return self._pulse.error or next((r.error for r in self.reflectors.values() if r.error), "")

    def version(self) -> int:
        return sum(reflector.version for reflector in self.reflectors.values())

    def items(self, name: str) -> Mapping[str, Json]:
        """A copy of what there is of a kind, by uid."""
        return dict(self.reflectors[name].items)

    def wait(self, timeout: float) -> None:
        """Until something changed."""
        self._changed.wait(timeout)
        self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None:
        for reflector in self.reflectors.values():
            reflector.stop()
        self._pulse.stop()
        self._changed.set()

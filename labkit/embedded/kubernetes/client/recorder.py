"""Events: what components say about objects, as ``kubectl describe`` shows it.

As ``k8s.io/client-go/tools/record``: saying something never waits and never fails. Events are counted and combined
(:mod:`~labkit.embedded.kubernetes.client.correlate`), wait in a queue of 1000 that drops what it cannot hold, and leave
it at the pace that the real component's client keeps. When the API server cannot be reached, the one that is being
written is tried again twelve times, every ten seconds; when it says no, the event is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.client import Client
from labkit.embedded.kubernetes.client.correlate import Correlator, Series
from labkit.embedded.kubernetes.client.door import Unreachable
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.objects import Json, edited
from labkit.embedded.kubernetes.times import micro, rfc3339
from labkit.embedded.runtime import loops

log = logging.getLogger("labkit.kubernetes.events")

QUEUE = 1000
RETRIES, RETRY_SECONDS = 12, 10.0
RATE, BURST = 50.0, 100.0  # events a second, and how many at once: the kubelet's eventRecordQPS and eventBurst
NAME_BYTES = 253
TURN = 4  # events that are written before others have their turn


_last_stamp = 0


def _stamp(at: float) -> int:
    """Nanoseconds for an event's name; no two in this process are the same, however coarse the clock."""
    global _last_stamp
    _last_stamp = max(int(at * 1e9), _last_stamp + 1)
    return _last_stamp


_FIELDS: dict[tuple[object, ...], Json] = {}  # the form of an event -> the fields that it sets


@dataclass(slots=True)
class _Said:
    about: Json  # the involvedObject
    type: str
    reason: str
    message: str
    at: float
    series: Series
    count: int
    action: str


class Recorder:
    """One source of events: ``component``, on ``host`` if it is one of many."""

    def __init__(
        self,
        client: Client,
        component: str,
        host: str = "",
        *,
        modern: bool = False,
        rate: float = RATE,
        burst: float = BURST,
    ) -> None:
        """``modern``: as ``events.k8s.io`` writes them (the scheduler does): eventTime and action, no count."""
        self.client = client
        self.component = component
        self.host = host
        self._modern = modern
        self._clock = client.clock
        self._correlator = Correlator()
        self._queue: deque[_Said] = deque()
        self._task: asyncio.Task[None] | None = None
        self._rate, self._burst = rate, burst
        self._tokens, self._since = burst, self._clock.time()

    def event(self, obj: Json, type: str, reason: str, message: str, *, field_path: str = "", action: str = "") -> None:
        """Say something about an object. ``type`` is ``Normal`` or ``Warning``.

        ``field_path`` names the part meant (``spec.containers{web}``).
        """
        about = reference(obj, field_path)
        identity = (about.get("kind"), about.get("namespace"), about.get("name"), about.get("uid"), field_path)
        now = self._clock.time()
        seen = self._correlator.observe(identity, (type, reason), message, now)
        if seen is None or len(self._queue) >= QUEUE:
            return
        self._queue.append(_Said(about, type, reason, seen.message, now, seen.series, seen.times, action))
        if self._task is None:
            self._task = loops.create_task(self._flush(), name=f"events of {self.component}")

    async def stop(self) -> None:
        """End at once; what has not been written is lost, as it is when a real component dies."""
        self._queue.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _flush(self) -> None:
        await asyncio.sleep(0)  # whoever speaks first finishes its own work
        written = 0
        while self._queue:
            await self._turn()
            said = self._queue.popleft()
            for _ in range(RETRIES):
                try:
                    await self._write(said)
                except Unreachable:
                    await self._clock.sleep(RETRY_SECONDS)
                    continue
                except StatusError as error:
                    log.debug("event of %s dropped: %s", self.component, error)
                except Exception:
                    log.exception("an event of %s could not be written", self.component)
                break
            written += 1
            if written % TURN == 0:
                await asyncio.sleep(0)
        self._task = None

    async def _turn(self) -> None:
        """Wait until the pace allows another one."""
        now = self._clock.time()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
        self._tokens -= 1
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / self._rate)

    async def _write(self, said: _Said) -> None:
        namespace = said.about.get("namespace") or "default"
        series = said.series
        if series.name and said.count > 1:
            try:
                await self.client.modify(kinds.EVENTS, namespace, series.name, lambda event: _again(event, said))
                return
            except NotFound:  # its hour is over (or somebody deleted it): it is told as a new one
                pass
        event = self._new(said, namespace)
        series.name = event["metadata"]["name"]
        # Events of one source about objects that are referred to alike have the same fields, and there are many.
        form = (self._modern, self.client.manager, bool(self.host), bool(said.message), *said.about)
        created = await self.client.create(kinds.EVENTS, namespace, event, fields=_FIELDS.get(form))
        if form not in _FIELDS:
            _FIELDS[form] = created["metadata"]["managedFields"][0]["fieldsV1"]

    def _new(self, said: _Said, namespace: str) -> Json:
        suffix = f".{_stamp(said.at):x}"
        name = said.about["name"][: NAME_BYTES - len(suffix)] + suffix
        event: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": said.about,
            "reason": said.reason,
            "type": said.type,
        }
        if said.message:
            event["message"] = said.message
        if self._modern:
            event |= {
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
                "eventTime": micro(said.at),
                "action": said.action,
                "reportingComponent": self.component,
                "reportingInstance": f"{self.component}-{self.client.machine}",
            }
            return event
        source = {"component": self.component, "host": self.host} if self.host else {"component": self.component}
        event |= {
            "source": source,
            "firstTimestamp": rfc3339(said.series.first),
            "lastTimestamp": rfc3339(said.at),
            "count": said.count,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }
        return event


def _again(event: Json, said: _Said) -> Json:
    """The event after it happened once more."""
    event = edited(event)
    if event.get("eventTime"):
        event["series"] = {"count": said.count, "lastObservedTime": micro(said.at)}
    else:
        event |= {"count": said.count, "lastTimestamp": rfc3339(said.at)}
    if said.message:
        event["message"] = said.message
    return event


def reference(obj: Json, field_path: str = "") -> Json:
    """An ``ObjectReference`` to it. An object that is one already (it has no metadata) stays."""
    if "metadata" not in obj:
        return obj
    metadata = obj["metadata"]
    about = {"kind": obj["kind"]}
    if "namespace" in metadata:
        about["namespace"] = metadata["namespace"]
    about |= {"name": metadata["name"], "uid": metadata.get("uid", ""), "apiVersion": obj["apiVersion"]}
    if "resourceVersion" in metadata:
        about["resourceVersion"] = metadata["resourceVersion"]
    return {**about, "fieldPath": field_path} if field_path else about

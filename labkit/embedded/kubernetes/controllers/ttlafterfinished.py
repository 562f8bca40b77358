"""The TTL-after-finished controller: Jobs that say so go a while after they are over.

``pkg/controller/ttlafterfinished``.
"""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.objects import Json, Key, is_terminating, key_of, spec_of, status_of
from labkit.embedded.kubernetes.times import parse


def expires_at(job: Json) -> float | None:
    """When a finished Job is to go; None: never, or not yet known."""
    ttl = spec_of(job).get("ttlSecondsAfterFinished")
    if ttl is None or is_terminating(job):
        return None
    for condition in status_of(job).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            since = condition.get("lastTransitionTime")
            return None if since is None else parse(since) + float(ttl)
    return None


class TTLAfterFinishedController(Controller):
    name: ClassVar[str] = "ttl-after-finished-controller"

    def setup(self) -> None:
        self.jobs = self.watch(kinds.JOBS, self._job, lambda _, new: self._job(new))

    def _job(self, job: Json) -> None:
        at = expires_at(job)
        if at is not None:
            self.queue.add_after(key_of(job), at - self.clock.time())

    async def sync(self, key: Key) -> None:
        # The newest, for somebody may have given it more time just now.
        job = await self.client.find(kinds.JOBS, *key)
        at = None if job is None else expires_at(job)
        if job is None or at is None:
            return
        if at > self.clock.time():
            self.queue.add_after(key, at - self.clock.time())
            return
        try:
            await self.client.delete(kinds.JOBS, *key, uid=job["metadata"]["uid"], propagation="Foreground")
        except NotFound:
            pass

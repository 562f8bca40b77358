"""Jobs: pods that run until they have ended well, often enough (``pkg/controller/job``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.client import Client, Informers
from labkit.embedded.kubernetes.controllers.job import counting, decide, indexes, perindex, tracking
from labkit.embedded.kubernetes.controllers.job.backoff import Backoff, restarted_too_often
from labkit.embedded.kubernetes.controllers.job.counting import Tally
from labkit.embedded.kubernetes.controllers.job.decide import Step, Verdict
from labkit.embedded.kubernetes.controllers.job.spec import (
    FINALIZER,
    failure_policy,
    is_finished,
    is_indexed,
    is_suspended,
    is_tracked,
    limit_per_index,
)
from labkit.embedded.kubernetes.controllers.podcontrol import is_namespace_ending, slow_start
from labkit.embedded.kubernetes.controllers.podowner import PodOwner
from labkit.embedded.kubernetes.controllers.pods import from_template
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    controller_of,
    edited,
    has_condition,
    is_pod_ready,
    is_terminating,
    key_of,
    name_of,
    namespace_of,
    status_of,
    uid_of,
    version_of,
)

ORPHAN = "orphan"
MANAGED_BY = "kubernetes.io/job-controller"


class JobController(PodOwner):
    """Jobs."""

    name = "job-controller"
    kind: ClassVar[Kind] = kinds.JOBS
    finalizer = FINALIZER
    workers = 5

    def __init__(self, client: Client, informers: Informers) -> None:
        super().__init__(client, informers)
        self._backoffs: dict[str, Backoff] = {}
        self._written: dict[str, int] = {}  # uid → the version that our last write made
        self._let_go: dict[str, set[str]] = {}  # uid → its pods whose finalizer we took, which the cache shows still

    # whose pods -----------------------------------------------------------------------------------------------

    def owner_deleted(self, owner: Json) -> None:
        super().owner_deleted(owner)
        self._backoffs.pop(uid_of(owner), None)
        self._written.pop(uid_of(owner), None)
        self._let_go.pop(uid_of(owner), None)
        for pod in self.pods.by_index("controller", uid_of(owner)):
            self._see_orphan(pod)

    def _pod_added(self, pod: Json) -> None:
        super()._pod_added(pod)
        self._see_orphan(pod)

    def _pod_updated(self, old: Json, new: Json) -> None:
        super()._pod_updated(old, new)
        self._see_orphan(new)

    def _pod_deleted(self, pod: Json) -> None:
        super()._pod_deleted(pod)
        self._see_let_go(pod)

    def _see_let_go(self, pod: Json) -> None:
        if self._let_go and (reference := controller_of(pod)) is not None:
            self._shown(reference["uid"], pod)

    def _see_orphan(self, pod: Json) -> None:
        """A pod whose Job is gone would keep its finalizer, and so itself, for ever."""
        if not is_tracked(pod):
            self._see_let_go(pod)
            return
        reference = controller_of(pod)
        if reference is None or (reference["kind"] == "Job" and self.owner_of(pod) is None):
            self.queue.add((ORPHAN, *key_of(pod)))

    async def _release_orphan(self, namespace: str, name: str) -> None:
        pod = self.pods.get(namespace, name)
        if pod is None or not is_tracked(pod):
            return
        reference = controller_of(pod)
        if reference is not None and reference["kind"] == "Job":
            job = await self.client.find(kinds.JOBS, namespace, reference["name"])
            if job is not None and uid_of(job) == reference["uid"]:
                return
        await self._release([pod])

    # bringing it in order -------------------------------------------------------------------------------------

    async def sync(self, key: Any) -> None:
        if key[0] == ORPHAN and len(key) == 3:
            await self._release_orphan(key[1], key[2])
            return
        job = self.owners.get(*key)
        if job is None or job["spec"].get("managedBy", MANAGED_BY) != MANAGED_BY:
            return
        await self.let_changes_gather(job)
        job = self.owners.get(*key) or job
        if version_of(job) < self._written.get(uid_of(job), 0) or self._let_go.get(uid_of(job)):
            return  # the cache does not know yet what we wrote; when it does we are called again
        pods = await self.claimed(job)
        if is_finished(job):
            self._backoffs.pop(uid_of(job), None)
            await self._release([pod for pod in pods if is_tracked(pod)], job)
            return
        await self._go_on(key, job, pods)

    async def _go_on(self, key: Key, job: Json, pods: list[Json]) -> None:
        now = self.clock.time()
        stored = job
        counted = counting.tally(job, pods, now)
        status = dict(status_of(job))
        if "startTime" not in status and not is_suspended(job):
            status["startTime"] = times.rfc3339(now)
            job = {**job, "status": status}
            if (left := decide.deadline_in(job, now)) is not None:
                self.queue.add_after(key, left)
        backoff = self._backoffs.get(uid_of(job), Backoff()).after(counted.new_succeeded, counted.new_failed, now)
        verdict = decide.verdict(job, pods, counted, restarted_too_often(job, pods), now)
        active, error, all_seen = len(counted.active), None, self.expectations.satisfied(key)
        if verdict is not None:
            error = await self._end_all(job, counted.active)
            if error is None:  # the cache does not know yet that they are going
                counted.terminating += active
                active = counted.ready = 0
            if error is not None or not all_seen:
                verdict = None  # pods are left, or on their way, who would be forgotten
        elif all_seen and not is_terminating(job):
            pause = 0.0 if counted.failed_indexes is not None else backoff.remaining(now)
            active, error = await self._manage(key, job, counted, pause, now)
            if error is None and decide.is_complete(job, counted, active):
                verdict = decide.COMPLETED
            else:
                status = self._note_suspension(job, status, now)
        if verdict is not None or is_terminating(job):
            counting.close(job, counted, pods, well=verdict is None or verdict.succeeded)
        status = decide.numbers(status, counted, active)
        status = tracking.noted(status, counted, indexed=is_indexed(job))
        if verdict is not None and not has_condition(job, verdict.interim):
            told = decide.condition(verdict.interim, "True", verdict.reason, verdict.message, now)
            status["conditions"] = [*(status.get("conditions") or ()), told]
        await self._count(stored, pods, counted, status, verdict, active)
        self._backoffs[uid_of(job)] = backoff
        if (left := decide.deadline_in(job, now)) is not None and verdict is None:
            self.queue.add_after(key, max(left, 0.001))
        if error is not None:
            raise error

    # status ---------------------------------------------------------------------------------------------------

    async def _count(
        self,
        job: Json,
        pods: Sequence[Json],
        counted: Tally,
        status: Json,
        verdict: Verdict | None,
        active: int,
    ) -> None:
        """Write down who has ended, let them go, count them; and if that was all, say that the Job is over."""
        job = await self._put_status(job, status)
        await self._release(counted.settled, job)
        gone = {uid_of(pod) for pod in counted.settled}
        tracked = [uid_of(pod) for pod in pods if is_tracked(pod) and uid_of(pod) not in gone]
        status = tracking.settled(status, tracked)
        over = not active and not counted.terminating and not status["uncountedTerminatedPods"]
        if verdict is None or not over:
            await self._put_status(job, status)
            return
        now = self.clock.time()
        told = decide.condition(verdict.final, "True", verdict.reason, verdict.message, now)
        status["conditions"] = [*(status.get("conditions") or ()), told]
        if verdict.succeeded:
            status["completionTime"] = times.rfc3339(now)
        job = await self._put_status(job, status)
        if verdict.succeeded:
            self.recorder.event(job, "Normal", "Completed", "Job completed")
        else:
            self.recorder.event(job, "Warning", verdict.reason, verdict.message)

    def _note_suspension(self, job: Json, status: Json, now: float) -> Json:
        suspended = is_suspended(job)
        conditions = decide.with_suspension(status.get("conditions") or [], suspended, now)
        if conditions is None:
            return status
        if suspended:
            self.recorder.event(job, "Normal", "Suspended", "Job suspended")
            return {**status, "conditions": conditions}
        self.recorder.event(job, "Normal", "Resumed", "Job resumed")
        return {**status, "conditions": conditions, "startTime": times.rfc3339(now)}

    async def _put_status(self, job: Json, status: Json) -> Json:
        if status == status_of(job):
            return job
        changed = edited(job)
        changed["status"] = status
        written = await self.client.update_status(kinds.JOBS, changed)
        self._written[uid_of(written)] = version_of(written)
        return written

    # pods -----------------------------------------------------------------------------------------------------

    async def _manage(
        self, key: Key, job: Json, counted: Tally, pause: float, now: float
    ) -> tuple[int, Exception | None]:
        """Make one step; returns how many are active then."""
        step = decide.step(job, counted, now)
        active = len(counted.active)
        if step.delete:
            error = await self._end(key, job, step.delete)
            if error is not None:
                return active, error
            active -= len(step.delete)
            counted.ready -= sum(is_pod_ready(pod) for pod in step.delete)
            counted.terminating += len(step.delete)
        pause = max(pause, step.pause)
        if pause > 0:
            self.queue.add_after(key, pause)
        if pause > 0 or not step.create:
            return active, None
        made, error = await self._create(key, job, step, counted)
        return active + made, error

    async def _create(self, key: Key, job: Json, step: Step, counted: Tally) -> tuple[int, Exception | None]:
        self.expectations.expect(key, creations=step.create)
        template = job["spec"]["template"]
        plain = from_template(template, job, finalizers=(FINALIZER,))
        if step.indexes:
            template = {**template, "spec": indexes.with_variable(template["spec"])}

        async def one(position: int) -> None:
            pod = plain
            if step.indexes:
                index = step.indexes[position]
                pod = self._indexed(job, template, index, counted.awaiting.get(index))
            await self.pod_control.create(pod, job)

        made, error = await slow_start(step.create, one)
        self.expectations.created(key, step.create - made)
        return made, None if error is not None and is_namespace_ending(error) else error

    def _indexed(self, job: Json, template: Json, index: int, before: Json | None) -> Json:
        described = template.get("metadata") or {}
        marked = {
            part: {**(described.get(part) or {}), indexes.INDEX: str(index)} for part in ("labels", "annotations")
        }
        if limit_per_index(job) is not None:
            marked["annotations"] |= perindex.numbers(before, failure_policy(job))
        spec = indexes.with_index(template["spec"], name_of(job), index)
        prefix = f"{name_of(job)}-{index}-"
        return from_template(
            {"metadata": {**described, **marked}, "spec": spec}, job, prefix=prefix, finalizers=(FINALIZER,)
        )

    async def _end(self, key: Key, job: Json, doomed: list[Json]) -> Exception | None:
        """End pods that are too many: they do not count, so their finalizer goes first."""
        self.expectations.expect(key, deletions=[uid_of(pod) for pod in doomed])
        failure: Exception | None = None
        await self._release(doomed, job)
        for pod in doomed:
            try:
                gone = not await self.pod_control.delete(pod, job)
            except Exception as error:
                self.expectations.deleted(key, uid_of(pod))
                failure = failure or error
                continue
            if gone:
                self.expectations.deleted(key, uid_of(pod))
        return failure

    async def _end_all(self, job: Json, active: list[Json]) -> Exception | None:
        """The Job is over: whoever still works is asked to stop, and counts as failed."""
        failure: Exception | None = None
        for pod in active:
            try:
                await self.pod_control.delete(pod, job)
            except Exception as error:
                failure = failure or error
        return failure

    async def _release(self, pods: Sequence[Json], job: Json | None = None) -> None:
        """Take our finalizer from them. Their ``job`` is not looked at again before the cache shows that."""
        owner = "" if job is None else uid_of(job)
        for number, pod in enumerate(pods):
            if is_tracked(pod):
                if owner:  # before it is written: the news may be here sooner than the answer
                    self._let_go.setdefault(owner, set()).add(uid_of(pod))
                try:
                    await self.client.modify(kinds.PODS, namespace_of(pod), name_of(pod), tracking.released)
                except NotFound:
                    pass
                except BaseException:
                    self._shown(owner, pod)
                    raise
                seen = self.pods.get(namespace_of(pod), name_of(pod))
                if seen is None or not is_tracked(seen):
                    self._shown(owner, pod)
            if number % 16 == 15:
                await asyncio.sleep(0)

    def _shown(self, owner: str, pod: Json) -> None:
        """The cache shows that the pod has been let go, or is no more."""
        hidden = self._let_go.get(owner, set())
        hidden.discard(uid_of(pod))
        if not hidden:
            self._let_go.pop(owner, None)

"""The scheduler's shell: takes pods from the queue, asks where they go, has it written down.

``pkg/scheduler/schedule_one.go``. One pod after the other; binding and everything else that is written goes on beside
it (:mod:`~.writing`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informers, Recorder
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import Decision, Diagnosis, decide
from labkit.embedded.kubernetes.scheduler.explain import Explanations, explain
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape, Shapes
from labkit.embedded.kubernetes.scheduler.preemption import Outcome, preempt
from labkit.embedded.kubernetes.scheduler.queue import GATES, QueuedPod, SchedulingQueue
from labkit.embedded.kubernetes.scheduler.ranking import Ranking
from labkit.embedded.kubernetes.scheduler.requeue import Happening, What
from labkit.embedded.kubernetes.scheduler.watching import Watching
from labkit.embedded.kubernetes.scheduler.writing import SCHEDULER_ERROR, Writer
from labkit.embedded.kubernetes.times import rfc3339
from labkit.embedded.runtime import loops
from labkit.embedded.runtime.clock import Clock, Timer

log = logging.getLogger("labkit.kubernetes.scheduler")

TURN = 0.005
"""Seconds of the wall clock for which pods are scheduled before others get to run."""

SMALL = 400
"""Waiting pods times nodes up to which each pod is decided on by itself, which leaves a table to explain it. In a big
cluster even pods that come one by one have a ranking made for them."""

RANKINGS = 64  # workloads that are kept ranked at a time


class Scheduler:
    """One kube-scheduler (``user="system:kube-scheduler"``). :meth:`start` may follow :meth:`stop`.

    ``name`` is the ``schedulerName`` of the pods that it looks after.
    """

    def __init__(
        self, client: Client, clock: Clock, *, rng: random.Random | None = None, name: str = "default-scheduler"
    ) -> None:
        self.client = client
        self.clock = clock
        self.name = name
        self._rng = rng or random.Random()
        self._task: asyncio.Task[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.cluster = Cluster()
        self.queue = SchedulingQueue(self.clock.time)
        self._shapes = Shapes()
        self._informers = Informers(self.client)
        self._recorder = Recorder(self.client, self.name, modern=True)
        self._writer = Writer(self.client, self._recorder, self.name)
        self._explanations = Explanations()
        self._rankings: dict[Shape, Ranking] = {}
        self._refusals: dict[Shape, tuple[tuple[int, int], Diagnosis, Outcome]] = {}
        self._preempting: dict[Key, bool] = {}  # pods for whom others are being deleted → have its turn afterwards
        self._woken = asyncio.Event()
        self._timer: Timer | None = None
        self._watching = Watching(
            self.name, self.cluster, self.queue, self._shapes, wake=self._woken.set, gone=self._pod_gone
        )

    # -- life

    def start(self) -> None:
        """Begin from a list of what there is. Needs a running event loop."""
        if self._task is None:
            self._reset()
            self._task = asyncio.create_task(self._run(), name="kube-scheduler")

    async def stop(self) -> None:
        """End at once and leave no task behind; what was decided but not yet bound is forgotten."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(task, self._writer.stop(), self._informers.stop(), return_exceptions=True)
        await self._recorder.stop()

    async def _run(self) -> None:
        self._watching.listen(self._informers)
        self._informers.start()
        await self._informers.synced()
        while True:
            self.queue.flush()
            await self.client.hold()
            if self._schedule_some():
                await asyncio.sleep(0)
            else:
                await self._wait()

    async def _wait(self) -> None:
        """Until there is somebody to schedule."""
        due = self.queue.due()
        if due is not None:
            self._timer = self.clock.call_later(due - self.clock.time(), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            self._woken.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _schedule_some(self) -> bool:
        """Schedule for a moment. False: nobody waits any more."""
        loop = loops.running()
        until = loop.time() + TURN
        while (queued := self.queue.pop()) is not None:
            try:
                self._schedule(queued)
            except Exception as problem:
                log.exception("scheduling %s/%s failed", *queued.pod.key)
                self._failed(queued, problem)
            if loop.time() >= until:
                return True
        return False

    # -- one pod

    def _schedule(self, queued: QueuedPod) -> None:
        pod = queued.pod
        if pod.key in self._preempting:
            self._preempting[pod.key] = True
            self.queue.hold(queued)
        elif pod.terminating:
            self._writer.skip(pod)
        elif (known := self._known_refusal(pod)) is not None:
            self._refuse(queued, Decision(None, known[0]), known[1])
        else:
            self._decide(queued)

    def _decide(self, queued: QueuedPod) -> None:
        pod = queued.pod
        ranking = self._ranking(pod)
        node = ranking.best() if ranking is not None else None
        decision = None
        if node is None:  # without a ranking, or it found none: then this finds out why
            decision = decide(pod, self.cluster, self._rng)
            node = decision.node
        if node is not None:
            self._place(queued, node, decision)
            return
        assert decision is not None
        outcome = self._preempt(pod, decision.diagnosis)
        self._refuse(queued, decision, outcome)

    def _ranking(self, pod: PodInfo) -> Ranking | None:
        """One for its shape, if it is worth it and possible."""
        if self.cluster.nomination(pod.key):
            return None
        ranking = self._rankings.pop(pod.shape, None)
        if ranking is None or not ranking.current:  # one that is there is used to the end, it costs next to nothing
            if (self.queue.waiting + 1) * len(self.cluster.nodes) <= SMALL:
                return None
            ranking = Ranking.of(pod.shape, self.cluster, self._rng)
        if ranking is not None:
            self._rankings[pod.shape] = ranking  # the one used last is last
            if len(self._rankings) > RANKINGS:
                del self._rankings[next(iter(self._rankings))]
        return ranking

    def _place(self, queued: QueuedPod, node: str, decision: Decision | None) -> None:
        pod = queued.pod
        kept = self.cluster.nomination(pod.key)
        self.cluster.withdraw(pod.key)
        self.cluster.assume(pod, node)
        if kept not in ("", node):
            self._watching.happened(Happening(What.POD_DELETED, pod=pod))  # the room there is free for others
        self._explanations.note(pod, self.clock.time(), decision, self.cluster.nodes, node=node)
        self._writer.bind(pod, node, lambda problem: self._unbound(queued, problem))

    def _unbound(self, queued: QueuedPod, problem: Exception) -> None:
        key = queued.pod.key
        self.cluster.forget(key)
        if isinstance(problem, NotFound) or key in self.cluster.pods:
            return  # it is gone, or somebody else has bound it
        self._failed(queued, RuntimeError(f'running Bind plugin "DefaultBinder": {problem}'))

    def _failed(self, queued: QueuedPod, problem: Exception) -> None:
        """Not the pod's fault: try again after a while."""
        pod = self._newest(queued.pod)
        if pod is None:
            return
        queued.pod = pod
        self._explanations.note(pod, self.clock.time(), None, message=str(problem))
        self.queue.failed(queued)
        self._woken.set()  # there is a date to wait for
        self._writer.refuse(pod, str(problem), None, SCHEDULER_ERROR)

    def _newest(self, pod: PodInfo) -> PodInfo | None:
        """The pod as the watch has it now; None if it has gone."""
        obj = self._informers[kinds.PODS].get(*pod.key)
        if obj is None or obj["metadata"].get("uid") != pod.uid or obj["spec"].get("nodeName"):
            return None
        return self._shapes.read(obj)

    # -- pods without a place

    def _known_refusal(self, pod: PodInfo) -> tuple[Diagnosis, Outcome] | None:
        """What an alike pod has just been told, if nothing has changed since."""
        known = self._refusals.get(pod.shape)
        if known is None or known[0] != self.cluster.state or self.cluster.nomination(pod.key) or pod.nominated:
            return None
        return known[1], known[2]

    def _preempt(self, pod: PodInfo, diagnosis: Diagnosis) -> Outcome:
        if not self.cluster.nodes:
            return Outcome()
        budgets = self._informers[kinds.POD_DISRUPTION_BUDGETS].objects()
        now = rfc3339(self.clock.time())
        outcome = preempt(pod, self.cluster, diagnosis, budgets, self._rng, now)
        diagnosis.preemption = outcome.message
        return outcome

    def _refuse(self, queued: QueuedPod, decision: Decision, outcome: Outcome) -> None:
        pod, diagnosis, cluster = queued.pod, decision.diagnosis, self.cluster
        nominated: str | None = None
        if outcome.candidate is not None:
            nominated = outcome.candidate.node
            for other in cluster.nominated_below(nominated, pod.shape.priority):
                cluster.withdraw(other.key)
                self._writer.withdraw(other)
                self.queue.activate(other.key)
            cluster.nominate(pod, nominated)
        elif outcome.clear:
            nominated = ""
            if cluster.nomination(pod.key):
                cluster.withdraw(pod.key)
                self._watching.happened(Happening(What.POD_DELETED, pod=pod))
        message = diagnosis.message()
        self.queue.refused(queued, diagnosis.plugins)
        self._explanations.note(
            pod,
            self.clock.time(),
            decision,
            cluster.nodes,
            message=message,
            nominated=cluster.nomination(pod.key),
        )
        self._writer.refuse(pod, message, nominated)
        if outcome.candidate is not None:
            self._preempting[pod.key] = False
            self._writer.preempt(pod, outcome.candidate, lambda well: self._preempted(pod.key, well))
        elif not pod.nominated:
            if len(self._refusals) >= RANKINGS:
                self._refusals.clear()
            self._refusals[pod.shape] = cluster.state, diagnosis, outcome

    def _preempted(self, key: Key, well: bool) -> None:
        """The victims have been asked to leave; the pod's turn comes when they have left."""
        woken = self._preempting.pop(key, False)
        if woken or not well:
            self.queue.activate(key)
            self._woken.set()

    def _pod_gone(self, pod: PodInfo) -> None:
        self._explanations.forget(pod.key)

    # -- to be asked

    def explain(self, namespace: str, pod: str) -> Json | None:
        """Why a pod is where it is, or waits: node by node what each filter said, and each score.

        None if there is no such pod, or it is not this scheduler's. ``asOf`` says whether the table is that of the
        decision (``decision``) or was worked out just now (``now``). A filter that ``passed`` None was not asked, as
        one before it had refused the node. A kube-scheduler has nothing like it; it belongs to its debug endpoint.
        """
        obj = self._informers[kinds.PODS].get(namespace, pod) if self._task is not None else None
        if obj is None or obj["spec"].get("schedulerName", self.name) != self.name:
            return None
        info = self.cluster.pods.get((namespace, pod)) or self._shapes.read(obj)
        queued = self.queue.get(info.key)
        record = self._explanations.get(info.key)
        state = {
            "scheduler": self.name,
            "state": _state(info, queued),
            "attempts": queued.attempts if queued is not None else None,
            "refusedBy": sorted(queued.refused_by) if queued is not None else [],
        }
        return explain(info, record, self.cluster, self.clock.time(), state)

    def status(self) -> dict[str, Any]:
        """How many pods wait where, and how many are placed."""
        return {"queue": self.queue.counts(), "pods": len(self.cluster.pods), "nodes": len(self.cluster.nodes)}


def _state(pod: PodInfo, queued: QueuedPod | None) -> str:
    if queued is not None:
        return "Gated" if GATES in queued.refused_by else "Pending"
    return "Placed" if pod.node else "Pending"

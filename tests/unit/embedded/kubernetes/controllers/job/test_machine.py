"""Whatever happens to a Job's pods, each is counted once, and it ends as the numbers say."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.job import JobController, indexes
from labkit.embedded.kubernetes.controllers.job.indexes import index_of
from labkit.embedded.kubernetes.controllers.job.spec import is_finished, is_tracked
from labkit.embedded.kubernetes.objects import (
    Json,
    is_pod_active,
    is_pod_finished,
    is_terminating,
    name_of,
    status_of,
    uid_of,
    with_condition,
)
from tests.unit.embedded.kubernetes.controllers.job.jobstage import tell_late_of_pods

JOBS, PODS = kinds.JOBS, kinds.PODS
LIMIT = 4


DISRUPTED = {"type": "DisruptionTarget", "status": "True"}
IGNORING = {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [DISRUPTED]}]}}
INDEXED = {"completionMode": "Indexed"}
SORTS: dict[str, Json] = {
    "plain": {"backoffLimit": LIMIT},
    "ignoring": {"backoffLimit": LIMIT, **IGNORING},
    "indexed": {"backoffLimit": LIMIT, **INDEXED},
    "indexed, enough": {"backoffLimit": LIMIT, **INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}},
    "per index": {"backoffLimitPerIndex": 1, **INDEXED},
    "per index, ignoring": {"backoffLimitPerIndex": 1, **INDEXED, **IGNORING},
    "per index, some": {"backoffLimitPerIndex": 1, "maxFailedIndexes": 1, **INDEXED},
}


class Jobs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.good: set[str] = set()  # uids of pods that ended well, before anybody asked them to go
        self.bad: set[str] = set()
        self.ignored: set[str] = set()  # those that ended badly, and a rule says that it does not matter
        self.deleted: set[str] = set()

    def run(self, step: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(step)

    @initialize(
        completions=st.integers(1, 6),
        parallelism=st.integers(1, 4),
        sort=st.sampled_from(sorted(SORTS)),
        late=st.sampled_from([0.0, 0.5, 3.0]),
    )
    def begin(self, completions: int, parallelism: int, sort: str, late: float) -> None:
        template = {"spec": {"containers": [{"name": "c", "image": "busybox"}], "restartPolicy": "Never"}}
        spec: Json = {"completions": completions, "parallelism": parallelism, "template": template, **SORTS[sort]}

        async def step() -> None:
            self.kube = await Kube(JobController).__aenter__()
            self.kube.kubelet.grace = 5
            self.late = late
            self.slow_down()
            await self.kube.create(JOBS, {"metadata": {"name": "pi"}, "spec": spec})

        self.run(step())
        self.completions, self.parallelism = completions, parallelism
        self.indexed, self.ignores = "completionMode" in spec, "podFailurePolicy" in spec

    def slow_down(self) -> None:
        if self.late:
            tell_late_of_pods(self.kube, self.late)

    def teardown(self) -> None:
        self.run(self.kube.__aexit__())
        self.runner.close()

    def job(self) -> Json:
        return self.kube.get(JOBS, "pi")

    def active(self) -> list[Json]:
        return [pod for pod in self.kube.pods() if is_pod_active(pod)]

    @rule(number=st.integers(0, 9), how=st.sampled_from(["well", "badly", "disrupted"]))
    def end(self, number: int, how: str) -> None:
        active = self.active()
        if active and not is_finished(self.job()):
            pod = active[number % len(active)]
            if how == "disrupted":
                self.disrupt(pod)
            self.kube.kubelet.finish("default", name_of(pod), "Succeeded" if how == "well" else "Failed")
            ended = self.bad if how == "badly" or not self.ignores else self.ignored
            (self.good if how == "well" else ended).add(uid_of(pod))

    def disrupt(self, pod: Json) -> None:
        """Somebody says what he is about to do to it."""

        def change(found: Json) -> Json:
            conditions = with_condition(status_of(found).get("conditions"), DISRUPTED)
            return {**found, "status": {**status_of(found), "conditions": conditions}}

        self.kube.registry.modify(PODS, "default", name_of(pod), change, subresource="status")

    @rule(number=st.integers(0, 9))
    def delete(self, number: int) -> None:
        active = self.active()
        if active:
            pod = active[number % len(active)]
            self.deleted.add(uid_of(pod))
            self.run(self.kube.delete(PODS, name_of(pod)))

    @rule(seconds=st.sampled_from([0.0, 1.0, 12.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.run(self.kube.advance(seconds))

    @rule()
    def step_of_the_loop(self) -> None:
        self.run(asyncio.sleep(0))

    @rule()
    def restart(self) -> None:
        async def step() -> None:
            await self.kube.manager.stop()
            self.kube.manager.start()
            self.slow_down()

        self.run(step())

    @rule(parallelism=st.integers(0, 4))
    def change_parallelism(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self.run(self.kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(parallelism=parallelism)))

    @rule()
    def comes_to_an_end(self) -> None:
        """Let all pods end well from here on."""
        self.change_parallelism(4)
        for _ in range(60):
            if is_finished(self.job()):
                break
            for pod in self.active():
                self.kube.kubelet.finish("default", name_of(pod))
                self.good.add(uid_of(pod))
            self.run(self.kube.advance(30))
        job = self.job()
        assert is_finished(job)
        self.run(self.kube.advance(60))
        assert not self.active()
        assert not any(is_tracked(pod) or is_terminating(pod) for pod in self.kube.pods())
        status = self.job()["status"]
        assert status["uncountedTerminatedPods"] == {}
        assert "active" not in status
        assert status["terminating"] == 0
        told = [(one["type"], one.get("reason")) for one in status["conditions"]]
        assert [kind for kind, _ in told] in (["SuccessCriteriaMet", "Complete"], ["FailureTarget", "Failed"])
        assert told[0][1] == told[1][1]
        self.ended_as_it_says(told[1][1], status)

    def ended_as_it_says(self, reason: str | None, status: Json) -> None:
        done = indexes.parse(status.get("completedIndexes", ""), self.completions)
        given_up = indexes.parse(status.get("failedIndexes", ""), self.completions)
        match reason:
            case "CompletionsReached":
                assert status["succeeded"] == self.completions
                assert status["completionTime"]
                assert not given_up
            case "SuccessPolicy":
                assert status["succeeded"] >= 1
                assert status["completionTime"]
            case "BackoffLimitExceeded":
                assert status["failed"] > LIMIT
            case "FailedIndexes":
                assert done | given_up == set(range(self.completions))
                assert status["failed"] >= 2 * len(given_up) > 0
            case _:
                assert reason == "MaxFailedIndexesExceeded"
                assert len(given_up) > 1

    @invariant()
    def numbers_never_exceed_what_happened(self) -> None:
        if not hasattr(self, "kube"):
            return
        status = self.job().get("status", {})
        assert status.get("succeeded", 0) <= min(len(self.good), self.completions)
        assert len(self.active()) <= 4
        is_ending = any(one["type"] == "FailureTarget" for one in status.get("conditions") or ())
        if not is_ending:  # when it has failed, those count too that it has ended
            uncounted = (status.get("uncountedTerminatedPods") or {}).get("failed") or ()
            assert status.get("failed", 0) + len(uncounted) <= len(self.bad | self.deleted)
        if self.indexed:
            done = indexes.parse(status.get("completedIndexes", ""), self.completions)
            assert not done & indexes.parse(status.get("failedIndexes", ""), self.completions)
            working = [index_of(pod) for pod in self.active()]
            assert len(set(working)) == len(working)
            assert all(0 <= index < self.completions for index in working)
        for pod in self.kube.pods():
            # Nobody is let go of before it is counted.
            if is_pod_finished(pod) and not is_terminating(pod) and not is_tracked(pod):
                assert uid_of(pod) in self.good | self.bad | self.ignored or is_finished(self.job())


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)

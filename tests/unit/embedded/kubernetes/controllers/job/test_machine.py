"""Whatever happens to a Job's pods, each is counted once, and it ends as the numbers say."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.job import JobController
from labkit.embedded.kubernetes.controllers.job.decide import is_finished, is_tracked
from labkit.embedded.kubernetes.controllers.job.indexes import index_of
from labkit.embedded.kubernetes.objects import Json, is_pod_active, is_pod_finished, is_terminating, name_of, uid_of

JOBS, PODS = kinds.JOBS, kinds.PODS
LIMIT = 4


class Jobs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.good: set[str] = set()  # uids of pods that ended well, before anybody asked them to go
        self.bad: set[str] = set()

    def run(self, step: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(step)

    @initialize(completions=st.integers(1, 6), parallelism=st.integers(1, 4), indexed=st.booleans())
    def begin(self, completions: int, parallelism: int, indexed: bool) -> None:
        template = {"spec": {"containers": [{"name": "c", "image": "busybox"}], "restartPolicy": "Never"}}
        spec: Json = {"completions": completions, "parallelism": parallelism, "template": template}
        spec |= {"backoffLimit": LIMIT, "completionMode": "Indexed" if indexed else "NonIndexed"}

        async def step() -> None:
            self.kube = await Kube(JobController).__aenter__()
            self.kube.kubelet.grace = 5
            await self.kube.create(JOBS, {"metadata": {"name": "pi"}, "spec": spec})

        self.run(step())
        self.completions, self.parallelism, self.indexed = completions, parallelism, indexed

    def teardown(self) -> None:
        self.run(self.kube.__aexit__())
        self.runner.close()

    def job(self) -> Json:
        return self.kube.get(JOBS, "pi")

    def active(self) -> list[Json]:
        return [pod for pod in self.kube.pods() if is_pod_active(pod)]

    @rule(number=st.integers(0, 9), well=st.booleans())
    def end(self, number: int, well: bool) -> None:
        active = self.active()
        if active and not is_finished(self.job()):
            pod = active[number % len(active)]
            self.kube.kubelet.finish("default", name_of(pod), "Succeeded" if well else "Failed")
            (self.good if well else self.bad).add(uid_of(pod))

    @rule(number=st.integers(0, 9))
    def delete(self, number: int) -> None:
        active = self.active()
        if active:
            self.run(self.kube.delete(PODS, name_of(active[number % len(active)])))

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
        kinds_of = [one["type"] for one in status["conditions"]]
        if "Complete" in kinds_of:
            assert status["succeeded"] == self.completions
            assert kinds_of.count("Complete") == 1
            assert status["completionTime"]
        else:
            assert kinds_of == ["FailureTarget", "Failed"]
            assert status["failed"] > LIMIT

    @invariant()
    def numbers_never_exceed_what_happened(self) -> None:
        if not hasattr(self, "kube"):
            return
        status = self.job().get("status", {})
        assert status.get("succeeded", 0) <= min(len(self.good), self.completions)
        assert len(self.active()) <= 4
        if self.indexed:
            working = [index_of(pod) for pod in self.active()]
            assert len(set(working)) == len(working)
            assert all(0 <= index < self.completions for index in working)
        for pod in self.kube.pods():
            # Nobody is let go of before it is counted.
            if is_pod_finished(pod) and not is_terminating(pod) and not is_tracked(pod):
                assert uid_of(pod) in self.good | self.bad or is_finished(self.job())


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)

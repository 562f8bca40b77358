"""Whatever happens, a ReplicaSet ends with its number of pods, all its own, and touches nobody else's."""

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.kube import Kube, is_controlled, template, workload

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.replicaset import ReplicaSetController
from labkit.embedded.kubernetes.objects import Json, controller_of, is_pod_active, labels_of, name_of
from labkit.embedded.kubernetes.registry import DeleteOptions

RS, PODS = kinds.REPLICA_SETS, kinds.PODS


class ReplicaSets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.bare = 0

    def run(self, step) -> None:  # type: ignore[no-untyped-def]
        self.runner.run(step)

    @initialize(replicas=st.integers(0, 6))
    def begin(self, replicas: int) -> None:
        async def step() -> None:
            self.kube = await Kube(ReplicaSetController).__aenter__()
            self.kube.kubelet.grace = 5
            await self.kube.create(RS, workload(replicas=replicas))

        self.run(step())

    def teardown(self) -> None:
        self.run(self.kube.__aexit__())
        self.runner.close()

    def chosen(self, number: int) -> Json | None:
        pods = self.kube.pods()
        return pods[number % len(pods)] if pods else None

    @rule(replicas=st.integers(0, 12))
    def scale(self, replicas: int) -> None:
        self.run(self.kube.edit(RS, "web", lambda obj: obj["spec"].update(replicas=replicas)))

    @rule(number=st.integers(0, 20), now=st.booleans())
    def delete(self, number: int, now: bool) -> None:
        if (pod := self.chosen(number)) is not None:
            self.kube.registry.delete(
                PODS, "default", name_of(pod), DeleteOptions(grace_period_seconds=0 if now else None)
            )

    @rule(number=st.integers(0, 20), phase=st.sampled_from(["Failed", "Succeeded"]))
    def end(self, number: int, phase: str) -> None:
        if (pod := self.chosen(number)) is not None:
            self.kube.kubelet.finish("default", name_of(pod), phase)

    @rule(number=st.integers(0, 20), app=st.sampled_from(["web", "other"]))
    def relabel(self, number: int, app: str) -> None:
        def change(pod: Json) -> Json:
            return {**pod, "metadata": {**pod["metadata"], "labels": {"app": app}}}

        if (pod := self.chosen(number)) is not None:
            self.kube.registry.modify(PODS, "default", name_of(pod), change)

    @rule(app=st.sampled_from(["web", "other"]))
    def make_bare(self, app: str) -> None:
        self.bare += 1
        metadata = {"name": f"bare-{self.bare}", "labels": {"app": app}}
        self.kube.registry.create(PODS, "default", {"metadata": metadata, "spec": template()["spec"]})

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.run(self.kube.advance(seconds))

    @rule()
    def step_of_the_loop(self) -> None:
        self.run(asyncio.sleep(0))

    @rule()
    def cut_off(self) -> None:
        self.kube.door.close("control-plane")

    @precondition(lambda self: "control-plane" in self.kube.door.shut)
    @rule()
    def reconnect(self) -> None:
        self.kube.door.open("control-plane")

    @rule()
    def restart(self) -> None:
        async def step() -> None:
            await self.kube.manager.stop()
            self.kube.manager.start()

        self.run(step())

    @rule()
    def converges(self) -> None:
        self.kube.door.open("control-plane")
        self.run(self.kube.advance(120))
        owner = self.kube.get(RS, "web")
        active = [pod for pod in self.kube.pods(owner) if is_pod_active(pod)]
        wanted = owner["spec"]["replicas"]
        assert len(active) == wanted
        assert owner["status"]["replicas"] == owner["status"].get("availableReplicas", 0) == wanted
        assert not any(
            controller_of(pod) is None and labels_of(pod)["app"] == "web" and is_pod_active(pod)
            for pod in self.kube.pods()
        )

    @invariant()
    def others_are_left_alone(self) -> None:
        if not hasattr(self, "kube"):
            return
        owner = self.kube.get(RS, "web")
        for pod in self.kube.pods():
            if name_of(pod).startswith("web-") and not is_controlled(pod, owner):
                assert labels_of(pod)["app"] == "other" or controller_of(pod) is None


TestReplicaSets = ReplicaSets.TestCase
TestReplicaSets.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)

"""Whatever happens to a Deployment: its limits hold while it rolls out, it comes to rest, its history is right."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.kube import Kube, workload

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.deployment import DeploymentController, revisions
from labkit.embedded.kubernetes.controllers.deployment.status import limits_of
from labkit.embedded.kubernetes.controllers.replicaset import ReplicaSetController
from labkit.embedded.kubernetes.objects import Json, annotations_of, name_of, status_of
from labkit.embedded.kubernetes.registry import DeleteOptions

DEPLOYMENTS, RS, PODS = kinds.DEPLOYMENTS, kinds.REPLICA_SETS, kinds.PODS
HISTORY = 3
limit = st.sampled_from([0, 1, 2, "25%", "50%", "100%"])


class Deployments(RuleBasedStateMachine):
    """``image:bad`` never becomes ready."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, step: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(step)

    @initialize(replicas=st.integers(1, 8), surge=limit, unavailable=limit)
    def begin(self, replicas: int, surge: int | str, unavailable: int | str) -> None:
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable if surge or unavailable else 1}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}

        async def step() -> None:
            self.kube = await Kube(DeploymentController, ReplicaSetController).__aenter__()
            self.kube.kubelet.delay = 3
            self.kube.kubelet.refuses = lambda pod: pod["spec"]["containers"][0]["image"] == "image:bad"
            made = workload(replicas=replicas, image="image:1", strategy=strategy, revisionHistoryLimit=HISTORY)
            await self.kube.create(DEPLOYMENTS, made)
            await self.kube.advance(10)

        self.run(step())
        self.scaled = False
        self.last_revision = 1

    def teardown(self) -> None:
        self.run(self.kube.__aexit__())
        self.runner.close()

    def deployment(self) -> Json:
        return self.kube.get(DEPLOYMENTS, "web")

    @rule(image=st.sampled_from(["image:1", "image:2", "image:3", "image:4", "image:5", "image:6", "image:bad"]))
    def set_image(self, image: str) -> None:
        def change(obj: Json) -> None:
            template = obj["spec"]["template"]
            containers = [{**template["spec"]["containers"][0], "image": image}]
            obj["spec"]["template"] = {**template, "spec": {**template["spec"], "containers": containers}}

        self.run(self.kube.edit(DEPLOYMENTS, "web", change))

    @rule(replicas=st.integers(0, 10))
    def scale(self, replicas: int) -> None:
        self.run(self.kube.edit(DEPLOYMENTS, "web", lambda obj: obj["spec"].update(replicas=replicas)))

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.run(self.kube.edit(DEPLOYMENTS, "web", lambda obj: obj["spec"].update(paused=paused)))

    @rule(number=st.integers(0, 20))
    def lose_a_pod(self, number: int) -> None:
        pods = self.kube.pods()
        if pods:
            options = DeleteOptions(grace_period_seconds=0)
            self.kube.registry.delete(PODS, "default", name_of(pods[number % len(pods)]), options)

    @rule()
    def restart(self) -> None:
        async def step() -> None:
            await self.kube.manager.stop()
            self.kube.manager.start()

        self.run(step())

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.run(self.kube.advance(seconds))

    @rule(image=st.sampled_from(["image:1", "image:2", "image:3"]))
    def roll_out_in_peace(self, image: str) -> None:
        """From a state of rest, a rollout is watched second by second."""
        self.settle()
        self.set_image(image)
        deployment = self.deployment()
        desired, allowed = deployment["spec"]["replicas"], limits_of(deployment)
        for _ in range(60):
            wanted = sum(one["spec"]["replicas"] for one in self.kube.all(RS))
            assert wanted <= desired + allowed.surge
            available = sum(status_of(one).get("availableReplicas", 0) for one in self.kube.all(RS))
            assert available >= desired - min(allowed.unavailable, desired)
            self.run(self.kube.advance(1))
        self.check_rest()

    @rule()
    def settle(self) -> None:
        """Heal everything and let it come to rest."""

        def heal(obj: Json) -> None:
            obj["spec"]["paused"] = False
            template = obj["spec"]["template"]
            if template["spec"]["containers"][0]["image"] == "image:bad":
                containers = [{**template["spec"]["containers"][0], "image": "image:1"}]
                obj["spec"]["template"] = {**template, "spec": {**template["spec"], "containers": containers}}

        self.run(self.kube.edit(DEPLOYMENTS, "web", heal))
        self.run(self.kube.advance(120))
        self.check_rest()

    def check_rest(self) -> None:
        deployment = self.deployment()
        desired = deployment["spec"]["replicas"]
        sets = self.kube.all(RS)
        (new,) = [one for one in sets if one["spec"]["replicas"] or revisions.number(one) == revisions.highest(sets)]
        assert new["spec"]["replicas"] == desired
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        pods = self.kube.pods(new)
        assert len(pods) == len(self.kube.pods()) == desired
        assert all(pod["spec"]["containers"][0]["image"] == image for pod in pods)
        status = deployment["status"]
        for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
            assert status.get(field, 0) == desired
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
        (progress,) = [one for one in status["conditions"] if one["type"] == "Progressing"]
        assert progress["reason"] == "NewReplicaSetAvailable"
        # The newest has the highest number, all numbers differ, none was ever given back.
        numbers = [revisions.number(one) for one in sets]
        assert len(set(numbers)) == len(numbers)
        assert revisions.number(new) == max(numbers)
        assert annotations_of(deployment)[revisions.REVISION] == str(max(numbers))
        assert max(numbers) >= self.last_revision
        self.last_revision = max(numbers)
        assert len(sets) <= HISTORY + 1


TestDeployments = Deployments.TestCase
TestDeployments.settings = settings(
    max_examples=30, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)

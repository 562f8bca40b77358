from collections.abc import AsyncIterator

import pytest
from support.kube import Kube, template, workload

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.replicaset import ReplicaSetController
from labkit.embedded.kubernetes.controllers.replication import ReplicationController
from labkit.embedded.kubernetes.objects import Json, controller_of, is_terminating, name_of
from labkit.embedded.kubernetes.registry import DeleteOptions

RS, RC, PODS = kinds.REPLICA_SETS, kinds.REPLICATION_CONTROLLERS, kinds.PODS


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(ReplicaSetController, ReplicationController) as kube:
        yield kube


def bare(name: str = "bare", **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}, "spec": template()["spec"]}


async def test_it_makes_pods_and_says_so(kube: Kube) -> None:
    made = await kube.create(RS, workload(replicas=3))
    pods = kube.pods(made)
    assert len(pods) == 3
    assert all(name_of(pod).startswith("web-") for pod in pods)
    reference = controller_of(pods[0])
    assert reference == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": made["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert kube.get(RS, "web")["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
    }
    assert sorted(kube.events("SuccessfulCreate")) == sorted(f"Created pod: {name_of(pod)}" for pod in pods)


async def test_it_scales_down_to_the_pods_that_serve_longest(kube: Kube) -> None:
    kube.kubelet.nodes = ["worker-1"]  # else it would first even out the nodes
    await kube.create(RS, workload(replicas=2))
    old = {name_of(pod) for pod in kube.pods()}
    await kube.advance(100)
    await kube.edit(RS, "web", lambda obj: obj["spec"].update(replicas=5))
    await kube.advance(1)
    await kube.edit(RS, "web", lambda obj: obj["spec"].update(replicas=2))
    assert {name_of(pod) for pod in kube.pods()} == old
    assert len(kube.events("SuccessfulDelete")) == 3


async def test_a_pod_that_goes_is_replaced(kube: Kube) -> None:
    made = await kube.create(RS, workload(replicas=2))
    kube.kubelet.grace = 30
    first = name_of(kube.pods()[0])
    await kube.delete(PODS, first)
    assert len([pod for pod in kube.pods(made) if not is_terminating(pod)]) == 2
    assert kube.get(RS, "web")["status"]["terminatingReplicas"] == 1
    await kube.advance(31)
    assert kube.get(RS, "web")["status"]["terminatingReplicas"] == 0


async def test_a_failed_pod_is_replaced_and_stays(kube: Kube) -> None:
    await kube.create(RS, workload(replicas=1))
    kube.kubelet.finish("default", name_of(kube.pods()[0]), "Failed")
    await kube.settle()
    assert sorted(pod["status"]["phase"] for pod in kube.pods()) == ["Failed", "Running"]


async def test_relabelling_a_pod_makes_a_twin_appear(kube: Kube) -> None:
    made = await kube.create(RS, workload(replicas=2))
    lost = name_of(kube.pods()[0])

    def relabel(pod: Json) -> None:
        pod["metadata"]["labels"] = {"app": "debug"}

    await kube.edit(PODS, lost, relabel)
    assert len(kube.pods()) == 3
    assert len(kube.pods(made)) == 2
    assert controller_of(kube.get(PODS, lost)) is None

    def label_back(pod: Json) -> None:
        pod["metadata"]["labels"] = {"app": "web"}

    await kube.edit(PODS, lost, label_back)
    assert len(kube.pods()) == 2  # adopted, and one of the three is too many
    assert len(kube.pods(made)) == 2


async def test_it_adopts_what_matches_and_nobody_manages(kube: Kube) -> None:
    await kube.create(PODS, bare(app="web"))
    await kube.create(PODS, bare("other", app="other"))
    made = await kube.create(RS, workload(replicas=1))
    assert [name_of(pod) for pod in kube.pods(made)] == ["bare"]
    assert len(kube.pods()) == 2


async def test_a_bare_pod_that_matches_is_adopted_and_may_go_at_once(kube: Kube) -> None:
    made = await kube.create(RS, workload(replicas=1))
    await kube.create(PODS, bare(app="web"))
    assert len(kube.pods(made)) == 1
    assert len(kube.pods()) == 1


async def test_min_ready_seconds_delay_availability(kube: Kube) -> None:
    await kube.create(RS, workload(replicas=2, minReadySeconds=30))
    status = kube.get(RS, "web")["status"]
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (2, 0)
    await kube.advance(31)
    assert kube.get(RS, "web")["status"]["availableReplicas"] == 2


async def test_what_cannot_be_made_is_told_and_tried_again(kube: Kube) -> None:
    kube.registry.delete(kinds.SERVICE_ACCOUNTS, "default", "default", DeleteOptions())
    await kube.create(RS, workload(replicas=3))
    (told,) = kube.get(RS, "web")["status"]["conditions"]
    assert (told["type"], told["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert 'serviceaccount "default" not found' in told["message"]
    assert kube.events("FailedCreate")[0].startswith("Error creating: pods ")
    kube.registry.create(kinds.SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    await kube.advance(10)
    assert len(kube.pods()) == 3
    assert "conditions" not in kube.get(RS, "web")["status"]


async def test_it_asks_for_one_before_it_asks_for_five_hundred(kube: Kube) -> None:
    kube.registry.delete(kinds.SERVICE_ACCOUNTS, "default", "default", DeleteOptions())
    await kube.create(RS, workload(replicas=500))
    assert len(kube.events("FailedCreate")) == 2  # the second after its own condition made it look again


async def test_more_than_a_burst_comes_in_bursts(kube: Kube) -> None:
    await kube.create(RS, workload(replicas=1100))
    await kube.advance(1)
    assert len(kube.pods()) == 1100
    assert kube.get(RS, "web")["status"]["availableReplicas"] == 1100


async def test_stopped_nothing_moves_and_started_it_catches_up(kube: Kube) -> None:
    await kube.create(RS, workload(replicas=2))
    await kube.manager.stop()
    await kube.delete(PODS, name_of(kube.pods()[0]))
    await kube.edit(RS, "web", lambda obj: obj["spec"].update(replicas=3))
    await kube.advance(100)
    assert len(kube.pods()) == 1
    kube.manager.start()
    await kube.settle()
    assert len(kube.pods()) == 3


async def test_cut_off_it_waits_and_then_catches_up(kube: Kube) -> None:
    await kube.create(RS, workload(replicas=2))
    kube.door.close("control-plane")
    await kube.delete(PODS, name_of(kube.pods()[0]))
    await kube.advance(300)
    assert len(kube.pods()) == 1
    kube.door.open("control-plane")
    await kube.advance(31)
    assert len(kube.pods()) == 2


async def test_a_replication_controller_does_the_same(kube: Kube) -> None:
    spec = {"replicas": 2, "selector": {"app": "web"}, "template": template()}
    made = await kube.create(RC, {"metadata": {"name": "web"}, "spec": spec})
    assert len(kube.pods(made)) == 2
    assert kube.get(RC, "web")["status"] == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }
    assert controller_of(kube.pods()[0])["kind"] == "ReplicationController"  # type: ignore[index]

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.kube import Kube, template

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.daemonset import DaemonSetController
from labkit.embedded.kubernetes.controllers.history import HASH_LABEL
from labkit.embedded.kubernetes.objects import Json, labels_of, name_of

DS, PODS, NODES, REVISIONS = kinds.DAEMON_SETS, kinds.PODS, kinds.NODES, kinds.CONTROLLER_REVISIONS
NODE_NAMES = ("worker-1", "worker-2", "worker-3")


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(DaemonSetController, nodes=NODE_NAMES) as kube:
        yield kube


def daemon(**spec: Any) -> Json:
    fields = {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent"), **spec}
    return {"metadata": {"name": "agent"}, "spec": fields}


def set_image(image: str) -> Callable[[Json], None]:
    def change(obj: Json) -> None:
        fields = obj["spec"]["template"]
        containers = [{**fields["spec"]["containers"][0], "image": image}]
        obj["spec"]["template"] = {**fields, "spec": {**fields["spec"], "containers": containers}}

    return change


def images(kube: Kube) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in kube.pods())


def nodes_of(kube: Kube) -> list[str]:
    return sorted(pod["spec"]["nodeName"] for pod in kube.pods())


async def test_a_pod_on_every_node(kube: Kube) -> None:
    await kube.create(DS, daemon())
    assert nodes_of(kube) == list(NODE_NAMES)
    assert kube.get(DS, "agent")["status"] == {
        "currentNumberScheduled": 3,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 3,
        "numberReady": 3,
        "observedGeneration": 1,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    }
    (revision,) = kube.all(REVISIONS)
    assert revision["revision"] == 1
    assert revision["data"]["spec"]["template"]["$patch"] == "replace"
    assert name_of(revision) == f"agent-{labels_of(revision)[HASH_LABEL]}"
    assert {labels_of(pod)[HASH_LABEL] for pod in kube.pods()} == {labels_of(revision)[HASH_LABEL]}
    assert len(kube.events("SuccessfulCreate")) == 3


async def test_nodes_that_come_go_and_change(kube: Kube) -> None:
    await kube.create(DS, daemon(template=template("agent", nodeSelector={"disk": "ssd"})))
    assert kube.pods() == []

    def label(obj: Json) -> None:
        obj["metadata"]["labels"] = {**labels_of(obj), "disk": "ssd"}

    await kube.edit(NODES, "worker-2", label, "")
    assert nodes_of(kube) == ["worker-2"]
    kube.add_node("worker-4", labels={"disk": "ssd"})
    await kube.settle()
    assert nodes_of(kube) == ["worker-2", "worker-4"]

    def unlabel(obj: Json) -> None:
        obj["metadata"]["labels"] = {}

    await kube.edit(NODES, "worker-2", unlabel, "")
    assert nodes_of(kube) == ["worker-4"]


async def test_a_taint_drives_them_away_or_only_keeps_new_ones_off(kube: Kube) -> None:
    await kube.create(DS, daemon())

    def taint(effect: str) -> Callable[[Json], None]:
        return lambda obj: obj["spec"].update(taints=[{"key": "a", "effect": effect}])

    await kube.edit(NODES, "worker-1", taint("NoSchedule"), "")
    assert nodes_of(kube) == list(NODE_NAMES)
    assert kube.get(DS, "agent")["status"]["numberMisscheduled"] == 1
    await kube.edit(NODES, "worker-1", taint("NoExecute"), "")
    assert nodes_of(kube) == ["worker-2", "worker-3"]


async def test_a_pod_that_is_lost_or_fails_is_made_anew(kube: Kube) -> None:
    await kube.create(DS, daemon())
    await kube.delete(PODS, name_of(kube.pods()[0]))
    assert nodes_of(kube) == list(NODE_NAMES)
    failed = name_of(kube.pods()[0])
    kube.kubelet.finish("default", failed, "Failed")
    await kube.settle()
    assert nodes_of(kube) == list(NODE_NAMES)
    assert kube.events("FailedDaemonPod")[0].startswith(f"Found failed daemon pod default/{failed} on node ")


async def test_one_that_fails_again_and_again_is_replaced_ever_more_slowly(kube: Kube) -> None:
    await kube.create(DS, daemon(template=template("agent", nodeSelector={"kubernetes.io/hostname": "worker-1"})))
    for _ in range(3):
        kube.kubelet.finish("default", name_of(kube.pods()[0]), "Failed")
        await kube.settle()
    assert [pod["status"]["phase"] for pod in kube.pods()] == ["Failed"]
    await kube.advance(3)
    assert [pod["status"]["phase"] for pod in kube.pods()] == ["Running"]


async def test_a_rolling_update_goes_node_by_node(kube: Kube) -> None:
    await kube.create(DS, daemon())
    kube.kubelet.delay = 5
    await kube.edit(DS, "agent", set_image("nginx:1.28"))
    assert kube.get(DS, "agent")["status"]["numberUnavailable"] == 1
    assert images(kube) == ["nginx:1.27", "nginx:1.27", "nginx:1.28"]
    await kube.advance(6)
    assert images(kube) == ["nginx:1.27", "nginx:1.28", "nginx:1.28"]
    await kube.advance(20)
    assert images(kube) == ["nginx:1.28"] * 3
    assert kube.get(DS, "agent")["status"]["updatedNumberScheduled"] == 3


async def test_with_surge_the_new_one_comes_first(kube: Kube) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await kube.create(DS, daemon(updateStrategy=strategy))
    kube.kubelet.delay = 5
    await kube.edit(DS, "agent", set_image("nginx:1.28"))
    for _ in range(30):
        pods = kube.pods()
        assert 3 <= len(pods) <= 4
        assert kube.get(DS, "agent")["status"]["numberAvailable"] == 3
        await kube.advance(1)
    assert images(kube) == ["nginx:1.28"] * 3


async def test_on_delete_waits_for_somebody_to_delete(kube: Kube) -> None:
    await kube.create(DS, daemon(updateStrategy={"type": "OnDelete"}))
    await kube.edit(DS, "agent", set_image("nginx:1.28"))
    await kube.advance(10)
    assert images(kube) == ["nginx:1.27"] * 3
    assert "updatedNumberScheduled" not in kube.get(DS, "agent")["status"]
    await kube.delete(PODS, name_of(kube.pods()[0]))
    assert images(kube) == ["nginx:1.27", "nginx:1.27", "nginx:1.28"]


async def test_revisions_are_renumbered_when_one_goes_back_and_cleaned_up(kube: Kube) -> None:
    await kube.create(DS, daemon(revisionHistoryLimit=1))
    first = name_of(kube.all(REVISIONS)[0])
    await kube.edit(DS, "agent", set_image("nginx:1.28"))
    await kube.advance(30)
    await kube.edit(DS, "agent", set_image("nginx:1.27"))
    await kube.advance(30)
    assert {name_of(one): one["revision"] for one in kube.all(REVISIONS)}[first] == 3
    await kube.edit(DS, "agent", set_image("nginx:1.29"))
    await kube.advance(30)
    assert sorted(one["revision"] for one in kube.all(REVISIONS)) == [3, 4]


async def test_min_ready_seconds(kube: Kube) -> None:
    await kube.create(DS, daemon(minReadySeconds=20))
    assert "numberAvailable" not in kube.get(DS, "agent")["status"]
    await kube.advance(21)
    assert kube.get(DS, "agent")["status"]["numberAvailable"] == 3


async def test_five_hundred_nodes_are_not_counted_for_every_heartbeat(kube: Kube) -> None:
    await kube.create(DS, daemon())
    syncs = kube.manager.controllers["daemonset-controller"].metrics.syncs

    def beat(obj: Json) -> Json:
        return {**obj, "status": {**obj.get("status", {}), "beats": 1}}

    kube.registry.modify(NODES, "", "worker-1", beat, subresource="status")
    await kube.settle()
    assert kube.manager.controllers["daemonset-controller"].metrics.syncs == syncs


async def test_one_that_is_made_anew_takes_over_pods_and_revisions_that_were_left(kube: Kube) -> None:
    await kube.create(DS, daemon())
    before = {name_of(pod) for pod in kube.pods()}

    def orphaned(obj: Json) -> Json:
        return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [], "finalizers": []}}

    await kube.delete(DS, "agent", propagation="Orphan")
    for kind in (PODS, REVISIONS):
        for one in kube.all(kind):
            kube.registry.modify(kind, "default", name_of(one), orphaned)
    kube.registry.modify(DS, "default", "agent", orphaned)  # what the garbage collector does
    await kube.settle()
    await kube.create(DS, daemon())
    await kube.advance(30)
    assert {name_of(pod) for pod in kube.pods()} == before
    assert len(kube.all(REVISIONS)) == 1
    assert "collisionCount" not in kube.get(DS, "agent")["status"]

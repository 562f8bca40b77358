from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.kube import Kube, workload

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.deployment import DeploymentController, revisions
from labkit.embedded.kubernetes.controllers.replicaset import ReplicaSetController
from labkit.embedded.kubernetes.controllers.templates import HASH_LABEL, template_hash
from labkit.embedded.kubernetes.objects import Json, annotations_of, labels_of, name_of
from labkit.embedded.kubernetes.registry import DeleteOptions

DEPLOYMENTS, RS, PODS = kinds.DEPLOYMENTS, kinds.REPLICA_SETS, kinds.PODS


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(DeploymentController, ReplicaSetController) as kube:
        yield kube


def set_image(image: str) -> Callable[[Json], None]:
    def change(obj: Json) -> None:
        template = obj["spec"]["template"]
        containers = [{**template["spec"]["containers"][0], "image": image}]
        obj["spec"]["template"] = {**template, "spec": {**template["spec"], "containers": containers}}

    return change


def spec(**fields: Any) -> Callable[[Json], None]:
    return lambda obj: obj["spec"].update(fields)


def sets(kube: Kube) -> list[Json]:
    """Its ReplicaSets by revision."""
    return sorted(kube.all(RS), key=revisions.number)


def sizes(kube: Kube) -> dict[str, int]:
    return {annotations_of(one)[revisions.REVISION]: one["spec"]["replicas"] for one in sets(kube)}


def progress(kube: Kube) -> tuple[str, str]:
    conditions = kube.get(DEPLOYMENTS, "web")["status"]["conditions"]
    (found,) = [one for one in conditions if one["type"] == "Progressing"]
    return found["reason"], found["message"]


async def test_a_new_one(kube: Kube) -> None:
    made = await kube.create(DEPLOYMENTS, workload(replicas=3))
    (one,) = sets(kube)
    digest = template_hash(made["spec"]["template"])
    assert name_of(one) == f"web-{digest}"
    assert labels_of(one) == {"app": "web", HASH_LABEL: digest}
    assert one["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: digest}
    assert one["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH_LABEL: digest}
    assert annotations_of(one) == {
        revisions.REVISION: "1",
        revisions.DESIRED: "3",
        revisions.MOST: "4",
    }
    assert annotations_of(made)[revisions.REVISION] == "1"
    assert made["metadata"]["generation"] == 1  # the controller's annotation is no new wish
    status = made["status"]
    assert status["observedGeneration"] == 1
    assert status["replicas"] == status["updatedReplicas"] == status["availableReplicas"] == 3
    assert "unavailableReplicas" not in status
    assert progress(kube) == (
        "NewReplicaSetAvailable",
        f'ReplicaSet "web-{digest}" has successfully progressed.',
    )
    assert kube.events("ScalingReplicaSet") == [f"Scaled up replica set web-{digest} from 0 to 3"]
    assert all(labels_of(pod)[HASH_LABEL] == digest for pod in kube.pods())


async def test_a_rollout_keeps_to_its_limits(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=4))
    kube.kubelet.delay = 5
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:1.28"))
    assert sizes(kube) == {"1": 3, "2": 2}  # 4 with surge 1 and unavailable 1
    assert progress(kube)[0] == "ReplicaSetUpdated"
    await kube.advance(60)
    assert sizes(kube) == {"1": 0, "2": 4}
    assert kube.get(DEPLOYMENTS, "web")["status"]["updatedReplicas"] == 4
    assert progress(kube)[0] == "NewReplicaSetAvailable"
    names = [name_of(one) for one in sets(kube)]
    assert kube.events("ScalingReplicaSet")[:3] == [
        f"Scaled up replica set {names[0]} from 0 to 4",
        f"Scaled up replica set {names[1]} from 0 to 1",
        f"Scaled down replica set {names[0]} from 4 to 3",
    ]


async def test_a_broken_version_stops_and_times_out_and_undo_goes_back(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=4, progressDeadlineSeconds=60))
    kube.kubelet.refuses = lambda pod: pod["spec"]["containers"][0]["image"] == "nginx:broken"
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:broken"))
    assert sizes(kube) == {"1": 3, "2": 2}
    broken = name_of(sets(kube)[1])
    await kube.advance(70)
    assert sizes(kube) == {"1": 3, "2": 2}
    assert progress(kube) == ("ProgressDeadlineExceeded", f'ReplicaSet "{broken}" has timed out progressing.')
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:1.27"))  # what `rollout undo` patches
    await kube.advance(10)
    assert sizes(kube) == {"2": 0, "3": 4}
    assert annotations_of(sets(kube)[1])[revisions.HISTORY] == "1"
    assert annotations_of(kube.get(DEPLOYMENTS, "web"))[revisions.REVISION] == "3"
    assert progress(kube)[0] == "NewReplicaSetAvailable"


async def test_recreate_ends_all_before_it_begins(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=3, strategy={"type": "Recreate"}))
    kube.kubelet.grace = 30
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:1.28"))
    assert sizes(kube) == {"1": 0}
    await kube.advance(29)
    assert len(kube.all(RS)) == 1
    await kube.advance(2)
    assert sizes(kube) == {"1": 0, "2": 3}
    assert progress(kube)[0] == "NewReplicaSetAvailable"


async def test_paused_it_only_scales(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=2))
    await kube.edit(DEPLOYMENTS, "web", spec(paused=True))
    assert progress(kube)[0] == "DeploymentPaused"
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:1.28"))
    assert sizes(kube) == {"1": 2}
    await kube.edit(DEPLOYMENTS, "web", spec(replicas=5))
    assert sizes(kube) == {"1": 5}
    await kube.edit(DEPLOYMENTS, "web", spec(paused=False))
    await kube.advance(5)
    assert sizes(kube) == {"1": 0, "2": 5}


async def test_scaled_in_the_middle_of_a_rollout_both_sets_get_their_share(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=10, strategy=rolling(3, 2)))
    kube.kubelet.refuses = lambda pod: pod["spec"]["containers"][0]["image"] == "nginx:broken"
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:broken"))
    assert sizes(kube) == {"1": 8, "2": 5}
    await kube.edit(DEPLOYMENTS, "web", spec(replicas=15))
    assert sizes(kube) == {"1": 11, "2": 7}


def rolling(surge: int | str, unavailable: int | str) -> Json:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


async def test_neither_surge_nor_unavailable_still_moves(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=3, strategy=rolling(0, "10%")))
    await kube.edit(DEPLOYMENTS, "web", set_image("nginx:1.28"))
    await kube.advance(5)
    assert sizes(kube) == {"1": 0, "2": 3}


async def test_the_history_is_kept_to_its_limit(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=1, revisionHistoryLimit=2))
    for number in range(5):
        await kube.edit(DEPLOYMENTS, "web", set_image(f"nginx:2.{number}"))
        await kube.advance(5)
    assert sizes(kube) == {"4": 0, "5": 0, "6": 1}


async def test_annotations_go_along_and_min_ready_seconds_too(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=1))

    def change(obj: Json) -> None:
        obj["metadata"]["annotations"] = {
            **annotations_of(obj),
            "kubernetes.io/change-cause": "because",
        }
        obj["spec"]["minReadySeconds"] = 7

    await kube.edit(DEPLOYMENTS, "web", change)
    (one,) = sets(kube)
    assert annotations_of(one)["kubernetes.io/change-cause"] == "because"
    assert one["spec"]["minReadySeconds"] == 7


async def test_a_name_that_is_taken_is_a_collision_and_gets_another_hash(kube: Kube) -> None:
    digest = template_hash((await defaulted(kube))["spec"]["template"])
    await kube.create(RS, {**workload(replicas=0), "metadata": {"name": f"web-{digest}"}})
    await kube.create(DEPLOYMENTS, workload(replicas=1))
    await kube.advance(1)
    made = kube.get(DEPLOYMENTS, "web")
    assert made["status"]["collisionCount"] == 1
    assert made["status"]["availableReplicas"] == 1


async def defaulted(kube: Kube) -> Json:
    """A Deployment of another name as the API server stores it, for its template."""
    await kube.create(DEPLOYMENTS, workload(replicas=0))
    made = kube.get(DEPLOYMENTS, "web")
    kube.registry.delete(DEPLOYMENTS, "default", "web", DeleteOptions())
    for one in kube.all(RS):
        kube.registry.delete(RS, "default", name_of(one), DeleteOptions())
    await kube.settle()
    return made


async def test_a_replica_set_that_was_scaled_by_hand_is_put_right(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=2))
    await kube.edit(RS, name_of(sets(kube)[0]), spec(replicas=6))
    await kube.advance(1)
    assert sizes(kube) == {"1": 2}
    assert len(kube.pods()) == 2


async def test_an_orphaned_replica_set_is_adopted(kube: Kube) -> None:
    await kube.create(DEPLOYMENTS, workload(replicas=2))
    before = {name_of(pod) for pod in kube.pods()}
    await kube.delete(DEPLOYMENTS, "web", propagation="Orphan")

    def orphan(obj: Json) -> None:
        obj["metadata"].pop("ownerReferences", None)

    await kube.edit(RS, name_of(sets(kube)[0]), orphan)

    def let_go(obj: Json) -> Json:
        return {**obj, "metadata": {**obj["metadata"], "finalizers": []}}

    kube.registry.modify(DEPLOYMENTS, "default", "web", let_go)  # what the garbage collector does
    await kube.settle()
    await kube.create(DEPLOYMENTS, workload(replicas=2))
    await kube.advance(1)
    assert {name_of(pod) for pod in kube.pods()} == before
    assert len(sets(kube)) == 1


async def test_what_cannot_be_made_is_told(kube: Kube) -> None:
    kube.registry.delete(kinds.SERVICE_ACCOUNTS, "default", "default", DeleteOptions())
    made = await kube.create(DEPLOYMENTS, workload(replicas=1))
    (failure,) = [one for one in made["status"]["conditions"] if one["type"] == "ReplicaFailure"]
    assert failure["reason"] == "FailedCreate"

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.job import JobController
from labkit.embedded.kubernetes.controllers.job.indexes import INDEX
from labkit.embedded.kubernetes.controllers.job.spec import FINALIZER
from labkit.embedded.kubernetes.errors import InternalError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, annotations_of, is_pod_active, labels_of, name_of

JOBS, PODS = kinds.JOBS, kinds.PODS


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(JobController) as kube:
        yield kube


def job(restart: str = "Never", **spec: Any) -> Json:
    template = {"spec": {"containers": [{"name": "c", "image": "busybox:1.36"}], "restartPolicy": restart}}
    return {"metadata": {"name": "pi"}, "spec": {"template": template, **spec}}


def active(kube: Kube) -> list[Json]:
    return [pod for pod in kube.pods() if is_pod_active(pod)]


async def finish(kube: Kube, phase: str = "Succeeded", number: int = 1) -> None:
    for pod in active(kube)[:number]:
        kube.kubelet.finish("default", name_of(pod), phase)
    await kube.settle()


def status(kube: Kube) -> Json:
    return kube.get(JOBS, "pi")["status"]


def conditions(kube: Kube) -> list[tuple[str, str, str]]:
    found = status(kube).get("conditions", ())
    return [(one["type"], one["status"], one["reason"]) for one in found]


async def test_one_pod_that_ends_well(kube: Kube) -> None:
    await kube.create(JOBS, job())
    (pod,) = kube.pods()
    assert name_of(pod).startswith("pi-")
    assert FINALIZER in pod["metadata"]["finalizers"]
    assert labels_of(pod)["batch.kubernetes.io/job-name"] == "pi"
    begun = status(kube)
    assert (begun["active"], begun["ready"], begun["terminating"]) == (1, 1, 0)
    assert begun["uncountedTerminatedPods"] == {}
    assert begun["startTime"]
    await kube.advance(10)
    await finish(kube)
    done = status(kube)
    assert done["succeeded"] == 1
    assert "active" not in done
    assert done["completionTime"] > done["startTime"]
    assert conditions(kube) == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"),
        ("Complete", "True", "CompletionsReached"),
    ]
    assert done["conditions"][1]["message"] == "Reached expected number of succeeded pods"
    assert "finalizers" not in kube.pods()[0]["metadata"]
    await kube.settle()
    assert kube.events("Completed") == ["Job completed"]
    assert kube.events("SuccessfulCreate") == [f"Created pod: {name_of(pod)}"]


async def test_so_many_completions_so_many_at_a_time(kube: Kube) -> None:
    await kube.create(JOBS, job(completions=5, parallelism=2))
    assert len(active(kube)) == 2
    await finish(kube, number=2)
    assert status(kube)["succeeded"] == 2
    assert len(active(kube)) == 2
    await finish(kube, number=2)
    assert len(active(kube)) == 1  # no more than are still wanted
    await finish(kube)
    assert conditions(kube)[-1][0] == "Complete"
    assert status(kube)["succeeded"] == 5


async def test_a_work_queue_starts_nobody_after_the_first_success(kube: Kube) -> None:
    await kube.create(JOBS, job(parallelism=3))
    assert len(active(kube)) == 3
    await finish(kube)
    assert len(active(kube)) == 2
    assert conditions(kube) == []
    await finish(kube, number=2)
    assert conditions(kube)[-1][0] == "Complete"


async def test_failures_are_tried_again_after_ten_twenty_forty_seconds(kube: Kube) -> None:
    await kube.create(JOBS, job(backoffLimit=2))
    await finish(kube, "Failed")
    assert status(kube)["failed"] == 1
    assert active(kube) == []
    await kube.advance(9)
    assert active(kube) == []
    await kube.advance(2)
    await finish(kube, "Failed")
    await kube.advance(19)
    assert active(kube) == []
    await kube.advance(2)
    assert len(active(kube)) == 1
    await finish(kube, "Failed")
    assert conditions(kube) == [
        ("FailureTarget", "True", "BackoffLimitExceeded"),
        ("Failed", "True", "BackoffLimitExceeded"),
    ]
    assert status(kube)["failed"] == 3
    assert "completionTime" not in status(kube)
    await kube.settle()
    assert kube.events("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


async def test_a_job_that_has_failed_ends_its_other_pods_first(kube: Kube) -> None:
    await kube.create(JOBS, job(completions=3, parallelism=3, backoffLimit=0))
    kube.kubelet.grace = 30
    await finish(kube, "Failed")
    assert conditions(kube) == [("FailureTarget", "True", "BackoffLimitExceeded")]
    assert status(kube)["terminating"] == 2
    await kube.advance(31)
    assert conditions(kube)[-1][0] == "Failed"
    assert status(kube)["failed"] == 3
    assert status(kube)["terminating"] == 0


async def test_the_deadline(kube: Kube) -> None:
    await kube.create(JOBS, job(activeDeadlineSeconds=30))
    await kube.advance(29)
    assert conditions(kube) == []
    await kube.advance(2)
    assert conditions(kube)[-1] == ("Failed", "True", "DeadlineExceeded")
    assert status(kube)["conditions"][-1]["message"] == "Job was active longer than specified deadline"
    assert active(kube) == []


async def test_a_pod_that_somebody_deletes_counts_as_failed(kube: Kube) -> None:
    await kube.create(JOBS, job())
    kube.kubelet.grace = 5
    await kube.delete(PODS, name_of(active(kube)[0]))
    assert status(kube)["failed"] == 1
    await kube.advance(60)
    assert len(kube.pods()) == 1
    assert len(active(kube)) == 1


async def test_on_failure_it_is_the_restarts_that_count(kube: Kube) -> None:
    await kube.create(JOBS, job("OnFailure", backoffLimit=2))
    pod = name_of(active(kube)[0])

    def restarted(obj: Json) -> Json:
        return {**obj, "status": {**obj["status"], "containerStatuses": [container]}}

    container = {"name": "c", "restartCount": 2, "image": "", "imageID": "", "ready": False}
    kube.registry.modify(PODS, "default", pod, restarted, subresource="status")
    await kube.settle()
    assert conditions(kube)[-1] == ("Failed", "True", "BackoffLimitExceeded")


async def test_indexed(kube: Kube) -> None:
    await kube.create(JOBS, job(completionMode="Indexed", completions=4, parallelism=2))
    pods = sorted(active(kube), key=lambda pod: annotations_of(pod)[INDEX])
    assert [annotations_of(pod)[INDEX] for pod in pods] == ["0", "1"]
    assert [labels_of(pod)[INDEX] for pod in pods] == ["0", "1"]
    assert [pod["spec"]["hostname"] for pod in pods] == ["pi-0", "pi-1"]
    assert name_of(pods[1]).startswith("pi-1-")
    assert pods[0]["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    kube.kubelet.finish("default", name_of(pods[1]))
    await kube.settle()
    assert status(kube)["completedIndexes"] == "1"
    assert sorted(annotations_of(pod)[INDEX] for pod in active(kube)) == ["0", "2"]
    kube.kubelet.finish("default", name_of(pods[0]), "Failed")
    await kube.advance(11)
    assert sorted(annotations_of(pod)[INDEX] for pod in active(kube)) == ["0", "2"]
    while active(kube):
        await finish(kube, number=2)
    assert status(kube)["completedIndexes"] == "0-3"
    assert status(kube)["succeeded"] == 4
    assert conditions(kube)[-1][0] == "Complete"


async def test_suspended_and_resumed(kube: Kube) -> None:
    await kube.create(JOBS, job(suspend=True))
    assert kube.pods() == []
    assert "startTime" not in status(kube)
    assert conditions(kube) == [("Suspended", "True", "JobSuspended")]
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(suspend=False))
    assert conditions(kube) == [("Suspended", "False", "JobResumed")]
    assert status(kube)["startTime"]
    assert len(active(kube)) == 1
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(suspend=True))
    assert active(kube) == []
    assert "failed" not in status(kube)  # those do not count
    assert kube.events("Suspended") == ["Job suspended"]
    assert kube.events("Resumed") == ["Job resumed"]


async def test_parallelism_lowered_ends_pods_without_counting_them(kube: Kube) -> None:
    kube.kubelet.grace = 30
    await kube.create(JOBS, job(completions=6, parallelism=4))
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(parallelism=1))
    assert len(active(kube)) == 1
    assert [status(kube)[field] for field in ("active", "ready", "terminating")] == [1, 1, 3]
    assert "failed" not in status(kube)


async def test_nothing_to_do_is_done(kube: Kube) -> None:
    await kube.create(JOBS, job(completions=0))
    assert conditions(kube)[-1][0] == "Complete"


async def test_pods_of_a_job_that_is_gone_are_let_go(kube: Kube) -> None:
    await kube.create(JOBS, job())
    kube.registry.modify(PODS, "default", name_of(kube.pods()[0]), lambda obj: obj)
    await kube.delete(JOBS, "pi", propagation="Background")
    (pod,) = kube.pods()
    assert "finalizers" not in pod["metadata"]


async def test_replacing_only_what_has_ended(kube: Kube) -> None:
    await kube.create(JOBS, job(podReplacementPolicy="Failed"))
    kube.kubelet.grace = 30
    await kube.delete(PODS, name_of(active(kube)[0]))
    assert "failed" not in status(kube)
    assert (status(kube)["terminating"], active(kube)) == (1, [])
    await kube.advance(29)
    assert active(kube) == []
    await kube.advance(20)
    assert len(active(kube)) == 1


async def test_letting_go_that_failed_is_tried_again(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    await kube.create(JOBS, job())
    client = kube.manager.controllers["job-controller"].client
    modify, refused = client.modify, []

    async def refusing(kind: Kind, *args: Any, **more: Any) -> Json:
        if kind is PODS and not refused:
            refused.append(args)
            raise InternalError("etcdserver: request timed out")
        return await modify(kind, *args, **more)

    monkeypatch.setattr(client, "modify", refusing)
    await finish(kube)
    assert refused
    await kube.advance(60)
    assert conditions(kube)[-1][0] == "Complete"
    assert "finalizers" not in kube.pods()[0]["metadata"]

"""Jobs: so many pods that end well; failures, limits, pauses, what is left behind."""

from __future__ import annotations

from typing import Any

from support.kube_cluster import BUSYBOX, Json, KubeCluster, condition, container
from support.until import until

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"


def job(name: str = "work", text: str = "true", restart: str = "Never", **spec: Any) -> Json:
    template = {
        "spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 0,
            "containers": [container("c", BUSYBOX, "sh", "-c", text)],
        }
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def path(kube: KubeCluster, ns: str, name: str = "work") -> str:
    return kube.path("jobs", ns, name)


def complete(found: Json) -> bool:
    return condition(found, "Complete").get("status") == "True"


def failed(found: Json) -> bool:
    return condition(found, "Failed").get("status") == "True"


def test_one_that_ends_well(kube: KubeCluster, ns: str) -> None:
    made = kube.create(ns, job())
    uid = made["metadata"]["uid"]
    assert (made["spec"]["completions"], made["spec"]["parallelism"], made["spec"]["backoffLimit"]) == (1, 1, 6)
    label = "controller-uid" if kube.version < (1, 27) else "batch.kubernetes.io/controller-uid"
    assert made["spec"]["selector"] == {"matchLabels": {label: uid}}
    found = kube.object(path(kube, ns), complete, 60)
    assert found["status"]["succeeded"] == 1
    assert "active" not in found["status"]
    assert found["status"]["startTime"] <= found["status"]["completionTime"]
    [p] = kube.pods(ns)
    assert p["status"]["phase"] == "Succeeded"
    assert p["metadata"]["name"].startswith("work-")
    assert p["metadata"]["labels"]["job-name"] == "work"
    told = until(lambda: dict(kube.events(ns, "work")).get("SuccessfulCreate"), 30)
    assert told == f"Created pod: {p['metadata']['name']}"
    assert until(lambda: dict(kube.events(ns, "work")).get("Completed"), 30) == "Job completed"


def test_completions_and_parallelism(kube: KubeCluster, ns: str) -> None:
    most = 0
    with kube.watch(kube.path("jobs", ns)) as events:
        kube.create(ns, job(text="sleep 1", completions=4, parallelism=2))
        while True:
            _, found = events.next()
            most = max(most, found["status"].get("active", 0))
            if complete(found):
                break
    assert found["status"]["succeeded"] == 4
    assert most == 2
    assert [p["status"]["phase"] for p in kube.pods(ns)] == ["Succeeded"] * 4


def test_failures_are_counted(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, job(text="exit 1", backoffLimit=1))
    found = kube.object(path(kube, ns), failed, 90)
    told = condition(found, "Failed")
    assert told["reason"] == "BackoffLimitExceeded"
    assert told["message"] == "Job has reached the specified backoff limit"
    assert found["status"]["failed"] == 2
    assert [p["status"]["phase"] for p in kube.pods(ns)] == ["Failed"] * 2
    told = until(lambda: dict(kube.events(ns, "work")).get("BackoffLimitExceeded"), 30)
    assert told == "Job has reached the specified backoff limit"


def test_in_place_when_the_pod_may_restart(kube: KubeCluster, ns: str) -> None:
    body = job(text="test -e /v/again && exit 0; touch /v/again; exit 1", restart="OnFailure")
    spec = body["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    kube.create(ns, body)
    kube.object(path(kube, ns), complete, 60)
    [p] = kube.pods(ns)
    assert p["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_deadline(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, job(text="sleep 1000", activeDeadlineSeconds=2))
    found = kube.object(path(kube, ns), failed, 60)
    told = condition(found, "Failed")
    assert (told["reason"], told["message"]) == ("DeadlineExceeded", "Job was active longer than specified deadline")
    until(lambda: not kube.pods(ns), 40, "its pods are taken away")


def test_a_job_takes_its_pods_along(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, job())
    kube.object(path(kube, ns), complete, 60)
    kube.delete(path(kube, ns), propagationPolicy="Background")
    until(lambda: not kube.pods(ns), 30)


def test_a_finished_job_goes_when_its_time_has_come(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 21), "ttlSecondsAfterFinished")
    kube.create(ns, job(ttlSecondsAfterFinished=2))
    kube.object(path(kube, ns), complete, 60)
    kube.gone(path(kube, ns))
    until(lambda: not kube.pods(ns), 30)


def test_a_job_that_is_suspended(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 22), "suspend")
    kube.create(ns, job(text="sleep 1000", suspend=True))
    found = kube.object(path(kube, ns), lambda j: condition(j, "Suspended").get("status") == "True", 20)
    assert condition(found, "Suspended")["reason"] == "JobSuspended"
    assert kube.pods(ns) == []
    kube.patch(path(kube, ns), {"spec": {"suspend": False}})
    until(lambda: [p["status"]["phase"] for p in kube.pods(ns)] == ["Running"], 30)
    kube.patch(path(kube, ns), {"spec": {"suspend": True}})
    until(lambda: not kube.pods(ns), 30)
    kube.object(path(kube, ns), lambda j: condition(j, "Suspended").get("status") == "True", 20)


def test_an_indexed_job(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 22), "completionMode")
    kube.create(ns, job(text="echo I am $JOB_COMPLETION_INDEX", completions=3, parallelism=3, completionMode="Indexed"))
    found = kube.object(path(kube, ns), complete, 60)
    assert found["status"]["completedIndexes"] == "0-2"
    said = {}
    for p in kube.pods(ns):
        index = p["metadata"]["annotations"][INDEX]
        assert p["metadata"]["name"].startswith(f"work-{index}-")
        assert p["spec"]["hostname"] == f"work-{index}"
        said[index] = kube.logs(ns, p["metadata"]["name"]).strip()
    assert said == {"0": "I am 0", "1": "I am 1", "2": "I am 2"}


def test_parallelism_may_change(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, job(text="sleep 1000", completions=5, parallelism=1))
    kube.object(path(kube, ns), lambda j: j["status"].get("active") == 1, 30)
    kube.patch(path(kube, ns), {"spec": {"parallelism": 3}})
    kube.object(path(kube, ns), lambda j: j["status"].get("active") == 3, 30)
    kube.patch(path(kube, ns), {"spec": {"parallelism": 0}})
    kube.object(path(kube, ns), lambda j: not j["status"].get("active"), 30)
    until(lambda: not kube.pods(ns), 30)


def test_a_work_queue(kube: KubeCluster, ns: str) -> None:
    # Without completions it is done when one has ended well and the others have ended, too.
    body = job(text="true", parallelism=2)
    kube.create(ns, body)
    found = kube.object(path(kube, ns), complete, 60)
    assert found["status"]["succeeded"] == 2
    assert "completions" not in found["spec"]


def test_kubectl_makes_and_waits_for_a_job(kube: KubeCluster, ns: str) -> None:
    told = kube.kubectl("create", "job", "work", "-n", ns, "--image", BUSYBOX, "--", "sh", "-c", "echo done").text
    assert told == "job.batch/work created"
    told = kube.kubectl("wait", "--for=condition=complete", "job/work", "-n", ns, "--timeout=60s", timeout=70).text
    assert told == "job.batch/work condition met"
    assert kube.kubectl("logs", "job/work", "-n", ns).text == "done"
    row = kube.kubectl("get", "job", "work", "-n", ns, "--no-headers").text.split()
    assert row[0] == "work"
    assert "1/1" in row


# -- what it says about failures and successes of its pods


def with_rules(*rules: Json, text: str, **spec: Any) -> Json:
    return job(text=text, podFailurePolicy={"rules": list(rules)}, **spec)


def test_an_exit_code_that_makes_a_job_fail(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 31), "podFailurePolicy")
    codes = {"containerName": "c", "operator": "In", "values": [42]}
    made = kube.create(ns, with_rules({"action": "FailJob", "onExitCodes": codes}, text="exit 42"))
    assert made["spec"]["podReplacementPolicy"] == "Failed"
    found = kube.object(path(kube, ns), failed, 60)
    [pod] = kube.pods(ns)
    name = pod["metadata"]["name"]
    words = f"Container c for pod {ns}/{name} failed with exit code 42 matching FailJob rule at index 0"
    for kind in ("FailureTarget", "Failed"):
        told = condition(found, kind)
        assert (told["reason"], told["message"]) == ("PodFailurePolicy", words)
    assert found["status"]["failed"] == 1
    assert until(lambda: dict(kube.events(ns, "work")).get("PodFailurePolicy"), 30) == words


def test_an_eviction_that_does_not_count(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 31), "podFailurePolicy")
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    text = "test -e /tmp/x || sleep 1000"
    kube.create(ns, with_rules({"action": "Ignore", "onPodConditions": [disrupted]}, text=text, backoffLimit=0))
    kube.object(path(kube, ns), lambda found: found["status"].get("ready") == 1, 60)
    [before] = kube.pods(ns)
    name = before["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": ns}}
    assert kube.raw("POST", kube.path("pods", ns, name, "eviction"), json=body).status_code == 201
    until(lambda: [one for one in kube.pods(ns) if one["metadata"]["name"] != name], 60, "another pod takes over")
    found = kube.object(path(kube, ns), lambda found: found["status"].get("ready") == 1, 60)
    assert "failed" not in found["status"]
    assert not failed(found)


def test_a_pod_that_never_began_has_failed_when_it_is_deleted(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 31), "podFailurePolicy")
    rule = {"action": "FailJob", "onPodConditions": [{"type": "ConfigIssue", "status": "True"}]}
    body = with_rules(rule, text="true")
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "localhost:1/nothing:here"
    kube.create(ns, body)
    [pod] = until(lambda: kube.pods(ns), 30)
    name = pod["metadata"]["name"]
    told = {"type": "ConfigIssue", "status": "True", "reason": "NonExistingImage"}
    kube.patch(kube.path("pods", ns, name, "status"), {"status": {"conditions": [told]}})
    kube.delete(kube.path("pods", ns, name))
    found = kube.object(path(kube, ns), failed, 90)
    words = f"Pod {ns}/{name} has condition ConfigIssue matching FailJob rule at index 0"
    assert condition(found, "Failed")["message"] == words


def test_each_index_fails_for_itself(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 33), "backoffLimitPerIndex")
    text = "test $JOB_COMPLETION_INDEX != 1"
    body = job(text=text, completions=3, parallelism=3, completionMode="Indexed", backoffLimitPerIndex=1)
    kube.create(ns, body)
    found = kube.object(path(kube, ns), failed, 90)
    told = condition(found, "Failed")
    assert (told["reason"], told["message"]) == ("FailedIndexes", "Job has failed indexes")
    status = found["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert (status["succeeded"], status["failed"]) == (2, 2)
    marks = [pod["metadata"]["annotations"] for pod in kube.pods(ns)]
    assert sorted((one[INDEX], one[FAILURES]) for one in marks) == [
        ("0", "0"),
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
    ]


def test_enough_have_succeeded(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 33), "successPolicy")
    text = "test $JOB_COMPLETION_INDEX = 0 || sleep 1000"
    policy = {"rules": [{"succeededIndexes": "0"}]}
    kube.create(ns, job(text=text, completions=3, parallelism=3, completionMode="Indexed", successPolicy=policy))
    found = kube.object(path(kube, ns), complete, 60)
    for kind in ("SuccessCriteriaMet", "Complete"):
        told = condition(found, kind)
        assert (told["reason"], told["message"]) == ("SuccessPolicy", "Matched rules at index 0")
    assert (found["status"]["completedIndexes"], found["status"]["succeeded"]) == ("0", 1)
    assert "failed" not in found["status"]
    until(lambda: [one["status"]["phase"] for one in kube.pods(ns)] == ["Succeeded"], 40, "the others are taken away")

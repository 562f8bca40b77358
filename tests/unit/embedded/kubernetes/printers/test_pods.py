"""The word under STATUS, and the counts beside it."""

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.printers import table

NOW = 1000.0
STARTED = "1970-01-01T00:00:00Z"


def running(name="a", ready=True, restarts=0, ended=None, **more):
    last = {"terminated": {"exitCode": 1, "finishedAt": ended}} if ended else {}
    state = {"running": {"startedAt": STARTED}}
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state, "lastState": last, **more}


def waiting(reason, name="a", **more):
    return {**running(name, False, **more), "state": {"waiting": {"reason": reason}}}


def ended(code=0, reason="", name="a", signal=0):
    return {**running(name, False), "state": {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}}


def pod(phase="Running", containers=(), inits=(), *, ready=None, sidecars=(), deleted=False, **status):
    metadata = {"name": "p", "creationTimestamp": "1970-01-01T00:15:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = STARTED
    conditions = list(status.pop("conditions", ()))
    if ready is not None:
        conditions.append({"type": "Ready", "status": str(ready)})
    return {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": one["name"]} for one in containers] or [{"name": "a"}],
            "initContainers": [
                {"name": one["name"], **({"restartPolicy": "Always"} if one["name"] in sidecars else {})}
                for one in inits
            ],
        },
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
            "conditions": conditions,
            **status,
        },
    }


def cells(obj):
    return table(kinds.PODS, [obj], NOW)[1][0]["cells"]


@pytest.mark.parametrize(
    ("obj", "ready", "word"),
    [
        (pod("Pending"), "0/1", "Pending"),
        (pod("Pending", [waiting("ContainerCreating")]), "0/1", "ContainerCreating"),
        (pod("Pending", [waiting("ImagePullBackOff")]), "0/1", "ImagePullBackOff"),
        (pod("Running", [running()]), "1/1", "Running"),
        (pod("Running", [running(ready=False)]), "0/1", "Running"),
        (pod("Running", [running(), running("b", ready=False)]), "1/2", "Running"),
        (pod("Running", [waiting("CrashLoopBackOff")]), "0/1", "CrashLoopBackOff"),
        (pod("Running", [ended(1, "Error")]), "0/1", "Error"),
        (pod("Running", [ended(137, "OOMKilled")]), "0/1", "OOMKilled"),
        (pod("Running", [ended(3)]), "0/1", "ExitCode:3"),
        (pod("Running", [ended(137, signal=9)]), "0/1", "Signal:9"),
        (pod("Succeeded", [ended(0, "Completed")]), "0/1", "Completed"),
        (pod("Running", [running(), ended(0, "Completed", "b")], ready=True), "1/2", "Running"),
        (pod("Running", [running(), ended(0, "Completed", "b")], ready=False), "1/2", "NotReady"),
        (pod("Failed", reason="Evicted"), "0/1", "Evicted"),
        (pod("Running", [running()], deleted=True), "1/1", "Terminating"),
        (pod("Succeeded", [ended(0, "Completed")], deleted=True), "0/1", "Completed"),
        (pod("Running", [running()], deleted=True, reason="NodeLost"), "1/1", "Unknown"),
        (pod("Pending", [waiting("PodInitializing")], [running("i", False)]), "0/1", "Init:0/1"),
        (
            pod("Pending", [waiting("PodInitializing")], [ended(0, "Completed", "i"), waiting("PodInitializing", "j")]),
            "0/1",
            "Init:1/2",
        ),
        (pod("Pending", [waiting("PodInitializing")], [waiting("ErrImagePull", "i")]), "0/1", "Init:ErrImagePull"),
        (pod("Pending", [waiting("PodInitializing")], [ended(1, "Error", "i")]), "0/1", "Init:Error"),
        (pod("Pending", [waiting("PodInitializing")], [ended(7, "", "i")]), "0/1", "Init:ExitCode:7"),
        (pod("Pending", [waiting("PodInitializing")], [ended(7, "", "i", 9)]), "0/1", "Init:Signal:9"),
        (pod("Pending", [waiting("PodInitializing")], [ended(0, "Completed", "i")]), "0/1", "PodInitializing"),
        (
            pod("Running", [running()], [running("s", started=True)], sidecars=["s"]),
            "2/2",
            "Running",
        ),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "0/1",
            "SchedulingGated",
        ),
    ],
)  # fmt: skip
def test_words(obj, ready, word):
    assert cells(obj)[1:3] == [ready, word]


def test_restarts_say_when_the_last_one_was():
    containers = [running(restarts=2, ended="1970-01-01T00:10:00Z"), running("b", restarts=1, ended=STARTED)]
    assert cells(pod("Running", containers))[3:5] == ["3 (6m40s ago)", "100s"]
    assert cells(pod("Running", [running()]))[3] == "0"


def test_init_containers_that_are_done_do_not_count():
    inits = [{**ended(0, "Completed", "i"), "restartCount": 4}]
    assert cells(pod("Running", [running(restarts=1)], inits))[3] == "1"
    assert cells(pod("Pending", [waiting("PodInitializing")], [running("i", False, restarts=4)]))[3] == "4"


def test_wide_columns():
    obj = pod("Running", [running()], podIPs=[{"ip": "10.0.0.1"}], nominatedNodeName="n2")
    obj["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    obj["status"]["conditions"].append({"type": "a", "status": "True"})
    assert cells(obj)[5:] == ["10.0.0.1", "n1", "n2", "1/2"]
    assert cells(pod())[5:] == ["<none>"] * 4


def test_a_finished_pod_says_so_beside_its_cells():
    columns, rows = table(kinds.PODS, [pod("Succeeded"), pod("Failed"), pod()], NOW)
    assert [row.get("conditions", [{}])[0].get("reason") for row in rows] == ["Succeeded", "Failed", None]
    assert [column["name"] for column in columns if column["priority"] == 0] == [
        "Name", "Ready", "Status", "Restarts", "Age",
    ]  # fmt: skip

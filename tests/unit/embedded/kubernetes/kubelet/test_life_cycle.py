"""A pod from its binding to its end, as the API server is told of it."""

from __future__ import annotations

import itertools

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions


def conditions(pod: Json) -> dict[str, tuple[str, str, str]]:
    return {
        one["type"]: (one["status"], one.get("reason", ""), one.get("message", ""))
        for one in pod["status"]["conditions"]
    }


async def test_a_pod_runs_and_says_so(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.clock.settle()
    created = cluster.create(pod_of())
    await cluster.clock.settle()
    pod = cluster.pod("web")
    assert pod["status"]["phase"] == "Pending"
    assert "podIP" not in pod["status"]
    assert cluster.container("web") == {
        "name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}, "ready": False,
        "restartCount": 0, "image": "nginx:1.27", "imageID": "", "started": False,
    }  # fmt: skip
    unready = ("False", "ContainersNotReady", "containers with unready status: [web]")
    assert conditions(pod) == {
        "PodReadyToStartContainers": ("False", "", ""), "Initialized": ("True", "", ""),
        "Ready": unready, "ContainersReady": unready, "PodScheduled": ("True", "", ""),
    }  # fmt: skip
    await cluster.clock.advance(1)
    status = cluster.status("web")
    assert status["phase"] == "Running"
    assert status["podIP"] == f"{cluster.network.block}.65.2" == status["podIPs"][0]["ip"]
    assert status["hostIP"] == cluster.fleet.machine("worker-1").address
    assert {kind: value[0] for kind, value in conditions(cluster.pod("web")).items()} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    container = cluster.container("web")
    assert container["state"] == {"running": {"startedAt": status["startTime"]}}
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert container["image"] == "docker.io/library/nginx:1.27"
    assert container["imageID"].startswith("docker.io/library/nginx@sha256:")
    assert container["containerID"].startswith("containerd://")
    assert [reason for reason, _ in cluster.events("web")] == ["Pulling", "Pulled", "Created", "Started"]
    assert created["metadata"]["uid"] == cluster.pod("web")["metadata"]["uid"]


async def test_containers_share_one_address_and_one_port_space(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    pod = pod_of(
        "web",
        {"name": "web", "image": "nginx:1.27"},
        shell("sleep 1; wget -qO- http://localhost/ | head -1; sleep 9", "side"),
        shell("sleep 2; nc -l -p 80; sleep 9", "rival"),
    )
    await cluster.run(pod, 4)
    log = [line async for line in kubelet.api.logs("default", "web", "side")]
    assert log == [b"<!DOCTYPE html>\n"]
    rival = b"".join([line async for line in kubelet.api.logs("default", "web", "rival")])
    assert rival == b"nc: listen tcp 0.0.0.0:80: bind: address already in use\n"
    assert [one["ready"] for one in cluster.status("web")["containerStatuses"]] == [True] * 3


async def test_deletion_gives_the_grace_period_and_then_takes_the_pod_away(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", shell("trap 'echo bye; sleep 5; exit 0' TERM; while true; do sleep 1; done")), 2)
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(3)
    assert cluster.pod("web")["metadata"]["deletionGracePeriodSeconds"] == 30
    assert ("Killing", "Stopping container main") in cluster.events("web")
    await cluster.clock.advance(4)
    assert cluster.gone("web")
    assert not cluster.kubelets["worker-1"].containerd.sandboxes


async def test_who_does_not_listen_is_killed_when_the_grace_period_is_over(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", shell("sleep 1000"), terminationGracePeriodSeconds=10), 2)
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(9)
    assert not cluster.gone("web")
    await cluster.clock.advance(2)
    assert cluster.gone("web")


async def test_patience_may_be_shortened_on_the_way(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", shell("sleep 1000"), terminationGracePeriodSeconds=600), 2)
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(5)
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions(grace_period_seconds=1))
    await cluster.clock.advance(3)
    assert cluster.gone("web")


async def test_a_pod_that_is_forced_out_is_ended_all_the_same(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions(grace_period_seconds=0))
    assert cluster.gone("web")
    await cluster.clock.advance(2)
    assert not kubelet.containerd.sandboxes
    again = await cluster.run(pod_of("web"), 2)
    assert again["status"]["phase"] == "Running"


async def test_jobs_end_by_their_exit_code(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("good", shell("echo done"), restartPolicy="Never"), 2)
    status = cluster.status("good")
    assert status["phase"] == "Succeeded"
    state = cluster.container("good")["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (0, "Completed")
    assert conditions(cluster.pod("good"))["Ready"] == ("False", "PodCompleted", "")
    assert conditions(cluster.pod("good"))["PodReadyToStartContainers"][0] == "False"
    assert conditions(cluster.pod("good"))["Initialized"] == ("True", "PodCompleted", "")
    await cluster.run(pod_of("bad", shell("exit 3"), restartPolicy="Never"), 2)
    assert cluster.status("bad")["phase"] == "Failed"
    assert cluster.container("bad")["state"]["terminated"]["exitCode"] == 3
    assert cluster.container("bad")["state"]["terminated"]["reason"] == "Error"
    assert conditions(cluster.pod("bad"))["Ready"] == ("False", "PodFailed", "")
    kubelet = cluster.kubelets["worker-1"]
    assert [line async for line in kubelet.api.logs("default", "good")] == [b"done\n"]


async def test_a_container_that_keeps_ending_waits_longer_and_longer(cluster: Cluster) -> None:
    await cluster.kubelet()
    made = cluster.create(pod_of("crash", shell("echo $(date +%s); exit 1")))
    starts: list[float] = []
    seen: list[str] = []
    count = -1
    for _ in range(400):
        await cluster.clock.advance(0.25)
        one = cluster.container("crash")
        state = next(iter(one["state"]))
        word = one["state"][state].get("reason", state)
        if not seen or seen[-1] != word:
            seen.append(word)
        if one["restartCount"] != count and "containerID" in one:
            count = one["restartCount"]
            starts.append(cluster.clock.time())
    assert seen[:4] == ["Error", "CrashLoopBackOff", "Error", "CrashLoopBackOff"]
    pauses = [round(b - a) for a, b in itertools.pairwise(starts)]
    assert pauses[0] <= 1
    assert pauses[1:4] == [10, 20, 40]
    one = cluster.container("crash")
    uid = made["metadata"]["uid"]
    words = f"back-off 1m20s restarting failed container=main pod=crash_default({uid})"
    assert one["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": words}}
    assert one["lastState"]["terminated"]["exitCode"] == 1
    assert cluster.status("crash")["phase"] == "Running"
    told = f"Back-off restarting failed container main in pod crash_default({uid})"
    assert ("BackOff", told) in cluster.events("crash")


async def test_restart_on_failure_only(cluster: Cluster) -> None:
    await cluster.kubelet()
    once = "if [ -f /data/was ]; then exit 0; fi; touch /data/was; exit 1"
    mounts = [{"name": "data", "mountPath": "/data"}]
    pod = pod_of(
        "retry", shell(once, volumeMounts=mounts), restartPolicy="OnFailure", volumes=[{"name": "data", "emptyDir": {}}]
    )
    await cluster.run(pod, 5)
    assert cluster.status("retry")["phase"] == "Succeeded"
    assert cluster.container("retry")["restartCount"] == 1


async def test_the_previous_log_is_kept(cluster: Cluster) -> None:
    from labkit.embedded.kubernetes.kubelet.nodeapi import LogOptions

    kubelet = await cluster.kubelet()
    script = "if [ -f /data/was ]; then echo second; sleep 1000; fi; touch /data/was; echo first; exit 1"
    mounts = [{"name": "data", "mountPath": "/data"}]
    await cluster.run(pod_of("two", shell(script, volumeMounts=mounts), volumes=[{"name": "data", "emptyDir": {}}]), 5)
    assert [line async for line in kubelet.api.logs("default", "two")] == [b"second\n"]
    previous = kubelet.api.logs("default", "two", options=LogOptions(previous=True))
    assert [line async for line in previous] == [b"first\n"]


async def test_commands_that_are_not_there(cluster: Cluster) -> None:
    await cluster.kubelet()
    cluster.create(pod_of("odd", {"name": "main", "image": "busybox:1.36", "command": ["nope"]}))
    words = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        'unable to start container process: error during container init: exec: "nope": executable file not found in '
        "$PATH: unknown"
    )
    await cluster.clock.advance(0.5)
    one = cluster.container("odd")
    assert one["state"] == {"waiting": {"reason": "RunContainerError", "message": words}}
    ended = one["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (128, "StartError", words)
    assert ended["startedAt"] == "1970-01-01T00:00:00Z"
    assert ("Failed", f"Error: {words}") in cluster.events("odd")
    await cluster.clock.advance(3)
    assert cluster.container("odd")["state"]["waiting"]["reason"] == "CrashLoopBackOff"


async def test_more_memory_than_the_limit(cluster: Cluster) -> None:
    await cluster.kubelet()
    hog = {
        "name": "hog", "image": "polinux/stress", "command": ["stress"], "args": ["--vm", "1", "--vm-bytes", "250M"],
        "resources": {"limits": {"memory": "100Mi"}},
    }  # fmt: skip
    await cluster.run(pod_of("oom", hog, restartPolicy="Never"), 2)
    ended = cluster.container("oom")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_a_deadline(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(
        pod_of("slow", shell("sleep 1000"), activeDeadlineSeconds=20, terminationGracePeriodSeconds=1), 10
    )
    assert cluster.status("slow")["phase"] == "Running"
    await cluster.clock.advance(14)
    status = cluster.status("slow")
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert cluster.container("slow")["state"]["terminated"]["exitCode"] == 137


async def test_another_image_restarts_the_container(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of(), 2)

    def change(pod: Json) -> Json:
        spec = {**pod["spec"], "containers": [{**pod["spec"]["containers"][0], "image": "nginx:1.29.0"}]}
        return {**pod, "spec": spec}

    cluster.registry.modify(kinds.PODS, "default", "web", change)
    await cluster.clock.advance(5)
    one = cluster.container("web")
    assert (one["image"], one["restartCount"]) == ("docker.io/library/nginx:1.29.0", 1)
    assert ("Killing", "Container web definition changed, will be restarted") in cluster.events("web")


async def test_readiness_gates(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", readinessGates=[{"conditionType": "example.com/ok"}]), 2)
    words = 'corresponding condition of pod readiness gate "example.com/ok" does not exist.'
    found = conditions(cluster.pod("web"))
    assert found["Ready"] == ("False", "ReadinessGatesNotReady", words)
    assert found["ContainersReady"][0] == "True"

    def change(pod: Json) -> Json:
        gate = {"type": "example.com/ok", "status": "True", "lastTransitionTime": pod["status"]["startTime"]}
        return {**pod, "status": {**pod["status"], "conditions": [*pod["status"]["conditions"], gate]}}

    cluster.registry.modify(kinds.PODS, "default", "web", change, subresource="status")
    await cluster.clock.advance(1)
    found = conditions(cluster.pod("web"))
    assert found["Ready"][0] == found["example.com/ok"][0] == "True"


async def test_the_machine_says_no(cluster: Cluster) -> None:
    await cluster.kubelet()
    big = {"name": "big", "image": "nginx:1.27", "resources": {"requests": {"cpu": "9"}}}
    await cluster.run(pod_of("big", big), 1)
    status = cluster.status("big")
    words = "Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 4000"
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    assert status["message"] == f"Pod was rejected: {words}"
    assert "containerStatuses" not in status
    assert cluster.events("big") == [("OutOfcpu", words)]
    cluster.registry.delete(kinds.PODS, "default", "big", DeleteOptions())
    await cluster.clock.advance(1)
    assert cluster.gone("big")


async def test_a_pod_that_was_forced_out_holds_nothing(cluster: Cluster) -> None:
    await cluster.kubelet()
    deaf = shell("trap '' TERM; while true; do sleep 1; done", resources={"requests": {"cpu": "3"}})
    await cluster.run(pod_of("old", deaf), 1)
    cluster.registry.delete(kinds.PODS, "default", "old", DeleteOptions(grace_period_seconds=0))
    await cluster.run(pod_of("new", shell("sleep 9", resources={"requests": {"cpu": "3"}})), 1)
    assert cluster.status("new")["phase"] == "Running"  # the scheduler saw the room; so must the machine


async def test_termination_messages(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("one", shell("echo why > /dev/termination-log; exit 1"), restartPolicy="Never"), 2)
    assert cluster.container("one")["state"]["terminated"]["message"] == "why\n"
    last = shell("echo a; echo b; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    await cluster.run(pod_of("two", last, restartPolicy="Never"), 2)
    assert cluster.container("two")["state"]["terminated"]["message"] == "a\nb\n"


async def test_what_others_say_of_its_readiness_is_put_right(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of(), 2)

    def doubt(pod: Json) -> Json:
        changed = [{**one, "status": "False"} if one["type"] == "Ready" else one for one in pod["status"]["conditions"]]
        return {**pod, "status": {**pod["status"], "conditions": changed}}

    cluster.registry.modify(kinds.PODS, "default", "web", doubt, subresource="status")
    await cluster.clock.settle()
    assert conditions(cluster.pod("web"))["Ready"][0] == "True"


async def test_a_finalizer_keeps_the_object_but_not_the_pod(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    pod = pod_of("web")
    pod["metadata"]["finalizers"] = ["example.com/wait"]
    await cluster.run(pod, 2)
    before = cluster.container("web")["containerID"]
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(5)
    assert not kubelet.containerd.sandboxes
    assert cluster.container("web")["containerID"] == before
    assert "terminated" in cluster.container("web")["state"]
    version = cluster.pod("web")["metadata"]["resourceVersion"]
    await cluster.clock.advance(60)
    assert cluster.pod("web")["metadata"]["resourceVersion"] == version  # nobody writes it over and over

    def release(obj: Json) -> Json:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
        return {**obj, "metadata": metadata}

    cluster.registry.modify(kinds.PODS, "default", "web", release)
    await cluster.clock.advance(1)
    assert cluster.gone("web")


async def test_a_pod_that_never_began_has_failed_when_it_is_deleted(cluster: Cluster) -> None:
    await cluster.kubelet()
    pod = pod_of("web", {"name": "main", "image": "nowhere/nothing:1"}, restartPolicy="Never")
    pod["metadata"]["finalizers"] = ["example.com/wait"]
    await cluster.run(pod, 5)
    assert cluster.status("web")["phase"] == "Pending"
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(5)
    assert cluster.status("web")["phase"] == "Failed"
    lost = cluster.container("web")["state"]["terminated"]
    assert (lost["exitCode"], lost["reason"]) == (137, "ContainerStatusUnknown")
    assert lost["message"] == "The container could not be located when the pod was terminated"
    assert conditions(cluster.pod("web"))["Ready"][:2] == ("False", "ContainersNotReady")
    version = cluster.pod("web")["metadata"]["resourceVersion"]
    await cluster.clock.advance(60)
    assert cluster.pod("web")["metadata"]["resourceVersion"] == version


async def test_a_command_that_is_not_there_ends_a_pod_that_never_restarts(cluster: Cluster) -> None:
    await cluster.kubelet()
    odd = {"name": "main", "image": "busybox:1.36", "command": ["nope"]}
    await cluster.run(pod_of("odd", odd, restartPolicy="Never"), 2)
    assert cluster.status("odd")["phase"] == "Failed"
    assert cluster.container("odd")["state"]["terminated"]["reason"] == "StartError"
    assert cluster.container("odd")["lastState"] == {}


async def test_a_pod_that_hangs_on_its_way_up_can_be_deleted(cluster: Cluster) -> None:
    await cluster.kubelet()
    hook = {"postStart": {"exec": {"command": ["sleep", "100000"]}}}
    await cluster.run(pod_of("web", shell("sleep 100000", lifecycle=hook), terminationGracePeriodSeconds=3), 5)
    assert cluster.status("web")["phase"] == "Pending"
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(6)
    assert cluster.gone("web")


async def test_a_pod_may_be_deleted_at_any_moment(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    for number in range(12):
        name = f"web-{number}"
        cluster.create(pod_of(name))
        await cluster.clock.advance(number * 0.04)
        cluster.registry.delete(kinds.PODS, "default", name, DeleteOptions())
        await cluster.clock.advance(3)
        assert cluster.gone(name)
    assert not kubelet.containerd.sandboxes
    assert not kubelet.workers()


async def test_a_container_that_is_replaced_is_not_seen_to_end(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 2, "failureThreshold": 2, "initialDelaySeconds": 1}
    watch = cluster.registry.watch(kinds.PODS, "default")
    await cluster.run(pod_of("live", shell("sleep 900", livenessProbe=probe), terminationGracePeriodSeconds=1), 7)
    assert cluster.container("live")["restartCount"] == 1
    states = [
        next(iter(event.record.obj["status"]["containerStatuses"][0]["state"]))
        for event in watch.take()
        if "containerStatuses" in event.record.obj["status"]
    ]
    watch.close()
    assert list(dict.fromkeys(states)) == ["waiting", "running"]

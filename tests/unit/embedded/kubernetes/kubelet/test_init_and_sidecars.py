"""Init containers, one after the other, and sidecars, which stay."""

from __future__ import annotations

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.registry import DeleteOptions


async def test_one_after_the_other(cluster: Cluster) -> None:
    await cluster.kubelet()
    first, second = shell("sleep 5", "first"), shell("sleep 5", "second")
    cluster.create(pod_of("web", initContainers=[first, second]))
    await cluster.clock.advance(3)
    status = cluster.status("web")
    assert status["phase"] == "Pending"
    assert [next(iter(one["state"])) for one in status["initContainerStatuses"]] == ["running", "waiting"]
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    found = next(one for one in status["conditions"] if one["type"] == "Initialized")
    assert (found["status"], found["reason"]) == ("False", "ContainersNotInitialized")
    assert found["message"] == "containers with incomplete status: [first second]"
    await cluster.clock.advance(5)
    status = cluster.status("web")
    assert [next(iter(one["state"])) for one in status["initContainerStatuses"]] == ["terminated", "running"]
    assert status["initContainerStatuses"][0]["ready"] is True
    await cluster.clock.advance(5)
    status = cluster.status("web")
    assert status["phase"] == "Running"
    assert [one["ready"] for one in status["initContainerStatuses"]] == [True, True]


async def test_one_that_fails_is_tried_again(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", initContainers=[shell("exit 1", "first")]), 4)
    status = cluster.status("web")
    assert status["phase"] == "Pending"
    assert status["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["initContainerStatuses"][0]["restartCount"] == 1


async def test_one_that_fails_ends_a_pod_that_never_restarts(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", initContainers=[shell("exit 7", "first")], restartPolicy="Never"), 4)
    status = cluster.status("web")
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


async def test_a_sidecar_goes_before_the_others_and_after_them(cluster: Cluster) -> None:
    await cluster.kubelet()
    sidecar = shell("trap 'exit 0' TERM; while true; do sleep 1; done", "side", restartPolicy="Always")
    pod = pod_of("job", shell("sleep 5"), initContainers=[sidecar], restartPolicy="Never")
    await cluster.run(pod, 2)
    status = cluster.status("job")
    assert status["phase"] == "Running"
    assert status["initContainerStatuses"][0]["started"] is True
    assert status["initContainerStatuses"][0]["ready"] is True
    await cluster.clock.advance(6)
    status = cluster.status("job")
    assert status["phase"] == "Succeeded"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_a_sidecar_that_is_not_started_yet_holds_the_others_back(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30}
    sidecar = shell("sleep 5; touch /tmp/up; sleep 1000", "side", restartPolicy="Always", startupProbe=probe)
    await cluster.run(pod_of("web", initContainers=[sidecar]), 3)
    assert cluster.status("web")["initContainerStatuses"][0]["started"] is False
    assert "containerID" not in cluster.container("web")
    await cluster.clock.advance(5)
    assert cluster.status("web")["phase"] == "Running"
    assert cluster.container("web")["ready"] is True


async def test_a_sidecar_that_ends_is_started_again_even_if_the_pod_never_restarts(cluster: Cluster) -> None:
    await cluster.kubelet()
    sidecar = shell("sleep 3", "side", restartPolicy="Always")
    await cluster.run(pod_of("web", initContainers=[sidecar], restartPolicy="Never"), 5)
    assert cluster.status("web")["initContainerStatuses"][0]["restartCount"] == 1
    assert cluster.container("web")["restartCount"] == 0


async def test_the_end_of_a_pod_with_a_sidecar(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    order: list[str] = []
    sidecar = shell("trap 'exit 0' TERM; while true; do sleep 1; done", "side", restartPolicy="Always")
    await cluster.run(pod_of("web", initContainers=[sidecar]), 3)
    ended = kubelet.containerd.ended
    assert ended is not None

    def note(sandbox: Sandbox, container: Container) -> None:
        order.append(container.name)
        ended(sandbox, container)

    kubelet.containerd.ended = note
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(3)
    assert order == ["web", "side"]
    assert cluster.gone("web")

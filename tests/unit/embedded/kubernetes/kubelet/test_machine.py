"""A machine and its kubelet: registration, heartbeats, power, partitions, restarts."""

from __future__ import annotations

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet import Kubelet
from labkit.embedded.kubernetes.objects import Json, condition_of, has_condition
from labkit.embedded.kubernetes.registry import DeleteOptions

WELL = ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID")


def told(cluster: Cluster, name: str = "worker-1") -> dict[str, int]:
    """How often what was said about the node."""
    found = [record.obj for record in cluster.registry.list(kinds.EVENTS, "").records]
    return {event["reason"]: event["count"] for event in found if event["involvedObject"]["name"] == name}


def node(cluster: Cluster, name: str = "worker-1") -> Json:
    return cluster.registry.get(kinds.NODES, "", name)


def renewed(cluster: Cluster, name: str = "worker-1") -> str:
    return str(cluster.registry.get(kinds.LEASES, "kube-node-lease", name)["spec"]["renewTime"])


async def test_registration(cluster: Cluster) -> None:
    await cluster.kubelet("control-plane", control_plane=True)
    found = node(cluster, "control-plane")
    labels = found["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == "control-plane"
    assert labels["node-role.kubernetes.io/control-plane"] == ""
    assert {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"} in found["spec"]["taints"]
    assert found["spec"]["podCIDR"] == f"{cluster.network.block}.64.0/24"
    info = found["status"]["nodeInfo"]
    assert (info["kubeletVersion"], info["containerRuntimeVersion"]) == ("v1.36.1", "containerd://2.1.4")
    assert info["osImage"] == "Debian GNU/Linux 12 (bookworm)"
    assert [(one["type"], one["status"], one["reason"]) for one in found["status"]["conditions"]] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]
    assert cluster.events("control-plane") == [
        ("Starting", "Starting kubelet."),
        *((reason, f"Node control-plane status is now: {reason}") for reason in WELL),
        ("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods"),
        ("NodeReady", "Node control-plane status is now: NodeReady"),
    ]


async def test_heartbeats(cluster: Cluster) -> None:
    await cluster.kubelet()
    lease = cluster.registry.get(kinds.LEASES, "kube-node-lease", "worker-1")
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"][0]["name"] == "worker-1"
    before, version = renewed(cluster), node(cluster)["metadata"]["resourceVersion"]
    await cluster.clock.advance(11)
    assert renewed(cluster) > before
    assert node(cluster)["metadata"]["resourceVersion"] == version
    await cluster.clock.advance(300)
    assert node(cluster)["metadata"]["resourceVersion"] != version


async def test_it_contradicts_when_it_is_called_unknown(cluster: Cluster) -> None:
    await cluster.kubelet()

    def doubt(obj: Json) -> Json:
        unknown = [{**one, "status": "Unknown", "reason": "NodeStatusUnknown"} for one in obj["status"]["conditions"]]
        return {**obj, "status": {**obj["status"], "conditions": unknown}}

    cluster.registry.modify(kinds.NODES, "", "worker-1", doubt, subresource="status")
    before = told(cluster)
    await cluster.clock.advance(11)
    assert (condition_of(node(cluster), "Ready") or {})["status"] == "True"
    assert {reason: count - before[reason] for reason, count in told(cluster).items()} == {
        "Starting": 0, "NodeAllocatableEnforced": 0, "NodeReady": 1, **dict.fromkeys(WELL, 1),
    }  # fmt: skip


async def test_images_are_reported(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of(), 12)
    names = node(cluster)["status"]["images"][0]["names"]
    assert "docker.io/library/nginx:1.27" in names


async def test_a_stopped_kubelet_leaves_its_containers_alone(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    await cluster.run(pod_of("short", shell("sleep 5")), 2)
    await kubelet.stop()
    before = renewed(cluster)
    cluster.create(pod_of("late"))
    await cluster.clock.advance(30)
    assert renewed(cluster) == before
    assert cluster.network.real(cluster.status("web")["podIP"], 80) is not None
    assert cluster.container("short")["ready"] is True  # nobody has noticed
    assert cluster.status("late") == {"phase": "Pending", "qosClass": "BestEffort"}
    address, identifier = cluster.status("web")["podIP"], cluster.container("web")["containerID"]
    await kubelet.start()
    await cluster.clock.advance(3)
    assert renewed(cluster) > before
    assert cluster.status("late")["phase"] == "Running"
    assert cluster.container("short")["restartCount"] == 1
    assert (cluster.status("web")["podIP"], cluster.container("web")["containerID"]) == (address, identifier)
    assert cluster.container("web")["restartCount"] == 0


async def test_what_was_deleted_meanwhile_is_ended_when_the_kubelet_is_back(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("soft"), 2)
    await cluster.run(pod_of("hard"), 2)
    await kubelet.stop()
    cluster.registry.delete(kinds.PODS, "default", "soft", DeleteOptions())
    cluster.registry.delete(kinds.PODS, "default", "hard", DeleteOptions(grace_period_seconds=0))
    await cluster.clock.advance(60)
    assert not cluster.gone("soft")
    await kubelet.start()
    await cluster.clock.advance(3)
    assert cluster.gone("soft")
    assert not kubelet.containerd.sandboxes


async def test_what_happened_while_etcd_was_away_is_told_when_it_is_back(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"), 0)
    cluster.registry.etcd.stop()
    await cluster.clock.advance(30)
    cluster.registry.etcd.start()
    assert cluster.status("web")["phase"] == "Pending"
    await cluster.clock.advance(12)
    assert cluster.status("web")["phase"] == "Running"


async def test_power(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    await cluster.run(pod_of("once", shell("sleep 900"), restartPolicy="Never"), 2)
    address, boot = cluster.status("web")["podIP"], node(cluster)["status"]["nodeInfo"]["bootID"]
    cluster.fleet.fail("worker-1")
    await cluster.clock.advance(100)
    assert cluster.network.real(address, 80) is None
    assert cluster.status("web")["phase"] == "Running"  # nobody is there to say otherwise
    cluster.fleet.heal("worker-1")
    await cluster.clock.advance(5)
    one = cluster.container("web")
    assert (one["restartCount"], one["ready"]) == (1, True)
    assert (one["lastState"]["terminated"]["exitCode"], one["lastState"]["terminated"]["reason"]) == (255, "Unknown")
    assert ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.") in cluster.events("web")
    assert node(cluster)["status"]["nodeInfo"]["bootID"] != boot
    assert any(reason == "Rebooted" for reason, _ in cluster.events("worker-1"))
    assert cluster.status("once")["phase"] == "Failed"


async def test_a_kubelet_that_was_stopped_does_not_come_back_with_the_power(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await kubelet.stop()
    cluster.fleet.fail("worker-1")
    cluster.fleet.heal("worker-1")
    await cluster.clock.advance(5)
    assert not kubelet.running


async def test_a_partition(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    cluster.door.shut.add("worker-1")
    cluster.create(pod_of("late"))
    before = renewed(cluster)
    await cluster.clock.advance(60)
    assert renewed(cluster) == before
    assert cluster.status("late")["phase"] == "Pending"
    assert cluster.network.real(cluster.status("web")["podIP"], 80) is not None
    cluster.door.shut.clear()
    await cluster.clock.advance(60)
    assert renewed(cluster) > before
    assert cluster.status("late")["phase"] == "Running"
    assert cluster.container("web")["restartCount"] == 0


async def test_the_whole_sandbox_is_killed_and_comes_back(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    await cluster.run(pod_of("done", shell("echo x"), restartPolicy="Never"), 2)
    before = cluster.status("web")
    await cluster.clock.settle()
    await kubelet.close()  # as kill -9: nobody tells the API server anything
    assert cluster.network.real(before["podIP"], 80) is None
    cluster.network.drop_pool(cluster.parts.addresses.cidr("worker-1"))
    again = Kubelet(cluster.fleet.machine("worker-1"), cluster.client("worker-1"), cluster.parts)
    cluster.kubelets["worker-1"] = again
    await again.start()
    await cluster.clock.advance(3)
    after = cluster.status("web")
    assert after["podIP"] == before["podIP"]
    assert after["containerStatuses"] == before["containerStatuses"]
    assert cluster.network.real(after["podIP"], 80) is not None
    assert cluster.status("done")["phase"] == "Succeeded"
    await cluster.run(pod_of("more"), 2)
    assert [reason for reason, _ in cluster.events("more")] == ["Pulled", "Created", "Started"]  # its image is here


MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kube-scheduler", "namespace": "kube-system", "labels": {"component": "kube-scheduler"}},
    "spec": {
        "hostNetwork": True,
        "containers": [
            {"name": "kube-scheduler", "image": "registry.k8s.io/kube-scheduler:v1.36.1", "command": ["kube-scheduler"]}
        ],
    },
}
NAME = "kube-scheduler-control-plane"


class Fake:
    """A component that only remembers what was done with it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def start(self) -> None:
        self.said.append("start")

    async def stop(self) -> None:
        self.said.append("stop")


async def test_static_pods(cluster: Cluster) -> None:
    fake = Fake()
    cluster.parts.component = lambda name, machine, pod, ip: fake if name == "kube-scheduler" else None
    cluster.door.shut.add("*")
    kubelet = await cluster.kubelet("control-plane", control_plane=True)
    kubelet.set_static("kube-scheduler", MANIFEST)
    await cluster.clock.advance(1)
    assert fake.said == ["start"]  # it runs without an API server
    cluster.door.shut.clear()
    await cluster.clock.advance(10)
    mirror = cluster.pod(NAME, "kube-system")
    annotations = mirror["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert mirror["status"]["phase"] == "Running"
    assert mirror["status"]["podIP"] == cluster.fleet.machine("control-plane").address
    uid = mirror["metadata"]["uid"]
    cluster.registry.delete(kinds.PODS, "kube-system", NAME, DeleteOptions())
    await cluster.clock.advance(5)
    mirror = cluster.pod(NAME, "kube-system")
    assert mirror["metadata"]["uid"] != uid
    assert mirror["status"]["phase"] == "Running"
    assert fake.said == ["start"]
    given_up = {"type": "Ready", "status": "False"}  # as the node's controller does when it has not heard of it
    cluster.registry.modify(
        kinds.PODS, "kube-system", NAME,
        lambda pod: {**pod, "status": {**pod["status"], "conditions": [given_up]}}, subresource="status",
    )  # fmt: skip
    await cluster.clock.advance(1)
    assert has_condition(cluster.pod(NAME, "kube-system"), "Ready")
    kubelet.remove_static("kube-scheduler")
    await cluster.clock.advance(5)
    assert fake.said == ["start", "stop"]
    assert not any(
        record.obj["metadata"]["name"] == NAME for record in cluster.registry.list(kinds.PODS, "kube-system").records
    )


async def test_a_static_pod_that_is_put_back_while_it_ends(cluster: Cluster) -> None:
    fake = Fake()
    cluster.parts.component = lambda name, machine, pod, ip: fake if name == "kube-scheduler" else None
    kubelet = await cluster.kubelet("control-plane", control_plane=True)
    kubelet.set_static("kube-scheduler", MANIFEST)
    await cluster.clock.advance(5)
    kubelet.remove_static("kube-scheduler")
    kubelet.set_static("kube-scheduler", MANIFEST)
    await cluster.clock.advance(60)
    assert fake.said == ["start", "stop", "start"]
    assert has_condition(cluster.pod(NAME, "kube-system"), "Ready")


async def test_a_component_that_is_killed_is_started_again(cluster: Cluster) -> None:
    fake = Fake()
    cluster.parts.component = lambda name, machine, pod, ip: fake
    kubelet = await cluster.kubelet("control-plane", control_plane=True)
    kubelet.set_static("kube-scheduler", MANIFEST)
    await cluster.clock.advance(2)
    kubelet.api.attach("kube-system", NAME).kill(9)
    await cluster.clock.advance(3)
    assert fake.said == ["start", "stop", "start"]
    assert cluster.pod(NAME, "kube-system")["status"]["containerStatuses"][0]["restartCount"] == 1


async def test_a_paused_machine_does_nothing(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    cluster.fleet.pause("worker-1")
    cluster.create(pod_of("late"))
    await cluster.clock.advance(30)
    assert "containerStatuses" not in cluster.status("late") or not cluster.container("late")["ready"]
    cluster.fleet.heal("worker-1")
    await cluster.clock.advance(5)
    assert cluster.status("late")["phase"] == "Running"


async def test_a_host_port_leads_to_the_pod(cluster: Cluster) -> None:
    await cluster.kubelet()
    container = {"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80, "hostPort": 8080}]}
    await cluster.run(pod_of("web", container), 2)
    address = cluster.fleet.machine("worker-1").address
    client = pod_of("ask", shell(f"wget -qO- http://{address}:8080/ | head -1"), node="worker-1", restartPolicy="Never")
    await cluster.run(client, 3)
    lines = [line async for line in cluster.kubelets["worker-1"].api.logs("default", "ask")]
    assert lines == [b"<!DOCTYPE html>\n"]
    rival = await cluster.run(pod_of("rival", container), 2)
    assert rival["status"]["reason"] == "NodePorts"
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(3)
    assert cluster.network.real(address, 8080) is None


async def test_a_pod_on_the_host_network(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", hostNetwork=True), 2)
    address = cluster.fleet.machine("worker-1").address
    assert cluster.status("web")["podIP"] == address
    assert cluster.network.real(address, 80) is not None
    two = await cluster.run(pod_of("two", hostNetwork=True), 3)
    assert two["status"]["containerStatuses"][0]["ready"] is False  # the port is taken

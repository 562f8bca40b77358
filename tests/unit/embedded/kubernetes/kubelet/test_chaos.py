"""Whatever is done to machines, kubelets, containers and pods: all is well in the end, and nothing is left over."""

from __future__ import annotations

import random

import pytest
from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json, is_pod_ready
from labkit.embedded.kubernetes.registry import DeleteOptions

MACHINES = ("worker-1", "worker-2")


def a_pod(rng: random.Random, name: str) -> Json:
    node = rng.choice(MACHINES)
    side = shell("trap 'exit 0' TERM; while true; do sleep 20; done", "side", restartPolicy="Always")
    probed = {
        "name": "web", "image": "nginx:1.27",
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 10},
        "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 15},
    }  # fmt: skip
    hooked = shell("sleep 100000", lifecycle={"preStop": {"exec": {"command": ["sleep", "1"]}}})
    match rng.randrange(4):
        case 0:
            return pod_of(name, node=node)
        case 1:
            return pod_of(name, probed, node=node, initContainers=[shell("sleep 1", "first"), side])
        case 2:
            return pod_of(name, hooked, node=node, terminationGracePeriodSeconds=3)
        case _:
            return pod_of(name, probed, hooked, node=node, terminationGracePeriodSeconds=2)


@pytest.mark.parametrize("seed", range(4))
async def test_all_is_well_in_the_end(cluster: Cluster, seed: int) -> None:
    rng = random.Random(seed)
    for machine in MACHINES:
        await cluster.kubelet(machine)
    sockets = set(cluster.network._listeners)
    names: list[str] = []
    for step in range(60):
        kubelet = cluster.kubelets[rng.choice(MACHINES)]
        match rng.randrange(10):
            case 0 | 1 | 2:
                names.append(f"p-{step}")
                cluster.create(a_pod(rng, names[-1]))
            case 3 if names:
                grace = rng.choice((None, 0, 1))
                name = names.pop(rng.randrange(len(names)))
                cluster.registry.delete(kinds.PODS, "default", name, DeleteOptions(grace_period_seconds=grace))
            case 4:
                running = [one for box in kubelet.containerd.sandboxes.values() for one in box.running() if one.process]
                if running:
                    kubelet.containerd.signal(rng.choice(running), rng.choice((9, 15)))
            case 5:
                cluster.fleet.fail(kubelet.name)
            case 6:
                cluster.fleet.heal(kubelet.name)
            case 7:
                await kubelet.stop()
            case 8:
                await kubelet.start()
            case 9:
                cluster.door.shut ^= {kubelet.name}
        await cluster.clock.advance(rng.choice((0, 0.05, 0.3, 2.0)))
    cluster.door.shut.clear()
    for machine in MACHINES:
        cluster.fleet.heal(machine)
        await cluster.kubelets[machine].start()
    await cluster.clock.advance(330)  # longer than any back-off
    pods = {
        record.obj["metadata"]["name"]: record.obj for record in cluster.registry.list(kinds.PODS, "default").records
    }
    assert set(pods) == set(names)
    for name, pod in pods.items():
        assert is_pod_ready(pod), (name, pod["status"])
    present = {uid for kubelet in cluster.kubelets.values() for uid in kubelet.containerd.sandboxes}
    assert present == {pod["metadata"]["uid"] for pod in pods.values()}
    addresses = [pod["status"]["podIP"] for pod in pods.values()]
    assert len(set(addresses)) == len(addresses)
    for name in names:
        cluster.registry.delete(kinds.PODS, "default", name, DeleteOptions())
    await cluster.clock.advance(60)
    assert not cluster.registry.list(kinds.PODS, "default").records
    assert set(cluster.network._listeners) == sockets
    for kubelet in cluster.kubelets.values():
        assert not kubelet.containerd.sandboxes
        assert not kubelet.workers()

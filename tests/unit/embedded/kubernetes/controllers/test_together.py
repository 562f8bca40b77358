"""All controllers of the controller-manager at once: they finish each other's work, and do not fight."""

from __future__ import annotations

import random
from collections.abc import Callable

from support.kube import FakeKubelet, Kube

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.controllers.manager import controllers
from labkit.embedded.kubernetes.objects import Json, is_terminating, name_of, owners_of, status_of, uid_of

NODES = ("worker-1", "worker-2", "worker-3")


class Cluster(Kube):
    """With all controllers, kubelets that hand out addresses, and nodes that live until they are silenced."""

    def __init__(self) -> None:
        super().__init__(*controllers(), nodes=NODES)
        self.silent: set[str] = set()
        self._ips = 0
        _with_addresses(self.kubelet, self._address)
        self.registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "kube-node-lease"}})

    def _address(self) -> str:
        self._ips += 1
        return f"10.1.{self._ips // 250}.{self._ips % 250 + 1}"

    async def live(self, seconds: float) -> None:
        """Time goes by, and kubelets tell that they are there."""
        for _ in range(max(1, int(seconds // 10))):
            for name in NODES:
                if name not in self.silent:
                    self.beat(name)
            await self.advance(min(10.0, seconds))

    def beat(self, name: str) -> None:
        now = times.rfc3339(self.clock.time())
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
        self.registry.modify(
            kinds.NODES,
            "",
            name,
            lambda node: {**node, "status": {**status_of(node), "conditions": [ready]}},
            subresource="status",
        )

    def listed(self, service: str = "web", namespace: str = "default") -> set[str]:
        """The pods that the Service sends to, by its slices; and so say its Endpoints."""
        slices = [s for s in self.all(kinds.ENDPOINT_SLICES, namespace) if name_of(s).startswith(service)]
        found = [one for each in slices for one in each["endpoints"] if one["conditions"]["ready"]]
        names = {one["targetRef"]["name"] for one in found}
        subsets = self.get(kinds.ENDPOINTS, service, namespace).get("subsets") or ()
        assert names == {one["targetRef"]["name"] for subset in subsets for one in subset.get("addresses", ())}
        return names

    def left(self) -> list[str]:
        """What is in the default namespace, but what always is, and events."""
        skipped = {"default", "kube-root-ca.crt"}
        return [
            f"{kind.plural}/{name_of(obj)}"
            for kind in kinds.stored()
            if kind.namespaced and kind is not kinds.EVENTS
            for obj in self.all(kind)
            if name_of(obj) not in skipped
        ]


def _with_addresses(kubelet: FakeKubelet, address: Callable[[], str]) -> None:
    plain = kubelet.ready

    def ready(namespace: str, name: str, ready: bool = True) -> None:
        plain(namespace, name, ready)

        def addressed(pod: Json) -> Json | None:
            if status_of(pod).get("podIP"):
                return None
            ip = address()
            return {**pod, "status": {**status_of(pod), "podIP": ip, "podIPs": [{"ip": ip}]}}

        kubelet.registry.modify(kinds.PODS, namespace, name, addressed, subresource="status")

    kubelet.ready = ready  # type: ignore[method-assign]


TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}


async def put_web(kube: Cluster, replicas: int = 3, namespace: str = "default") -> None:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
    await kube.create(kinds.DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec}, namespace)
    service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    await kube.create(kinds.SERVICES, {"metadata": {"name": "web"}, "spec": service}, namespace)
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    await kube.create(kinds.POD_DISRUPTION_BUDGETS, {"metadata": {"name": "web"}, "spec": budget}, namespace)


async def test_a_deployment_is_served_and_then_all_is_quiet() -> None:
    async with Cluster() as kube:
        await put_web(kube)
        await kube.live(20)
        assert len(kube.listed()) == 3
        assert kube.get(kinds.POD_DISRUPTION_BUDGETS, "web")["status"]["disruptionsAllowed"] == 1
        assert kube.get(kinds.DEPLOYMENTS, "web")["status"]["availableReplicas"] == 3
        # Heartbeats go on, and so may what is still to be told.
        quiet = [kind for kind in kinds.stored() if kind not in (kinds.NODES, kinds.EVENTS)]
        before = {(kind, uid_of(obj)): obj for kind in quiet for obj in kube.all(kind, "")}
        await kube.live(600)
        after = {(kind, uid_of(obj)): obj for kind in quiet for obj in kube.all(kind, "")}
        assert before.keys() == after.keys()
        assert [key for key in before if before[key] is not after[key]] == []


async def test_deleting_in_the_foreground_ends_from_the_leaves() -> None:
    async with Cluster() as kube:
        await put_web(kube)
        await kube.live(10)
        ended: list[str] = []
        assert kube.manager.informers is not None
        for kind in (kinds.PODS, kinds.REPLICA_SETS, kinds.DEPLOYMENTS):
            kube.manager.informers[kind].on(deleted=lambda obj: ended.append(obj["kind"]))
        kube.kubelet.grace = 5.0
        await kube.delete(kinds.DEPLOYMENTS, "web", propagation="Foreground")
        await kube.live(20)
        assert ended == ["Pod"] * 3 + ["ReplicaSet", "Deployment"]
        assert kube.listed() == set()


async def test_orphans_are_found_again_by_a_new_owner() -> None:
    async with Cluster() as kube:
        await put_web(kube)
        await kube.live(10)
        pods = {uid_of(pod) for pod in kube.pods()}
        await kube.delete(kinds.DEPLOYMENTS, "web", propagation="Orphan")
        await kube.live(10)
        (orphan,) = kube.all(kinds.REPLICA_SETS)
        assert owners_of(orphan) == []
        assert {uid_of(pod) for pod in kube.pods()} == pods
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
        await kube.create(kinds.DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
        await kube.live(10)
        (adopted,) = kube.all(kinds.REPLICA_SETS)
        assert [owner["kind"] for owner in owners_of(adopted)] == ["Deployment"]
        assert {uid_of(pod) for pod in kube.pods()} == pods


async def test_a_namespace_takes_all_of_it_along() -> None:
    async with Cluster() as kube:
        await kube.create(kinds.NAMESPACES, {"metadata": {"name": "space"}})
        await kube.live(1)
        await put_web(kube, namespace="space")
        await kube.live(10)
        assert len(kube.listed(namespace="space")) == 3
        kube.kubelet.grace = 3.0
        await kube.delete(kinds.NAMESPACES, "space", "")
        await kube.live(60)
        assert kube.all(kinds.NAMESPACES, "space") == []
        assert [name_of(obj) for kind in kinds.stored() if kind.namespaced for obj in kube.all(kind, "space")] == []


async def test_a_lost_node_s_pods_run_elsewhere_after_five_minutes() -> None:
    async with Cluster() as kube:
        await put_web(kube)
        await kube.live(60)
        lost = {name_of(pod) for pod in kube.pods() if pod["spec"]["nodeName"] == "worker-3"}
        assert lost
        kube.silent = {"worker-3"}
        kube.kubelet.nodes = ["worker-1", "worker-2"]
        kube.kubelet.grace = 1e9  # nobody confirms anything there
        await kube.live(80)
        assert not kube.listed() & lost  # nothing is sent there any more
        assert not any(is_terminating(pod) for pod in kube.pods())
        await kube.live(300)
        assert {name_of(pod) for pod in kube.pods() if is_terminating(pod)} == lost
        assert len(kube.listed()) == 3
        kube.registry.delete(kinds.NODES, "", "worker-3")
        await kube.live(120)
        assert not {name_of(pod) for pod in kube.pods()} & lost


async def test_restarts_at_any_moment_change_nothing_in_the_end() -> None:
    rng = random.Random(7)
    async with Cluster() as kube:
        await put_web(kube)
        for round in range(12):
            replicas = rng.randint(0, 6)
            await kube.edit(kinds.DEPLOYMENTS, "web", lambda obj, n=replicas: obj["spec"].update(replicas=n))  # type: ignore[misc]
            if round % 3 == 0:
                template = {**TEMPLATE, "metadata": {"labels": {"app": "web", "round": str(round)}}}
                await kube.edit(kinds.DEPLOYMENTS, "web", lambda obj, t=template: obj["spec"].update(template=t))  # type: ignore[misc]
            await kube.advance(rng.random())
            await kube.manager.stop()
            await kube.live(rng.choice([1, 100]))
            kube.manager.start()
            await kube.advance(rng.random() * 2)
        await kube.edit(kinds.DEPLOYMENTS, "web", lambda obj: obj["spec"].update(replicas=4))
        await kube.live(100)
        running = [pod for pod in kube.pods() if not is_terminating(pod)]
        assert len(running) == 4
        assert kube.listed() == {name_of(pod) for pod in running}
        for kind, name in ((kinds.DEPLOYMENTS, "web"), (kinds.SERVICES, "web"), (kinds.POD_DISRUPTION_BUDGETS, "web")):
            await kube.delete(kind, name, propagation="Background")
        await kube.live(30)
        assert kube.left() == []

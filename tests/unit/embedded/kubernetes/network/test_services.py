"""Services from inside and outside: every connection goes by the rules of the machine that it comes from."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.network.cluster import ClusterNetwork
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.dnsserver import answer

MACHINES = ("control-plane", "worker-1", "worker-2")


class Net(ClusterNetwork):
    """The cluster's network with what tests do to it. Slices are written by hand: there are no controllers here."""

    cluster: Cluster

    def service(self, name: str, *, ip: str = "", ready: tuple[str, ...] = (), port: int = 80, **spec: Any) -> Json:
        spec = {"ports": [{"port": 80, "protocol": "TCP"}], **({"clusterIP": ip} if ip else {}), **spec}
        obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        made = self.cluster.registry.create(kinds.SERVICES, "default", obj)
        self.endpoints(name, *ready, port=port)
        return made

    def endpoints(
        self, name: str, *pods: str, port: int = 80, protocol: str = "TCP", namespace: str = "default"
    ) -> None:
        """Make its slice say that these pods are ready."""
        found = []
        for pod_name in pods:
            pod = self.cluster.pod(pod_name, namespace)
            ready = {"ready": True, "serving": True, "terminating": False}
            found.append(
                {"addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"], "conditions": ready}
            )
        obj = {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": found,
            "metadata": {"name": f"{name}-abc", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "", "port": port, "protocol": protocol}],
        }  # fmt: skip
        registry = self.cluster.registry
        for record in registry.list(kinds.ENDPOINT_SLICES, namespace).records:
            if record.obj["metadata"]["name"] == f"{name}-abc":
                registry.modify(
                    kinds.ENDPOINT_SLICES, namespace, f"{name}-abc", lambda old: {**old, "endpoints": found}
                )
                return
        registry.create(kinds.ENDPOINT_SLICES, namespace, obj)

    async def ask(self, pod: str, url: str, container: str = "") -> str:
        """What a pod gets from there, or wget's complaint."""
        kubelet = self.cluster.kubelets[self.cluster.pod(pod)["spec"]["nodeName"]]
        process = await kubelet.api.exec("default", pod, container, ["wget", "-T", "5", "-qO-", url])
        for _ in range(40):
            await self.cluster.clock.advance(0.5)
            if not process.running:
                break
        return b"".join(line.data for line in process.log.lines()).decode().strip()

    async def outside(self, ip: str, port: int) -> str:
        """What somebody on this computer gets, or the name of the error."""
        real = self.cluster.network.real(ip, port)
        if real is None:
            return "refused"
        reader, writer = await asyncio.open_connection(*real)
        writer.write(b"GET /hostname HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            task = asyncio.ensure_future(reader.read())
            while not task.done():
                await self.cluster.clock.settle()
            return (await task).decode().rpartition("\r\n\r\n")[2].strip()
        except ConnectionError:
            return "reset"
        finally:
            writer.close()


@pytest.fixture
async def net(cluster: Cluster) -> AsyncIterator[Net]:
    client = Client(cluster.door, machine="control-plane", user="system:kube-proxy", manager="kube-proxy")
    made = Net(
        client, cluster.fleet, cluster.network, cluster.clock, random.Random(3),
        connected=lambda machine: not cluster.door.shut & {"*", machine}
        and cluster.fleet.connected(machine, "control-plane"),
    )  # fmt: skip
    made.cluster = cluster
    cluster.parts.services = made.services
    cluster.parts.resolver = made.resolver
    cluster.parts.component = lambda name, machine, pod, ip: made.coredns(machine, ip) if name == "coredns" else None
    await made.start()
    for machine in MACHINES:
        await cluster.kubelet(machine)
        await made.proxy(machine).start()
    await cluster.clock.settle()
    yield made
    await made.close()


def echo(name: str, node: str = "worker-1") -> Json:
    """A pod that answers with its name on port 80."""
    args = ["netexec", "--http-port=80"]
    return pod_of(
        name, {"name": "web", "image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": args}, node=node
    )


async def many(net: Net, pod: str, url: str, count: int = 24) -> set[str]:
    return {await net.ask(pod, url) for _ in range(count)}


async def test_a_cluster_address_spreads_over_ready_endpoints(net: Net) -> None:
    cluster = net.cluster
    cluster.create(echo("a"))
    cluster.create(echo("b", "worker-2"))
    await cluster.run(pod_of("client", shell("sleep 100000")), 2)
    ip = net.service("web", ready=("a", "b"))["spec"]["clusterIP"]
    await cluster.clock.settle()
    assert await many(net, "client", f"http://{ip}/hostname") == {"a", "b"}
    assert {await net.outside(ip, 80) for _ in range(16)} == {"a", "b"}
    net.endpoints("web", "b")
    await cluster.clock.settle()
    assert await many(net, "client", f"http://{ip}/hostname", 6) == {"b"}
    net.endpoints("web")
    await cluster.clock.settle()
    assert "refused" in await net.ask("client", f"http://{ip}/")
    assert await net.outside(ip, 80) == "refused"


async def test_names_lead_there_too(net: Net) -> None:
    cluster = net.cluster
    cluster.create(echo("a"))
    await cluster.run(pod_of("client", shell("sleep 100000")), 2)
    await _dns(net)
    net.service("web", ready=("a",))
    net.service("pods", ip="None", ready=("a",))
    outer = {"type": "ExternalName", "externalName": "example.com", "ports": []}
    net.service("outer", **outer)
    await cluster.clock.settle()
    for name in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "pods"):
        assert await net.ask("client", f"http://{name}/hostname") == "a"
    assert "simulated" in await net.ask("client", "http://outer/")
    assert "bad address 'nope'" in await net.ask("client", "http://nope/")
    lookup = await cluster.kubelets["worker-1"].api.exec("default", "client", "", ["nslookup", "web"])
    await cluster.clock.settle()
    text = b"".join(line.data for line in lookup.log.lines()).decode()
    assert text.startswith(f"Server:\t\t{net.dns_address}\nAddress:\t{net.dns_address}:53\n")
    assert "Name:\tweb.default.svc.cluster.local\n" in text


async def _dns(net: Net) -> None:
    """kube-dns with one pod, in kube-system."""
    cluster = net.cluster
    pod = pod_of("coredns", {"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.13.1"}, node="worker-2")
    pod["metadata"]["namespace"] = "kube-system"
    await cluster.run(pod, 2)
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns"},
        "spec": {"clusterIP": net.dns_address, "ports": ports},
    }  # fmt: skip
    cluster.registry.create(kinds.SERVICES, "kube-system", service)
    ready = {"ready": True, "serving": True, "terminating": False}
    status = cluster.pod("coredns", "kube-system")["status"]
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "kube-dns-abc", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "endpoints": [{"addresses": [status["podIP"]], "nodeName": "worker-2", "conditions": ready}],
        "ports": [{**port, "port": 53} for port in ports],
    }  # fmt: skip
    cluster.registry.create(kinds.ENDPOINT_SLICES, "kube-system", slice_)
    await cluster.clock.settle()


async def test_no_dns_without_somebody_who_answers(net: Net) -> None:
    from dnslib import DNSRecord

    cluster = net.cluster
    cluster.create(echo("a"))
    await cluster.run(pod_of("client", shell("sleep 100000")), 2)
    net.service("web", ready=("a",))
    assert "bad address 'web'" in await net.ask("client", "http://web/")
    await _dns(net)
    assert await net.ask("client", "http://web/hostname") == "a"
    ip = cluster.pod("coredns", "kube-system")["status"]["podIP"]
    assert cluster.network.real_udp(ip, 53) is not None  # a real server
    query = DNSRecord.question("web.default.svc.cluster.local").pack()
    reply = answer(query, net.dns)
    assert reply is not None
    assert str(DNSRecord.parse(reply).a.rdata).startswith(f"{cluster.network.block}.1")
    cluster.fleet.fail("worker-2")
    await cluster.clock.settle()
    assert "bad address 'web'" in await net.ask("client", "http://web/")
    assert cluster.network.real_udp(ip, 53) is None


async def test_a_stopped_kube_proxy_keeps_its_rules(net: Net) -> None:
    cluster = net.cluster
    for name, node in (("a", "worker-1"), ("b", "worker-2")):
        cluster.create(echo(name, node))
    cluster.create(pod_of("one", shell("sleep 100000"), node="worker-1"))
    await cluster.run(pod_of("two", shell("sleep 100000"), node="worker-2"), 2)
    ip = net.service("web", ready=("a",))["spec"]["clusterIP"]
    await cluster.clock.settle()
    await net.proxy("worker-1").stop()
    net.endpoints("web", "b")
    late = net.service("late", ready=("b",))["spec"]["clusterIP"]
    await cluster.clock.settle()
    assert await many(net, "one", f"http://{ip}/hostname", 5) == {"a"}
    assert await many(net, "two", f"http://{ip}/hostname", 5) == {"b"}
    assert await net.ask("two", f"http://{late}/hostname") == "b"
    assert await net.ask("one", f"http://{late}/hostname") not in ("a", "b")
    await net.proxy("worker-1").start()
    await cluster.clock.settle()
    assert await many(net, "one", f"http://{ip}/hostname", 5) == {"b"}
    assert await net.ask("one", f"http://{late}/hostname") == "b"


async def test_a_machine_that_is_cut_off_goes_by_what_it_knew(net: Net) -> None:
    cluster = net.cluster
    for name, node in (("a", "worker-1"), ("b", "worker-2")):
        cluster.create(echo(name, node))
    await cluster.run(pod_of("one", shell("sleep 100000"), node="worker-1"), 2)
    ip = net.service("web", ready=("a", "b"))["spec"]["clusterIP"]
    await cluster.clock.settle()
    cluster.fleet.partition(["worker-1"])
    net.endpoints("web", "b")
    await cluster.clock.settle()
    found = await many(net, "one", f"http://{ip}/hostname", 8)
    assert "a" in found  # its own side still answers
    assert "b" not in found
    assert len(found) > 1  # and what its rules give to the other side hangs
    cluster.fleet.heal("worker-1")
    await cluster.clock.settle()
    assert await many(net, "one", f"http://{ip}/hostname", 5) == {"b"}


async def test_node_ports_answer_on_every_machine(net: Net) -> None:
    cluster = net.cluster
    await cluster.run(echo("a", "worker-1"), 2)
    ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]
    net.service("web", ready=("a",), type="NodePort", ports=ports)
    await cluster.clock.settle()
    for machine in MACHINES:
        assert await net.outside(cluster.fleet.machine(machine).address, 30080) == "a"
    net.endpoints("web")
    await cluster.clock.settle()
    assert await net.outside(cluster.fleet.machine("worker-2").address, 30080) == "refused"


async def test_a_local_policy_knows_only_its_own_machine(net: Net) -> None:
    cluster = net.cluster
    cluster.create(echo("a", "worker-1"))
    cluster.create(pod_of("one", shell("sleep 100000"), node="worker-1"))
    await cluster.run(pod_of("two", shell("sleep 100000"), node="worker-2"), 2)
    ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]
    made = net.service(
        "web", ready=("a",), type="NodePort", ports=ports, externalTrafficPolicy="Local", internalTrafficPolicy="Local"
    )
    await cluster.clock.settle()
    assert await net.outside(cluster.fleet.machine("worker-1").address, 30080) == "a"
    assert await net.outside(cluster.fleet.machine("worker-2").address, 30080) == "refused"
    ip = made["spec"]["clusterIP"]
    assert await net.ask("one", f"http://{ip}/hostname") == "a"
    assert await net.ask("two", f"http://{ip}/hostname") != "a"


async def test_session_affinity(net: Net) -> None:
    cluster = net.cluster
    for name in ("a", "b", "c"):
        cluster.create(echo(name))
    await cluster.run(pod_of("client", shell("sleep 100000")), 2)
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    ip = net.service("web", ready=("a", "b", "c"), **sticky)["spec"]["clusterIP"]
    await cluster.clock.settle()
    assert len(await many(net, "client", f"http://{ip}/hostname")) == 1
    seen = set()
    for _ in range(12):
        seen.add(await net.ask("client", f"http://{ip}/hostname"))
        await cluster.clock.advance(120)
    assert len(seen) > 1


async def test_an_endpoint_sees_the_pod_that_asks(net: Net) -> None:
    cluster = net.cluster
    cluster.create(echo("a"))
    await cluster.run(pod_of("client", shell("sleep 100000"), node="worker-2"), 2)
    ip = net.service("web", ready=("a",))["spec"]["clusterIP"]
    await cluster.clock.settle()
    source = (await net.ask("client", f"http://{ip}/clientip")).rpartition(":")[0]
    assert source == cluster.status("client")["podIP"]


async def test_pods_find_services_in_their_environment(net: Net) -> None:
    cluster = net.cluster
    ip = net.service("web")["spec"]["clusterIP"]
    await cluster.clock.settle()
    await cluster.run(pod_of("env", shell("echo $WEB_SERVICE_HOST:$WEB_SERVICE_PORT"), restartPolicy="Never"), 2)
    lines = [line async for line in cluster.kubelets["worker-1"].api.logs("default", "env")]
    assert lines == [f"{ip}:80\n".encode()]

"""Subnets, virtual IPs, ports and task addresses."""

from __future__ import annotations

from typing import Any

from support.fakeswarm import FakeSwarm, fake_swarm

from labkit.embedded.swarm.objects import Json, Network, Service, Task, TaskState
from labkit.embedded.swarm.store import Tx

PORT = {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}


def endpoint(*ports: Json, mode: str = "vip") -> Json:
    return {"Mode": mode, "Ports": list(ports)}


async def overlay(swarm: FakeSwarm, name: str) -> Network:
    await swarm.store.update(lambda tx: tx.create(Network(id=f"id-{name}", spec={"Name": name})))
    await swarm.settle()
    made = swarm.store.get(Network, f"id-{name}")
    assert made is not None
    return made


def addresses(task: Task) -> dict[str, Any]:
    return {attachment["Network"]: attachment["Addresses"] for attachment in task.networks}


async def test_networks_get_subnets_of_their_own() -> None:
    async with fake_swarm() as swarm:
        a, b = await overlay(swarm, "a"), await overlay(swarm, "b")
        ingress = swarm.store.get(Network, "ingress")
        assert ingress is not None
        assert len({a.subnet, b.subnet, ingress.subnet}) == 3
        assert a.gateway == a.subnet.replace(".0/24", ".1")


async def test_a_service_without_ports_and_networks_needs_nothing() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2)
        await swarm.settle()
        assert swarm.service(service).endpoint == {"Spec": {}}
        assert all(task.networks == () for task in swarm.tasks(service))


async def test_a_published_port_brings_the_ingress_network() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2, EndpointSpec=endpoint(PORT | {"PublishedPort": 8080}, PORT))
        await swarm.settle()
        found = swarm.service(service).endpoint
        assert [port["PublishedPort"] for port in found["Ports"]] == [8080, 30000]
        (vip,) = found["VirtualIPs"]
        assert vip["NetworkID"] == "ingress"
        taken = [vip["Addr"], *(addresses(task)["ingress"][0] for task in swarm.tasks(service))]
        assert len(set(taken)) == 3
        assert all(task.endpoint == found for task in swarm.tasks(service))
        # Unpublished: the address goes back.
        await swarm.update(service, EndpointSpec=endpoint())
        await swarm.settle(20)
        assert swarm.service(service).endpoint == {"Spec": endpoint()}
        assert all(task.networks == () for task in swarm.tasks(service, running=True))


async def test_overlay_networks_by_id_and_name_with_aliases() -> None:
    async with fake_swarm() as swarm:
        await overlay(swarm, "front")
        await overlay(swarm, "back")
        template = {"Networks": [{"Target": "id-front", "Aliases": ["w"]}, {"Target": "back"}]}
        service = Service(
            id="s", spec={"Name": "web", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": 1}}}
        )
        await swarm.store.update(lambda tx: tx.create(service))
        await swarm.settle()
        (task,) = swarm.tasks(service, running=True)
        assert list(addresses(task)) == ["id-front", "id-back"]
        assert task.networks[0]["Aliases"] == ["w"]
        vips = swarm.service(service).endpoint["VirtualIPs"]
        assert [vip["NetworkID"] for vip in vips] == ["id-front", "id-back"]


async def test_dnsrr_has_no_virtual_ip() -> None:
    async with fake_swarm() as swarm:
        await overlay(swarm, "front")
        spec = {
            "Name": "web",
            "TaskTemplate": {"Networks": [{"Target": "id-front"}]},
            "EndpointSpec": {"Mode": "dnsrr"},
        }
        service = Service(id="s", spec=spec | {"Mode": {"Replicated": {"Replicas": 1}}})
        await swarm.store.update(lambda tx: tx.create(service))
        await swarm.settle()
        assert "VirtualIPs" not in swarm.service(service).endpoint
        assert addresses(swarm.tasks(service, running=True)[0])


async def test_tasks_wait_for_a_port_that_is_taken_and_go_on_when_it_is_free() -> None:
    async with fake_swarm() as swarm:
        first = await swarm.create("first", 1, EndpointSpec=endpoint(PORT | {"PublishedPort": 80}))
        second = await swarm.create("second", 1, EndpointSpec=endpoint(PORT | {"PublishedPort": 80}))
        await swarm.settle()
        assert len(swarm.tasks(first, running=True)) == 1
        assert [task.status.state for task in swarm.tasks(second)] == [TaskState.NEW]
        await swarm.remove(first)
        await swarm.settle(2)
        assert len(swarm.tasks(second, running=True)) == 1


async def test_a_new_leader_gives_nothing_out_twice() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 5, EndpointSpec=endpoint(PORT))
        await swarm.settle()
        before = {task.id: addresses(task) for task in swarm.tasks(service)}
        assert swarm.leader is not None
        await swarm.leader.stop()
        swarm.world.network._pools.clear()  # as after a restart of the process
        await swarm.lead()
        await swarm.update(service, replicas=10)
        other = await swarm.create("other", 1, EndpointSpec=endpoint(PORT))
        await swarm.settle(2)
        after = {task.id: addresses(task) for task in swarm.tasks(service, running=True)}
        assert before.items() <= after.items()
        taken = [address for given in after.values() for address in given["ingress"]]
        taken += [vip["Addr"] for s in (service, other) for vip in swarm.service(s).endpoint["VirtualIPs"]]
        assert len(set(taken)) == len(taken) == 12
        assert swarm.service(other).endpoint["Ports"][0]["PublishedPort"] == 30001


async def test_addresses_of_dead_tasks_are_given_out_again() -> None:
    async with fake_swarm() as swarm:
        net = await overlay(swarm, "small")
        pool = swarm.world.network.pool(net.subnet)
        spec = {"Name": "web", "TaskTemplate": {"Networks": [{"Target": net.id}]}}
        service = Service(id="s", spec=spec | {"Mode": {"Replicated": {"Replicas": 100}}})
        await swarm.store.update(lambda tx: tx.create(service))
        for replicas in (0, 100, 0, 100, 0, 100):  # more than the 253 addresses that there are
            await swarm.settle(2)
            await swarm.update(service, replicas=replicas)
        await swarm.settle(2)
        assert len(swarm.tasks(service, running=True)) == 100

        def remove(tx: Tx) -> None:
            tx.delete(Service, "s")

        await swarm.store.update(remove)
        await swarm.settle(2)
        assert len(pool._taken) == 3

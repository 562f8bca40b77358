"""The routing mesh, virtual IPs and names, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from labkit.embedded.runtime.network import EVERYWHERE
from labkit.embedded.swarm.errors import Forbidden
from labkit.embedded.swarm.host.controller import GOSSIP_DELAY, TaskController
from labkit.embedded.swarm.host.networkdb import NOTICE
from labkit.embedded.swarm.objects import Cluster, Network, Task
from labkit.embedded.swarm.store import Store

from .conftest import World, ask, output, pulled, run, until


class Swarm:
    """Both hosts in one swarm with an ingress network and an overlay; tasks are made by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = Store.local(world.clock)
        self.networks: dict[str, Network] = {}

    async def open(self) -> None:
        await self.store.update(lambda tx: tx.create(Cluster(id="swarm", spec={"Name": "default"})))
        for name, spec in (("ingress", {"Ingress": True}), ("back", {"Attachable": True})):
            cidr = self.world.network.pool(name, 200).cidr
            self.world.network.drop_pool(name)
            pool = self.world.network.pool(cidr)
            network = Network(id=f"net-{name}", spec={"Name": name, **spec}, subnet=pool.cidr, gateway=pool.gateway)
            self.networks[name] = network
            await self.store.update(lambda tx, network=network: tx.create(network))  # type: ignore[misc]
        leader = SimpleNamespace(store=self.store)
        for host in self.world.hosts.values():
            host.swarm.node_id = f"node-{host.name}"
            host.swarm.local_state = "active"
            host.swarm.find_leader = lambda: leader  # type: ignore[method-assign,assignment]
            await host.executor.describe()
            await pulled(host)

    def address(self, network: str) -> str:
        pool = self.world.network.pool(self.networks[network].subnet)
        return f"{pool.take()}/{pool.prefix}"

    def service(self, name: str, port: int = 0, mode: str = "vip") -> Task:
        """A template for the tasks of a service."""
        endpoint: dict[str, object] = {"Spec": {"Mode": mode}}
        networks = ["back"]
        if port:
            endpoint["Ports"] = [{"TargetPort": 80, "PublishedPort": port, "PublishMode": "ingress", "Protocol": "tcp"}]
            networks.insert(0, "ingress")
        if mode == "vip":
            endpoint["VirtualIPs"] = [
                {"NetworkID": f"net-{network}", "Addr": self.address(network)} for network in networks
            ]
        return Task(
            id="",
            service_id=f"id-{name}",
            service_name=name,
            endpoint=endpoint,
            spec={"ContainerSpec": {"Image": "test/tools:1", "StopGracePeriod": 10_000_000_000}},
            networks=tuple({"Network": f"net-{network}"} for network in networks),
        )

    async def task(self, template: Task, slot: int, host: str, **container: object) -> TaskController:
        """Run one more task of a service on a host."""
        networks = tuple(
            {**item, "Addresses": [self.address(item["Network"].removeprefix("net-"))]} for item in template.networks
        )
        spec = {"ContainerSpec": {**template.spec["ContainerSpec"], **container}}
        task = replace(
            template,
            id=f"{template.service_name}{slot}id",
            slot=slot,
            node_id=f"node-{host}",
            networks=networks,
            spec=spec,
        )
        controller = self.world.hosts[host].executor.controller(task)
        await controller.prepare()
        await controller.start()
        await self.world.clock.settle()
        return controller


@pytest.fixture
async def swarm(world: World) -> AsyncIterator[Swarm]:
    made = Swarm(world)
    await made.open()
    return made


async def answers(world: World, port: int, count: int = 6, machine: str = "one") -> list[str]:
    address = world.hosts[machine].machine.address
    return [(await ask(world, address, port)).partition(":")[0] for _ in range(count)]


async def test_every_node_answers_for_every_task(swarm: Swarm, world: World) -> None:
    web = swarm.service("web", 18090)
    tasks = [await swarm.task(web, slot, host) for slot, host in ((1, "one"), (2, "two"), (3, "two"))]
    await until(lambda: all(host.ingress.ports == [18090] for host in world.hosts.values()), world.clock)
    names = {task.status()[0][:12] for task in tasks}
    for machine in world.hosts:
        seen = await answers(world, 18090, machine=machine)
        assert set(seen) == names
        assert {seen.count(name) for name in names} == {2}  # round robin


async def test_asking_every_node_once_shows_different_tasks(swarm: Swarm, world: World) -> None:
    web = swarm.service("web", 18097)
    for slot in (1, 2):
        await swarm.task(web, slot, "one")
    await until(lambda: all(host.ingress.ports == [18097] for host in world.hosts.values()), world.clock)
    assert len({(await answers(world, 18097, 1, machine=machine))[0] for machine in ("one", "two")}) == 2


async def test_it_listens_on_localhost_too(swarm: Swarm, world: World) -> None:
    task = await swarm.task(swarm.service("web", 18091), 1, "two")
    await until(lambda: 18091 in world.front._servers, world.clock)
    reader, writer = await asyncio.open_connection("127.0.0.1", 18091)
    writer.write(b"x")
    writer.write_eof()
    assert (await reader.read()).startswith(task.status()[0][:12].encode())
    writer.close()


async def test_nobody_listens_when_the_last_task_is_gone(swarm: Swarm, world: World) -> None:
    task = await swarm.task(swarm.service("web", 18092), 1, "one")
    await until(lambda: world.hosts["two"].ingress.ports == [18092], world.clock)
    shutdown = asyncio.create_task(task.shutdown())
    await until(lambda: not any(host.ingress.ports for host in world.hosts.values()), world.clock)
    container = world.hosts["one"].containers.named("web.1.web1id")
    assert container is not None
    assert container.running
    await world.clock.advance(GOSSIP_DELAY)
    await shutdown
    assert container.exit_code == 0
    with pytest.raises(ConnectionRefusedError):
        await ask(world, world.hosts["two"].machine.address, 18092)


async def test_a_dead_machine_is_passed_over_at_once_and_forgotten_after_a_while(swarm: Swarm, world: World) -> None:
    web = swarm.service("web", 18093)
    here = await swarm.task(web, 1, "one")
    await swarm.task(web, 2, "two")
    await until(lambda: world.hosts["one"].ingress.ports == [18093], world.clock)
    world.fleet.fail("two")
    assert set(await answers(world, 18093)) == {here.status()[0][:12]}
    assert len(world.networkdb.behind_port("one", "swarm", 18093)) == 2
    await world.clock.advance(NOTICE)
    assert len(world.networkdb.behind_port("one", "swarm", 18093)) == 1
    with pytest.raises(ConnectionRefusedError):
        await ask(world, world.hosts["two"].machine.address, 18093)


async def test_each_side_of_a_partition_answers_with_its_own_tasks(swarm: Swarm, world: World) -> None:
    web = swarm.service("web", 18094)
    tasks = {host: await swarm.task(web, slot, host) for slot, host in ((1, "one"), (2, "two"))}
    await until(lambda: all(host.ingress.ports for host in world.hosts.values()), world.clock)
    world.fleet.partition(["two"])
    for host, task in tasks.items():
        assert set(await answers(world, 18094, machine=host)) == {task.status()[0][:12]}
    world.fleet.heal("two")
    assert len(set(await answers(world, 18094))) == 2


async def test_virtual_ip_and_names(swarm: Swarm, world: World) -> None:
    web = swarm.service("web")
    tasks = [await swarm.task(web, slot, host) for slot, host in ((1, "one"), (2, "two"))]
    client = await swarm.task(swarm.service("client"), 1, "one", Args=["sleep", "100"])
    container = world.hosts["one"].containers.get(client.status()[0])
    process = container.process
    assert process is not None
    await until(lambda: world.virtual_ips._addresses, world.clock)
    vip = web.endpoint["VirtualIPs"][0]["Addr"].partition("/")[0]
    addresses = {task.task.networks[0]["Addresses"][0].partition("/")[0] for task in tasks}
    assert process.ns.resolve("web") == [vip]
    assert set(process.ns.resolve("tasks.web")) == addresses
    assert set(process.ns.resolve("web.2.web2id")) < addresses
    assert process.ns.resolver is not None
    assert process.ns.resolver.reverse(next(iter(addresses))).endswith(".back")  # type: ignore[union-attr]
    seen = set()
    for _ in range(4):
        call = await process.exec(["call", "web", "80"])
        assert await call.wait() == 0
        seen.add(b"".join(line.data for line in call.log.lines()).partition(b":")[0].decode())
    assert seen == {task.status()[0][:12] for task in tasks}


async def test_names_for_people(swarm: Swarm, world: World) -> None:
    """The machine's own DNS server knows what its containers know."""
    from dnslib import DNSRecord

    task = await swarm.task(swarm.service("web"), 1, "one")
    host = world.hosts["one"]
    place = world.network.real_udp(host.machine.address, 53)
    assert place is not None
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            answers.put_nowait(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=place)
    try:
        for name, wanted in (("tasks.web", [task.task.networks[0]["Addresses"][0].partition("/")[0]]), ("nope", [])):
            transport.sendto(DNSRecord.question(name).pack())
            async with asyncio.timeout(5):
                found = DNSRecord.parse(await answers.get())
            assert [str(record.rdata) for record in found.rr] == wanted
    finally:
        transport.close()


async def test_dnsrr_has_no_virtual_ip(swarm: Swarm, world: World) -> None:
    web = swarm.service("web", mode="dnsrr")
    tasks = [await swarm.task(web, slot, "one") for slot in (1, 2)]
    container = world.hosts["one"].containers.get(tasks[0].status()[0])
    assert container.process is not None
    found = set(container.process.ns.resolve("web"))
    assert found == {task.task.networks[0]["Addresses"][0].partition("/")[0] for task in tasks}


async def test_a_container_of_ones_own_on_an_attachable_network(swarm: Swarm, world: World) -> None:
    await swarm.task(swarm.service("web"), 1, "one")
    container = await run(world.hosts["one"], "call", "web", "80", HostConfig={"NetworkMode": "back"})
    await until(lambda: not container.running, world.clock)
    assert output(container).endswith(":\n")


async def test_containers_of_ones_own_find_each_other_across_hosts(swarm: Swarm, world: World) -> None:
    server = await run(world.hosts["two"], name="server", HostConfig={"NetworkMode": "back"})
    client = await run(world.hosts["one"], "call", "server", "80", HostConfig={"NetworkMode": "back"})
    await until(lambda: not client.running, world.clock)
    assert output(client) == f"{server.id[:12]}:\n"


async def test_a_network_that_is_not_attachable(swarm: Swarm, world: World) -> None:
    words = (
        "Could not attach to network ingress: rpc error: code = PermissionDenied desc = network ingress not manually"
    )
    with pytest.raises(Forbidden, match=words):
        await run(world.hosts["one"], HostConfig={"NetworkMode": "ingress"})


async def test_a_host_that_has_left_answers_no_more(swarm: Swarm, world: World) -> None:
    await swarm.task(swarm.service("web", 18095), 1, "one")
    await until(lambda: world.hosts["two"].ingress.ports, world.clock)
    two = world.hosts["two"]
    two.swarm.local_state, two.swarm.node_id = "inactive", ""
    two.swarm_changed()
    await until(lambda: not two.ingress.ports, world.clock)
    assert world.hosts["one"].ingress.ports == [18095]


async def test_a_virtual_ip_answers_ping_while_there_are_tasks(swarm: Swarm, world: World) -> None:
    quiet = swarm.service("quiet")
    vip = quiet.endpoint["VirtualIPs"][0]["Addr"].partition("/")[0]
    assert world.network.where(vip) is None
    task = await swarm.task(quiet, 1, "one")
    assert world.network.where(vip) == EVERYWHERE
    with pytest.raises(ConnectionRefusedError):
        await world.network.connect("two", vip, 8080)
    stopping = asyncio.create_task(task.shutdown())
    await until(lambda: world.network.where(vip) is None, world.clock)
    await world.clock.advance(GOSSIP_DELAY)
    await stopping
    assert vip not in world.virtual_ips._addresses

"""Mesos-DNS on a machine: what it answers over the wire, and what its plug does to it."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from dnslib import RCODE, DNSRecord

from labkit.embedded.marathon.discovery.mesosdns import Config, MesosDns
from labkit.embedded.marathon.discovery.mesosdns.asking import MesosResolver
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.dns import Resolver
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network

from .states import state, task

NAME = "web.marathon.mesos"


@dataclass
class Place:
    clock: ManualClock
    fleet: Fleet
    network: Network
    dns: MesosDns
    state: dict[str, Any]
    leader: list[str | None] = field(default_factory=list)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    clock = ManualClock()
    fleet = Fleet(clock)
    network = await Network.open(fleet, clock)
    for index, name in enumerate(("master-1", "master-2", "agent-1")):
        fleet.add(Machine(name, network.machine_address(index)))
    leader: list[str | None] = ["master-2"]
    given = state(task("web"))
    dns = MesosDns(
        fleet.machine("master-1"),
        fleet,
        clock,
        network,
        leader=lambda: leader[0],
        state=lambda: given,
        config=Config(),
        rng=random.Random(1),
    )
    await dns.start()
    await clock.settle()
    yield Place(clock, fleet, network, dns, given, leader)
    await dns.stop()
    await network.close()


async def over_udp(place: Place, name: str, kind: str = "A") -> DNSRecord:
    host, _, port = place.dns.address.rpartition(":")
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, int(port)))
        await loop.sock_sendall(sock, DNSRecord.question(name, kind).pack())
        return DNSRecord.parse(await asyncio.wait_for(loop.sock_recv(sock, 4096), 5))


async def test_it_answers_over_udp_tcp_and_http(place: Place) -> None:
    assert [str(record.rdata) for record in (await over_udp(place, NAME)).rr] == ["10.0.0.20"]
    host, _, port = place.dns.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    query = DNSRecord.question("nope.mesos").pack()
    writer.write(len(query).to_bytes(2, "big") + query)
    size = int.from_bytes(await reader.readexactly(2), "big")
    assert DNSRecord.parse(await reader.readexactly(size)).header.rcode == RCODE.NXDOMAIN
    writer.close()
    async with aiohttp.ClientSession() as session, session.get(f"{place.dns.url}/v1/hosts/{NAME}") as answer:
        assert await answer.json() == [{"host": f"{NAME}.", "ip": "10.0.0.20"}]


async def test_it_reads_the_state_when_it_is_due_and_when_told(place: Place) -> None:
    place.state["frameworks"][0]["tasks"].append(task("db"))
    assert "db.marathon.mesos." not in place.dns.zone.a
    await place.clock.advance(60.0)
    assert "db.marathon.mesos." in place.dns.zone.a
    place.state["frameworks"][0]["tasks"].append(task("cache"))
    for _ in range(100):
        place.dns.changed()
    await place.clock.advance(1.0)
    assert "cache.marathon.mesos." in place.dns.zone.a
    assert place.dns.names()["/cache"][:1] == ["cache.marathon.mesos"]


async def test_without_a_leader_the_old_records_stay(place: Place) -> None:
    place.leader[0] = None
    assert await place.dns.refresh() is False
    place.leader[0] = "master-2"
    place.fleet.partition(["master-2"])
    assert await place.dns.refresh() is False
    assert "web.marathon.mesos." in place.dns.zone.a
    place.fleet.heal("master-2")
    assert await place.dns.refresh() is True


async def test_it_goes_and_comes_with_its_machine(place: Place) -> None:
    scope = place.dns.scope("agent-1")
    resolver = Resolver([scope])
    assert resolver.resolve(NAME) == ["10.0.0.20"]
    assert [port for _, port in resolver.services("_web._tcp.marathon.mesos") or ()] == [31000, 31001]
    assert resolver.find("nope.marathon.mesos") is None
    place.fleet.fail("master-1")
    await place.clock.settle()
    assert not place.dns.running
    assert resolver.find(NAME) is None
    place.fleet.heal("master-1")
    await place.clock.settle()
    assert place.dns.running
    assert resolver.resolve(NAME) == ["10.0.0.20"]
    place.fleet.partition(["agent-1"])
    assert resolver.find(NAME) is None


async def test_a_taken_port_is_said_and_leaves_no_other_open(place: Place) -> None:
    await place.dns.stop()
    machine = place.fleet.machine("master-1")

    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    other = await place.network.listen(machine, machine.address, place.dns.config.http_port, nobody)
    with pytest.raises(OSError, match="in use"):
        await place.dns.start()
    assert place.dns.status()["running"] is False
    other.shut()
    await place.dns.start()
    await place.clock.settle()
    assert [str(record.rdata) for record in (await over_udp(place, NAME)).rr] == ["10.0.0.20"]


async def test_who_does_not_start_twice_stops_once(place: Place) -> None:
    await place.dns.start()
    await place.dns.stop()
    await place.dns.stop()
    assert place.dns.status()["running"] is False
    await place.dns.start()
    assert place.dns.status()["running"] is True


async def test_containers_ask_it_over_their_machines_wire(place: Place) -> None:
    resolver = MesosResolver(place.dns, "agent-1")
    assert resolver.resolve(NAME)
    assert resolver.services("_web._tcp.marathon.mesos")
    assert (resolver.nameserver, resolver.reachable) == (place.fleet.machine("master-1").address, True)
    place.fleet.partition(["agent-1"])
    assert (resolver.find(NAME), resolver.reachable) == (None, False)
    place.fleet.heal("agent-1")
    assert resolver.resolve(NAME)
    await place.dns.stop()
    assert (resolver.find(NAME), resolver.reachable) == (None, False)

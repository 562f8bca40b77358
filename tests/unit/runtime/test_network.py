"""Real sockets on loopback addresses: blocks, pools, listeners, plugs, fallbacks, and what a thousand of them cost."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from aiohttp import web

from labkit.embedded.runtime.addresses import AddressPool, PoolExhausted
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.listeners import AddressInUse
from labkit.embedded.runtime.machines import Fleet, Machine, Unreachable
from labkit.embedded.runtime.network import Network

from .conftest import Box


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello")
    data = await asyncio.wait_for(reader.read(100), 2)
    writer.close()
    return data


# blocks and pools ---------------------------------------------------------------------------------------------


async def test_two_sandboxes_never_share_a_block_and_one_gets_its_own_back() -> None:
    fleet, clock = Fleet(ManualClock()), ManualClock()
    first = await Network.open(fleet, clock)
    second = await Network.open(fleet, clock)
    assert first.block != second.block
    number = int(second.block.partition(".")[2])
    third = await Network.open(fleet, clock, number)
    assert third.block not in (first.block, second.block)
    await second.close()
    fourth = await Network.open(fleet, clock, number)
    assert fourth.block == second.block
    for network in (first, third, fourth):
        await network.close()


async def test_a_block_that_comes_free_soon_is_waited_for() -> None:
    """An engine that was killed may leave a child behind that is just ending."""
    clock = ManualClock()
    first = await Network.open(Fleet(clock), clock)
    number = int(first.block.partition(".")[2])
    asyncio.get_running_loop().call_later(0.05, first._loopback.give_back)
    second = await Network.open(Fleet(clock), clock, number)
    assert second.block == first.block
    await first.close()
    await second.close()


def test_a_pool_gives_every_address_once_and_lets_a_freed_one_rest() -> None:
    pool = AddressPool("127.16.32.0/29")
    assert pool.gateway == "127.16.32.1"
    taken = [pool.take() for _ in range(5)]
    assert taken == [f"127.16.32.{n}" for n in range(2, 7)]
    with pytest.raises(PoolExhausted, match="no available IPv4 addresses"):
        pool.take()
    pool.release(taken[1])
    pool.release(taken[3])
    pool.release(taken[3])
    assert [pool.take(), pool.take()] == [taken[1], taken[3]]
    pool.release(pool.gateway)
    with pytest.raises(PoolExhausted):
        pool.claim(pool.gateway)
    pool.release(taken[0])
    assert pool.claim(taken[0]) == taken[0]
    with pytest.raises(PoolExhausted):
        pool.claim(taken[0])
    with pytest.raises(ValueError, match="is not in"):
        pool.claim("127.16.33.1")


async def test_pools_of_names_do_not_overlap_and_leave_the_machines_alone(box: Box) -> None:
    pools = [box.network.pool(name, 1000) for name in "abcdef"]
    for index, pool in enumerate(pools):
        assert not any(pool.network.overlaps(other.network) for other in pools[:index])
        assert box.network.machine_address(200) not in pool
    assert box.network.pool("a") is pools[0]
    for number in range(100):
        try:
            box.network.pool(f"more {number}", 4000)
        except PoolExhausted:
            return
    pytest.fail("a block has no room for a hundred networks of 4,000")


# listening and connecting -------------------------------------------------------------------------------------


async def test_every_address_has_its_own_listener_on_the_same_port(box: Box) -> None:
    async def who(request: web.BaseRequest) -> web.StreamResponse:
        host, port = request.transport.get_extra_info("sockname") if request.transport else ("", 0)
        return web.Response(text=f"{host}:{port}")

    pool = box.network.pool("net")
    ips = [pool.take() for _ in range(3)]
    for ip in ips:
        await box.network.listen_http("two", ip, 8080, who)
    for ip in ips:
        reader, writer = await box.network.connect("one", ip, 8080)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 2)
        host, port = box.network.real(ip, 8080) or ("", 0)
        assert answer.endswith(f"\r\n\r\n{host}:{port}".encode())
        writer.close()


async def test_a_port_in_use_within_the_sandbox_is_an_error(box: Box) -> None:
    ip = box.network.pool("net").take()
    listener = await box.network.listen("one", ip, 9000, echo)
    with pytest.raises(AddressInUse, match="address already in use"):
        await box.network.listen("one", ip, 9000, echo)
    await listener.close()
    assert box.network.real(ip, 9000) is None
    await (await box.network.listen("one", ip, 9000, echo)).close()


async def test_a_port_that_another_program_holds_is_found_elsewhere(box: Box) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        ip = box.network.machine_address(0)
        await box.network.listen("one", ip, port, echo)
        real = box.network.real(ip, port)
        assert real is not None
        assert real[1] != port
        assert await ask(*await box.network.connect("two", ip, port)) == b"hello"
        assert any(f"{ip}:{port} is found elsewhere" in note for note in box.network.notes)


@pytest.mark.parametrize("what", ["many", "low_ports"])
async def test_without_addresses_or_privilege_it_falls_back_to_ports(box: Box, what: str) -> None:
    setattr(box.network._loopback, what, False)
    ip = box.network.pool("net").take()
    await box.network.listen("one", ip, 80, echo)
    real = box.network.real(ip, 80)
    assert real is not None
    assert real[1] >= 1024
    assert real[0] == ("127.0.0.1" if what == "many" else ip)
    assert await ask(*await box.network.connect("two", ip, 80, source=box.network.machine_address(1))) == b"hello"


async def test_what_nobody_listens_on_is_refused_and_what_nobody_has_is_unknown(box: Box) -> None:
    ip = box.network.pool("net").take()
    with pytest.raises(Unreachable, match="No route to host"):
        await box.network.connect("one", ip, 80)
    box.network.place(ip, "two")
    with pytest.raises(ConnectionRefusedError):
        await box.network.connect("one", ip, 80)
    with pytest.raises(ConnectionRefusedError):
        await box.network.connect("one", box.network.machine_address(1), 80)
    box.network.unplace(ip)
    with pytest.raises(Unreachable):
        await box.network.connect("one", "192.0.2.1", 80)


async def test_a_connection_comes_from_the_address_that_was_asked_for(box: Box) -> None:
    peers = list[str]()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])

    ip, source = box.network.pool("net").take(), box.network.pool("net").take()
    await box.network.listen("two", ip, 80, note)
    _, writer = await box.network.connect("one", ip, 80, source=source)
    await box.clock.settle()
    writer.close()
    assert peers == [source]


# plugs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["fail", "pause", "partition"])
async def test_behind_a_pulled_plug_one_waits_in_vain(box: Box, verb: str) -> None:
    ip = box.network.pool("net").take()
    box.network.place(ip, "two")
    await box.network.listen("two", ip, 80, echo)
    if verb == "partition":
        box.fleet.partition(["two"])
    else:
        getattr(box.fleet, verb)("two")
    task = asyncio.create_task(box.network.connect("one", ip, 80, timeout=20))
    await box.clock.advance(19)
    assert not task.done()
    await box.clock.advance(2)
    with pytest.raises(TimeoutError):
        await task


@pytest.mark.parametrize("verb", ["pause", "partition"])
async def test_a_wire_that_is_mended_in_time_carries_the_connection(box: Box, verb: str) -> None:
    ip = box.network.pool("net").take()
    await box.network.listen("two", ip, 80, echo)
    if verb == "partition":
        box.fleet.partition(["two"])
    else:
        box.fleet.pause("two")
    task = asyncio.create_task(box.network.connect("one", ip, 80, timeout=60))
    await box.clock.advance(5)
    box.fleet.heal("two")
    assert await ask(*await box.until(task)) == b"hello"


async def test_power_off_closes_listeners_and_connections(box: Box) -> None:
    ip = box.network.pool("net").take()
    listener = await box.network.listen("two", ip, 80, echo)
    reader, writer = await box.network.connect("one", ip, 80)
    await box.clock.settle()
    box.fleet.fail("two")
    assert listener.closed
    assert box.network.real(ip, 80) is None
    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert writer.is_closing()


async def test_a_paused_machine_takes_connections_from_outside_when_it_thaws(box: Box) -> None:
    ip = box.network.pool("net").take()
    await box.network.listen("two", ip, 8000, echo)
    box.fleet.pause("two")
    reader, writer = await asyncio.open_connection(*(box.network.real(ip, 8000) or ("", 0)))
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(10), 0.05)
    box.fleet.heal("two")
    assert await asyncio.wait_for(reader.read(10), 2) == b"hello"
    writer.close()


async def test_a_slow_machine_is_slow_for_insiders_and_outsiders(box: Box) -> None:
    ip = box.network.pool("net").take()
    await box.network.listen("two", ip, 8000, echo)
    box.fleet.slow("two", 3)
    inside = asyncio.create_task(box.network.connect("one", ip, 8000, source=box.network.machine_address(0)))
    await box.clock.advance(5.5)
    assert not inside.done()
    await box.clock.advance(1)
    (await box.until(inside))[1].close()
    reader, writer = await asyncio.open_connection(*(box.network.real(ip, 8000) or ("", 0)))
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(10), 0.05)
    await box.clock.advance(3)
    assert await asyncio.wait_for(reader.read(10), 2) == b"hello"
    writer.close()


async def test_a_thousand_http_listeners_are_cheap() -> None:
    fleet, clock = Fleet(ManualClock()), ManualClock()
    network = await Network.open(fleet, clock)
    machine = fleet.add(Machine("m", network.machine_address(0)))
    pool = network.pool("net", 1000)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok")

    await network.listen_http(machine, pool.take(), 80, answer)  # the first one loads aiohttp
    ips = [pool.take() for _ in range(1000)]
    start = time.perf_counter()
    for ip in ips:
        await network.listen_http(machine, ip, 80, answer)
    took = time.perf_counter() - start
    await network.close()
    assert took < 2.0, f"{took:.2f} s for 1,000 listeners"  # 0.05 s on a quiet machine

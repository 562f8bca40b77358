"""Ports of an address that are left to real programs of this computer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine, Unreachable
from labkit.embedded.runtime.network import Network


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """Of two machines, a and b."""
    clock = ManualClock()
    fleet = Fleet(clock)
    made = await Network.open(fleet, clock)
    for number, name in enumerate(("a", "b")):
        fleet.add(Machine(name, made.machine_address(number)))
    yield made
    await made.close()


async def _reaches(network: Network, ip: str, port: int) -> bool:
    try:
        _, writer = await network.connect("a", ip, port)
    except (ConnectionRefusedError, Unreachable):
        return False
    writer.close()
    return True


async def test_what_a_real_program_opens_is_found_and_obeys_the_plugs(network: Network) -> None:
    fleet, clock = network.fleet, network.clock
    assert isinstance(clock, ManualClock)
    with socket.create_server(("0.0.0.0", 0)) as program:
        ip, port = network.machine_address(1), program.getsockname()[1]
        assert not await _reaches(network, ip, port)
        network.lend(ip, "b", port, port)
        assert await _reaches(network, ip, port)
        fleet.partition(["b"])
        waiting = asyncio.create_task(network.connect("a", ip, port, timeout=3))
        await clock.advance(4)
        with pytest.raises(TimeoutError):
            await waiting


async def test_what_is_taken_back_is_out_of_reach_again(network: Network) -> None:
    with socket.create_server(("0.0.0.0", 0)) as program:
        ip, port = network.machine_address(1), program.getsockname()[1]
        network.lend(ip, "b", port, port)
        network.lend(ip, "b", port, port)
        network.take_back(ip, "b", port, port)
        assert not await _reaches(network, ip, port)
        network.take_back(ip, "b", port, port)


async def test_nothing_else_of_this_computer_is_reached(network: Network) -> None:
    """A container may not come by what somebody runs on this computer: no other port, no other address."""
    with (
        socket.create_server(("0.0.0.0", 0)) as program,
        socket.create_server(("0.0.0.0", 0)) as secret,
        socket.create_server((network.machine_address(1), 0)) as beside,
    ):
        lent, other, here = (each.getsockname()[1] for each in (program, secret, beside))
        network.lend(network.machine_address(1), "b", lent, lent)
        assert await _reaches(network, network.machine_address(1), lent)
        block = int(network.block.split(".")[1])
        neighbour = f"127.{block - 1}.0.11"  # an address of another sandbox
        places = [
            (network.machine_address(1), other),
            (network.machine_address(1), here),
            *((ip, lent) for ip in (network.machine_address(0), "127.0.0.1", "0.0.0.0", neighbour, "192.0.2.1")),
        ]
        assert [place for place in places if await _reaches(network, *place)] == []

"""Ports of an address that are left to real programs of this computer."""

from __future__ import annotations

import asyncio
import socket

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network


async def test_what_a_real_program_opens_is_found_and_obeys_the_plugs() -> None:
    clock = ManualClock()
    fleet = Fleet(clock)
    network = await Network.open(fleet, clock)
    for number, name in enumerate(("a", "b")):
        fleet.add(Machine(name, network.machine_address(number)))
    with socket.create_server(("0.0.0.0", 0)) as program:
        program.setblocking(False)
        ip, port = network.machine_address(1), program.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await network.connect("a", ip, port)
        network.lend(ip, "b", port, port)
        _, writer = await network.connect("a", ip, port)
        writer.close()
        fleet.partition(["b"])
        waiting = asyncio.create_task(network.connect("a", ip, port, timeout=3))
        await clock.advance(4)
        with pytest.raises(TimeoutError):
            await waiting
    await network.close()

"""Messages between processes: in order, at most once, and what plugs do to them."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine

MASTER = Pid("master", "master-1", "127.9.0.10", 5050)
AGENT = Pid("slave(1)", "agent-1", "127.9.0.20", 5051)


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, Any]] = []
        self.lost: list[Pid] = []

    def receive(self, sender: Pid, message: str, body: dict[str, Any]) -> None:
        self.heard.append((str(sender), message, body))

    def exited(self, pid: Pid) -> None:
        self.lost.append(pid)


class House:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        for pid in (MASTER, AGENT):
            self.fleet.add(Machine(name=pid.machine, address=pid.address))
        self.post = Post(self.fleet, self.clock)
        self.master, self.agent = Listener(), Listener()
        self.post.register(MASTER, self.master)
        self.post.register(AGENT, self.agent)

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.post.send(MASTER, AGENT, "PingSlaveMessage", {"n": number})

    @property
    def numbers(self) -> list[int]:
        return [body["n"] for _, _, body in self.agent.heard]


@pytest.fixture
def house() -> House:
    return House()


async def test_in_order_and_later_than_the_sender(house: House) -> None:
    house.send(1, 2, 3)
    assert house.numbers == []
    await house.clock.settle()
    await house.clock.advance(0)
    assert house.agent.heard[0] == ("master@127.9.0.10:5050", "PingSlaveMessage", {"n": 1})
    assert house.numbers == [1, 2, 3]


async def test_a_slow_machine_gets_it_later(house: House) -> None:
    house.fleet.slow("agent-1", 2)
    house.send(1)
    await house.clock.advance(1.9)
    assert house.numbers == []
    await house.clock.advance(0.2)
    assert house.numbers == [1]


async def test_what_is_sent_over_a_cut_wire_is_lost(house: House) -> None:
    house.fleet.partition(["agent-1"])
    house.send(1)
    await house.clock.advance(1)
    house.fleet.heal("agent-1")
    house.send(2)
    await house.clock.advance(1)
    assert house.numbers == [2]


async def test_a_paused_machine_gets_it_when_it_thaws(house: House) -> None:
    house.fleet.pause("agent-1")
    house.send(1, 2)
    await house.clock.advance(1)
    assert house.numbers == []
    house.fleet.heal("agent-1")
    await house.clock.advance(0)
    assert house.numbers == [1, 2]


@pytest.mark.parametrize("what", ["fail", "partition", "unregister"])
async def test_a_broken_link_is_told_once(house: House, what: str) -> None:
    house.post.link(MASTER, AGENT)
    if what == "fail":
        house.fleet.fail("agent-1")
    elif what == "partition":
        house.fleet.partition(["agent-1"])
    else:
        house.post.unregister(AGENT)
    await house.clock.advance(1)
    assert house.master.lost == [AGENT]
    house.fleet.heal("agent-1")
    house.fleet.fail("agent-1")
    assert house.master.lost == [AGENT]


async def test_a_link_to_nobody_breaks_at_once(house: House) -> None:
    house.post.unregister(AGENT)
    house.post.link(MASTER, AGENT)
    await house.clock.advance(0)
    assert house.master.lost == [AGENT]


async def test_one_bad_message_does_not_stop_the_others(house: House) -> None:
    def broken(sender: Pid, message: str, body: dict[str, Any]) -> None:
        house.agent.heard.append(("", message, body))
        if body["n"] == 1:
            raise RuntimeError("no")

    house.agent.receive = broken  # type: ignore[method-assign]
    house.send(1, 2)
    await house.clock.advance(0)
    assert house.numbers == [1, 2]

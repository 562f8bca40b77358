"""The shell: commits over the fleet's wires, storage before acknowledgement, crashes and slow machines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.objects import Service
from labkit.embedded.swarm.raft.group import Exchange, Group
from labkit.embedded.swarm.raft.member import CannotRemoveMember, LostLeadership, Member, Stopped
from labkit.embedded.swarm.store import Store


class Managers:
    """``count`` members on machines ``m1``…"""

    def __init__(self, count: int = 3) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.storage = Storage()
        self.rng = random.Random(1)
        self.exchange = Exchange(self.clock, self.fleet, self.storage)
        self.group: Group = self.exchange.group("g")
        self.led: list[tuple[int, bool]] = []
        self.members: dict[int, Member] = {}
        for id in range(1, count + 1):
            self.fleet.add(Machine(name=f"m{id}", address=f"127.5.0.{id}"))

    def rest(self, id: int) -> dict[str, object]:
        return {
            "machine": f"m{id}",
            "store": Store(self.clock),
            "rng": self.rng,
            "on_leadership": lambda leads: self.led.append((id, leads)),
        }

    async def form(self) -> None:
        first = Member.found(self.exchange, self.group, 1, ("n1", "a", "m1"), **self.rest(1))
        self.members[1] = first
        first.start()
        for id in range(2, len(self.fleet.machines) + 1):
            await self.while_time_passes(first.add(id, (f"n{id}", "a", f"m{id}")))
            self.members[id] = Member.join(self.exchange, self.group, id, **self.rest(id))
            self.members[id].start()
            await self.clock.settle()
        await self.clock.advance(2)

    async def while_time_passes(self, work: object, limit: int = 100) -> object:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type,var-annotated]
        for _ in range(limit):
            await self.clock.settle()
            if task.done():
                return task.result()
            await self.clock.advance(0.5)
        task.cancel()
        raise AssertionError("it never ends")

    async def write(self, name: str, by: int = 1) -> None:
        store = self.members[by].store
        await store.update(lambda tx: tx.create(Service(id=name, spec={"Name": name})))

    def names(self, id: int) -> list[str]:
        return [service.name for service in self.members[id].store.all(Service)]


@pytest.fixture
async def managers() -> AsyncIterator[Managers]:
    managers = Managers()
    await managers.form()
    yield managers
    for member in managers.members.values():
        member.stop()


async def test_a_healthy_commit_needs_no_time(managers: Managers) -> None:
    before = managers.clock.time()
    await managers.write("web")
    assert managers.names(1) == ["web"]
    await managers.clock.settle()
    assert managers.clock.time() == before
    assert managers.names(2) == managers.names(3) == ["web"]
    # Managers share the objects, and one row holds it on disk.
    assert managers.members[1].store.get(Service, "web") is managers.members[2].store.get(Service, "web")
    assert managers.storage.all("swarm/g/service").keys() == {"web"}
    assert managers.group.state().index == managers.members[1].store.index


async def test_a_slow_manager_slows_nobody_if_a_majority_is_quick(managers: Managers) -> None:
    managers.fleet.slow("m3", 3)
    before = managers.clock.time()
    await managers.while_time_passes(managers.write("web"))
    assert managers.clock.time() == before
    assert managers.names(3) == []
    await managers.clock.advance(10)
    assert managers.names(3) == ["web"]


async def test_a_slow_leader_takes_the_way_there_and_back(managers: Managers) -> None:
    managers.fleet.slow("m1", 1)
    before = managers.clock.time()
    await managers.while_time_passes(managers.write("web"))
    assert 2 <= managers.clock.time() - before <= 3


async def test_a_write_without_a_majority_fails_when_the_leader_steps_down(managers: Managers) -> None:
    managers.fleet.fail("m2")
    managers.fleet.pause("m3")
    before = managers.clock.time()
    with pytest.raises(LostLeadership, match="node lost leader status") as lost:
        await managers.while_time_passes(managers.write("web"))
    assert lost.value.status == 500
    assert 1 <= managers.clock.time() - before <= 21
    assert managers.names(1) == []
    assert managers.storage.all("swarm/g/service") == {}
    assert managers.led == [(1, True), (1, False)]
    with pytest.raises(LostLeadership):
        await managers.write("web")


async def test_a_frozen_leader_finds_out_when_it_thaws(managers: Managers) -> None:
    managers.fleet.pause("m1")
    await managers.clock.advance(45)
    assert [id for id, leads in managers.led if leads][-1] in (2, 3)
    assert managers.members[1].leads  # nobody told it
    managers.fleet.heal("m1")
    await managers.clock.advance(25)
    assert sum(member.leads for member in managers.members.values()) == 1
    assert managers.led.count((1, False)) >= 1


async def test_who_was_off_catches_up(managers: Managers) -> None:
    managers.fleet.fail("m3")
    managers.members[3].stop()
    for number in range(5):
        await managers.write(f"s{number}")
    managers.fleet.heal("m3")
    managers.members[3].start()
    await managers.clock.advance(3)
    assert managers.names(3) == managers.names(1)
    assert managers.members[1].leads  # it came back without raising its term


async def test_who_was_off_for_long_gets_everything_anew(managers: Managers) -> None:
    managers.members[3].stop()
    managers.fleet.fail("m3")
    for number in range(20):
        await managers.write(f"s{number}")
    managers.members[1].raft.compact(keep=1)
    managers.members[2].raft.compact(keep=1)
    managers.fleet.heal("m3")
    managers.members[3].start()
    watch = managers.members[3].store.watch(Service)
    await managers.clock.advance(3)
    assert managers.names(3) == managers.names(1)
    assert len(watch.take()) == 20


async def test_stopping_ends_what_waits(managers: Managers) -> None:
    managers.fleet.partition(["m1"])
    write = asyncio.ensure_future(managers.write("web"))
    await managers.clock.settle()
    managers.members[1].stop()
    with pytest.raises(Stopped, match="node is stopped"):
        await write


async def test_members_come_and_go_one_at_a_time(managers: Managers) -> None:
    leader = managers.members[1]
    managers.fleet.fail("m3")
    with pytest.raises(CannotRemoveMember):
        await leader.remove(2)
    await managers.while_time_passes(leader.remove(3))
    assert set(leader.membership.members) == {1, 2}
    assert leader.id_of_node("n3") is None
    assert not leader.can_remove(1) or leader.active(2)


async def test_the_lead_is_handed_over(managers: Managers) -> None:
    assert await managers.while_time_passes(managers.members[1].transfer())
    await managers.clock.settle()
    assert not managers.members[1].leads
    assert sum(member.leads for member in managers.members.values()) == 1


async def test_after_kill_9_all_start_from_what_was_committed(managers: Managers) -> None:
    await managers.write("web")
    await managers.clock.settle()
    term = managers.members[1].raft.term
    for member in managers.members.values():
        member.stop()
    again = Managers()
    again.storage = managers.storage
    again.exchange = Exchange(again.clock, again.fleet, again.storage)
    again.group = again.exchange.group("g")
    for id in (1, 2, 3):
        again.members[id] = Member.restore(again.exchange, again.group, id, **again.rest(id))
        assert again.names(id) == ["web"]
    for id in (1, 2, 3):
        again.members[id].start()
    await again.clock.settle()
    assert again.led == [(1, True)]  # who led before, without waiting for a timeout
    assert again.members[1].raft.term > term
    version = again.members[1].store.get(Service, "web").version  # type: ignore[union-attr]
    await again.write("db")
    assert again.members[1].store.get(Service, "db").version > version  # type: ignore[union-attr]
    for member in again.members.values():
        member.stop()


async def test_a_vote_is_not_forgotten_over_a_restart(managers: Managers) -> None:
    managers.members[1].stop()
    await managers.clock.advance(45)
    for id in (2, 3):
        kept, state = managers.group.vote_of(id), managers.members[id].raft.hard_state
        assert state.vote in (2, 3)
        assert (kept.term, kept.vote) == (state.term, state.vote)


async def test_a_long_history_keeps_the_log_short(managers: Managers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.embedded.swarm.raft.member.HEAVY", 50)
    for number in range(200):
        await managers.write(f"s{number}")
    log = managers.members[1].raft.log
    assert log.last - log.start < 120
    assert len(managers.names(1)) == 200

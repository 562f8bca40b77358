"""Members, sessions and watches, on machines whose plugs are pulled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import (
    BadVersion,
    ConnectionLoss,
    Create,
    Event,
    MultiFailed,
    NodeExists,
    SessionClosed,
    SessionExpired,
    SetData,
)

from .worlds import World, world


def leader(w: World) -> str:
    assert w.ensemble.leader is not None
    return w.ensemble.leader


def followers(w: World) -> list[str]:
    return [machine for machine in w.masters if machine != leader(w)]


async def test_a_fresh_ensemble_serves_before_any_time_has_passed() -> None:
    w = await world()
    session = w.session()
    assert await session.create("/a", b"x") == "/a"
    assert (await session.get("/a"))[0] == b"x"
    assert w.clock.time() == 1_750_000_000.0
    assert sorted(member.mode for member in w.ensemble.members.values()) == ["following", "following", "leading"]


async def test_one_member_is_an_ensemble_too() -> None:
    w = await world(1)
    assert await w.session().create("/a") == "/a"


async def test_zxids_count_within_an_epoch() -> None:
    w = await world()
    session = w.session()
    await session.create("/a")
    first = await session.exists("/a")
    assert first is not None
    with pytest.raises(NodeExists):
        await session.create("/a")
    stat = await session.set("/a", b"1")
    assert stat.mzxid - first.czxid == 2  # a refused request takes one
    assert stat.mzxid >> 32 == first.czxid >> 32 == 1
    w.fleet.fail(leader(w))
    stat = await w.done(_stubborn(session))
    assert stat.mzxid >> 32 > 1
    assert stat.mzxid & 0xFFFFFFFF < 4


async def _stubborn(session):  # type: ignore[no-untyped-def]
    while True:
        try:
            return await session.set("/a", b"2")
        except ConnectionLoss:
            continue


async def test_a_watch_tells_once_and_before_the_answer() -> None:
    w = await world()
    session, other = w.session(), w.session("agent-2")
    seen: list[Event] = []
    await session.create("/a")
    await session.get("/a", seen.append)
    await session.children("/a", seen.append)
    assert await session.exists("/b", seen.append) is None
    await other.set("/a", b"1")
    await other.set("/a", b"2")
    await other.create("/a/c")
    await other.create("/b")
    await w.clock.settle()
    assert seen == [Event("changed", "/a"), Event("children", "/a"), Event("created", "/b")]


async def test_reads_see_the_writes_of_the_same_client() -> None:
    w = await world()
    w.fleet.slow(followers(w)[0], 0.3)
    session = w.session()
    await w.done(session.create("/a"))
    results = await w.done(
        asyncio.gather(*(work for n in range(20) for work in (session.set("/a", b"%d" % n), session.get("/a"))))
    )
    assert [data for data, _ in results[1::2]] == [b"%d" % n for n in range(20)]


async def test_a_multi_over_the_wire_is_all_or_nothing() -> None:
    w = await world()
    session = w.session()
    with pytest.raises(MultiFailed) as refused:
        await session.multi([Create("/a"), SetData("/a", b"", 5)])
    assert isinstance(refused.value.cause, BadVersion)
    assert await session.exists("/a") is None
    values = await session.multi([Create("/a"), SetData("/a", b"x", 0)])
    assert values[0][0] == "/a"
    assert values[1].version == 1


async def test_without_a_quorum_nobody_is_served() -> None:
    w = await world()
    session = w.session()
    await session.create("/a")
    for machine in followers(w):
        w.fleet.fail(machine)
    await w.clock.settle()
    assert not w.ensemble.has_quorum
    assert session.state == "connecting"
    with pytest.raises(ConnectionLoss):
        await w.done(session.set("/a", b"1"))


async def test_a_client_keeps_session_and_watches_when_its_member_dies() -> None:
    w = await world()
    session, seen = w.session(), []  # type: ignore[var-annotated]
    await session.create("/e", ephemeral=True)
    await session.exists("/e", seen.append)
    id, member = session.id, session.member
    assert member is not None
    w.fleet.fail(member)
    await w.clock.advance(3)
    assert (session.state, session.id) == ("connected", id)
    assert session.member != member
    other = w.session("agent-2")
    await w.done(other.set("/e", b"new"))
    await w.clock.settle()
    assert seen == [Event("changed", "/e")]


async def test_a_watch_hears_what_happened_while_its_client_had_no_member() -> None:
    w = await world()
    session, other, seen = w.session("agent-1"), w.session("agent-2"), []  # type: ignore[var-annotated]
    await session.create("/a")
    await session.get("/a", seen.append)
    await session.children("/", seen.append)
    w.fleet.partition(["agent-1"])
    await w.clock.settle()
    assert session.member is None
    await other.set("/a", b"1")
    await other.create("/b")
    w.fleet.heal("agent-1")
    await w.clock.advance(1)
    assert session.state == "connected"
    assert set(seen) == {Event("changed", "/a"), Event("children", "/")}


async def test_a_silent_client_loses_its_session_after_its_timeout_and_no_sooner() -> None:
    w = await world()
    session, other = w.session(timeout=6.0), w.session("agent-2")
    await session.create("/e", ephemeral=True)
    w.fleet.partition(["agent-1"])
    await w.clock.advance(5.9)
    assert await other.exists("/e") is not None
    await w.clock.advance(5.2)  # rounded up to a tick, and looked at each half of one
    assert await other.exists("/e") is None
    w.fleet.heal("agent-1")
    await w.clock.advance(1)
    assert session.state == "expired"
    with pytest.raises(SessionExpired):
        await session.exists("/e")


async def test_a_client_that_lives_keeps_its_session_without_saying_anything() -> None:
    w = await world()
    session = w.session(timeout=4.0)
    await session.create("/e", ephemeral=True)
    await w.clock.advance(120)
    assert session.state == "connected"
    assert await session.exists("/e") is not None


async def test_timeouts_are_between_2_and_20_ticks() -> None:
    w = await world()
    short, long = w.session(timeout=0.1), w.session(timeout=900)
    await short.connected()
    await long.connected()
    assert (short.timeout, long.timeout) == (4.0, 40.0)


async def test_a_closed_session_takes_its_nodes_along_at_once() -> None:
    w = await world()
    session, other = w.session(), w.session("agent-2")
    await session.create("/e", ephemeral=True)
    await session.close()
    assert await other.exists("/e") is None
    with pytest.raises(SessionClosed):
        await session.create("/f")


async def test_a_machine_without_power_says_nothing_any_more() -> None:
    w = await world()
    session, other = w.session(), w.session("agent-2")
    states: list[str] = []
    await session.create("/e", ephemeral=True)
    session.on_state(states.append)
    w.fleet.fail("agent-1")
    await w.clock.settle()
    assert session.state == "closed"
    assert states == []
    assert await other.exists("/e") is not None
    await w.clock.advance(13)
    assert await other.exists("/e") is None


async def test_a_frozen_leader_is_replaced_and_follows_when_it_thaws() -> None:
    w = await world()
    session = w.session()
    await session.create("/a")
    first = leader(w)
    w.fleet.pause(first)
    await w.clock.advance(40)
    second = next(m.machine for m in w.ensemble.members.values() if m.mode == "leading" and m.machine != first)
    await w.done(_stubborn(session))
    await w.heal(first)
    await w.clock.advance(5)
    assert w.ensemble.leader == second
    assert w.ensemble.members[first].mode == "following"
    assert w.ensemble.members[first].tree.node("/a").data == b"2"


async def test_the_smaller_part_of_a_cut_ensemble_serves_nobody_and_the_larger_one_goes_on() -> None:
    w = await world(5)
    session = w.session()
    await session.create("/a")
    cut = [leader(w), followers(w)[0]]
    w.fleet.partition(cut)
    await w.clock.advance(2)
    assert {w.ensemble.members[machine].mode for machine in cut} == {"looking"}
    assert leader(w) not in cut
    await w.done(_stubborn(session))
    term = w.ensemble.members[leader(w)].raft.term
    for machine in cut:
        await w.heal(machine)
    await w.clock.advance(20)
    assert w.ensemble.members[leader(w)].raft.term == term  # those who come back disturb nobody
    assert all(member.tree.node("/a").data == b"2" for member in w.ensemble.members.values())


async def test_a_member_that_was_away_for_long_gets_everything() -> None:
    w = await world()
    session = w.session()
    away = followers(w)[0]
    await session.create("/a")
    w.fleet.fail(away)
    await w.clock.advance(2)
    for n in range(2500):
        await session.set("/a", b"%d" % n)
    await w.heal(away)
    await w.clock.advance(5)
    assert w.ensemble.members[away].tree.node("/a").data == b"2499"
    assert w.ensemble.members[away].mode == "following"


async def test_after_a_crash_the_sessions_of_its_own_process_can_be_ended_at_once(tmp_path: Path) -> None:
    w = await world(storage=Storage(tmp_path / "z.db"))
    await w.session().create("/e", ephemeral=True)
    w.storage.close()
    again = await world(storage=Storage(tmp_path / "z.db"))
    again.ensemble.expire_all()
    assert await again.session("agent-2").exists("/e") is None


async def test_all_that_was_acknowledged_is_there_after_a_crash(tmp_path: Path) -> None:
    w = await world(storage=Storage(tmp_path / "z.db"))
    session = w.session()
    await session.create("/a", b"\xff\x00bytes")
    await session.create("/a/e", "grüße".encode(), ephemeral=True)
    await session.create("/gone")
    await session.delete("/gone")
    await session.create("/a/n", sequence=True)
    before = {path: node.stat for path, node in w.ensemble.members["master-1"].tree.nodes.items()}
    w.storage.close()  # as after kill -9: nobody had the time to say anything

    again = World(storage=Storage(tmp_path / "z.db"))
    tree = again.ensemble.members["master-2"].tree
    config = "/zookeeper/config"
    assert {path: node.stat for path, node in tree.nodes.items() if path != config} == {
        path: stat for path, stat in before.items() if path != config
    }
    assert tree.node("/a").data == b"\xff\x00bytes"
    await again.start()
    other = again.session()
    assert await other.create("/a/n", sequence=True) == "/a/n0000000002"
    assert await other.exists("/a/e") is not None
    await again.clock.advance(13)  # nobody takes the session up again
    assert await other.exists("/a/e") is None


async def test_the_log_stays_light_whether_data_comes_alone_or_in_transactions() -> None:
    w = await world()
    session = w.session("agent-1")
    await session.create("/a")
    for _ in range(300):
        await session.multi([SetData("/a", b"x" * 100_000)])
    held = [len(member.raft.log.slice(member.raft.log.start + 1)) for member in w.ensemble.members.values()]
    assert max(held) < 150, held

"""Watches, sessions, recipes, and members that go."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState, WatchedEvent
from support.until import until
from support.zookeepers import MEMBERS, Raw, Zoo, say, text

Connect = Callable[..., KazooClient]


def test_a_watch_tells_once(zk: KazooClient, connect: Connect, root: str) -> None:
    seen: list[WatchedEvent] = []
    zk.get(root, watch=seen.append)
    zk.exists(f"{root}/later", watch=seen.append)
    zk.get_children(root, watch=seen.append)
    other = connect()
    other.set(root, b"1")
    other.set(root, b"2")
    other.create(f"{root}/later")
    other.create(f"{root}/more")
    until(lambda: len(seen) >= 3)
    zk.sync(root)
    assert [(event.type, event.path) for event in seen] == [
        ("CHANGED", root),
        ("CREATED", f"{root}/later"),
        ("CHILD", root),
    ]


def test_a_node_that_goes_tells_all_who_watch_it(zk: KazooClient, connect: Connect, root: str) -> None:
    seen: list[tuple[str, WatchedEvent]] = []
    zk.create(f"{root}/a")
    zk.get(f"{root}/a", watch=lambda event: seen.append(("data", event)))
    zk.get_children(f"{root}/a", watch=lambda event: seen.append(("children", event)))
    zk.get_children(root, watch=lambda event: seen.append(("parent", event)))
    connect().delete(f"{root}/a")
    until(lambda: len(seen) >= 3)
    assert {(who, event.type, event.path) for who, event in seen} == {
        ("data", "DELETED", f"{root}/a"),
        ("children", "DELETED", f"{root}/a"),
        ("parent", "CHILD", root),
    }


def test_a_session_that_is_closed_takes_its_nodes_along(zk: KazooClient, connect: Connect, root: str) -> None:
    other = connect()
    other.create(f"{root}/e", ephemeral=True)
    gone = threading.Event()
    assert zk.exists(f"{root}/e", watch=lambda event: gone.set())
    other.stop()
    assert gone.wait(30)
    assert zk.exists(f"{root}/e") is None


@pytest.mark.parametrize(("wished", "got"), [(1, 4000), (10, 10_000), (100, 40_000)])
def test_timeouts_are_between_2_and_20_ticks(connect: Connect, zoo: Zoo, wished: float, got: int) -> None:
    client = connect(timeout=wished)
    assert client.client_id is not None
    said = "".join(say(address, "cons") for address in zoo.addresses)
    assert f"to={got}," in next(line for line in said.splitlines() if f"sid={client.client_id[0]:#x}," in line)


def test_a_session_is_taken_up_again_with_its_password_only(connect: Connect, zoo: Zoo) -> None:
    first = connect()
    assert first.client_id is not None
    id, password = first.client_id
    second = connect(client_id=(id, password))
    assert second.client_id == (id, password)
    stranger = connect(client_id=(id, b"x" * 16))
    assert stranger.client_id is not None
    assert stranger.client_id[0] != id  # kazoo hears that it has expired, and begins anew


def test_a_silent_session_expires(zk: KazooClient, root: str, zoo: Zoo) -> None:
    raw = Raw(zoo.addresses[0], timeout=4000)
    raw.create(f"{root}/e", flags=1)
    zk.sync(root)
    assert zk.exists(f"{root}/e").ephemeralOwner == raw.session
    began = time.monotonic()
    raw.close()  # its process is dead, and has said nothing
    until(lambda: zk.exists(f"{root}/e") is None, 15, "the end of the session")
    assert 3.5 < time.monotonic() - began < 9


def test_watches_that_come_along_hear_what_they_have_missed(zk: KazooClient, root: str, zoo: Zoo) -> None:
    for name in ("same", "changed", "gone", "folder"):
        zk.create(f"{root}/{name}")
    seen = zk.create(f"{root}/last", include_data=True)[1].czxid
    zk.set(f"{root}/changed", b"x")
    zk.delete(f"{root}/gone")
    zk.create(f"{root}/folder/child")
    zk.create(f"{root}/new")
    raw = Raw(zoo.addresses[0])
    assert raw.ask(9, text(root))[2] == 0  # sync: this member has it all
    data = [f"{root}/{name}" for name in ("same", "changed", "gone")]
    exists, children = [f"{root}/new", f"{root}/never"], [f"{root}/folder", f"{root}/same"]
    body = struct.pack("!q", seen)
    for paths in (data, exists, children):
        body += struct.pack("!i", len(paths)) + b"".join(map(text, paths))
    answers = [raw.ask(101, body, number=-8)]
    while answers[-1][0] != -8:
        answers.append(raw.answer())
    events = {(struct.unpack_from("!i", rest)[0], rest[12:].decode()) for number, _, _, rest in answers if number == -1}
    assert events == {
        (3, f"{root}/changed"),
        (2, f"{root}/gone"),
        (1, f"{root}/new"),
        (4, f"{root}/folder"),
    }
    zk.set(f"{root}/same", b"x")
    number, zxid, error, rest = raw.answer()
    assert (number, zxid, error, rest) == (-1, -1, 0, struct.pack("!ii", 3, 3) + text(f"{root}/same"))
    raw.close()


def test_a_member_that_knows_less_than_its_client_hangs_up(zoo: Zoo) -> None:
    with pytest.raises(struct.error):  # there is no answer
        Raw(zoo.addresses[0], seen=1 << 60)


def test_pings_and_unknown_requests_are_answered(zoo: Zoo) -> None:
    raw = Raw(zoo.addresses[0])
    number, zxid, error, rest = raw.ask(11, b"", number=-2)
    assert (number, error, rest) == (-2, 0, b"")
    assert zxid > 0
    raw.close()


def test_election_lock_and_watch_recipes(zk: KazooClient, connect: Connect, root: str) -> None:
    led: list[str] = []
    release = {name: threading.Event() for name in "ab"}
    threads = []
    for name in "ab":
        election = connect().Election(f"{root}/election", name)

        def lead(name: str = name) -> None:
            led.append(name)
            release[name].wait(20)

        threads.append(threading.Thread(target=election.run, args=(lead,), daemon=True))
        threads[-1].start()
    until(lambda: len(led) == 1)
    first = led[0]
    release[first].set()
    until(lambda: len(led) == 2)
    release[led[1]].set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

    lock = connect().Lock(f"{root}/lock", "me")
    other = connect().Lock(f"{root}/lock", "you")
    assert lock.acquire(timeout=10)
    assert not other.acquire(blocking=False)
    assert lock.contenders() == ["me"]
    lock.release()
    assert other.acquire(timeout=10)
    other.release()

    seen: list[list[str]] = []
    zk.create(f"{root}/folder")
    zk.ChildrenWatch(f"{root}/folder", lambda children: seen.append(sorted(children)))
    zk.create(f"{root}/folder/a")
    until(lambda: seen[-1] == ["a"])
    zk.create(f"{root}/folder/b")
    until(lambda: seen[-1] == ["a", "b"])
    assert seen[0] == []


@pytest.fixture
def whole(zoo: Zoo):  # type: ignore[no-untyped-def]
    """All members are there before and after."""
    zoo.complete()
    yield
    for member in range(MEMBERS):
        zoo.start(member)
    zoo.complete()


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_client_moves_on_with_its_session_and_nodes(zoo: Zoo, connect: Connect, root: str, who: str) -> None:
    leader = zoo.leader()
    member = leader if who == "leader" else (leader + 1) % MEMBERS
    order = [member, *(n for n in range(MEMBERS) if n != member)]
    hosts = ",".join("{}:{}".format(*zoo.addresses[n]) for n in order)
    client = connect(hosts=hosts, randomize_hosts=False, timeout=15)
    states: list[str] = []
    client.add_listener(states.append)
    client.create(f"{root}/e", b"x", ephemeral=True)
    before = client.client_id
    zoo.stop(member)
    until(lambda: KazooState.SUSPENDED in states, 15)
    until(lambda: client.connected, 30)
    assert client.client_id == before
    assert client.retry(client.exists, f"{root}/e").ephemeralOwner == before[0]
    client.retry(client.set, f"{root}/e", b"y")
    assert KazooState.LOST not in states


@pytest.mark.usefixtures("whole")
def test_an_epoch_ends_with_its_leader(zoo: Zoo, zk: KazooClient, root: str) -> None:
    before = zk.set(root, b"1").mzxid
    zoo.stop(zoo.leader())
    after = zk.retry(zk.set, root, b"2").mzxid
    assert after >> 32 > before >> 32
    assert after & 0xFFFFFFFF < 10


@pytest.mark.usefixtures("whole")
def test_one_of_three_serves_nobody(zoo: Zoo, zk: KazooClient) -> None:
    left = zoo.leader()
    for member in range(MEMBERS):
        if member != left:
            zoo.stop(member)
    until(lambda: not zoo.mode(left), 30)
    assert say(zoo.addresses[left], "ruok") == "imok"
    assert say(zoo.addresses[left], "srvr").startswith("This ZooKeeper instance is not currently serving requests")
    until(lambda: not zk.connected, 15)

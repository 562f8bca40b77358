"""What is written anew for the stand-ins of infra/marathon's images: ZooKeeper's clients, messages, flags."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from support.mesos_standin import flags
from support.mesos_standin.network import surroundings
from support.mesos_standin.registry import SharedRegistry
from support.mesos_standin.wires import BESIDE, TcpPost
from support.mesos_standin.zkclient import RealEnsemble
from support.zookeepers import EmbeddedZoo

from labkit.embedded.mesos.libprocess import Pid
from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.loopback import can_bind
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.zookeeper import Detector, Election, errors
from labkit.embedded.zookeeper.ops import CHANGED, Check, Create, Delete, Event, SetData

Ran = Callable[[Callable[[RealEnsemble], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def zoo() -> Iterator[EmbeddedZoo]:
    if not can_bind("127.77.0.1", 0):
        pytest.skip("members need loopback addresses of their own, for they all listen on 2181")
    zoo = EmbeddedZoo()
    zoo.complete()
    yield zoo
    zoo.close()


@pytest.fixture
def ran(zoo: EmbeddedZoo) -> Ran:
    """Runs a coroutine function with an ensemble that is reached over TCP."""

    def run(work: Callable[[RealEnsemble], Awaitable[None]]) -> None:
        async def inside() -> None:
            clock = ScaledClock()
            fleet = Fleet(clock)
            hosts = [host for host, _ in zoo.addresses]
            for name in ("me", *hosts):
                fleet.add(Machine(name, name))
            async with asyncio.timeout(20):
                await work(RealEnsemble(fleet, clock, hosts))

        asyncio.run(inside())

    return run


def test_requests_answers_and_watches_cross_the_wire(ran: Ran) -> None:
    async def work(ensemble: RealEnsemble) -> None:
        session = ensemble.session("me")
        seen: asyncio.Queue[Event] = asyncio.Queue()
        assert await session.create("/a/b", b"1", make_parents=True) == "/a/b"
        assert (await session.get("/a/b", seen.put_nowait))[0] == b"1"
        assert (await session.set("/a/b", b"22")).data_length == 2
        assert await seen.get() == Event(CHANGED, "/a/b")
        assert await session.children("/a") == ["b"]
        assert await session.exists("/no") is None
        with pytest.raises(errors.BadVersion):
            await session.set("/a/b", b"", version=7)
        made, *_ = await session.multi([Create("/m", b"x"), SetData("/m", b"y"), Check("/m", 1)])
        assert made[0] == "/m"
        with pytest.raises(errors.MultiFailed) as failed:
            await session.multi([Delete("/m"), Delete("/no")])
        assert isinstance(failed.value.cause, errors.NoNode)
        assert await session.exists("/m") is not None
        await session.close()

    ran(work)


def test_the_session_moves_on_when_its_member_ends(zoo: EmbeddedZoo, ran: Ran) -> None:
    async def work(ensemble: RealEnsemble) -> None:
        session, other = ensemble.session("me"), ensemble.session("me")
        election = Election(session, "/lead", b"me", "member_")
        await election.contend()
        detector = Detector(other, "/lead", "member_")
        await session.connected()
        first = session.member
        number = [host for host, _ in zoo.addresses].index(str(first))
        await asyncio.to_thread(zoo.stop, number)
        try:
            await session.exists("/lead")
        except errors.ConnectionLoss:
            pass  # it was asked in the very moment
        assert await session.children("/lead") != []  # its node has outlived the connection
        assert session.member != first
        await asyncio.to_thread(zoo.start, number)
        found: asyncio.Queue[bytes | None] = asyncio.Queue()
        detector.on_change(found.put_nowait)
        assert await found.get() == b"me"
        await session.close()
        assert await found.get() is None

    ran(work)


def test_masters_share_what_their_leader_writes(ran: Ran) -> None:
    async def work(ensemble: RealEnsemble) -> None:
        one, two = SharedRegistry(ensemble.session("me")), SharedRegistry(ensemble.session("me"))
        await one.begin()
        await two.begin()
        one.put("agents", "S0", {"state": "admitted"})
        one.put("agents", "S1", {"state": "admitted"})
        one.delete("agents", "S0")
        while two.all("agents") != {"S1": {"state": "admitted"}}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    ran(work)


class Heard:
    def __init__(self) -> None:
        self.said: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def receive(self, sender: Pid, message: str, body: dict[str, Any]) -> None:
        self.said.put_nowait((sender, message, body))

    def exited(self, pid: Pid) -> None:
        self.said.put_nowait(("exited", pid))


def _pid(name: str) -> Pid:
    """On ports that are free, here and beside."""
    while True:
        port = random.randint(20000, 40000)
        with socket.socket() as sock, socket.socket() as beside:
            try:
                sock.bind(("127.0.0.1", port))
                beside.bind(("127.0.0.1", port + BESIDE))
            except OSError:
                continue
            return Pid(name, "127.0.0.1", "127.0.0.1", port)


def test_messages_arrive_in_order_and_the_end_is_told() -> None:
    async def work() -> None:
        master, agent = _pid("master"), _pid("slave(1)")
        here, there, hears, tells = TcpPost(), TcpPost(), Heard(), Heard()
        here.register(master, hears)
        there.register(agent, tells)
        async with asyncio.timeout(20):
            while not (here._servers and there._servers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for number in range(50):
                there.send(agent, master, "StatusUpdateMessage", {"number": number})
            heard = [await hears.said.get() for _ in range(50)]
            assert heard == [(agent, "StatusUpdateMessage", {"number": number}) for number in range(50)]
            here.link(master, agent)
            here.send(master, agent, "PingSlaveMessage", {})
            assert await tells.said.get() == (master, "PingSlaveMessage", {})
            there.unregister(agent)
            assert await hears.said.get() == ("exited", agent)
            here.unregister(master)
        here.close()
        there.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"MESOS_QUORUM": "0"}, "a quorum of 0"),
        ({"MESOS_CREDENTIALS": ""}, "needs MESOS_CREDENTIALS"),
        ({"MESOS_AUTHENTICATE_HTTP_READWRITE": "yes"}, "would let everybody in: MESOS_AUTHENTICATE_HTTP_READWRITE"),
        ({"MESOS_QUORRUM": "2"}, "no flag quorrum"),
    ],
)
def test_a_master_refuses_what_does_not_fit(change: dict[str, str], says: str) -> None:
    good = {
        **{f"MESOS_{name}": "x" for name in ("WORK_DIR", "HOSTNAME", "ADVERTISE_IP", "CREDENTIALS")},
        **{f"MESOS_AUTHENTICATE_HTTP_{what}": "true" for what in ("READONLY", "READWRITE", "FRAMEWORKS")},
        "MESOS_ZK": "zk://10.0.0.1:2181/mesos",
        "MESOS_QUORUM": "2",
        "PATH": "/bin",
    }
    assert flags.read("mesos-master", good)["quorum"] == "2"
    with pytest.raises(flags.WrongFlags, match=says):
        flags.read("mesos-master", {**good, **change})


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:2181/mesos", "zk://10.0.0.1:2181", "zk://10.0.0.1:2181,10.0.0.2/mesos"]
)
def test_what_is_no_zookeeper_url(url: str) -> None:
    assert flags.zk("zk://a:2181,b:2181/mesos") == flags.Zk(["a", "b"], "/mesos")
    with pytest.raises(flags.WrongFlags):
        flags.zk(url)


async def test_what_listens_in_a_container_listens_on_all_its_addresses() -> None:
    """Health checks ask 127.0.0.1, neighbours the machine's own address, published ports come from a third."""
    own = "127.77.0.11"
    _, _, network = await surroundings(own, 1.0, 2**30)
    try:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"here")
            writer.close()

        listener = await network.listen(own, own, 0, serve)
        for address in ("127.0.0.1", own):
            reader, writer = await asyncio.open_connection(address, listener.port)
            assert await reader.read() == b"here"
            writer.close()
    finally:
        await network.close()

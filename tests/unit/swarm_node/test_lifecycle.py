"""Init, join, leave, promote, demote, loss of quorum and its recovery, in the real engine's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.errors import ApiError, NoLeader, NotManager, OutOfSequence, RpcError
from labkit.embedded.swarm.node import words
from labkit.embedded.swarm.objects import Network, Node

from .harness import FakeLeader, FakeWorld

NO_LEADER = "does not have a leader"


@pytest.fixture
async def world() -> AsyncIterator[FakeWorld]:
    world = FakeWorld()
    yield world
    await world.close()


# -- init


async def test_init_makes_a_swarm_of_one(world: FakeWorld) -> None:
    node_id = await world.init()
    node = world[1]
    assert node.local_state == "active"
    assert node.is_manager
    assert node.leader is not None
    assert node.store is not None
    stored = node.store.get(Node, node_id)
    assert stored is not None
    assert stored.spec == {"Labels": {}, "Role": "manager", "Availability": "active"}
    await world.clock.settle()
    stored = node.store.get(Node, node_id)
    assert stored is not None
    assert stored.manager_addr == "127.5.0.11:2377"
    assert stored.raft_id is not None
    (ingress,) = node.store.all(Network)
    assert ingress.name == "ingress"
    assert world.hosts["m1"].changes


async def test_a_fresh_swarm_looks_as_a_real_one(world: FakeWorld) -> None:
    await world.init()
    swarm = await world.run(world[1].inspect())
    assert list(swarm) == [
        "ID", "Version", "CreatedAt", "UpdatedAt", "Spec", "TLSInfo", "RootRotationInProgress", "DefaultAddrPool",
        "SubnetSize", "DataPathPort", "JoinTokens",
    ]  # fmt: skip
    assert swarm["Spec"] == {
        "Name": "default",
        "Labels": {},
        "Orchestration": {"TaskHistoryRetentionLimit": 5},
        "Raft": {
            "SnapshotInterval": 10000,
            "KeepOldSnapshots": 0,
            "LogEntriesForSlowFollowers": 500,
            "ElectionTick": 10,
            "HeartbeatTick": 1,
        },
        "Dispatcher": {"HeartbeatPeriod": 5000000000},
        "CAConfig": {"NodeCertExpiry": 7776000000000000},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    }
    assert swarm["DefaultAddrPool"] == ["10.0.0.0/8"]
    assert swarm["SubnetSize"] == 24
    assert swarm["DataPathPort"] == 4789
    assert swarm["JoinTokens"]["Worker"] != swarm["JoinTokens"]["Manager"]


async def test_init_takes_what_it_is_given(world: FakeWorld) -> None:
    await world.init(
        DefaultAddrPool=["10.1.0.0/16"],
        SubnetSize=26,
        DataPathPort=5000,
        Availability="drain",
        AdvertiseAddr="9.9.9.9",
        Spec={"Orchestration": {"TaskHistoryRetentionLimit": 3}, "Labels": {"a": "b"}},
    )
    swarm = await world.run(world[1].inspect())
    assert swarm["DefaultAddrPool"] == ["10.1.0.0/16"]
    assert swarm["SubnetSize"] == 26
    assert swarm["DataPathPort"] == 5000
    assert swarm["Spec"]["Orchestration"] == {"TaskHistoryRetentionLimit": 3}
    assert swarm["Spec"]["Labels"] == {"a": "b"}
    assert swarm["Spec"]["Raft"]["ElectionTick"] == 10
    assert world[1].info()["NodeAddr"] == "9.9.9.9"


@pytest.mark.parametrize(
    ("req", "status", "message"),
    [
        ({}, 400, 'invalid ListenAddr "": invalid empty address'),
        (
            {"ListenAddr": "bogus:2377"},
            400,
            "listen address must be an IP address or network interface (with optional port number)",
        ),
        (
            {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "bogus"},
            400,
            "advertise address must be a non-zero IP address or network interface (with optional port number)",
        ),
        (
            {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "0.0.0.0"},
            400,
            "advertise address must be a non-zero IP address or network interface (with optional port number)",
        ),
        (
            {"ListenAddr": "eth0", "DataPathAddr": "nope"},
            400,
            "data path address must be a non-zero IP address or network interface (without a port number)",
        ),
        ({"ListenAddr": "eth0", "Availability": "nope"}, 500, 'invalid Availability: "nope"'),
        (
            {"ListenAddr": "eth0", "SubnetSize": 33, "DefaultAddrPool": ["10.1.0.0/16"]},
            500,
            "subnet size is out of range: 33",
        ),
        (
            {"ListenAddr": "eth0", "SubnetSize": 8, "DefaultAddrPool": ["10.1.0.0/16"]},
            500,
            'invalid CIDR: "10.1.0.0/16". Subnet size is too small for pool: 8',
        ),
        (
            {"ListenAddr": "eth0", "DataPathPort": 80},
            500,
            "Datapath port number is not in valid range (1024-49151) : 80",
        ),
        ({"ListenAddr": "eth0", "Spec": {"Name": "x"}}, 400, 'swarm spec must be named "default"'),
    ],
)
async def test_init_refuses(world: FakeWorld, req: dict[str, Any], status: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        await world.run(world[1].init(req))
    assert (refused.value.status, refused.value.message) == (status, message)
    assert world[1].info() == INACTIVE


async def test_init_twice(world: FakeWorld) -> None:
    await world.init()
    with pytest.raises(words.SwarmExists) as refused:
        await world.init()
    assert refused.value.status == 503


# -- join


async def test_join_as_manager_and_worker(world: FakeWorld) -> None:
    await world.swarm(managers=3, workers=2)
    store = world[1].store
    assert store is not None
    assert {node.hostname: node.role for node in store.all(Node)} == {
        "m1": "manager", "m2": "manager", "m3": "manager", "m4": "worker", "m5": "worker",
    }  # fmt: skip
    for number in (2, 3):
        assert world[number].is_manager
        own = world[number].store
        assert own is not None
        assert own.all(Node) == store.all(Node)
        assert (await world.run(world[number].leader_store())) is store
    for number in (4, 5):
        assert not world[number].is_manager
        with pytest.raises(NotManager, match="Worker nodes can't be used"):
            await world.run(world[number].leader_store())
        assert world[number].find_leader() is world[1].leader
    assert all(node.raft_id for node in store.all(Node) if node.role == "manager")
    assert world.running == 1


async def test_managers_can_join_at_the_same_time(world: FakeWorld) -> None:
    await world.init()
    token = (await world.tokens())["Manager"]
    joins = [world[number].join(world.join_request(token)) for number in (2, 3, 4, 5)]
    await world.run(asyncio.gather(*joins))
    member = world[1].manager.member  # type: ignore[union-attr]
    assert len(member.membership.members) == 5


async def test_join_through_a_manager_that_does_not_lead(world: FakeWorld) -> None:
    await world.swarm(managers=2)
    await world.join(3, "Worker", via=2)
    assert world[3].local_state == "active"


async def test_join_refuses_bad_tokens(world: FakeWorld) -> None:
    await world.init()
    token = (await world.tokens())["Worker"]
    for wrong, status, message in (
        ("bogus", 500, "invalid join token"),
        (token[:-4] + "zzzz", 400, "rpc error: code = InvalidArgument desc = A valid join token is necessary to join "
         "this cluster"),
        ("", 400, "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster"),
    ):  # fmt: skip
        with pytest.raises(ApiError) as refused:
            await world.run(world[2].join(world.join_request(wrong)))
        assert (refused.value.status, refused.value.message) == (status, message)
        assert world[2].info() == INACTIVE
    other = token[:15] + ("1" if token[15] != "1" else "2") + token[16:]
    before = world.clock.time()
    with pytest.raises(ApiError, match=r"remote CA does not match fingerprint. Expected: [0-9a-f]{64}") as refused:
        await world.run(world[2].join(world.join_request(other)))
    assert refused.value.status == 500
    assert world.clock.time() - before == pytest.approx(8, abs=1)
    assert world[2].info() == INACTIVE


async def test_join_refuses_bad_addresses(world: FakeWorld) -> None:
    for req, message in (
        ({"ListenAddr": "0.0.0.0:2377"}, "at least 1 RemoteAddr is required to join"),
        ({"RemoteAddrs": ["x"]}, 'invalid ListenAddr "": invalid empty address'),
        ({"ListenAddr": "eth0", "RemoteAddrs": [""]}, 'invalid remoteAddr "": invalid empty address'),
    ):
        with pytest.raises(ApiError) as refused:
            await world.run(world[2].join(req))
        assert (refused.value.status, refused.value.message) == (400, message)


async def test_join_where_nobody_listens(world: FakeWorld) -> None:
    await world.swarm(managers=1, workers=1)
    token = (await world.tokens())["Worker"]
    for via in (2, 4):  # a worker, and a machine in no swarm
        with pytest.raises(RpcError, match="connect: connection refused") as refused:
            await world.run(world[3].join(world.join_request(token, via)))
        assert refused.value.status == 503
        assert world[3].local_state == "inactive"


async def test_join_of_a_machine_that_does_not_answer_goes_on_in_the_background(world: FakeWorld) -> None:
    await world.init()
    token = (await world.tokens())["Worker"]
    world.fleet.partition(["m1"])
    before = world.clock.time()
    with pytest.raises(words.JoinTimeout) as refused:
        await world.run(world[2].join(world.join_request(token)))
    assert refused.value.status == 503
    assert world.clock.time() - before == pytest.approx(20, abs=1)
    assert world[2].info() == {
        "NodeID": "",
        "NodeAddr": "127.5.0.12",
        "LocalNodeState": "pending",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": [{"NodeID": "", "Addr": "127.5.0.11:2377"}],
    }
    world.fleet.heal("m1")
    await world.clock.advance(5)
    assert world[2].local_state == "active"
    assert world[2].find_leader() is not None


async def test_a_join_that_fails_in_the_background_shows_why(world: FakeWorld) -> None:
    await world.init()
    token = (await world.tokens())["Worker"]
    world.fleet.partition(["m1"])
    with pytest.raises(words.JoinTimeout):
        await world.run(world[2].join(world.join_request(token[:-4] + "zzzz")))
    world.fleet.heal("m1")
    await world.clock.advance(5)
    info = world[2].info()
    assert info["LocalNodeState"] == "error"
    assert info["Error"].endswith("A valid join token is necessary to join this cluster")
    with pytest.raises(NotManager, match='Use "docker swarm init" or'):
        await world.run(world[2].leader_store())
    await world.run(world[2].leave())
    assert world[2].info() == INACTIVE


async def test_told_twice_to_be_a_manager_it_becomes_one_once(world: FakeWorld) -> None:
    await world.swarm(managers=1, workers=1)
    await world.update(2, Role="manager")
    for _ in range(3):
        await world[2].role_changed("manager")
    await world.clock.advance(2)
    assert world[2].is_manager
    assert len(world[1].manager.member.membership.members) == 2  # type: ignore[union-attr]


async def test_loops_that_do_not_start_are_tried_again(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    class Clumsy(FakeLeader):
        async def start(self) -> None:
            attempts.append(self)
            if len(attempts) < 3:
                raise ValueError("a mistake in a loop")
            await super().start()

    monkeypatch.setattr("labkit.embedded.swarm.node.manager.make_leader", Clumsy)
    await world.init()
    assert len(attempts) == 3
    assert world.running == 1


async def test_two_managers_are_warned_of(world: FakeWorld) -> None:
    await world.swarm(managers=2)
    (warning,) = world[2].info()["Warnings"]
    assert warning.startswith("WARNING: Running Swarm in a two-manager configuration.")


async def test_a_pending_join_can_be_given_up(world: FakeWorld) -> None:
    world.fleet.fail("m1")
    await world.init(3)
    token = (await world.tokens(3))["Worker"]
    with pytest.raises(words.JoinTimeout):
        await world.run(world[2].join(world.join_request(token)))
    await world.run(world[2].leave())
    assert world[2].info() == INACTIVE
    await world.clock.advance(10)
    assert world[2].local_state == "inactive"


# -- leave

INACTIVE = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


async def test_leave(world: FakeWorld) -> None:
    with pytest.raises(words.NoSwarm):
        await world.run(world[1].leave())
    await world.swarm(managers=3, workers=1)
    await world.run(world[4].leave())
    assert world[4].info() == INACTIVE
    start = "You are attempting to leave the swarm on a node that is participating as a manager. "
    end = (
        "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
        "Use `--force` to suppress this message."
    )
    for number in (1, 2):
        with pytest.raises(words.LeaveManager) as refused:
            await world.run(world[number].leave())
        assert refused.value.message == start + end
    world.fleet.fail("m3")
    await world.clock.settle()
    with pytest.raises(words.LeaveManager) as refused:
        await world.run(world[1].leave())
    assert refused.value.message == (
        start + "Removing this node leaves 1 managers out of 3. "
        "Without a Raft quorum your swarm will be inaccessible. " + end
    )
    await world.run(world[1].leave(force=True))
    assert world[1].info() == INACTIVE


async def test_leave_of_the_last_manager_erases_the_swarm(world: FakeWorld) -> None:
    await world.swarm(managers=1)
    with pytest.raises(words.LeaveManager, match="Removing the last manager erases all current state of the swarm"):
        await world.run(world[1].leave())
    await world.run(world[1].leave(force=True))
    assert world.storage.kinds() == []
    first = world[1].group_id
    await world.init()
    assert world[1].group_id != first


async def test_two_swarms_in_one_sandbox(world: FakeWorld) -> None:
    await world.init(1)
    await world.init(2)
    await world.join(3, "Worker", via=2)
    ids = {(await world.run(world[number].inspect()))["ID"] for number in (1, 2)}
    assert len(ids) == 2
    assert world[1].info()["Nodes"] == 1
    assert world[2].info()["Nodes"] == 2


# -- update, tokens, lock


async def test_update_replaces_the_whole_spec(world: FakeWorld) -> None:
    await world.init()
    before = await world.run(world[1].inspect())
    with pytest.raises(OutOfSequence):
        await world.run(world[1].update_cluster(1, {"Name": "default"}))
    with pytest.raises(ApiError, match="swarm spec must be named"):
        await world.run(world[1].update_cluster(1, {"Name": "x"}))
    with pytest.raises(RpcError, match="minimum certificate expiry time is: 1h0m0s"):
        await world.run(world[1].update_cluster(1, {"CAConfig": {"NodeCertExpiry": 1000}}))
    await world.run(world[1].update_cluster(before["Version"]["Index"], {}, rotate_worker=True))
    after = await world.run(world[1].inspect())
    assert after["Spec"] == {
        "Name": "default",
        "Labels": {},
        "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "Raft": {"KeepOldSnapshots": 0, "ElectionTick": 0, "HeartbeatTick": 0},
        "Dispatcher": {},
        "CAConfig": {},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    }
    assert after["JoinTokens"]["Worker"] != before["JoinTokens"]["Worker"]
    assert after["JoinTokens"]["Manager"] == before["JoinTokens"]["Manager"]
    with pytest.raises(ApiError, match="A valid join token is necessary"):
        await world.run(world[2].join(world.join_request(before["JoinTokens"]["Worker"])))


async def test_autolock(world: FakeWorld) -> None:
    await world.init(AutoLockManagers=True, Spec={"EncryptionConfig": {"AutoLockManagers": True}})
    node = world[1]
    key = await world.run(node.unlock_key())
    assert key.startswith("SWMKEY-1-")
    with pytest.raises(words.NotLocked):
        await world.run(node.unlock(key))
    world.fleet.fail("m1")
    await world.clock.settle()
    world.fleet.heal("m1")
    await world.clock.settle()
    locked = node.info()
    assert locked["LocalNodeState"] == "locked"
    assert locked["NodeID"] == ""
    assert locked["Error"].startswith("Swarm is encrypted and needs to be unlocked")
    assert "Cluster" not in locked
    with pytest.raises(words.Locked):
        await world.run(node.leader_store())
    with pytest.raises(words.LeaveLocked):
        await world.run(node.leave())
    with pytest.raises(ApiError, match="invalid key string"):
        await world.run(node.unlock("SWMKEY-1-bogus"))
    with pytest.raises(words.InvalidUnlockKey) as refused:
        await world.run(node.unlock("SWMKEY-1-" + "A" * 43))
    assert refused.value.status == 401
    await world.run(node.unlock(key))
    assert node.local_state == "active"
    assert await world.run(node.unlock_key()) == key


# -- roles


async def test_promote_and_demote(world: FakeWorld) -> None:
    await world.swarm(managers=1, workers=2)
    with pytest.raises(RpcError, match="attempting to demote the last manager of the swarm"):
        await world.update(1, Role="worker")
    for number in (2, 3):
        await world.update(number, Role="manager")
        await world.clock.advance(1)
        assert world[number].is_manager
    await world.update(2, Role="worker")
    await world.clock.advance(1)
    assert not world[2].is_manager
    assert world[2].local_state == "active"
    store = world[1].store
    assert store is not None
    demoted = store.get(Node, world[2].node_id)
    assert demoted is not None
    assert (demoted.role, demoted.raft_id, demoted.manager_addr) == ("worker", None, "")
    assert world[2].find_leader() is world[1].leader


async def test_the_leader_hands_over_when_it_is_demoted(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    assert world.leader() is world[1]
    await world.update(1, Role="worker")
    await world.clock.advance(2)
    leader = world.leader()
    assert leader is not None
    assert leader is not world[1]
    assert not world[1].is_manager
    assert world.running == 1
    assert len(leader.manager.member.membership.members) == 2  # type: ignore[union-attr]
    await world.update(1, Role="manager")
    await world.clock.advance(2)
    assert world[1].is_manager


async def test_demotion_that_would_cost_the_quorum_is_refused(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    world.fleet.fail("m3")
    with pytest.raises(RpcError, match="can't remove member from the raft: this would result in a loss of quorum"):
        await world.update(2, Role="worker")
    await world.update(3, Role="worker")  # the one that is down may go
    await world.clock.advance(1)
    assert len(world[1].manager.member.membership.members) == 2  # type: ignore[union-attr]
    world.fleet.heal("m3")
    await world.clock.advance(30)
    assert not world[3].is_manager


async def test_node_rm(world: FakeWorld) -> None:
    await world.swarm(managers=2, workers=1)
    with pytest.raises(RpcError, match="is a cluster manager and is a member of the raft cluster"):
        await world.run(world[1].remove_node(world[2].node_id, force=True))
    with pytest.raises(RpcError, match="is not down and can't be removed"):
        await world.run(world[1].remove_node(world[3].node_id, force=False))
    await world.run(world[1].remove_node(world[3].node_id, force=True))
    assert world[1].store is not None
    assert world[1].store.get(Node, world[3].node_id) is None


# -- failure


async def test_another_manager_takes_over(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    world.fleet.fail("m1")
    await world.clock.advance(25)
    leader = world.leader()
    assert leader is not None
    assert leader.machine in ("m2", "m3")
    assert world.running == 1
    other = world[3] if leader is world[2] else world[2]
    assert await world.run(other.leader_store()) is leader.store
    assert other.reachability(world[1].node_id) == "unreachable"
    assert other.leader_node_id() == leader.node_id
    world.fleet.heal("m1")
    await world.clock.advance(25)
    assert world[1].store is not None
    assert leader.store is not None
    assert world[1].store.all(Node) == leader.store.all(Node)


async def test_without_a_quorum_calls_fail_and_come_back(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    version = (await world.run(world[1].inspect()))["Version"]["Index"]
    world.fleet.fail("m2")
    world.fleet.fail("m3")
    # At first it still takes itself for the leader: reads are answered, a write hangs until it steps down.
    assert (await world.run(world[1].leader_store())) is world[1].store
    with pytest.raises(RpcError, match="raft: failed to process the request: node lost leader status"):
        await world.run(world[1].update_cluster(version, {"Name": "default"}))
    with pytest.raises(RpcError) as refused:
        await world.run(world[1].leader_store())
    assert NO_LEADER in refused.value.message or "context deadline exceeded" in refused.value.message
    await world.clock.advance(15)
    before = world.clock.time()
    with pytest.raises(NoLeader, match=NO_LEADER):
        await world.run(world[1].inspect())
    assert world.clock.time() == before
    info = world[1].info()
    assert NO_LEADER in info["Error"]
    assert info["ControlAvailable"] is True
    assert info["Cluster"]["ID"] == ""
    assert info["Cluster"]["Version"] == {}
    assert "Managers" not in info
    assert world.running == 0
    world.fleet.heal("m2")
    await world.clock.advance(45)
    assert await world.run(world[1].inspect())
    assert world[1].info()["Managers"] == 3


async def test_a_minority_that_is_cut_off_steps_down_and_its_writes_never_happen(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    version = (await world.run(world[1].inspect()))["Version"]["Index"]
    world.fleet.partition(["m1"])
    lost = asyncio.ensure_future(world[1].update_cluster(version, {"Name": "default", "Labels": {"lost": "yes"}}))
    await world.clock.advance(25)
    assert isinstance(lost.exception(), NoLeader)
    leader = world.leader()
    assert leader in (world[2], world[3])
    world.fleet.heal("m1")
    await world.clock.advance(45)
    assert (await world.run(world[1].inspect()))["Spec"]["Labels"] == {}
    assert world.running == 1


async def test_force_new_cluster(world: FakeWorld) -> None:
    await world.swarm(managers=3, workers=1)
    before = await world.run(world[1].inspect())
    world.fleet.fail("m2")
    world.fleet.fail("m3")
    await world.clock.advance(45)
    with pytest.raises(words.SwarmExists):
        await world.init()
    node_id = await world.init(ForceNewCluster=True)
    assert node_id == world[1].node_id
    after = await world.run(world[1].inspect())
    assert after["ID"] == before["ID"]
    assert after["JoinTokens"] == before["JoinTokens"]
    await world.clock.advance(1)
    assert world[1].info()["Managers"] == 1
    assert world[1].info()["Nodes"] == 4
    assert world[4].find_leader() is world[1].leader
    with pytest.raises(NotManager):
        await world.run(world[4].init({"ListenAddr": "eth0", "ForceNewCluster": True}))
    # The managers of old are told that they are out when they come back, and, as their role still says manager,
    # join again. (So does a real one.)
    world.fleet.heal("m2")
    world.fleet.heal("m3")
    await world.clock.advance(60)
    assert world[1].info()["Managers"] == 3
    assert world.running == 1
    assert {world[number].group_id for number in (1, 2, 3)} == {world[1].group_id}
    assert len({kind.split("/")[1] for kind in world.storage.kinds("swarm/") if kind.endswith("/group")}) == 1


async def test_force_new_cluster_survives_a_restart(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    world.fleet.fail("m2")
    world.fleet.fail("m3")
    await world.clock.advance(45)
    await world.init(ForceNewCluster=True)
    again = await world.restarted()
    await again.clock.settle()
    assert again.leader() is again[1]
    again.fleet.heal("m2")
    again.fleet.heal("m3")
    await again.clock.advance(60)
    assert again[1].info()["Managers"] == 3
    assert again.running == 1
    await again.close()


# -- restart of the process


async def test_restart_brings_everything_back_at_once(world: FakeWorld) -> None:
    await world.swarm(managers=3, workers=2)
    before = [world[1].store.all(Node)]  # type: ignore[union-attr]
    swarm = await world.run(world[1].inspect())
    again = await world.restarted()
    await again.clock.settle()
    leader = again.leader()
    assert leader is again[1]  # who led before, and without waiting for an election
    await again.clock.advance(0.5)
    assert (await again.run(again[2].inspect()))["ID"] == swarm["ID"]
    assert leader.store is not None
    assert [node.id for node in leader.store.all(Node)] == [node.id for node in before[0]]
    assert {number: again[number].is_manager for number in range(1, 6)} == {
        1: True, 2: True, 3: True, 4: False, 5: False,
    }  # fmt: skip
    versions = [node.version for node in leader.store.all(Node)]
    await again.update(4, Labels={"zone": "a"})
    assert leader.store.get(Node, again[4].node_id).version > max(versions)  # type: ignore[union-attr]
    await again.close()


async def test_restart_without_a_quorum_stays_without_one(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    world.fleet.fail("m1")
    world.fleet.fail("m3")
    await world.clock.advance(30)
    again = await world.restarted()
    await again.clock.advance(60)
    with pytest.raises(NoLeader):
        await again.run(again[2].inspect())
    again.fleet.heal("m3")
    await again.clock.advance(45)
    assert await again.run(again[2].inspect())
    await again.close()


async def test_restart_with_the_old_leader_gone(world: FakeWorld) -> None:
    await world.swarm(managers=3)
    world.fleet.fail("m1")
    again = await world.restarted()
    await again.clock.settle()
    leader = again.leader()
    assert leader in (again[2], again[3])
    await again.close()


async def test_a_pending_join_goes_on_after_a_restart(world: FakeWorld) -> None:
    await world.init()
    token = (await world.tokens())["Worker"]
    world.fleet.partition(["m1"])
    with pytest.raises(words.JoinTimeout):
        await world.run(world[2].join(world.join_request(token)))
    again = await world.restarted()
    assert again[2].local_state == "pending"
    again.fleet.heal("m1")
    await again.clock.advance(5)
    assert again[2].local_state == "active"
    await again.close()


async def test_storage_survives_in_a_file(tmp_path: Any) -> None:
    world = FakeWorld(3, Storage(tmp_path / "sandbox.db"))
    await world.swarm(managers=3)
    await world.close()
    world.storage.close()
    again = FakeWorld(3, Storage(tmp_path / "sandbox.db"))
    for node in again.nodes.values():
        await node.restore()
    await again.clock.settle()
    assert again.leader() is not None
    await again.close()
    again.storage.close()

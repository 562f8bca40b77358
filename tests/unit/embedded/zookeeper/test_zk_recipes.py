"""Who leads, and who is told."""

from __future__ import annotations

from labkit.embedded.zookeeper import Detector, Election

from .worlds import World, world


class Contender:
    def __init__(self, w: World, machine: str, patience: float | None = None) -> None:
        self.seen: list[str] = []
        self.election = Election(w.session(machine), "/mesos", machine.encode(), "json.info_", patience=patience)
        self.election.on_elected(lambda: self.seen.append("elected"))
        self.election.on_lost(lambda: self.seen.append("lost"))


async def contenders(w: World, patience: float | None = None) -> dict[str, Contender]:
    found = {machine: Contender(w, machine, patience) for machine in w.masters}
    for contender in found.values():
        await contender.election.contend()
        await w.clock.settle()
    return found


async def test_the_first_leads_and_the_next_takes_over_when_it_withdraws() -> None:
    w = await world()
    found = await contenders(w)
    assert [c.election.leads for c in found.values()] == [True, False, False]
    assert found["master-1"].election.node == "/mesos/json.info_0000000000"
    await found["master-1"].election.withdraw()
    await w.clock.settle()
    assert [c.election.leads for c in found.values()] == [False, True, False]
    assert found["master-1"].seen == ["elected"]


async def test_the_leader_is_followed_only_after_its_session_has_expired() -> None:
    w = await world()
    found = await contenders(w)
    detector = Detector(w.session("agent-1"), "/mesos")
    said: list[bytes | None] = []
    detector.on_change(said.append)
    await w.clock.settle()
    w.fleet.fail("master-1")
    await w.clock.advance(9)
    assert not found["master-2"].election.leads
    await w.clock.advance(5)
    assert found["master-2"].election.leads
    assert said == [b"master-1", b"master-2"]
    assert found["master-1"].seen == ["elected"]  # its process is dead: it hears nothing


async def test_a_leader_that_is_cut_off_lets_go_after_its_patience() -> None:
    w = await world()
    found = await contenders(w)
    w.fleet.partition(["master-1"])
    await w.clock.advance(9.5)
    assert found["master-1"].seen == ["elected"]
    await w.clock.advance(5)
    assert found["master-1"].seen == ["elected", "lost"]
    assert found["master-2"].election.leads
    w.fleet.heal("master-1")
    await w.clock.advance(1)
    await w.done(found["master-1"].election.contend())
    await w.clock.settle()
    assert not found["master-1"].election.leads
    assert found["master-1"].election.node == "/mesos/json.info_0000000003"


async def test_who_has_no_patience_lets_go_at_once() -> None:
    w = await world()
    found = await contenders(w, patience=0.0)
    w.fleet.partition(["master-1"])
    await w.clock.advance(0.1)
    assert found["master-1"].seen == ["elected", "lost"]


async def test_an_election_outlives_the_loss_of_the_zookeeper_leader() -> None:
    w = await world()
    found = await contenders(w)
    assert w.ensemble.leader is not None
    await w.ensemble.stop(w.ensemble.leader)
    await w.clock.advance(20)
    assert [c.election.leads for c in found.values()] == [True, False, False]
    assert found["master-1"].seen == ["elected"]


async def test_a_node_that_somebody_deletes_is_a_lost_election() -> None:
    w = await world()
    found = await contenders(w)
    await w.session().delete("/mesos/json.info_0000000000")
    await w.clock.settle()
    assert found["master-1"].seen == ["elected", "lost"]
    assert found["master-2"].election.leads


async def test_a_detector_waits_for_a_path_that_is_not_there_and_outlives_its_session() -> None:
    w = await world()
    detector = Detector(w.session("agent-1"), "/mesos")
    said: list[bytes | None] = []
    detector.on_change(said.append)
    await w.clock.settle()
    assert detector.leader is None
    found = await contenders(w)
    assert said == [b"master-1"]
    w.fleet.pause("agent-1")
    await w.clock.advance(60)
    await found["master-1"].election.withdraw()
    w.fleet.heal("agent-1")
    await w.clock.advance(3)
    assert detector.leader == b"master-2"
    assert said[0] == b"master-1"
    assert said[-1] == b"master-2"
    detector.close()


async def test_a_contender_does_not_wait_for_a_forgotten_node_of_its_own() -> None:
    """The answer to a create may be lost while the create is not: then two nodes of one session stand in the line."""
    w = await world()
    contender = Contender(w, "master-1")
    await contender.election.session.create("/mesos/json.info_", ephemeral=True, sequence=True, make_parents=True)
    await contender.election.contend()
    await w.clock.settle()
    assert contender.seen == ["elected"]
    assert await contender.election.session.children("/mesos") == ["json.info_0000000001"]

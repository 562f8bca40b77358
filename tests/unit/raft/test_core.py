"""Single rules of Raft that random histories reach too seldom, each with the history that needs it."""

from __future__ import annotations

import random

import pytest

from labkit.embedded.swarm.raft.core import Raft
from labkit.embedded.swarm.raft.log import Log
from labkit.embedded.swarm.raft.messages import Change, Entry, HardState, Kind, Membership, Message
from labkit.embedded.swarm.raft.roles import ChangeRefused, NotLeader, Role, Settings

from .simulation import Simulation


def member(id: int, entries: list[Entry] | None = None, members: int = 3, **kept: int) -> Raft:
    return Raft(
        id,
        random.Random(id),
        log=Log(entries=entries or []),
        hard_state=HardState(**kept),
        membership=Membership(dict.fromkeys(range(1, members + 1))),
    )


def elect(raft: Raft, *voters: int) -> None:
    raft.campaign()
    for voter in voters:
        raft.step(Message(Kind.VOTE_REPLY, voter, raft.id, raft.term))
    assert raft.is_leader
    raft.ready()


def sent(raft: Raft, kind: Kind) -> list[Message]:
    return [message for message in raft.ready().messages if message.kind is kind]


def test_a_follower_stands_after_ten_to_twenty_silent_ticks() -> None:
    seen = set()
    for seed in range(200):
        raft = Raft(1, random.Random(seed), membership=Membership(dict.fromkeys((1, 2, 3))))
        ticks = 0
        while raft.role is Role.FOLLOWER:
            raft.tick()
            ticks += 1
        seen.add(ticks)
    assert seen == set(range(10, 20))


def test_one_that_is_no_member_never_stands() -> None:
    raft = Raft(9, random.Random(1), membership=Membership({1: None}))
    for _ in range(100):
        raft.tick()
    assert raft.role is Role.FOLLOWER
    assert raft.ready().messages == ()


def test_a_leader_commits_entries_of_older_terms_only_with_one_of_its_own() -> None:
    # Figure 8 of the Raft paper: an entry of term 1 that a majority has may still be overwritten.
    leader = member(1, [Entry(1, 1, "old")], members=5, term=3)
    elect(leader, 2, 3)
    for follower in (2, 3):
        leader.step(Message(Kind.APPEND_REPLY, follower, 1, leader.term, index=1))
    assert leader.commit == 0
    leader.step(Message(Kind.APPEND_REPLY, 2, 1, leader.term, index=2))
    assert leader.commit == 0
    leader.step(Message(Kind.APPEND_REPLY, 3, 1, leader.term, index=2))
    assert leader.commit == 2


def test_a_follower_commits_no_further_than_what_the_leader_has_checked() -> None:
    # Its log goes on with entries that the leader does not have and will overwrite.
    follower = member(2, [Entry(1, 1, "a"), Entry(1, 2, "not the leader's")], term=1)
    append = Message(Kind.APPEND, 1, 2, 2, index=0, log_term=0, entries=(Entry(1, 1, "a"),), commit=2)
    follower.step(append)
    assert follower.commit == 1
    assert [entry.data for entry in follower.ready().committed] == ["a"]


def test_a_heartbeat_commits_no_further_than_the_member_is_known_to_have() -> None:
    leader = member(1, term=1)
    elect(leader, 2)
    leader.propose("a")
    leader.step(Message(Kind.APPEND_REPLY, 2, 1, leader.term, index=2))
    leader.ready()
    leader.tick()
    commits = {message.dst: message.commit for message in sent(leader, Kind.HEARTBEAT)}
    assert commits == {2: 2, 3: 0}


def test_a_new_leader_makes_no_change_before_it_knows_of_all_before() -> None:
    # The change of the leader before it may be among what is not committed yet.
    leader = member(1, [Entry(1, 1, change=Change("add", 4))], term=1)
    elect(leader, 2)
    with pytest.raises(ChangeRefused):
        leader.propose_change(Change("add", 5))
    leader.step(Message(Kind.APPEND_REPLY, 2, 1, leader.term, index=2))
    assert 4 in leader.membership.members
    leader.propose_change(Change("add", 5))
    with pytest.raises(ChangeRefused):
        leader.propose_change(Change("add", 6))


def test_a_vote_is_given_once_a_term_and_to_no_one_who_lacks_something() -> None:
    voter = member(1, [Entry(1, 1), Entry(2, 2)], term=2)
    ask = Message(Kind.VOTE, 2, 1, 3, index=2, log_term=2)
    voter.step(Message(Kind.VOTE, 3, 1, 3, index=5, log_term=1))  # longer, but older
    voter.step(ask)
    voter.step(Message(Kind.VOTE, 3, 1, 3, index=9, log_term=2))
    assert [(message.dst, message.reject) for message in sent(voter, Kind.VOTE_REPLY)] == [
        (3, True),
        (2, False),
        (3, True),
    ]
    again = Raft(1, random.Random(1), log=voter.log, hard_state=voter.hard_state, membership=voter.membership)
    again.step(Message(Kind.VOTE, 3, 1, 3, index=9, log_term=2))
    assert sent(again, Kind.VOTE_REPLY)[0].reject


def test_a_leader_without_a_majority_steps_down() -> None:
    simulation = Simulation(1, members=3)
    leader = simulation.leader()
    assert leader is not None
    simulation.partition({leader.id})
    for _ in range(20):
        simulation.tick(leader.id)
    assert not leader.is_leader
    with pytest.raises(NotLeader):
        leader.propose("x")


def test_who_hears_its_leader_helps_nobody_to_disturb_it() -> None:
    follower = member(2, term=1)
    follower.step(Message(Kind.HEARTBEAT, 1, 2, 1))
    follower.ready()
    follower.step(Message(Kind.VOTE, 3, 2, 7, index=9, log_term=9))
    assert follower.term == 1
    assert follower.ready().messages == ()
    follower.step(Message(Kind.VOTE, 3, 2, 7, index=9, log_term=9, force=True))  # the leader hands over
    assert follower.term == 7


def test_a_member_that_was_cut_off_makes_itself_heard() -> None:
    back = member(3, term=9)
    back.step(Message(Kind.HEARTBEAT, 1, 3, 2))
    (reply,) = sent(back, Kind.APPEND_REPLY)
    assert reply.term == 9
    leader = member(1, term=1)
    elect(leader, 2)
    leader.step(reply)
    assert not leader.is_leader
    assert leader.term == 9


def test_pre_vote_keeps_the_term_of_one_that_is_cut_off() -> None:
    simulation = Simulation(3, members=3, settings=Settings(pre_vote=True))
    leader = simulation.leader()
    assert leader is not None
    lonely = next(id for id in simulation.rafts if id != leader.id)
    simulation.partition({lonely})
    for _ in range(100):
        simulation.tick()
        simulation.settle()
    assert simulation.rafts[lonely].term == leader.term
    simulation.heal()
    simulation.tick()
    simulation.settle()
    assert leader.is_leader


def test_leadership_is_handed_over_at_once() -> None:
    simulation = Simulation(5, members=3)
    old = simulation.leader()
    assert old is not None
    to = next(id for id in simulation.rafts if id != old.id)
    simulation.propose()
    simulation.transfer(to)
    with pytest.raises(NotLeader):
        old.propose("during the handover")
    simulation.settle()
    assert simulation.rafts[to].is_leader
    assert not old.is_leader


def test_a_handover_to_one_that_does_not_answer_is_given_up() -> None:
    simulation = Simulation(5, members=3)
    old = simulation.leader()
    assert old is not None
    to = next(id for id in simulation.rafts if id != old.id)
    simulation.crash(to)
    simulation.transfer(to)
    for _ in range(11):
        simulation.tick()
        simulation.settle()
    assert old.is_leader
    assert simulation.propose() is not None


def test_a_member_far_behind_gets_a_snapshot() -> None:
    simulation = Simulation(7, members=3)
    leader = simulation.leader()
    assert leader is not None
    behind = next(id for id in simulation.rafts if id != leader.id)
    simulation.crash(behind)
    for _ in range(20):
        simulation.propose()
        simulation.settle()
    leader.compact(keep=2)
    simulation.restart(behind)
    for _ in range(3):
        simulation.tick()
        simulation.settle()
    assert simulation.rafts[behind].log.start > 0
    assert simulation.applied[behind] == simulation.applied[leader.id]


def test_logs_that_disagree_meet_in_few_round_trips() -> None:
    ours = [Entry(1, 1)] + [Entry(2, index) for index in range(2, 500)]
    theirs = [Entry(1, 1)] + [Entry(3, index) for index in range(2, 400)]
    follower = member(2, ours, term=3)
    leader = member(1, theirs, term=3)
    elect(leader, 3)
    leader.tick()
    messages = [*leader.ready().messages, Message(Kind.APPEND, 1, 2, 4, index=399, log_term=3)]
    trips = 0
    while messages and follower.log.last_term != 4:
        message = messages.pop()
        if message.dst == 2:
            trips += message.kind is Kind.APPEND
            follower.step(message)
            messages += follower.ready().messages
        elif message.dst == 1:
            leader.step(message)
            messages += leader.ready().messages
    assert follower.log.last == leader.log.last
    assert trips <= 3


def test_a_removed_leader_finishes_and_stands_back() -> None:
    simulation = Simulation(2, members=3)
    leader = simulation.leader()
    assert leader is not None
    simulation.remove(leader.id)
    simulation.settle()
    assert not leader.is_leader
    assert leader.id not in leader.membership.members
    for _ in range(60):
        simulation.tick()
        simulation.settle()
    after = simulation.leader()
    assert after is not None
    assert after.id != leader.id
    assert len(after.membership.members) == 2

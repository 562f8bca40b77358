"""Raft as a pure state machine: messages and ticks in, messages and committed entries out.

It reads no clock, opens no socket and writes no file; :mod:`labkit.embedded.swarm.raft.member` does that around it.
So a thousand random histories of crashes and partitions can be played through it in seconds, and the four promises
of Raft be checked after each step.

It follows the shape of etcd's Raft, which SwarmKit is built on, with SwarmKit's numbers: a tick is a second, a leader
sends a heartbeat each tick, a follower that has heard nothing for 10 to 20 ticks (drawn anew each time) stands for
election, and a leader that has not heard from a majority for 10 ticks steps down (*check quorum*). SwarmKit does not
use the pre-vote round, so a manager that was cut off for long forces an election when it comes back; ``pre_vote``
is here because that is the first thing one asks.

*Membership* changes one member at a time, and takes effect when the entry is committed, as in etcd. That is safe
because a leader proposes no second change before the first is committed, and says so with the entry that carries the
second: whoever has the second in its log knows the first to be committed. Two memberships in use at the same time
therefore differ by one member at most, and their majorities overlap.
"""

from __future__ import annotations

import random
from typing import Any

from labkit.embedded.swarm.raft.log import Log
from labkit.embedded.swarm.raft.messages import (
    Change,
    Entry,
    HardState,
    Kind,
    Membership,
    Message,
    Ready,
    Snapshot,
)
from labkit.embedded.swarm.raft.roles import NOBODY, ChangeRefused, Flow, NotLeader, Progress, Role, Settings

_FROM_LEADER = (Kind.APPEND, Kind.HEARTBEAT, Kind.SNAPSHOT)


class Raft:
    """One member. After every call that takes input, collect :meth:`ready` and do what it says."""

    def __init__(
        self,
        id: int,
        rng: random.Random,
        *,
        log: Log | None = None,
        hard_state: HardState | None = None,
        membership: Membership | None = None,
        settings: Settings | None = None,
    ) -> None:
        """A member with what it remembers. ``membership`` is that at the start of ``log``; a member that was just
        added has neither and waits for the leader to tell it all."""
        kept = hard_state or HardState()
        self.id = id
        self.settings = settings or Settings()
        self.log = log or Log()
        self.term = kept.term
        self.vote = kept.vote
        self.membership = membership or Membership()
        self.commit = self.log.start
        self.role = Role.FOLLOWER
        self.leader = NOBODY
        self.progress: dict[int, Progress] = {}
        self.transferee = NOBODY
        self._rng = rng
        self._votes: dict[int, bool] = {}
        self._elapsed = 0  # ticks since the leader was heard (follower), since the last check (leader)
        self._heartbeat_elapsed = 0
        self._pending_change = 0  # no further change before this index is committed
        self._messages: list[Message] = []
        self._committed: list[Entry] = []
        self._snapshot: Snapshot | None = None
        self._told = kept
        self._redraw()
        self._commit_to(min(kept.commit, self.log.last))

    @classmethod
    def bootstrap(cls, id: int, rng: random.Random, context: Any = None, settings: Settings | None = None) -> Raft:
        """The first member of a new group: its own membership is the first entry, for the others to read."""
        first = Entry(1, 1, change=Change("add", id, context))
        return cls(id, rng, log=Log(entries=[first]), hard_state=HardState(term=1, commit=1), settings=settings)

    # -- what can be asked

    @property
    def is_leader(self) -> bool:
        return self.role is Role.LEADER

    @property
    def hard_state(self) -> HardState:
        return HardState(self.term, self.vote, self.commit)

    def snapshot(self, data: Any) -> Snapshot:
        """Everything committed so far as one parcel; ``data`` is the shell's state with all of it applied."""
        return Snapshot(self.commit, self.log.term(self.commit) or 0, self.membership, data)

    # -- what can be told

    def tick(self) -> None:
        """A heartbeat's worth of time has passed."""
        self._elapsed += 1
        if self.role is Role.LEADER:
            self._tick_leader()
        elif self._elapsed >= self._timeout and self.id in self.membership.members:
            self.campaign()

    def _tick_leader(self) -> None:
        self._heartbeat_elapsed += 1
        if self._elapsed >= self.settings.election:
            self._elapsed = 0
            self.transferee = NOBODY  # who has not taken over by now will not
            if self.settings.check_quorum and not self._hears_majority():
                self._follow(self.term, NOBODY)
                return
        if self._heartbeat_elapsed >= self.settings.heartbeat:
            self._heartbeat_elapsed = 0
            for peer, progress in self._peers():
                # Never let a member commit what it is not known to have.
                self._send(Kind.HEARTBEAT, peer, commit=min(progress.match, self.commit))

    def _hears_majority(self) -> bool:
        heard = sum(progress.active for _, progress in self._peers()) + (self.id in self.membership.members)
        for _, progress in self._peers():
            progress.active = False
        return heard >= self.membership.quorum

    def campaign(self, *, transfer: bool = False) -> None:
        """Stand for election now. ``transfer``: the leader asked for it, so nobody shall refuse for its sake."""
        if self.is_leader or self.id not in self.membership.members:
            return
        if self.settings.pre_vote and not transfer:
            self._stand(Role.PRE_CANDIDATE, Kind.PREVOTE, self.term + 1, force=False)
        else:
            self._stand(Role.CANDIDATE, Kind.VOTE, self.term + 1, force=transfer)

    def _stand(self, role: Role, ask: Kind, term: int, *, force: bool) -> None:
        self.role = role
        self.leader = NOBODY
        self._elapsed = 0
        self._redraw()
        if role is Role.CANDIDATE:
            self.term = term
            self.vote = self.id
        self._votes = {self.id: True}
        if self._count_votes():
            return
        for peer in self.membership.members:
            if peer != self.id:
                self._send(ask, peer, term=term, index=self.log.last, log_term=self.log.last_term, force=force)

    def _count_votes(self) -> bool:
        """Act on the votes that are in; True once they decide."""
        members = self.membership.members
        votes = [granted for voter, granted in self._votes.items() if voter in members]
        quorum = self.membership.quorum
        if sum(votes) >= quorum:
            if self.role is Role.PRE_CANDIDATE:
                self._stand(Role.CANDIDATE, Kind.VOTE, self.term + 1, force=False)
            else:
                self._lead()
            return True
        if len(votes) - sum(votes) >= quorum:
            self._follow(self.term, NOBODY)
            return True
        return False

    def propose(self, data: Any) -> int:
        """Append an entry and send it out; returns its index. Raises :class:`NotLeader`."""
        self._must_lead()
        return self._append(data=data)

    def propose_change(self, change: Change) -> int:
        """Add or remove a member; takes effect when committed. Raises :class:`NotLeader`, :class:`ChangeRefused`."""
        self._must_lead()
        if self._pending_change > self.commit:
            raise ChangeRefused
        self._pending_change = self.log.last + 1
        return self._append(change=change)

    def transfer(self, to: int) -> None:
        """Hand leadership to a member as soon as it has the whole log. Raises :class:`NotLeader`."""
        self._must_lead()
        if to == self.id or to not in self.progress:
            return
        self.transferee = to
        self._elapsed = 0  # gives the handover an election timeout's time
        if self.progress[to].match == self.log.last:
            self._send(Kind.TIMEOUT_NOW, to)
        else:
            self._feed(to)

    def _must_lead(self) -> None:
        if not self.is_leader or self.transferee or self.id not in self.membership.members:
            raise NotLeader

    def compact(self, keep: int) -> None:
        """Forget committed entries but for the last ``keep``, which spare a slow member the snapshot."""
        self.log.compact(self.commit - keep)

    def step(self, message: Message) -> None:
        """Take a message in. What comes from a removed member, or is meant for another, is dropped."""
        if message.src in self.membership.removed or message.dst != self.id:
            return
        if message.term > self.term and not self._enter_term(message):
            return
        if message.term < self.term:
            self._answer_the_past(message)
            return
        _HANDLERS[message.kind](self, message)

    def _enter_term(self, message: Message) -> bool:
        """A greater term than ours: usually it becomes ours. False: the message is to be ignored."""
        asks = message.kind in (Kind.VOTE, Kind.PREVOTE)
        if asks and not message.force and self._in_lease():
            return False
        granted_prevote = message.kind is Kind.PREVOTE_REPLY and not message.reject
        if message.kind is not Kind.PREVOTE and not granted_prevote:
            self._follow(message.term, message.src if message.kind in _FROM_LEADER else NOBODY)
        return True

    def _in_lease(self) -> bool:
        """With check-quorum, whoever heard its leader lately knows it to lead, and helps nobody to disturb it."""
        return self.settings.check_quorum and self.leader != NOBODY and self._elapsed < self.settings.election

    def _answer_the_past(self, message: Message) -> None:
        if message.kind is Kind.PREVOTE:
            self._send(Kind.PREVOTE_REPLY, message.src, reject=True)
        elif message.kind in (Kind.HEARTBEAT, Kind.APPEND):
            # A leader of the past must hear of the present, or a member that raised its term while it was cut off
            # would be ignored (lease) and ignoring (term) for ever.
            self._send(Kind.APPEND_REPLY, message.src)

    def ready(self) -> Ready:
        """What has come of it all since the last call."""
        state = self.hard_state
        ready = Ready(
            hard_state=None if state == self._told else state,
            snapshot=self._snapshot,
            committed=tuple(self._committed),
            messages=tuple(self._messages),
        )
        self._told = state
        self._snapshot = None
        self._committed = []
        self._messages = []
        return ready

    @property
    def has_ready(self) -> bool:
        """Whether :meth:`ready` would say anything."""
        return bool(self._messages or self._committed or self._snapshot is not None or self.hard_state != self._told)

    # -- becoming

    def _redraw(self) -> None:
        self._timeout = self._rng.randrange(self.settings.election, 2 * self.settings.election)

    def _follow(self, term: int, leader: int) -> None:
        if term > self.term:
            self.term = term
            self.vote = NOBODY
        self.role = Role.FOLLOWER
        self.leader = leader
        self.progress = {}
        self.transferee = NOBODY
        self._votes = {}
        self._elapsed = 0
        self._redraw()

    def _lead(self) -> None:
        self.role = Role.LEADER
        self.leader = self.id
        self._elapsed = 0
        self._heartbeat_elapsed = 0
        self.transferee = NOBODY
        self.progress = {peer: Progress(self.log.last + 1) for peer in self.membership.members if peer != self.id}
        # There may be one change among what is not committed yet; only what it has committed tells a leader.
        self._pending_change = self.log.last
        self._append()  # an entry of its own term, without which it may not commit those of others (§5.4.2)

    # -- leading

    def _peers(self) -> list[tuple[int, Progress]]:
        return list(self.progress.items())

    def _append(self, data: Any = None, change: Change | None = None) -> int:
        self.log.append(Entry(self.term, self.log.last + 1, data, change))
        index = self.log.last
        if not self._maybe_commit():
            self._feed_all()
        return index

    def _feed_all(self) -> None:
        for peer, _ in self._peers():
            self._feed(peer)

    def _feed(self, peer: int) -> None:
        """Send what the member lacks, as far as it can take it; also tells it what is committed."""
        progress = self.progress[peer]
        if progress.flow is Flow.SNAPSHOT or progress.waiting:
            return
        before = progress.next - 1
        before_term = self.log.term(before)
        if before_term is None:
            if progress.active:  # or it would not hear it anyway
                progress.flow = Flow.SNAPSHOT
                self._send(Kind.SNAPSHOT, peer)  # the shell puts the parcel in
            return
        entries = self.log.slice(progress.next)
        if progress.flow is Flow.REPLICATE:
            progress.next = self.log.last + 1
        else:
            progress.waiting = True
        self._send(Kind.APPEND, peer, index=before, log_term=before_term, entries=entries, commit=self.commit)

    def _maybe_commit(self) -> bool:
        """Commit what a majority has, if it ends in an entry of this term; True if there was something."""
        before = self.commit
        while self.is_leader:
            index = self._held_by_majority()
            if index <= self.commit or self.log.term(index) != self.term:
                break
            # A change of the membership changes who must have the entries after it: count anew from there.
            changes = (entry.index for entry in self.log.slice(self.commit + 1, index) if entry.change is not None)
            self._commit_to(next(changes, index))
        if self.commit > before and self.is_leader:
            self._feed_all()
        return self.commit > before

    def _held_by_majority(self) -> int:
        """The greatest index that a majority is known to have."""
        held = [progress.match for _, progress in self._peers()]
        if self.id in self.membership.members:
            held.append(self.log.last)
        quorum = self.membership.quorum
        return sorted(held, reverse=True)[quorum - 1] if len(held) >= quorum else 0

    def _commit_to(self, index: int) -> None:
        if index <= self.commit:
            return
        entries = self.log.slice(self.commit + 1, index)
        self.commit = index
        self._committed += entries
        for entry in entries:
            if entry.change is not None:
                self._apply_change(entry.change)

    def _apply_change(self, change: Change) -> None:
        self.membership = self.membership.after(change)
        if not self.is_leader:
            return
        if self.id not in self.membership.members:
            self._feed_all()  # the last that the others hear from it: its own removal is committed
            self._follow(self.term, NOBODY)
        elif change.action == "add":
            if change.id != self.id and change.id in self.membership.members:
                self.progress.setdefault(change.id, Progress(self.log.last + 1))
        else:
            leaving = self.progress.get(change.id)
            if leaving is not None:
                self._feed(change.id)  # so that it hears of its removal, if it hears anything
                del self.progress[change.id]
            if self.transferee == change.id:
                self.transferee = NOBODY

    # -- messages of the present term

    def _send(self, kind: Kind, dst: int, *, term: int | None = None, **fields: Any) -> None:
        self._messages.append(Message(kind, self.id, dst, self.term if term is None else term, **fields))

    def _on_vote(self, message: Message) -> None:
        pre = message.kind is Kind.PREVOTE
        free = self.vote == message.src or (self.vote == NOBODY and self.leader == NOBODY)
        may = free or (pre and message.term > self.term)
        reply = Kind.PREVOTE_REPLY if pre else Kind.VOTE_REPLY
        if may and self.log.up_to_date(message.index, message.log_term):
            if not pre:
                self.vote = message.src
                self._elapsed = 0
            # A pre-vote is granted for the term that is asked for, which is not ours yet.
            self._send(reply, message.src, term=message.term)
        else:
            self._send(reply, message.src, reject=True)

    def _on_vote_reply(self, message: Message) -> None:
        wanted = Role.PRE_CANDIDATE if message.kind is Kind.PREVOTE_REPLY else Role.CANDIDATE
        if self.role is wanted:
            self._votes.setdefault(message.src, not message.reject)
            self._count_votes()

    def _heed(self, leader: int) -> None:
        """A message from the leader of this term: there is no other."""
        if self.role is not Role.FOLLOWER:
            self._follow(self.term, leader)
        self.leader = leader
        self._elapsed = 0

    def _on_append(self, message: Message) -> None:
        self._heed(message.src)
        if message.index < self.commit:  # an old one: say how far we are
            self._send(Kind.APPEND_REPLY, message.src, index=self.commit)
            return
        if self.log.term(message.index) != message.log_term:
            hint = self.log.agreement(message.index, message.log_term)
            self._send(
                Kind.APPEND_REPLY,
                message.src,
                index=message.index,
                reject=True,
                hint=hint,
                log_term=self.log.term(hint) or 0,
            )
            return
        for entry in message.entries:
            mine = self.log.term(entry.index)
            if mine == entry.term:
                continue
            if mine is not None:
                self.log.truncate(entry.index)
            self.log.append(entry)
        last_new = message.index + len(message.entries)
        self._commit_to(min(message.commit, last_new))
        self._send(Kind.APPEND_REPLY, message.src, index=last_new)

    def _on_append_reply(self, message: Message) -> None:
        progress = self._heard(message)
        if progress is None:
            return
        if message.reject:
            if progress.flow is Flow.REPLICATE and message.index <= progress.match:
                return  # an old one
            agreed = self.log.agreement(message.hint, message.log_term)
            progress.next = max(min(message.index, agreed + 1), progress.match + 1)
            progress.flow = Flow.PROBE
            progress.waiting = False
            self._feed(message.src)
            return
        progress.waiting = False
        if message.index <= progress.match and progress.flow is not Flow.PROBE:
            return
        progress.match = max(progress.match, message.index)
        progress.next = max(progress.next, progress.match + 1)
        if progress.flow is not Flow.REPLICATE:
            progress.flow = Flow.REPLICATE
            progress.next = progress.match + 1
        if not self._maybe_commit() and progress.match < self.log.last and progress.next <= self.log.last:
            self._feed(message.src)
        if self.transferee == message.src and self.is_leader and progress.match == self.log.last:
            self._send(Kind.TIMEOUT_NOW, message.src)

    def _on_heartbeat(self, message: Message) -> None:
        self._heed(message.src)
        self._commit_to(min(message.commit, self.log.last))
        self._send(Kind.HEARTBEAT_REPLY, message.src)

    def _on_heartbeat_reply(self, message: Message) -> None:
        progress = self._heard(message)
        if progress is None:
            return
        if progress.match < self.log.last or progress.flow is not Flow.REPLICATE:
            # It lives, and lacks something that was sent and perhaps lost: try again from what it surely has.
            progress.flow = Flow.PROBE
            progress.waiting = False
            progress.next = progress.match + 1
            self._feed(message.src)

    def _heard(self, message: Message) -> Progress | None:
        progress = self.progress.get(message.src)
        if progress is not None:
            progress.active = True
        return progress

    def _on_snapshot(self, message: Message) -> None:
        self._heed(message.src)
        snapshot = message.snapshot
        if snapshot is not None and snapshot.index > self.commit:
            if self.log.term(snapshot.index) == snapshot.term:
                self._commit_to(snapshot.index)  # we have all of it in the log already
            else:
                self.log = Log(snapshot.index, snapshot.term)
                self.commit = snapshot.index
                self.membership = snapshot.membership
                self._snapshot = snapshot
                self._committed = []
        self._send(Kind.APPEND_REPLY, message.src, index=self.commit)

    def _on_timeout_now(self, message: Message) -> None:
        self.campaign(transfer=True)


_HANDLERS = {
    Kind.PREVOTE: Raft._on_vote,
    Kind.PREVOTE_REPLY: Raft._on_vote_reply,
    Kind.VOTE: Raft._on_vote,
    Kind.VOTE_REPLY: Raft._on_vote_reply,
    Kind.APPEND: Raft._on_append,
    Kind.APPEND_REPLY: Raft._on_append_reply,
    Kind.HEARTBEAT: Raft._on_heartbeat,
    Kind.HEARTBEAT_REPLY: Raft._on_heartbeat_reply,
    Kind.SNAPSHOT: Raft._on_snapshot,
    Kind.TIMEOUT_NOW: Raft._on_timeout_now,
}

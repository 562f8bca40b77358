"""What Raft members say to each other and hand to their shell. Plain immutable data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Change(NamedTuple):
    """A membership change: one member comes or goes. ``context`` is the shell's own (node id and address)."""

    action: str  # add | remove
    id: int
    context: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. Neither ``data`` nor ``change``: the empty entry with which a leader starts its term."""

    term: int
    index: int
    data: Any = None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """Who takes part, and who once did: a removed id never comes back."""

    members: Mapping[int, Any] = field(default_factory=dict)  # id -> context
    removed: frozenset[int] = frozenset()

    @property
    def quorum(self) -> int:
        return len(self.members) // 2 + 1

    def after(self, change: Change) -> Membership:
        """The membership once ``change`` is committed. Applying a change twice is applying it once."""
        members = dict(self.members)
        if change.action == "remove":
            members.pop(change.id, None)
            return Membership(members, self.removed | {change.id})
        if change.id not in self.removed:
            members[change.id] = change.context
        return Membership(members, self.removed)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything up to and including ``index``. ``data`` is the shell's state at that index."""

    index: int
    term: int
    membership: Membership
    data: Any = None


class Kind(Enum):
    """The messages of Raft (Ongaro's dissertation; PREVOTE is its chapter 9.6, TIMEOUT_NOW its 3.10)."""

    PREVOTE = "prevote"
    PREVOTE_REPLY = "prevote reply"
    VOTE = "vote"
    VOTE_REPLY = "vote reply"
    APPEND = "append"
    APPEND_REPLY = "append reply"
    HEARTBEAT = "heartbeat"
    HEARTBEAT_REPLY = "heartbeat reply"
    SNAPSHOT = "snapshot"
    TIMEOUT_NOW = "timeout now"


@dataclass(frozen=True, slots=True)
class Message:
    """``index`` and ``log_term`` are the sender's last entry (votes) or the one before ``entries`` (append)."""

    kind: Kind
    src: int
    dst: int
    term: int
    index: int = 0
    log_term: int = 0
    entries: tuple[Entry, ...] = ()
    commit: int = 0
    reject: bool = False
    hint: int = 0  # with reject: the last index at which the two logs may still agree
    force: bool = False  # a vote asked for by the leader itself, which hands over
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class HardState:
    """What a member must never forget, lest it votes twice in a term."""

    term: int = 0
    vote: int = 0
    commit: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """What the shell must do now, in this order: keep ``hard_state``, restore ``snapshot``, apply ``committed``,
    send ``messages``."""

    hard_state: HardState | None
    snapshot: Snapshot | None
    committed: tuple[Entry, ...]
    messages: tuple[Message, ...]

"""The words of the core: roles, settings, what a leader knows of a member, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NOBODY = 0


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class NotLeader(Exception):
    """Proposals are for the leader, and not while it hands over."""


class ChangeRefused(Exception):
    """A membership change while another is under way."""


class Flow(Enum):
    """How a leader feeds a member."""

    PROBE = "probe"  # one message at a time, until it is known where the logs agree
    REPLICATE = "replicate"  # each new entry at once
    SNAPSHOT = "snapshot"  # it is so far behind that it gets everything anew; wait for that


@dataclass(slots=True)
class Progress:
    """What a leader knows of a member."""

    next: int
    match: int = 0
    flow: Flow = Flow.PROBE
    waiting: bool = False  # in PROBE: the one message is under way
    active: bool = True  # heard from since the last check of the quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """In ticks. The election timeout is drawn from ``[election, 2 * election)``."""

    election: int = 10
    heartbeat: int = 1
    check_quorum: bool = True
    pre_vote: bool = False

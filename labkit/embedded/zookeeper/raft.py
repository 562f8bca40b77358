"""What orders the writes: Raft, in the place of ZAB.

Both give one leader per epoch, a log that a majority has before anything is acknowledged, and a new leader that has
all of it. The state machine is the one that the swarm's managers use; here are the two things that a ZooKeeper member
notices sooner than by silence: learners and leader hold TCP connections, and a connection that breaks says so.
"""

from __future__ import annotations

from labkit.embedded.swarm.raft.core import Raft
from labkit.embedded.swarm.raft.log import Log
from labkit.embedded.swarm.raft.messages import Entry, HardState, Kind, Membership, Message, Ready
from labkit.embedded.swarm.raft.roles import NOBODY, Flow, NotLeader, Role, Settings

__all__ = [
    "NOBODY",
    "SETTINGS",
    "Core",
    "Entry",
    "HardState",
    "Kind",
    "Log",
    "Membership",
    "Message",
    "NotLeader",
    "Ready",
    "Role",
]

# A tick is half of ZooKeeper's tickTime, at which its leader pings. A follower that hears nothing gives up after 7 to
# 14 ticks, around syncLimit (5 ticks of 2 s). With the pre-vote a member that was cut off disturbs nobody when it
# comes back, as in ZooKeeper, where it looks for the leader first.
SETTINGS = Settings(election=7, heartbeat=1, check_quorum=True, pre_vote=True)


class Core(Raft):
    """One member's part."""

    def step(self, message: Message) -> None:
        """As Raft has it; and a member that has just been found to agree hears at once what is committed.

        By itself Raft tells it with the next heartbeat, and a member serves nobody before.
        """
        probed = self._flow_of(message.src) is Flow.PROBE
        super().step(message)
        if probed and self._flow_of(message.src) is Flow.REPLICATE:
            self._feed(message.src)

    def _flow_of(self, member: int) -> Flow | None:
        progress = self.progress.get(member)
        return None if progress is None else progress.flow

    def forget_leader(self) -> None:
        """The connection to the leader broke: do not wait for it, and vote for whoever asks."""
        if self.role is Role.FOLLOWER:
            self.leader = NOBODY

    def step_down(self) -> None:
        """Too many connections to followers broke: a leader that is alone leads nobody."""
        if self.is_leader:
            self._follow(self.term, NOBODY)

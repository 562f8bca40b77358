"""The zone rule: how fast nodes that are not ready lose their pods, by how many there are of them. Pure.

When many nodes of a zone vanish at once it is more likely that the zone's network did, so nothing is evicted in a
hurry; when all nodes of the cluster vanish it is more likely that this controller is cut off, and nothing is evicted at
all. (``node_lifecycle_controller.go``: ComputeZoneState, handleDisruption.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from labkit.embedded.kubernetes.objects import Json, labels_of

EVICTION_RATE = 0.1  # nodes a second, --node-eviction-rate
SECONDARY_RATE = 0.01  # --secondary-node-eviction-rate
UNHEALTHY_THRESHOLD = 0.55  # --unhealthy-zone-threshold
LARGE_CLUSTER = 50  # --large-cluster-size-threshold
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"


class State(Enum):
    INITIAL = "Initial"
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Json) -> str:
    """The node's zone, by its region; "" when it has neither."""
    labels = labels_of(node)
    region, zone = labels.get(REGION, ""), labels.get(ZONE, "")
    return f"{region}:\x00:{zone}" if region or zone else ""


def state_of(ready: Sequence[bool]) -> State:
    """A zone's state, by which of its nodes are ready."""
    bad = ready.count(False)
    if bad and bad == len(ready):
        return State.FULL
    if bad > 2 and bad / len(ready) >= UNHEALTHY_THRESHOLD:
        return State.PARTIAL
    return State.NORMAL


def rate_of(state: State, size: int) -> float:
    """Nodes a second that may be given up in a zone of ``size`` nodes."""
    if state is State.PARTIAL:
        return SECONDARY_RATE if size > LARGE_CLUSTER else 0.0
    return EVICTION_RATE


class Limiter:
    """A token bucket that holds one: ``rate`` a second, 0 for never."""

    __slots__ = ("_next", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._next = now

    def take(self, now: float) -> bool:
        """Whether one may go now; if so, it counts."""
        if not self.rate or now < self._next:
            return False
        self._next = now + 1 / self.rate
        return True

    def swap(self, rate: float, now: float) -> None:
        """Another rate from now on. Who would have had to wait at the old one waits at the new one."""
        if rate == self.rate:
            return
        waits = not self.take(now)
        self.rate = rate
        self._next = now + 1 / rate if waits and rate else now


class Zones:
    """The states of all zones, from round to round."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._limiters: dict[str, Limiter] = {}

    def limiter(self, zone: str, now: float) -> Limiter:
        found = self._limiters.get(zone)
        if found is None:
            self._states.setdefault(zone, State.INITIAL)
            found = self._limiters[zone] = Limiter(EVICTION_RATE, now)
        return found

    def states(self) -> Mapping[str, State]:
        return self._states

    def observe(self, ready: Mapping[str, Sequence[bool]], now: float) -> str:
        """Take in which nodes of each zone are ready.

        Returns ``"enter"`` when by now all zones are fully disrupted (nothing is evicted any more, and the taints are
        to go), ``"leave"`` when they no longer are (every node has a fresh start), else "".
        """
        fresh = {zone: state_of(flags) for zone, flags in ready.items()}
        for zone in fresh:
            self.limiter(zone, now)
            self._states.setdefault(zone, State.INITIAL)
        for zone in [zone for zone in self._states if zone not in fresh]:
            del self._states[zone]
        all_are = all(state is State.FULL for state in fresh.values())
        all_were = all(state is State.FULL for state in self._states.values())
        if all_are and all_were:
            return ""
        if all_are:
            for zone in self._states:
                self._limiters[zone].swap(0.0, now)
                self._states[zone] = State.FULL
            return "enter"
        for zone, state in fresh.items():
            if all_were or self._states[zone] is not state:
                self._limiters[zone].swap(rate_of(state, len(ready[zone])), now)
                self._states[zone] = state
        return "leave" if all_were else ""

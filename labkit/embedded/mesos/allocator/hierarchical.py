"""The allocator: which framework is offered which agent's free resources, once a second and when something changes.

As ``src/master/allocator/mesos/hierarchical.cpp`` has it. Agents are gone through in random order; for each, the role
with the smallest weighted dominant share comes first, and within it the framework with the smallest; it is offered all
that is free there, coarse-grained, unless its filters refuse. What is offered counts as held, until it is declined.
Declined resources wait for the next round of the clock; a framework that revives, or an agent that comes, does not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from labkit.embedded.mesos.allocator.filters import Filters, refuse_seconds
from labkit.embedded.mesos.allocator.sorter import DEFAULT_WEIGHT, Sorter
from labkit.embedded.mesos.resources import EMPTY, Resources
from labkit.embedded.runtime.clock import Clock, Timer

Json = dict[str, Any]
Offerable = dict[str, dict[str, Resources]]  # role -> agent -> resources

INTERVAL = 1.0  # seconds: --allocation_interval
MIN_CPUS, MIN_MEM = 10, 32_000  # thousandths: --min_allocatable_resources "cpus:0.01|mem:32"


class _Agent:
    __slots__ = ("active", "free", "gpus", "total")

    def __init__(self, total: Resources) -> None:
        self.active = True
        self.resize(total, EMPTY)

    def resize(self, total: Resources, taken: Resources) -> None:
        self.total = total
        self.free = total - taken
        self.gpus = total.gpus > 0


class _Framework:
    __slots__ = ("active", "filters", "gpus", "roles", "suppressed")

    def __init__(self, roles: Iterable[str], suppressed: Iterable[str], gpus: bool) -> None:
        self.roles = frozenset(roles)
        self.suppressed = set(suppressed)
        self.gpus = gpus
        self.active = True
        self.filters = Filters()


class Allocator:
    """Decides; ``offer(framework, role -> agent -> resources)`` tells the master what."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        offer: Callable[[str, Offerable], object],
        *,
        interval: float = INTERVAL,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._offer = offer
        self.interval = interval
        self.weights: dict[str, float] = {}
        self._agents: dict[str, _Agent] = {}
        self._frameworks: dict[str, _Framework] = {}
        self._roles = Sorter()
        self._members: dict[str, Sorter] = {}  # role -> its frameworks
        self._total: dict[str, int] = {}  # scalars of all agents together, thousandths
        self._roles.total = self._total
        self._candidates: set[str] = set()
        self._timer: Timer | None = None
        self._soon: Timer | None = None
        self._running = False
        self.runs = 0
        for role, weight in (weights or {}).items():
            self.set_weight(role, weight)

    # -- life

    def start(self) -> None:
        """From now on there is a round every second."""
        self._running = True
        self._timer = self._clock.call_later(self.interval, self._batch)

    def stop(self) -> None:
        """No more rounds."""
        self._running = False
        for timer in (self._timer, self._soon):
            if timer is not None:
                timer.cancel()
        self._timer = self._soon = None

    def _batch(self) -> None:
        if not self._running:
            return
        self._timer = self._clock.call_later(self.interval, self._batch)
        self.allocate(self._agents)

    def _wish(self, agents: Iterable[str]) -> None:
        """Something has changed with these agents: look at them soon, once for all that changes now."""
        self._candidates.update(agents)
        if self._running and self._soon is None:
            self._soon = self._clock.call_later(0, self._react)

    def _react(self) -> None:
        self._soon = None
        candidates, self._candidates = self._candidates, set()
        if self._running:
            self.allocate(candidates)

    # -- agents

    def add_agent(self, agent: str, total: Resources, used: Mapping[str, Mapping[str, Resources]]) -> None:
        """An agent with what it has; ``used``: framework -> role -> what its tasks there hold."""
        entry = self._agents[agent] = _Agent(total)
        self._count(total, 1)
        for framework, by_role in used.items():
            for role, resources in by_role.items():
                self.allocated(framework, agent, role, resources)
        entry.active = True
        self._wish((agent,))

    def remove_agent(self, agent: str) -> None:
        """It is gone. What frameworks held there must have been recovered before, or is recovered after."""
        entry = self._agents.pop(agent, None)
        if entry is None:
            return
        self._count(entry.total, -1)
        self._candidates.discard(agent)
        for framework in self._frameworks.values():
            framework.filters.forget_agent(agent)

    def update_agent(self, agent: str, total: Resources) -> None:
        """It has something else than before; filters on it are void then."""
        entry = self._agents.get(agent)
        if entry is None or entry.total == total:
            return
        self._count(entry.total, -1)
        self._count(total, 1)
        entry.resize(total, entry.total - entry.free)
        for framework in self._frameworks.values():
            framework.filters.forget_agent(agent)
        self._wish((agent,))

    def activate_agent(self, agent: str) -> None:
        """Its resources are offered (again)."""
        entry = self._agents.get(agent)
        if entry is not None:
            entry.active = True
            self._wish((agent,))

    def deactivate_agent(self, agent: str) -> None:
        """Nothing of it is offered any more."""
        entry = self._agents.get(agent)
        if entry is not None:
            entry.active = False

    def _count(self, total: Resources, sign: int) -> None:
        for (name, _), value in total.scalars.items():
            self._total[name] = self._total.get(name, 0) + sign * value

    # -- frameworks

    def add_framework(
        self,
        framework: str,
        roles: Iterable[str],
        suppressed: Iterable[str] = (),
        *,
        active: bool = True,
        gpus: bool = False,
    ) -> None:
        """It takes part from now on; one that is not ``active`` gets no offers, and its tasks count."""
        entry = self._frameworks[framework] = _Framework(roles, suppressed, gpus)
        entry.active = active
        for role in entry.roles:
            self._enter(framework, role)
        self._arrange(framework, entry)
        if active:
            self._wish(self._agents)

    def remove_framework(self, framework: str) -> None:
        """It takes part no more. What it held is given back by whoever removes its tasks."""
        entry = self._frameworks.pop(framework, None)
        if entry is None:
            return
        for role in [role for role, members in self._members.items() if framework in members]:
            self._leave(framework, role)

    def update_framework(self, framework: str, roles: Iterable[str], suppressed: Iterable[str]) -> None:
        """It has other roles; what it holds in one that it has left stays with it until it comes back."""
        entry = self._frameworks[framework]
        before, entry.roles, entry.suppressed = entry.roles, frozenset(roles), set(suppressed)
        for role in entry.roles - before:
            self._enter(framework, role)
        for role in before - entry.roles:
            entry.filters.forget_role(role)
            self._leave_if_idle(framework, role)
        self._arrange(framework, entry)
        if entry.roles - before:
            self._wish(self._agents)

    def activate_framework(self, framework: str) -> None:
        """It gets offers (again)."""
        entry = self._frameworks[framework]
        entry.active = True
        self._arrange(framework, entry)
        self._wish(self._agents)

    def deactivate_framework(self, framework: str) -> None:
        """It gets no offers; its filters go, for another scheduler may speak for it next."""
        entry = self._frameworks.get(framework)
        if entry is not None:
            entry.active = False
            entry.filters = Filters()
            self._arrange(framework, entry)

    def suppress(self, framework: str, roles: Iterable[str]) -> None:
        """No offers for these roles until they are revived; none named: for all."""
        entry = self._frameworks[framework]
        entry.suppressed.update(roles or entry.roles)
        self._arrange(framework, entry)

    def revive(self, framework: str, roles: Iterable[str]) -> None:
        """Forget filters and suppression of these roles; none named: of all."""
        entry = self._frameworks[framework]
        chosen = frozenset(roles) or entry.roles
        for role in chosen:
            entry.filters.forget_role(role)
        entry.suppressed.difference_update(chosen)
        self._arrange(framework, entry)
        self._wish(self._agents)

    def suppressed(self, framework: str) -> frozenset[str]:
        """The roles in which it wants no offers."""
        entry = self._frameworks.get(framework)
        return frozenset(entry.suppressed) if entry is not None else frozenset()

    def _arrange(self, framework: str, entry: _Framework) -> None:
        """In which roles does it take part now?"""
        for role in entry.roles:
            members = self._members[role]
            if entry.active and role not in entry.suppressed:
                members.activate(framework)
            else:
                members.deactivate(framework)

    def _enter(self, framework: str, role: str) -> Sorter:
        members = self._members.get(role)
        if members is None:
            members = self._members[role] = Sorter()
            members.total = self._total
            self._roles.add(role)
            self._roles.activate(role)
        members.add(framework)
        return members

    def _leave(self, framework: str, role: str) -> None:
        members = self._members[role]
        held = members.holds(framework)
        if held:
            rest = Resources({(name, "*"): value for name, value in held.items()})
            self._roles.unallocated(role, rest)
        members.remove(framework)
        if not members._clients:
            del self._members[role]
            self._roles.remove(role)

    def _leave_if_idle(self, framework: str, role: str) -> None:
        entry = self._frameworks.get(framework)
        if entry is not None and role in entry.roles:
            return
        members = self._members.get(role)
        if members is not None and framework in members:
            members.deactivate(framework)
            if not members.holds(framework):
                self._leave(framework, role)

    # -- resources

    def allocated(self, framework: str, agent: str, role: str, resources: Resources) -> None:
        """It holds this, as an agent or the master says; nobody asked here."""
        entry = self._agents.get(agent)
        if entry is not None:
            entry.free = entry.free - resources
        if framework in self._frameworks:
            self._track(framework, role, resources)

    def _track(self, framework: str, role: str, resources: Resources) -> None:
        self._enter(framework, role).allocated(framework, resources)
        self._roles.allocated(role, resources)

    def track(self, framework: str, role: str, resources: Resources) -> None:
        """A framework has become known that holds something on agents which were there before it."""
        self._track(framework, role, resources)

    def recover(self, framework: str, agent: str, role: str, resources: Resources, filters: Json | None = None) -> None:
        """It is free again. With ``filters`` it was declined, and will not be offered to that framework for a while."""
        if not resources:
            return
        members = self._members.get(role)
        if members is not None and framework in members:
            members.unallocated(framework, resources)
            self._roles.unallocated(role, resources)
            self._leave_if_idle(framework, role)
        entry = self._agents.get(agent)
        if entry is None:
            return
        entry.free = entry.free + resources
        owner = self._frameworks.get(framework)
        if filters is None or owner is None or role not in owner.roles:
            return
        seconds = refuse_seconds(filters)
        if seconds > 0:
            # A filter that ended before the next round would be none.
            until = self._clock.time() + max(seconds, self.interval)
            owner.filters.add(role, agent, resources, until)

    def set_weight(self, role: str, weight: float) -> None:
        """How much more a role may have than another with weight 1."""
        self.weights[role] = weight
        self._roles.set_weight(role, weight)
        self._wish(self._agents)

    # -- the decision

    def allocate(self, agents: Iterable[str]) -> None:
        """One round over these agents."""
        self.runs += 1
        order = [name for name in agents if (found := self._agents.get(name)) is not None and found.active]
        self._rng.shuffle(order)
        given: dict[str, Offerable] = {}
        now = self._clock.time()
        for name in order:
            agent = self._agents[name]
            if not agent.free or not allocatable(agent.free):
                continue
            self._share_out(name, agent, given, now)
        for framework, offerable in given.items():
            self._offer(framework, offerable)

    def _share_out(self, name: str, agent: _Agent, given: dict[str, Offerable], now: float) -> None:
        for role in list(self._roles.sort()):
            for framework in list(self._members[role].sort()):
                available = agent.free.available_to(role)
                if not allocatable(available):
                    break
                entry = self._frameworks[framework]
                if agent.gpus and not entry.gpus:  # --filter_gpu_resources
                    continue
                if entry.filters.refuses(role, name, available, now):
                    continue
                agent.free = agent.free - available
                self._track(framework, role, available)
                given.setdefault(framework, {}).setdefault(role, {})[name] = available

    # -- what others may know

    def shares(self) -> dict[str, Json]:
        """By role: its dominant share, its weight, and the share of each of its frameworks."""
        return {
            role: {
                "share": self._roles.share(role),
                "weight": self.weights.get(role, DEFAULT_WEIGHT),
                "frameworks": {name: members.share(name) for name in members._clients},
            }
            for role, members in self._members.items()
        }

    def filters_by_role(self) -> dict[str, int]:
        """How many filters are in force."""
        counts: dict[str, int] = {}
        now = self._clock.time()
        for entry in self._frameworks.values():
            for role, number in entry.filters.count(now).items():
                counts[role] = counts.get(role, 0) + number
        return counts

    def free(self, agent: str) -> Resources:
        """What nobody holds there."""
        entry = self._agents.get(agent)
        return EMPTY if entry is None else entry.free


def allocatable(resources: Resources) -> bool:
    """Is it worth an offer?"""
    scalars = resources.scalars
    cpus = mem = 0
    for (name, _), value in scalars.items():
        if name == "cpus":
            cpus += value
        elif name == "mem":
            mem += value
    return cpus >= MIN_CPUS or mem >= MIN_MEM

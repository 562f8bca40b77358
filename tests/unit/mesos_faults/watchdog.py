"""What must hold at every change: of the masters' books, of what agents run, and of where Marathon puts things."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

from labkit.embedded.marathon import assembly
from labkit.embedded.marathon.core.offers import OfferProcessor
from labkit.embedded.mesos.agent.agent import Agent
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.mesos.master import model
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.offers import Offers
from labkit.embedded.mesos.resources import Resources, total
from labkit.embedded.mesos.tasks import is_terminal

from .byhand import WorldByHand
from .workloads import BY_APP

Json = dict[str, Any]


class Broken(AssertionError):
    """Something does not hold that must."""


class Watchdog:
    """Looks on from inside: it hooks into masters, agents and the drivers of frameworks while :meth:`watching`."""

    def __init__(self) -> None:
        self.world: WorldByHand | None = None
        self.launched: dict[str, str] = {}  # task -> framework
        self.heard: dict[str, list[str]] = defaultdict(list)  # task -> states that have reached its framework
        self.begun: set[str] = set()  # deployments that Marathon has told of
        self.over: set[str] = set()  # those of which it has told how they ended
        self.placed = self.offers = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While this lasts nothing happens unseen."""
        with ExitStack() as hooks:

            def hook(owner: type, name: str, then: Any) -> None:
                before = getattr(owner, name)

                def hooked(it: Any, *args: Any, **more: Any) -> Any:
                    found = before(it, *args, **more)
                    then(it, *args)
                    return found

                hooks.enter_context(mock.patch.object(owner, name, hooked))

            hook(Offers, "make", self._offered)
            hook(Offers, "accept", lambda offers, *_: self._books(offers._lead))
            hook(Agent, "receive", lambda agent, *_: self._agent(agent))
            hook(SchedulerDriver, "call", self._called)
            hook(OfferProcessor, "_place", self._placed)
            hooks.enter_context(mock.patch.object(assembly, "_Line", self._line()))
            yield

    def attach(self, world: WorldByHand) -> None:
        self.world = world
        for marathon in world.assembly.marathons.values():
            marathon.bus.subscribe(lambda event: self._event(event.body))

    def _line(self) -> Any:
        """Drivers as they are, but that tells what has reached the framework."""
        watchdog = self

        class Line(assembly._Line):
            def __init__(self, machine: str, *args: Any, **more: Any) -> None:
                *before, received = args

                def told(event: Json) -> None:
                    if event["type"] == "UPDATE":
                        status = event["update"]["status"]
                        watchdog.heard[status["task_id"]["value"]].append(status["state"])
                    received(event)

                given = (machine, *before, told)
                super().__init__(*given, **more)

        return Line

    def _must(self, holds: bool, *words: object) -> None:
        if not holds:
            raise Broken(" ".join(map(str, words)))

    def check(self) -> None:
        """Of everything there is, at this moment."""
        assert self.world is not None
        for master in self.world.assembly.masters.values():
            if master.leading is not None:
                self._books(master.leading)
        for agent in self.world.assembly.agents.values():
            self._agent(agent)

    # -- masters

    def _offered(self, offers: Offers, framework_id: str, offerable: Any) -> None:
        lead = offers._lead
        self.offers += 1
        for by_agent in offerable.values():
            for agent_id in by_agent:
                if (agent := lead.agents.get(agent_id)) is not None:
                    self._share(lead, agent)

    def _books(self, lead: Leadership) -> None:
        """Each offer is in the books of one framework and one agent, each task in those of both."""
        if not lead.alive:
            return
        for agent in lead.agents:
            self._share(lead, agent)
        held = [offer for framework in lead.frameworks for offer in framework.offers]
        self._must(sorted(held) == sorted(lead.offers.all), "offers are in the books of nobody, or of two")
        for framework in lead.frameworks:
            for task in framework.tasks.values():
                where = lead.agents.get(task.agent_id)
                there = where.task(framework.id, task.id) if where is not None else None
                self._must(there is task, "the agent's books do not have", task.id, "of", framework)

    def _share(self, lead: Leadership, agent: model.Agent) -> None:
        """Of what an agent has, each part is free, offered to one framework, or used by one task."""
        running = [task for tasks in agent.tasks.values() for task in tasks.values() if not task.terminal]
        used, offered, free = agent.used_resources, agent.offered_resources, lead.allocator.free(agent.id)
        self._must(used == total(task.resources for task in running), agent, "counts", used, "as used")
        self._must(used + offered + free == agent.total, agent, "has", used, "used,", offered, "offered,", free, "free")
        held = [*(task.resources for task in running), *(offer.resources for offer in agent.offers.values())]
        spans = [span for resources in held for span in resources.spans()]
        self._must(_apart([*spans, *free.spans()]), agent, "gives a port twice:", sorted(spans))

    # -- agents

    def _agent(self, agent: Agent) -> None:
        """What runs on an agent is within what it has, and no port is used twice."""
        runs = [run for run in agent.runs() if not run.ended]
        has, used = agent.options.resources, agent.used()
        for key, amount in used.scalars.items():
            self._must(amount <= has.scalars.get((key[0], "*"), 0), agent.machine, "runs more than it has:", used)
        spans = [span for run in runs for span in Resources.of(run.task.get("resources") or ()).spans()]
        self._must(_apart(spans), agent.machine, "lets two use a port:", sorted(spans))

    # -- frameworks

    def _called(self, driver: SchedulerDriver, call: Json) -> None:
        if call["type"] != "ACCEPT":
            return
        for operation in call["accept"].get("operations") or ():
            for info in operation["launch"]["task_infos"]:
                task_id = info["task_id"]["value"]
                self._must(task_id not in self.launched, task_id, "is launched twice")
                self.launched[task_id] = driver.framework["name"]

    def _placed(self, offers: OfferProcessor, instance: Any, *_: Any) -> None:
        """Marathon has chosen a place: does the constraint hold, as plain words have it?"""
        self.placed += 1
        rule = BY_APP[instance.app_id].rule
        if rule is None:
            return
        version = instance.app.config_version
        counts: Counter[str] = Counter(
            self.value(each, rule.attribute)
            for each in offers._tracker.of_app(instance.app_id)
            if each is not instance and each.active and each.host and each.app.config_version == version
        )
        value = self.value(instance, rule.attribute)
        holds = rule.holds(value, counts, instance.app.instances)
        self._must(holds, instance.id, "is put at", value, "beside", dict(counts), "by", rule.body)

    def value(self, instance: Any, attribute: str) -> str:
        """Where an instance is, by its agent's attribute."""
        assert self.world is not None
        if attribute == "hostname":
            return str(instance.host)
        machines = self.world.fleet.machines.values()
        return next(str(m.attributes[attribute]) for m in machines if m.address == instance.host)

    def _event(self, body: Json) -> None:
        kind = body["eventType"]
        if kind == "deployment_info":
            self.begun.add(body["plan"]["id"])
        elif kind in ("deployment_success", "deployment_failed"):
            self.over.add(body["id"])

    def lost(self, running: set[str]) -> list[str]:
        """Tasks that were launched and do not run, and of whose end their framework has not heard."""
        return [
            f"{task_id} is lost without a word to {framework}: {self.heard[task_id]}"
            for task_id, framework in self.launched.items()
            if task_id not in running and not any(is_over(state) for state in self.heard[task_id])
        ]


def is_over(state: str) -> bool:
    """Does a framework that hears this know that it has to look for another place?"""
    return is_terminal(state) or state in ("TASK_UNREACHABLE", "TASK_UNKNOWN")


def _apart(spans: list[tuple[int, int]]) -> bool:
    """Does none of these ranges touch what another has?"""
    spans.sort()
    return all(after > end for (_, end), (after, _) in pairwise(spans))

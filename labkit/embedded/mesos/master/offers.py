"""Offers: made of what the allocator gives, answered with ACCEPT or DECLINE, taken back when they are void."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.allocator import Offerable
from labkit.embedded.mesos.master import validation
from labkit.embedded.mesos.master.model import Agent, Framework, Offer, Task
from labkit.embedded.mesos.resources import EMPTY, Resources, ResourcesError
from labkit.embedded.mesos.tasks import status

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

log = logging.getLogger(__name__)

Json = dict[str, Any]

NOT_HERE = "is not simulated: this sandbox has neither reservations nor persistent volumes nor task groups"


class Offers:
    """All outstanding offers."""

    def __init__(self, lead: Leadership) -> None:
        self._lead = lead
        self.all: dict[str, Offer] = {}

    # -- made and taken back

    def make(self, framework_id: str, offerable: Offerable) -> None:
        """What the allocator has given to a framework is offered to it, one offer an agent."""
        lead = self._lead
        framework = lead.frameworks.get(framework_id)
        usable = framework is not None and framework.active
        made: list[Json] = []
        for role, by_agent in offerable.items():
            for agent_id, resources in by_agent.items():
                agent = lead.agents.get(agent_id)
                if framework is None or not usable or agent is None or not agent.active:
                    lead.allocator.recover(framework_id, agent_id, role, resources)
                    continue
                made.append(self._make(framework, agent, role, resources))
        if made and framework is not None:
            lead.counters["offers_sent"] += len(made)
            framework.send({"type": "OFFERS", "offers": {"offers": made}})

    def _make(self, framework: Framework, agent: Agent, role: str, resources: Resources) -> Json:
        lead = self._lead
        multi = "MULTI_ROLE" in framework.capabilities
        made: Json = {
            "id": {"value": lead.ids.offer()},
            "framework_id": framework.info["id"],
            "agent_id": {"value": agent.id},
            "hostname": agent.hostname,
            "url": agent_url(agent),
            "resources": resources.json(role if multi else None),
            "attributes": agent.info.get("attributes") or [],
            "executor_ids": [{"value": one} for one in agent.executors.get(framework.id, ())],
        }
        if multi:
            made["allocation_info"] = {"role": role}
        if "domain" in agent.info:
            made["domain"] = agent.info["domain"]
        offer = Offer(made["id"]["value"], framework.id, agent.id, role, resources, made)
        self.all[offer.id] = framework.offers[offer.id] = agent.offers[offer.id] = offer
        if lead.options.offer_timeout is not None:
            lead.clock.call_later(lead.options.offer_timeout, self._timed_out, offer.id)
        return made

    def _timed_out(self, offer_id: str) -> None:
        offer = self.all.get(offer_id)
        if offer is not None and self._lead.alive:
            self.rescind(offer)

    def forget(self, offer: Offer) -> None:
        """It is not outstanding any more; its resources are somebody's business."""
        del self.all[offer.id]
        framework = self._lead.frameworks.get(offer.framework_id)
        if framework is not None:
            framework.offers.pop(offer.id, None)
        agent = self._lead.agents.get(offer.agent_id)
        if agent is not None:
            agent.offers.pop(offer.id, None)

    def discard(self, offer: Offer, filters: Json | None = None) -> None:
        """Its resources go back to the allocator."""
        self.forget(offer)
        self._lead.allocator.recover(offer.framework_id, offer.agent_id, offer.role, offer.resources, filters)

    def rescind(self, offer: Offer) -> None:
        """Take it back, and say so."""
        framework = self._lead.frameworks.get(offer.framework_id)
        if framework is not None:
            framework.send({"type": "RESCIND", "rescind": {"offer_id": {"value": offer.id}}})
        self._lead.counters["offers_rescinded"] += 1
        self.discard(offer)

    # -- answered

    def decline(self, framework: Framework, call: Json) -> None:
        """DECLINE: the offers of a list, with a filter (five seconds if none is named)."""
        filters = call.get("filters") or {}
        for given in call.get("offer_ids") or ():
            offer = self.all.get(given["value"])
            if offer is None or offer.framework_id != framework.id:
                log.warning("Ignoring decline of offer %s since it is no longer valid", given["value"])
                continue
            self._lead.counters["offers_declined"] += 1
            self.discard(offer, filters)

    def accept(self, framework: Framework, call: Json) -> None:
        """ACCEPT: launch tasks with offers of one agent; what is left over is declined."""
        given = [one["value"] for one in call.get("offer_ids") or ()]
        operations: list[Json] = call.get("operations") or []
        problem = validation.offers(given, self.all, framework)
        if problem is not None:
            self._refuse(framework, given, operations, problem)
            return
        offers = [self.all[one] for one in given]
        agent = self._lead.agents[offers[0].agent_id]
        role = offers[0].role
        offered = EMPTY
        for offer in offers:
            offered = offered + offer.resources
            self.forget(offer)
        self._lead.counters["offers_accepted"] += len(offers)
        launched = EMPTY
        for operation in operations:
            if operation.get("type") == "LAUNCH":
                infos = (operation.get("launch") or {}).get("task_infos") or ()
                launched = self._launch(framework, agent, role, offered, launched, infos)
            else:
                self._not_here(framework, operation)
        if launched:
            agent.take(framework.id, launched)
        left = offered - launched
        if left:
            self._lead.allocator.recover(framework.id, agent.id, role, left, call.get("filters") or {})

    def _refuse(self, framework: Framework, given: list[str], operations: list[Json], problem: str) -> None:
        """The offers are not valid: none of the operations is done."""
        for offer_id in given:
            offer = self.all.get(offer_id)
            if offer is not None and offer.framework_id == framework.id:
                self.discard(offer)
        log.warning("ACCEPT call used invalid offers '%s': %s", given, problem)
        state = "TASK_DROPPED" if framework.partition_aware else "TASK_LOST"
        for operation in operations:
            for info in tasks_of(operation):
                self._tell(
                    framework,
                    info,
                    state,
                    "REASON_INVALID_OFFERS",
                    f"Task launched with invalid offers: {problem}",
                )

    def _tell(self, framework: Framework, info: Json, state: str, reason: str, message: str) -> None:
        """The fate of a task that was never launched."""
        lead = self._lead
        lead.count_state(state)
        made = status(
            info["task_id"]["value"],
            state,
            now=lead.clock.time(),
            source="SOURCE_MASTER",
            message=message,
            reason=reason,
            agent_id=info.get("agent_id", {}).get("value", ""),
        )
        framework.send({"type": "UPDATE", "update": {"status": made}})

    def _not_here(self, framework: Framework, operation: Json) -> None:
        """An operation that nobody can do here: say so, to whoever has asked."""
        kind = operation.get("type", "UNKNOWN")
        message = f"{kind} {NOT_HERE}"
        log.warning("Dropping %s operation of framework %s: %s", kind, framework, message)
        for info in tasks_of(operation):
            self._tell(framework, info, "TASK_ERROR", "REASON_TASK_GROUP_INVALID", message)
        operation_id = operation.get("id")
        if operation_id is not None and kind != "LAUNCH_GROUP":
            failed = {"operation_id": operation_id, "state": "OPERATION_ERROR", "message": message}
            framework.send({"type": "UPDATE_OPERATION_STATUS", "update_operation_status": {"status": failed}})

    def _launch(
        self,
        framework: Framework,
        agent: Agent,
        role: str,
        offered: Resources,
        launched: Resources,
        infos: Any,
    ) -> Resources:
        """Launch tasks; returns all that is launched by then."""
        lead = self._lead
        left = offered - launched
        now = lead.clock.time()
        for info in infos:
            wanted: Resources | ResourcesError
            try:
                wanted = Resources.of(info.get("resources") or ())
            except ResourcesError as error:
                wanted = error
            problem = validation.task(info, framework, agent, wanted, left)
            if problem is not None or isinstance(wanted, ResourcesError):
                self._tell(framework, info, "TASK_ERROR", "REASON_TASK_INVALID", problem or "")
                continue
            executor = info.get("executor")
            new_executor = True
            if executor is not None:
                new_executor = self._add_executor(framework, agent, executor)
                if new_executor:
                    extra = Resources.of(executor.get("resources") or ())
                    left, launched = left - extra, launched + extra
            left, launched = left - wanted, launched + wanted
            self._start(framework, agent, role, info, wanted, new_executor, now)
        return launched

    def _start(
        self,
        framework: Framework,
        agent: Agent,
        role: str,
        info: Json,
        wanted: Resources,
        new_executor: bool,
        now: float,
    ) -> None:
        lead = self._lead
        task = Task(info, framework.id, role, wanted, "TASK_STAGING")
        framework.tasks[task.id] = task
        agent.tasks.setdefault(framework.id, {})[task.id] = task
        lead.counters["tasks_launched"] += 1
        if lead.subscribers:
            lead.subscribers.task_added(task)
        lead.send(
            agent.pid,
            "RunTaskMessage",
            {
                "framework": framework.info,
                "framework_id": framework.info["id"],
                "pid": "",
                "task": {**info, "resources": wanted.json(role)},
                "launch_executor": new_executor,
            },
        )

    def _add_executor(self, framework: Framework, agent: Agent, executor: Json) -> bool:
        """A custom executor that several tasks may share; False when it is there already."""
        executor_id = executor["executor_id"]["value"]
        known = agent.executors.setdefault(framework.id, {})
        if executor_id in known:
            return False
        known[executor_id] = executor
        framework.executors.setdefault(agent.id, {})[executor_id] = executor
        return True


def tasks_of(operation: Json) -> list[Json]:
    """The tasks that an operation would launch."""
    if operation.get("type") == "LAUNCH":
        return (operation.get("launch") or {}).get("task_infos") or []
    if operation.get("type") == "LAUNCH_GROUP":
        return ((operation.get("launch_group") or {}).get("task_group") or {}).get("tasks") or []
    return []


def agent_url(agent: Agent) -> Json:
    """Where the agent's own API is."""
    address = {"hostname": agent.hostname, "ip": agent.pid.address, "port": agent.pid.port}
    return {"scheme": "http", "address": address, "path": f"/{agent.pid.name}", "query": []}

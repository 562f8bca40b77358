"""Frameworks: they subscribe, go away, come back within their failover timeout, and are torn down."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import ids
from labkit.embedded.mesos.master import validation
from labkit.embedded.mesos.master.model import Framework
from labkit.embedded.mesos.master.subscription import Subscription

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Frameworks:
    """Those that are registered, and those that have been."""

    def __init__(self, lead: Leadership) -> None:
        self._lead = lead
        self.registered: dict[str, Framework] = {}
        self.completed: OrderedDict[str, Framework] = OrderedDict()

    def get(self, framework_id: str) -> Framework | None:
        """One that is registered."""
        return self.registered.get(framework_id)

    def __iter__(self) -> Iterator[Framework]:
        return iter(self.registered.values())

    # -- subscribing

    def subscribe(self, subscribe: Json, principal: str | None) -> Subscription:
        """SUBSCRIBE. What is wrong comes as an ERROR event on the stream, which ends then."""
        lead = self._lead
        line = Subscription(ids.new_uuid(lead.rng), self._hung_up)
        info = dict(subscribe["framework_info"])
        if principal is not None and info.get("principal") is None:
            info["principal"] = principal
        suppressed = subscribe.get("suppressed_roles") or []
        given = ids.text(info.get("id"))
        problem = validation.framework_info(info) or validation.suppressed_roles(info, suppressed)
        if problem is None and given in self.completed:
            problem = "Framework has been removed"
        if problem is None and given and given in self.registered:
            problem = self._compatible(self.registered[given], info)
        if problem is not None:
            log.info("Refusing subscription of framework '%s': %s", info.get("name", ""), problem)
            line.send({"type": "ERROR", "error": {"message": problem}})
            line.close()
            return line
        if not given:
            info["id"] = {"value": lead.ids.framework()}
            self._admit(Framework(info, lead.clock.time()), line, suppressed)
        elif given in self.registered:
            self._again(self.registered[given], info, line, suppressed)
        else:
            # Known to another master, which is no more: agents with its tasks may come later.
            self._admit(Framework(info, lead.clock.time()), line, suppressed)
        return line

    def _compatible(self, framework: Framework, info: Json) -> str | None:
        """The user and the checkpoint flag stay what they were, whatever is said now."""
        for key in ("user", "checkpoint"):
            if key in framework.info:
                info[key] = framework.info[key]
            else:
                info.pop(key, None)
        return validation.framework_update(framework.info, info)

    def _admit(self, framework: Framework, line: Subscription, suppressed: list[str]) -> None:
        lead = self._lead
        self.registered[framework.id] = framework
        framework.reregistered_time = framework.registered_time
        framework.line = line
        lead.allocator.add_framework(
            framework.id, framework.roles, suppressed, gpus="GPU_RESOURCES" in framework.capabilities
        )
        self._subscribed(framework)
        if lead.subscribers:
            lead.subscribers.framework_added(framework)

    def _again(self, framework: Framework, info: Json, line: Subscription, suppressed: list[str]) -> None:
        """It comes back, or another scheduler takes over."""
        lead = self._lead
        framework.read(info)
        lead.allocator.update_framework(framework.id, framework.roles, suppressed)
        now = lead.clock.time()
        if framework.recovered:
            framework.registered_time = framework.reregistered_time = now
        else:
            framework.reregistered_time = now
        old, framework.line = framework.line, line
        if framework.connected and old is not None:
            old.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
        for offer in list(framework.offers.values()):
            lead.offers.discard(offer)
        if framework.patience is not None:
            framework.patience.cancel()
            framework.patience = None
        framework.state = "active"
        lead.allocator.activate_framework(framework.id)
        self._subscribed(framework)
        if old is not None:
            old.close()
        # Agents keep the newest FrameworkInfo.
        for agent in lead.agents:
            body = {"framework_id": info["id"], "framework_info": info, "pid": ""}
            lead.send(agent.pid, "UpdateFrameworkMessage", body)
        if lead.subscribers:
            lead.subscribers.framework_updated(framework)

    def _subscribed(self, framework: Framework) -> None:
        lead = self._lead
        framework.send(
            {
                "type": "SUBSCRIBED",
                "subscribed": {
                    "framework_id": framework.info["id"],
                    "heartbeat_interval_seconds": lead.options.heartbeat_interval,
                    "master_info": lead.info,
                },
            }
        )
        self._beat(framework, framework.line)

    def _beat(self, framework: Framework, line: Subscription | None) -> None:
        """A heartbeat now, and one every fifteen seconds for as long as this connection lasts."""
        if line is None or framework.line is not line or not line.open:
            return
        line.send({"type": "HEARTBEAT"})
        lead = self._lead
        framework.heartbeat = lead.clock.call_later(lead.options.heartbeat_interval, self._beat, framework, line)

    def update(self, framework: Framework, call: Json) -> str | None:
        """UPDATE_FRAMEWORK; returns what is wrong with it."""
        info = dict(call["framework_info"])
        suppressed = call.get("suppressed_roles") or []
        problem = validation.framework_info(info) or validation.suppressed_roles(info, suppressed)
        problem = problem or validation.framework_update(framework.info, info)
        if problem is not None:
            return problem
        framework.read(info)
        self._lead.allocator.update_framework(framework.id, framework.roles, suppressed)
        for offer in list(framework.offers.values()):
            if offer.role not in framework.roles:
                self._lead.offers.rescind(offer)
        for agent in self._lead.agents:
            body = {"framework_id": info["id"], "framework_info": info, "pid": ""}
            self._lead.send(agent.pid, "UpdateFrameworkMessage", body)
        if self._lead.subscribers:
            self._lead.subscribers.framework_updated(framework)
        return None

    # -- known from agents alone

    def recover(self, info: Json) -> Framework:
        """An agent has tasks of a framework that has not come back yet."""
        lead = self._lead
        framework = Framework(info, lead.clock.time(), state="recovered")
        self.registered[framework.id] = framework
        lead.allocator.add_framework(
            framework.id, framework.roles, active=False, gpus="GPU_RESOURCES" in framework.capabilities
        )
        for agent in lead.agents:
            for task in agent.tasks.get(framework.id, {}).values():
                framework.tasks[task.id] = task
                if not task.terminal:
                    lead.allocator.track(framework.id, task.role, task.resources)
            if framework.id in agent.executors:
                framework.executors[agent.id] = dict(agent.executors[framework.id])
        return framework

    # -- going away

    def _hung_up(self, line: Subscription) -> None:
        if not self._lead.alive:
            return
        for framework in self.registered.values():
            if framework.line is line:
                self.disconnected(framework)
                return

    def disconnected(self, framework: Framework) -> None:
        """Its offers are void; its tasks run on until the failover timeout is over."""
        lead = self._lead
        log.info("Framework %s disconnected", framework)
        framework.line = None
        self.deactivate(framework)
        framework.state = "disconnected"
        timeout = max(0.0, float(framework.info.get("failover_timeout") or 0.0))
        framework.patience = lead.clock.call_later(timeout, self._gave_up, framework)
        if lead.subscribers:
            lead.subscribers.framework_updated(framework)

    def deactivate(self, framework: Framework) -> None:
        """No more offers."""
        lead = self._lead
        if framework.heartbeat is not None:
            framework.heartbeat.cancel()
            framework.heartbeat = None
        framework.state = "inactive"
        lead.allocator.deactivate_framework(framework.id)
        for offer in list(framework.offers.values()):
            lead.offers.discard(offer)

    def _gave_up(self, framework: Framework) -> None:
        framework.patience = None
        if self._lead.alive and self.registered.get(framework.id) is framework and not framework.connected:
            log.info("Framework failover timeout, removing framework %s", framework)
            self.remove(framework)

    def remove(self, framework: Framework) -> None:
        """TEARDOWN: all its tasks are killed, and its id will not be accepted again."""
        lead = self._lead
        line = framework.line
        if framework.patience is not None:
            framework.patience.cancel()
            framework.patience = None
        self.deactivate(framework)
        for agent in lead.agents:
            lead.send(agent.pid, "ShutdownFrameworkMessage", {"framework_id": framework.info["id"]})
        message = f"Framework {framework.id} removed"
        framework.line = None
        for task in (*framework.tasks.values(), *framework.unreachable.values()):
            made = lead.updates.master_status(task, "TASK_KILLED", "REASON_FRAMEWORK_REMOVED", message)
            unreachable = task.id in framework.unreachable
            lead.updates.apply(task, made)
            if unreachable:
                framework.completed.append(task)
            else:
                lead.updates.remove(task)
        framework.unreachable.clear()
        for agent_id, executors in list(framework.executors.items()):
            holder = lead.agents.get(agent_id)
            for executor_id in list(executors):
                if holder is not None and executor_id in holder.executors.get(framework.id, {}):
                    lead.updates.remove_executor(holder, framework.id, executor_id)
        framework.executors.clear()
        framework.state = "disconnected"
        framework.unregistered_time = lead.clock.time()
        del self.registered[framework.id]
        lead.allocator.remove_framework(framework.id)
        self.completed[framework.id] = framework
        while len(self.completed) > lead.options.max_completed_frameworks:
            self.completed.popitem(last=False)
        if line is not None:
            line.close()
        if lead.subscribers:
            lead.subscribers.framework_removed(framework)

    def all_roles(self) -> dict[str, list[Framework]]:
        """Roles in which a framework is registered."""
        found: dict[str, list[Framework]] = {}
        for framework in self.registered.values():
            for role in framework.roles:
                found.setdefault(role, []).append(framework)
        return found

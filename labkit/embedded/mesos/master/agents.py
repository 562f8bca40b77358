"""Agents: they register, are pinged, are given up when they do not answer, and come back with their tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.libprocess import Pid
from labkit.embedded.mesos.master.model import Agent, Framework, Task
from labkit.embedded.mesos.master.options import duration
from labkit.embedded.mesos.resources import Resources, ResourcesError

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Agents:
    """By id: those that are there (``in``, ``get``), and what became of the others."""

    def __init__(self, lead: Leadership) -> None:
        self._lead = lead
        self.registered: dict[str, Agent] = {}
        self.by_pid: dict[Pid, Agent] = {}
        self.recovered: dict[str, Json] = {}  # admitted by an earlier master, not back yet: AgentInfo
        self.unreachable: dict[str, float] = {}  # since when
        self.gone: dict[str, float] = {}
        self.deactivated: set[str] = set()  # by an operator
        self.unreachable_tasks: dict[str, list[Task]] = {}
        for agent_id, row in lead.registry.agents().items():
            if row["state"] == "admitted":
                self.recovered[agent_id] = row["info"]
            else:
                (self.unreachable if row["state"] == "unreachable" else self.gone)[agent_id] = row["time"]
        if self.recovered:
            lead.clock.call_later(lead.options.agent_reregister_timeout, self._recovery_over)

    def get(self, agent_id: str) -> Agent | None:
        """One that is registered."""
        return self.registered.get(agent_id)

    def __getitem__(self, agent_id: str) -> Agent:
        return self.registered[agent_id]

    def __contains__(self, agent_id: object) -> bool:
        return agent_id in self.registered

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self.registered.values()))

    def __len__(self) -> int:
        return len(self.registered)

    # -- registering

    def register(self, sender: Pid, body: Json) -> None:
        """RegisterSlaveMessage: a new agent, or one whose answer got lost."""
        lead = self._lead
        info = info_of(body)
        known = self.by_pid.get(sender)
        if known is not None:
            if known.connected:
                self.confirm(known, "SlaveRegisteredMessage")
                return
            self.remove(known, "a new agent registered at the same address", state="removed")
        try:
            resources = Resources.of(info.get("resources") or ())
        except ResourcesError as error:
            log.warning("Dropping registration of agent at %s: %s", sender, error)
            return
        agent_id = lead.ids.agent()
        info = {**info, "id": {"value": agent_id}}
        lead.registry.admit(agent_id, info)
        agent = self.make(agent_id, info, sender, body, resources)
        lead.counters["slave_registrations"] += 1
        self.add(agent)
        self.confirm(agent, "SlaveRegisteredMessage")

    def make(self, agent_id: str, info: Json, pid: Pid, body: Json, resources: Resources) -> Agent:
        """An agent as it has just told of itself; :meth:`add` enters it into the books."""
        return Agent(
            id=agent_id,
            info=info,
            pid=pid,
            version=body.get("version") or "1.11.0",
            capabilities=tuple(one["type"] for one in body.get("agent_capabilities") or ()),
            registered_time=self._lead.clock.time(),
            total=resources,
        )

    def confirm(self, agent: Agent, message: str, **more: Any) -> None:
        """Tell it that it is (re-)registered, and after how much silence of the master's it is to look for another."""
        options = self._lead.options
        timeout = options.agent_ping_timeout * options.max_agent_ping_timeouts
        body = {"agent_id": {"value": agent.id}, "connection": {"total_ping_timeout_seconds": timeout}, **more}
        self._lead.send(agent.pid, message, body)

    def add(self, agent: Agent) -> None:
        """Into the books, with the tasks that it has told of; its resources are offered from now on."""
        lead = self._lead
        self.registered[agent.id] = agent
        self.by_pid[agent.pid] = agent
        lead.post.link(lead.pid, agent.pid)
        self._watch(agent)
        used: dict[str, dict[str, Resources]] = {}
        for framework_id, tasks in agent.tasks.items():
            framework = lead.frameworks.get(framework_id)
            for task in tasks.values():
                if framework is not None:
                    framework.tasks[task.id] = task
                if not task.terminal:
                    by_role = used.setdefault(framework_id, {})
                    by_role[task.role] = by_role[task.role] + task.resources if task.role in by_role else task.resources
        for framework_id, executors in agent.executors.items():
            framework = lead.frameworks.get(framework_id)
            role = framework.roles[0] if framework is not None and framework.roles else "*"
            if framework is not None:
                framework.executors[agent.id] = dict(executors)
            for executor in executors.values():
                extra = Resources.of(executor.get("resources") or ())
                if extra:
                    by_role = used.setdefault(framework_id, {})
                    by_role[role] = by_role[role] + extra if role in by_role else extra
        for framework_id, by_role in used.items():
            for resources in by_role.values():
                agent.take(framework_id, resources)
        lead.allocator.add_agent(agent.id, agent.total, used)
        if agent.id in self.deactivated:
            self._deactivate(agent)
        if lead.subscribers:
            lead.subscribers.agent_added(agent)

    # -- pings

    def _watch(self, agent: Agent) -> None:
        agent.ping = self._lead.clock.call_later(0, self._ping, agent)

    def _ping(self, agent: Agent) -> None:
        lead = self._lead
        if not lead.alive or self.registered.get(agent.id) is not agent:
            return
        if agent.pinged:
            agent.missed_pings += 1
            if agent.missed_pings >= lead.options.max_agent_ping_timeouts:
                self.lose(agent, "health check timed out")
                return
        agent.pinged = True
        lead.send(agent.pid, "PingSlaveMessage", {"connected": agent.connected})
        agent.ping = lead.clock.call_later(lead.options.agent_ping_timeout, self._ping, agent)

    def pong(self, sender: Pid, body: Json) -> None:
        """It has answered a ping."""
        agent = self.by_pid.get(sender)
        if agent is not None:
            agent.pinged = False
            agent.missed_pings = 0

    # -- going away

    def exited(self, pid: Pid) -> None:
        """The connection broke. Frameworks that do not checkpoint lose their tasks at once; others wait."""
        lead = self._lead
        agent = self.by_pid.get(pid)
        if agent is None or not agent.connected:
            return
        log.info("Agent %s disconnected", agent)
        agent.connected = False
        self._deactivate(agent)
        for framework_id in {*agent.tasks, *agent.executors}:
            framework = lead.frameworks.get(framework_id)
            if framework is not None and not framework.checkpoint:
                self._remove_framework(agent, framework)
        timeout = lead.options.agent_reregister_timeout
        agent.patience = lead.clock.call_later(timeout, self._not_back, agent)

    def _deactivate(self, agent: Agent) -> None:
        agent.active = False
        self._lead.allocator.deactivate_agent(agent.id)
        for offer in list(agent.offers.values()):
            self._lead.offers.rescind(offer)

    def _remove_framework(self, agent: Agent, framework: Framework) -> None:
        message = f"Agent {agent.hostname} disconnected"
        for task in list(agent.tasks.get(framework.id, {}).values()):
            self._lead.updates.lost(task, "TASK_LOST", "REASON_AGENT_DISCONNECTED", message)
        for executor_id in list(agent.executors.get(framework.id, {})):
            self._lead.updates.remove_executor(agent, framework.id, executor_id)

    def _not_back(self, agent: Agent) -> None:
        if self._lead.alive and self.registered.get(agent.id) is agent and not agent.connected:
            timeout = duration(self._lead.options.agent_reregister_timeout)
            self.lose(agent, f"agent did not reregister within {timeout} after disconnecting")

    def _recovery_over(self) -> None:
        """Those that another master had admitted and that have not come back."""
        lead = self._lead
        if not lead.alive:
            return
        now = lead.clock.time()
        for agent_id, info in list(self.recovered.items()):
            log.warning("Agent %s did not re-register after master failover", agent_id)
            del self.recovered[agent_id]
            self.unreachable[agent_id] = now
            lead.registry.mark(agent_id, "unreachable", now, info)
            lead.counters["slave_removals"] += 1
            lead.counters["recovery_slave_removals"] += 1
            self._tell_lost(agent_id)

    def lose(self, agent: Agent, message: str) -> None:
        """Mark it unreachable: it may come back, and its tasks with it."""
        self.remove(agent, message, state="unreachable")

    def unregister(self, sender: Pid, body: Json) -> None:
        """UnregisterSlaveMessage: it ends in good order."""
        agent = self.registered.get(text(body.get("agent_id")))
        if agent is not None and agent.pid == sender:
            self.remove(agent, "the agent unregistered", state="removed")

    def mark_gone(self, agent_id: str) -> None:
        """MARK_AGENT_GONE: an operator says that it will never come back."""
        lead = self._lead
        now = lead.clock.time()
        agent = self.registered.get(agent_id)
        message = "Agent has been marked gone"
        if agent is not None:
            lead.send(agent.pid, "ShutdownMessage", {"message": message})
            self.remove(agent, message, state="gone")
            return
        self.gone[agent_id] = now
        lead.registry.mark(agent_id, "gone", now)
        self.recovered.pop(agent_id, None)
        self.unreachable.pop(agent_id, None)
        for task in self.unreachable_tasks.pop(agent_id, ()):
            framework = lead.frameworks.get(task.framework_id)
            if framework is None or framework.unreachable.pop(task.id, None) is None:
                continue
            aware = framework.partition_aware
            state = "TASK_GONE_BY_OPERATOR" if aware else "TASK_LOST"
            reason = "REASON_AGENT_REMOVED_BY_OPERATOR" if aware else "REASON_AGENT_REMOVED"
            made = lead.updates.master_status(task, state, reason, message)
            lead.updates.apply(task, made)
            if framework.connected:
                lead.updates.forward(framework, made)
            framework.completed.append(task)

    def remove(self, agent: Agent, message: str, *, state: str) -> None:
        """Give the agent up, and what ran on it."""
        lead = self._lead
        log.info("Removing agent %s: %s", agent, message)
        now = lead.clock.time()
        unreachable = state == "unreachable"
        if unreachable:
            self.unreachable[agent.id] = now
            lead.registry.mark(agent.id, state, now, agent.info)
        elif state == "gone":
            self.gone[agent.id] = now
            lead.registry.mark(agent.id, state, now, agent.info)
        else:
            lead.registry.remove(agent.id)
        for timer in (agent.ping, agent.patience):
            if timer is not None:
                timer.cancel()
        lead.allocator.deactivate_agent(agent.id)
        more = {"unreachable_time": {"nanoseconds": int(now * 1e9)}} if unreachable else {}
        for framework_id, tasks in list(agent.tasks.items()):
            framework = lead.frameworks.get(framework_id)
            new_state, reason, keep = _fate(framework, state)
            words = f"Agent {agent.hostname} removed: {message}" if state == "removed" else message
            for task in list(tasks.values()):
                if keep and not task.terminal:
                    self.unreachable_tasks.setdefault(agent.id, []).append(task)
                lead.updates.lost(task, new_state, reason, words, unreachable=keep and not task.terminal, **more)
        for framework_id, executors in list(agent.executors.items()):
            for executor_id in list(executors):
                lead.updates.remove_executor(agent, framework_id, executor_id)
        for offer in list(agent.offers.values()):
            lead.offers.rescind(offer)
        lead.allocator.remove_agent(agent.id)
        del self.registered[agent.id]
        self.by_pid.pop(agent.pid, None)
        lead.post.unlink(lead.pid, agent.pid)
        lead.counters["slave_removals"] += 1
        lead.counters[f"slave_removals/reason_{_REASONS[state]}"] += 1
        self._tell_lost(agent.id)
        if lead.subscribers:
            lead.subscribers.agent_removed(agent.id)

    def _tell_lost(self, agent_id: str) -> None:
        """Every scheduler hears of an agent that is no more."""
        event = {"type": "FAILURE", "failure": {"agent_id": {"value": agent_id}}}
        for framework in self._lead.frameworks:
            if framework.connected:
                framework.send(event)

    # -- by an operator

    def set_deactivated(self, agent: Agent, deactivated: bool) -> None:
        """DEACTIVATE_AGENT and REACTIVATE_AGENT."""
        if deactivated:
            self.deactivated.add(agent.id)
            self._deactivate(agent)
        else:
            self.deactivated.discard(agent.id)
            if agent.connected:
                agent.active = True
                self._lead.allocator.activate_agent(agent.id)


_REASONS = {"unreachable": "unhealthy", "gone": "unhealthy", "removed": "unregistered"}


def _fate(framework: Framework | None, state: str) -> tuple[str, str, bool]:
    """What a task becomes whose agent is given up: state, reason, and whether it is kept as unreachable."""
    if state == "removed":
        return "TASK_LOST", "REASON_AGENT_REMOVED", False
    if framework is None or not framework.partition_aware:
        return "TASK_LOST", "REASON_AGENT_REMOVED", state == "unreachable"
    if state == "gone":
        return "TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", False
    return "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", True


def info_of(body: Json) -> Json:
    """The AgentInfo, by its v1 name or its old one."""
    return body.get("agent") or body.get("slave") or {}

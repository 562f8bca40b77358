"""Agents that come back: to the master that knows them, or to another one, which learns from them what runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.libprocess import Pid
from labkit.embedded.mesos.master.agents import Agents, info_of
from labkit.embedded.mesos.master.model import Agent, Framework, Task, roles_of
from labkit.embedded.mesos.resources import Resources, ResourcesError

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Returning:
    """ReregisterSlaveMessage."""

    def __init__(self, lead: Leadership, agents: Agents) -> None:
        self._lead = lead
        self._agents = agents

    def reregister(self, sender: Pid, body: Json) -> None:
        """ReregisterSlaveMessage: the agent knows its id and tells of its tasks."""
        lead = self._lead
        info = info_of(body)
        agent_id = text(info.get("id"))
        if agent_id in self._agents.gone:
            lead.send(sender, "ShutdownMessage", {"message": "Agent has been marked gone"})
            return
        try:
            resources = Resources.of(info.get("resources") or ())
            tasks = [_task(one, body) for one in body.get("tasks") or ()]
        except (ResourcesError, KeyError, TypeError) as error:
            log.warning("Dropping re-registration of agent at %s: it is invalid: %s", sender, error)
            return
        known = self._agents.registered.get(agent_id)
        if known is None:
            self._back(sender, body, info, agent_id, resources, tasks)
            return
        if known.pid.address != sender.address or known.hostname != info.get("hostname", ""):
            message = "Agent attempted to reregister with different IP / hostname"
            lead.send(sender, "ShutdownMessage", {"message": message})
            return
        self._reconnect(known, sender, body, info, resources, tasks)

    def _back(
        self, sender: Pid, body: Json, info: Json, agent_id: str, resources: Resources, tasks: list[Task]
    ) -> None:
        """It was another master's, or had been given up."""
        lead = self._lead
        expected = agent_id in self._agents.recovered
        words = (
            "Unreachable agent re-reregistered"
            if agent_id in self._agents.unreachable
            else "Unknown agent reregistered"
        )
        for old in self._agents.unreachable_tasks.pop(agent_id, ()):
            framework = lead.frameworks.get(old.framework_id)
            if framework is not None:
                framework.unreachable.pop(old.id, None)
        agent = self._agents.make(agent_id, info, sender, body, resources)
        agent.reregistered_time = agent.registered_time
        for task in tasks:
            if task.framework_id in lead.frameworks.completed:
                continue
            agent.tasks.setdefault(task.framework_id, {})[task.id] = task
            framework = lead.frameworks.get(task.framework_id)
            if not expected and framework is not None:
                self._resurrect(framework, task, words)
        for executor in body.get("executor_infos") or ():
            owner = text(executor.get("framework_id"))
            if owner and owner not in lead.frameworks.completed:
                agent.executors.setdefault(owner, {})[text(executor.get("executor_id"))] = executor
        stale = self._agents.by_pid.get(sender)
        if stale is not None:
            self._agents.remove(stale, "a new agent registered at the same address", state="removed")
        self._agents.recovered.pop(agent_id, None)
        self._agents.unreachable.pop(agent_id, None)
        lead.registry.admit(agent_id, info)
        lead.counters["slave_reregistrations"] += 1
        self._agents.add(agent)
        self._completed(body)
        self._agents.confirm(agent, "SlaveReregisteredMessage", reconciliations=[])
        for framework_info in body.get("frameworks") or ():
            if text(framework_info.get("id")) in lead.frameworks.completed:
                lead.send(sender, "ShutdownFrameworkMessage", {"framework_id": framework_info["id"]})
        self._frameworks(agent, body)

    def _resurrect(self, framework: Framework, task: Task, words: str) -> None:
        """A task that was given up runs after all."""
        lead = self._lead
        framework.unreachable.pop(task.id, None)
        if any(old.id == task.id for old in framework.completed):
            kept = [old for old in framework.completed if old.id != task.id]
            framework.completed.clear()
            framework.completed.extend(kept)
        if not framework.connected:
            return
        made = lead.updates.master_status(
            task,
            task.state,
            "REASON_AGENT_REREGISTERED",
            words,
            healthy=task.healthy,
            check_status=task.check_status,
            container_status=task.container_status,
        )
        lead.updates.forward(framework, made)

    def _completed(self, body: Json) -> None:
        """Tasks that ended while another master led are still to be seen."""
        lead = self._lead
        for archive in body.get("completed_frameworks") or ():
            framework = lead.frameworks.get(text(archive.get("framework_info", {}).get("id")))
            if framework is None:
                continue
            known = {task.id for task in framework.completed}
            for one in archive.get("tasks") or ():
                if text(one.get("task_id")) not in known:
                    framework.completed.append(_task(one, body))

    def _frameworks(self, agent: Agent, body: Json) -> None:
        lead = self._lead
        for info in body.get("frameworks") or ():
            framework_id = text(info.get("id"))
            framework = lead.frameworks.get(framework_id)
            if framework is not None:
                message = {"framework_id": info["id"], "framework_info": framework.info, "pid": ""}
                lead.send(agent.pid, "UpdateFrameworkMessage", message)
            elif framework_id not in lead.frameworks.completed:
                log.info("Recovering framework %s from reregistering agent %s", framework_id, agent)
                lead.frameworks.recover(info)

    def _reconnect(
        self, agent: Agent, sender: Pid, body: Json, info: Json, resources: Resources, tasks: list[Task]
    ) -> None:
        """This master knows it: what each of the two knows alone is put right."""
        lead = self._lead
        self._agents.by_pid.pop(agent.pid, None)
        agent.pid = sender
        self._agents.by_pid[sender] = agent
        lead.post.link(lead.pid, sender)
        if info != agent.info:
            lead.registry.admit(agent.id, info)
            agent.info = info
        agent.version = body.get("version") or agent.version
        agent.reregistered_time = lead.clock.time()
        if resources != agent.total:
            agent.total = resources
            lead.allocator.update_agent(agent.id, resources)
        self._reconcile(agent, tasks)
        if not agent.connected:
            agent.connected = True
            agent.missed_pings = 0
            if agent.patience is not None:
                agent.patience.cancel()
                agent.patience = None
            if agent.id not in self._agents.deactivated:
                agent.active = True
                lead.allocator.activate_agent(agent.id)
        self._frameworks(agent, body)

    def _reconcile(self, agent: Agent, tasks: list[Task]) -> None:
        """Tasks that the agent does not know were lost on their way to it: it is asked, and says so."""
        lead = self._lead
        told = {(task.framework_id, task.id) for task in tasks}
        reconciliations = []
        for framework_id, known in agent.tasks.items():
            statuses = [
                lead.updates.master_status(task, task.known_state, "REASON_RECONCILIATION", "Reconciliation request")
                for task in known.values()
                if (framework_id, task.id) not in told
            ]
            framework = lead.frameworks.get(framework_id)
            if statuses and framework is not None:
                reconciliations.append(
                    {"framework_id": framework.info["id"], "framework": framework.info, "statuses": statuses}
                )
        self._agents.confirm(agent, "SlaveReregisteredMessage", reconciliations=reconciliations)
        completed = set()
        for task in tasks:
            if task.framework_id in lead.frameworks.completed:
                completed.add(task.framework_id)
            elif not task.terminal and (task.framework_id, task.id) in agent.killed:
                body = {"framework_id": {"value": task.framework_id}, "task_id": {"value": task.id}}
                lead.send(agent.pid, "KillTaskMessage", body)
        for framework_id in sorted(completed):
            lead.send(agent.pid, "ShutdownFrameworkMessage", {"framework_id": {"value": framework_id}})


def _task(one: Json, body: Json) -> Task:
    """A task as an agent tells of it."""
    framework_id = one["framework_id"]["value"]
    items = one.get("resources") or ()
    role = next((item["allocation_info"]["role"] for item in items if "allocation_info" in item), "")
    if not role:
        infos = (info for info in body.get("frameworks") or () if text(info.get("id")) == framework_id)
        role = next((roles_of(info)[0] for info in infos if roles_of(info)), "*")
    return Task(one, framework_id, role, Resources.of(items), one["state"])

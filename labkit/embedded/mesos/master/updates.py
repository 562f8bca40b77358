"""Status updates from agents to frameworks, acknowledgements back, kills, and what is said when somebody asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.libprocess import Pid
from labkit.embedded.mesos.master.model import Agent, Framework, Task
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.mesos.tasks import is_terminal, status

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

log = logging.getLogger(__name__)

Json = dict[str, Any]

_NOT_RUNNING = frozenset({"TASK_UNREACHABLE"})
_CHECKED = frozenset({"REASON_TASK_CHECK_STATUS_UPDATED", "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"})


class Updates:
    """What happens to tasks after they were launched."""

    def __init__(self, lead: Leadership) -> None:
        self._lead = lead

    # -- from the agent

    def received(self, sender: Pid, body: Json) -> None:
        """StatusUpdateMessage: to the framework, which acknowledges it, and into the books."""
        lead = self._lead
        update = body["update"]
        made = update["status"]
        agent = lead.agents.get(text(update.get("agent_id")) or text(made.get("agent_id")))
        if agent is None:
            lead.counters["invalid_status_updates"] += 1
            log.warning("Ignoring status update from unknown agent %s", sender)
            return
        framework_id = update["framework_id"]["value"]
        framework = lead.frameworks.get(framework_id)
        valid = framework is not None and framework.connected
        if framework is not None and valid:
            self.forward(framework, made)
        task = agent.task(framework_id, made["task_id"]["value"])
        if task is None:
            lead.counters["invalid_status_updates"] += 1
            log.warning("Could not lookup task for status update from agent %s", agent)
            return
        self.apply(task, made, update.get("latest_state"))
        lead.counters["valid_status_updates" if valid else "invalid_status_updates"] += 1

    def forward(self, framework: Framework, made: Json) -> None:
        """Tell the framework; a status with an id is to be acknowledged."""
        if "uuid" in made:
            task = framework.tasks.get(made["task_id"]["value"])
            if task is not None:
                task.update_state, task.update_uuid = made["state"], made["uuid"]
        framework.send({"type": "UPDATE", "update": {"status": made}})

    def apply(self, task: Task, made: Json, latest: str | None = None) -> None:
        """Enter a status into the books; resources of a task that has ended are free."""
        lead = self._lead
        state = latest or made["state"]
        ended = not task.terminal and task.state not in _NOT_RUNNING
        if not task.terminal:
            task.state = state
        else:
            ended = False
        ended = ended and (is_terminal(state) or state in _NOT_RUNNING)
        news = made.get("reason") in _CHECKED
        # The newest of each state is kept; a learner's health checks would fill the list.
        statuses = task.statuses
        kept = {key: value for key, value in made.items() if key != "data"} if "data" in made else made
        if statuses and statuses[-1]["state"] == made["state"]:
            task.statuses = [*statuses[:-1], kept]
        else:
            task.statuses = [*statuses, kept]
            news = True
        if news and lead.subscribers:
            lead.subscribers.task_updated(task, kept)
        if not ended:
            return
        self.free(task)
        lead.count_state(made["state"])

    def free(self, task: Task) -> None:
        """Its resources are nobody's any more."""
        lead = self._lead
        lead.allocator.recover(task.framework_id, task.agent_id, task.role, task.resources)
        agent = lead.agents.get(task.agent_id)
        if agent is not None:
            agent.give_back(task.framework_id, task.resources)

    def remove(self, task: Task, *, unreachable: bool = False) -> None:
        """Take a task out of the books of those that are there; what has ended is kept to be looked at."""
        lead = self._lead
        if not task.terminal and task.state not in _NOT_RUNNING:
            self.free(task)
        framework = lead.frameworks.get(task.framework_id)
        if framework is not None and framework.tasks.pop(task.id, None) is not None:
            if unreachable:
                framework.unreachable[task.id] = task
                while len(framework.unreachable) > lead.options_max_unreachable:
                    framework.unreachable.popitem(last=False)
            else:
                framework.completed.append(task)
        agent = lead.agents.get(task.agent_id)
        if agent is not None:
            of_framework = agent.tasks.get(task.framework_id)
            if of_framework is not None and of_framework.pop(task.id, None) is not None and not of_framework:
                del agent.tasks[task.framework_id]
            agent.killed.discard((task.framework_id, task.id))

    # -- from the framework

    def acknowledge(self, framework: Framework, call: Json) -> None:
        """ACKNOWLEDGE: passed on to the agent, which may send the next update then."""
        lead = self._lead
        agent_id, task_id, uuid = text(call.get("agent_id")), text(call.get("task_id")), call["uuid"]
        agent = lead.agents.get(agent_id)
        if agent is None or not agent.connected:
            lead.counters["invalid_status_update_acknowledgements"] += 1
            return
        task = agent.task(framework.id, task_id)
        if task is not None:
            if task.update_state is None:
                log.warning("Ignoring acknowledgement of %s: the update was not sent by this master", task_id)
                lead.counters["invalid_status_update_acknowledgements"] += 1
                return
            if is_terminal(task.update_state) and task.update_uuid == uuid:
                self.remove(task)
        lead.send(
            agent.pid,
            "StatusUpdateAcknowledgementMessage",
            {
                "agent_id": call["agent_id"],
                "framework_id": framework.info["id"],
                "task_id": call["task_id"],
                "uuid": uuid,
            },
        )
        lead.counters["valid_status_update_acknowledgements"] += 1

    def kill(self, framework: Framework, call: Json) -> None:
        """KILL: told to the agent, again when it comes back; a task that nobody knows is reconciled."""
        lead = self._lead
        task_id, agent_id = text(call.get("task_id")), text(call.get("agent_id"))
        task = framework.tasks.get(task_id)
        if task is None:
            log.warning("Cannot kill task %s of framework %s because it is unknown", task_id, framework)
            asked: Json = {"task_id": {"value": task_id}}
            if agent_id:
                asked["agent_id"] = {"value": agent_id}
            self.reconcile(framework, {"tasks": [asked]})
            return
        if agent_id and agent_id != task.agent_id:
            log.warning("Cannot kill task %s: it belongs to different agent %s", task_id, task.agent_id)
            return
        agent = lead.agents[task.agent_id]
        agent.killed.add((framework.id, task.id))
        if agent.connected:
            body: Json = {"framework_id": framework.info["id"], "task_id": {"value": task.id}}
            if call.get("kill_policy") is not None:
                body["kill_policy"] = call["kill_policy"]
            lead.send(agent.pid, "KillTaskMessage", body)

    def reconcile(self, framework: Framework, call: Json) -> None:
        """RECONCILE: of each task asked for the state that is known, or of all tasks when none is named."""
        asked = call.get("tasks") or []
        if not asked:
            for task in list(framework.tasks.values()):
                self._say(framework, self._latest(task))
            return
        for one in asked:
            made = self._explicit(framework, text(one.get("task_id")), text(one.get("agent_id")))
            if made is not None:
                self._say(framework, made)

    def _say(self, framework: Framework, made: Json) -> None:
        framework.send({"type": "UPDATE", "update": {"status": made}})

    def _latest(self, task: Task) -> Json:
        return self.master_status(
            task,
            task.known_state,
            "REASON_RECONCILIATION",
            "Reconciliation: Latest task state",
            healthy=task.healthy,
            check_status=task.check_status,
            container_status=task.container_status,
        )

    def _explicit(self, framework: Framework, task_id: str, agent_id: str) -> Json | None:
        """None: nothing can be said until the agents that were there before this master have come back."""
        agents = self._lead.agents
        task = framework.tasks.get(task_id)
        if task is not None:
            return self._latest(task)
        if agent_id in agents.recovered if agent_id else agents.recovered:
            return None
        more: Json = {}
        if agent_id and agent_id in agents:
            state, message = "TASK_GONE", "Reconciliation: Task is unknown to the agent"
        elif agent_id and agent_id in agents.unreachable:
            state, message = "TASK_UNREACHABLE", "Reconciliation: Task is unreachable"
            more["unreachable_time"] = {"nanoseconds": int(agents.unreachable[agent_id] * 1e9)}
        elif agent_id and agent_id in agents.gone:
            state, message = "TASK_GONE_BY_OPERATOR", "Reconciliation: Task is gone"
        else:
            state, message = "TASK_UNKNOWN", "Reconciliation: Task is unknown"
        return status(
            task_id,
            state if framework.partition_aware else "TASK_LOST",
            now=self._lead.clock.time(),
            source="SOURCE_MASTER",
            message=message,
            reason="REASON_RECONCILIATION",
            agent_id=agent_id,
            **more,
        )

    # -- what the master says of a task by itself

    def master_status(self, task: Task, state: str, reason: str, message: str, **more: Any) -> Json:
        """A status of which the master is the source: nobody acknowledges it."""
        return status(
            task.id,
            state,
            now=self._lead.clock.time(),
            source="SOURCE_MASTER",
            message=message,
            reason=reason,
            agent_id=task.agent_id,
            executor_id=task.executor_id,
            **more,
        )

    def lost(
        self, task: Task, state: str, reason: str, message: str, *, unreachable: bool = False, **more: Any
    ) -> None:
        """The master gives a task up: into the books, and to its framework if that is connected."""
        made = self.master_status(task, state, reason, message, **more)
        self.apply(task, made)
        self.remove(task, unreachable=unreachable)
        framework = self._lead.frameworks.get(task.framework_id)
        if framework is not None and framework.connected:
            self.forward(framework, made)

    # -- executors

    def executor_exited(self, sender: Pid, body: Json) -> None:
        """ExitedExecutorMessage: only custom executors are known to a master."""
        lead = self._lead
        agent = lead.agents.get(text(body.get("agent_id")))
        framework_id, executor_id = text(body.get("framework_id")), text(body.get("executor_id"))
        if agent is None or executor_id not in agent.executors.get(framework_id, {}):
            return
        self.remove_executor(agent, framework_id, executor_id)
        framework = lead.frameworks.get(framework_id)
        if framework is not None and framework.connected:
            failure = {
                "agent_id": body["agent_id"],
                "executor_id": body["executor_id"],
                "status": body.get("status", 0),
            }
            framework.send({"type": "FAILURE", "failure": failure})

    def remove_executor(self, agent: Agent, framework_id: str, executor_id: str) -> None:
        """An executor has ended: what it used itself is free."""
        info = agent.executors[framework_id].pop(executor_id)
        if not agent.executors[framework_id]:
            del agent.executors[framework_id]
        framework = self._lead.frameworks.get(framework_id)
        role = "*"
        if framework is not None:
            role = framework.roles[0] if framework.roles else "*"
            framework.executors.get(agent.id, {}).pop(executor_id, None)
        resources = Resources.of(info.get("resources") or ())
        if resources:
            agent.give_back(framework_id, resources)
            self._lead.allocator.recover(framework_id, agent.id, role, resources)

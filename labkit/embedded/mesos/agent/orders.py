"""What the master orders: tasks to run and to kill, frameworks to end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from labkit.embedded.mesos.agent import sandbox, statuses
from labkit.embedded.mesos.agent.containers import is_image
from labkit.embedded.mesos.agent.executor import Executor, grace_of
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.ledger import Ledger
from labkit.embedded.mesos.agent.records import Framework, Json, Run
from labkit.embedded.mesos.agent.registration import Registration
from labkit.embedded.mesos.agent.reporting import Reports
from labkit.embedded.mesos.agent.tally import Tally
from labkit.embedded.mesos.agent.work import LAUNCH_FAILED, Work
from labkit.embedded.mesos.libprocess import Pid

log = logging.getLogger(__name__)

NO_EXECUTORS = (
    "Failed to launch container: the embedded agent runs commands and container images; "
    "executors of one's own (TaskInfo.executor) are not simulated"
)


class Orders:
    """Carries out the messages of the leading master. ``agent_id()`` is the id that the agent has now."""

    def __init__(
        self,
        me: Pid,
        host: Host,
        ledger: Ledger,
        reports: Reports,
        registration: Registration,
        tally: Tally,
        agent_id: Callable[[], str],
    ) -> None:
        self._me = me
        self._host = host
        self._options = host.options
        self._ledger = ledger
        self._reports = reports
        self._registration = registration
        self._tally = tally
        self._agent_id = agent_id
        self.handlers: Mapping[str, Callable[[Pid, Json], object]] = {
            "RunTaskMessage": self._run_task,
            "RunTaskGroupMessage": self._run_group,
            "KillTaskMessage": self._kill_task,
            "StatusUpdateAcknowledgementMessage": self._acknowledged,
            "ShutdownFrameworkMessage": self._shut_down_framework,
            "ShutdownExecutorMessage": self._shut_down_executor,
            "UpdateFrameworkMessage": self._update_framework,
        }

    # -- tasks

    def _run_task(self, sender: Pid, body: Json) -> None:
        if sender != self._registration.master:
            log.warning("%s: RunTaskMessage of %s, which does not lead", self._me, sender)
            return
        framework = self._ledger.framework(body["framework"], body.get("pid") or "")
        self._launch(framework, body["task"])

    def _run_group(self, sender: Pid, body: Json) -> None:
        """Pods: not simulated, and said of every task."""
        framework = self._ledger.framework(body["framework"], body.get("pid") or "")
        for task in (body.get("task_group") or {}).get("tasks") or ():
            self._launch(framework, {**task, "executor": body.get("executor") or {}})

    def _launch(self, framework: Framework, task: Json) -> None:
        task_id = task["task_id"]["value"]
        if task_id in framework.runs:
            log.warning("%s: task %s is here already", self._me, task_id)
            return
        container_id = self._host.new_uuid()
        run = Run(framework.id, task, container_id, "", "image" if is_image(task) else "process")
        run.checkpoint = framework.checkpoint
        run.launched = self._host.clock.time()
        framework.runs[task_id] = run
        self._tally.launched += 1
        try:
            run.directory = sandbox.run_path(
                self._options.work_dir, self._agent_id(), framework.id, task_id, container_id
            )
        except sandbox.BadName as error:
            self._reports.report(
                run, "TASK_ERROR", source=statuses.AGENT, reason="REASON_TASK_INVALID", message=str(error)
            )
            return
        self._ledger.keep_run(run)
        if "executor" in task:
            self._reports.report(run, "TASK_FAILED", source=statuses.AGENT, reason=LAUNCH_FAILED, message=NO_EXECUTORS)
            return
        run.executor = Executor(self._host, run, self._work(run), self._reports.report)
        run.executor.begin()

    def _work(self, run: Run) -> Work:
        if run.kind == "image":
            from labkit.embedded.mesos.agent.image import ImageWork

            return ImageWork(self._host, run)
        from labkit.embedded.mesos.agent.command import Command

        return Command(self._host, run, self._agent_id(), str(self._me))

    def _kill_task(self, sender: Pid, body: Json) -> None:
        framework_id, task_id = body["framework_id"]["value"], body["task_id"]["value"]
        framework = self._ledger.frameworks.get(framework_id)
        run = framework.runs.get(task_id) if framework is not None else None
        if framework is None or run is None:
            self._reports.unknown(
                framework_id,
                task_id,
                "TASK_DROPPED" if framework is not None and framework.can("PARTITION_AWARE") else "TASK_LOST",
                "REASON_EXECUTOR_TERMINATED",
                "Cannot find executor",
            )
        elif run.executor is not None:
            run.executor.kill(grace_of(body.get("kill_policy")), tell=framework.can("TASK_KILLING_STATE"))

    def _acknowledged(self, sender: Pid, body: Json) -> None:
        self._reports.updates.acknowledge(body["framework_id"]["value"], body["task_id"]["value"], body["uuid"])

    def reconcile(self, body: Json) -> None:
        """The master knows of tasks that this agent has never got: the messages were lost on the way."""
        framework_id = body["framework_id"]["value"]
        framework = self._ledger.frameworks.get(framework_id)
        for known in body.get("statuses") or ():
            task_id = known["task_id"]["value"]
            if framework is not None and task_id in framework.runs:
                continue
            aware = framework is not None and framework.can("PARTITION_AWARE")
            self._reports.unknown(
                framework_id,
                task_id,
                "TASK_DROPPED" if aware else "TASK_LOST",
                "REASON_RECONCILIATION",
                "Task is unknown to the agent",
            )

    # -- frameworks

    def _update_framework(self, sender: Pid, body: Json) -> None:
        """It has failed over, or says something else of itself."""
        framework = self._ledger.frameworks.get(body["framework_id"]["value"])
        if framework is None:
            return
        if body.get("framework_info"):
            framework.info = body["framework_info"]
        framework.pid = body.get("pid") or framework.pid
        self._ledger.keep_framework(framework)

    def _shut_down_framework(self, sender: Pid, body: Json) -> None:
        """It is gone for good: its executors end, and nobody asks what became of the tasks."""
        framework = self._ledger.frameworks.get(body["framework_id"]["value"])
        if framework is None:
            return
        framework.terminating = True
        for run in list(framework.runs.values()):
            self._reports.updates.forget(run)
            if run.executor is None or run.executor.over:
                self._ledger.finish(framework, run)
            else:
                run.executor.kill(self._options.executor_shutdown_grace)
        self._ledger.complete(framework)

    def _shut_down_executor(self, sender: Pid, body: Json) -> None:
        framework = self._ledger.frameworks.get(body["framework_id"]["value"])
        run = framework.runs.get(body["executor_id"]["value"]) if framework is not None else None
        if run is not None and run.executor is not None:
            run.executor.kill(self._options.executor_shutdown_grace)

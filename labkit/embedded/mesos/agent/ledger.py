"""What an agent knows of frameworks and tasks, and keeps on disk as far as they asked for it (``checkpoint``)."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.mesos.agent.records import Framework, Json, Run
from labkit.embedded.mesos.agent.watcher import end_leftover
from labkit.embedded.runtime.keeper import Keeper
from labkit.embedded.runtime.storage import Storage

AGENT, FRAMEWORK, TASK, STREAM = "mesos-agent", "mesos-framework", "mesos-task", "mesos-stream"
MAX_COMPLETED = 50  # frameworks that are over and still shown

# What a Task of ``mesos.proto`` has from its TaskInfo as it is.
_SAME = ("labels", "discovery", "container", "health_check", "check", "kill_policy", "max_completion_time")


class Ledger:
    """Frameworks and tasks of one agent, those that are over too."""

    def __init__(
        self, storage: Storage | None, machine: str, max_completed: int, collect: Callable[[Run], object]
    ) -> None:
        """``collect`` gets the tasks that are forgotten for good."""
        self.frameworks: dict[str, Framework] = {}
        self.completed: dict[str, Framework] = {}
        self._max_completed = max_completed
        self._collect = collect
        self._keeper = Keeper(storage, machine) if storage is not None else None
        self._restored = False

    def runs(self) -> list[Run]:
        """The tasks it has, also those whose end is not acknowledged yet."""
        return [run for framework in self.frameworks.values() for run in framework.runs.values()]

    def shown(self) -> list[Run]:
        """All tasks that somebody can look at: those that are over, too."""
        over = [run for known in (self.frameworks, self.completed) for one in known.values() for run in one.completed]
        return [*self.runs(), *over]

    def find(self, framework_id: str, task_id: str) -> Run | None:
        """A task that is not history yet."""
        framework = self.frameworks.get(framework_id)
        return None if framework is None else framework.runs.get(task_id)

    # frameworks -------------------------------------------------------------------------------------------------

    def framework(self, info: Json, pid: str) -> Framework:
        """The framework, made known if it is not."""
        framework = self.frameworks.get(info["id"]["value"])
        if framework is None:
            framework = Framework(info, pid)
            before = self.completed.pop(framework.id, None)
            if before is not None:
                framework.completed = before.completed
            self.frameworks[framework.id] = framework
            self.keep_framework(framework)
        return framework

    def complete(self, framework: Framework) -> None:
        """One without tasks is remembered among those that are over."""
        if framework.runs:
            return
        self.frameworks.pop(framework.id, None)
        self.completed[framework.id] = framework
        if len(self.completed) > MAX_COMPLETED:
            for run in self.completed.pop(next(iter(self.completed))).completed:
                self._collect(run)
        if self._keeper is not None:
            self._keeper.delete(FRAMEWORK, framework.id)

    # tasks ------------------------------------------------------------------------------------------------------

    def finish(self, framework: Framework, run: Run) -> None:
        """A task has ended and the master knows: it is history."""
        self.drop(run)
        framework.completed.append(run)
        while len(framework.completed) > self._max_completed:
            self._collect(framework.completed.popleft())
        self.complete(framework)

    def drop(self, run: Run) -> None:
        """Forget a task."""
        framework = self.frameworks.get(run.framework_id)
        if framework is not None:
            framework.runs.pop(run.task_id, None)
        if self._keeper is not None and run.checkpoint:
            key = _key(run)
            self._keeper.delete(TASK, key)
            self._keeper.delete(STREAM, key)

    # on disk ----------------------------------------------------------------------------------------------------

    def keep_id(self, agent_id: str) -> None:
        """Under which id it is registered; "": it comes back as a new one."""
        if self._keeper is not None:
            if agent_id:
                self._keeper.put(AGENT, "agent", lambda: {"id": agent_id})
            else:
                self._keeper.delete(AGENT, "agent")

    def keep_framework(self, framework: Framework) -> None:
        """Write down what has changed of a framework, if it asked for that."""
        if self._keeper is not None and framework.checkpoint:
            self._keeper.put(FRAMEWORK, framework.id, framework.row)

    def keep_run(self, run: Run) -> None:
        """Write down a new task, if its framework asked for that."""
        if self._keeper is not None and run.checkpoint:
            self._keeper.put(TASK, _key(run), run.row)

    def keep_stream(self, run: Run) -> None:
        """Write down what has become of a task, and its updates that nobody has acknowledged."""
        if self._keeper is not None and run.checkpoint:
            self._keeper.put(STREAM, _key(run), run.stream_row)

    def flush(self) -> None:
        """Have all of it on disk now."""
        if self._keeper is not None:
            self._keeper.flush()

    def forget(self) -> None:
        """The machine's memory is gone: what is on disk is read again."""
        self._restored = False

    def restore(self, adopt: Callable[[Run], object]) -> str | None:
        """Read what is on disk, if it has not been: the agent's id, None when there was nothing to do.

        ``adopt`` gets each task with its updates. Processes that an earlier engine has left behind are ended.
        """
        if self._restored:
            return None
        self._restored = True
        if self._keeper is None:
            for run in self.runs():
                run.executor = None
            return None
        self._keeper.flush()
        before, self.frameworks = self.frameworks, {}
        for row in self._keeper.all(FRAMEWORK).values():
            framework = Framework(row["info"], row["pid"])
            self.frameworks[framework.id] = framework
            if framework.id in before:  # the machine lost its power; what is over is still on its disk
                framework.completed = before[framework.id].completed
        streams = self._keeper.all(STREAM)
        for key, row in self._keeper.all(TASK).items():
            owner = self.frameworks.get(row["framework_id"])
            if owner is None:
                self._keeper.delete(TASK, key)
                continue
            run = Run.of(row, streams.get(key))
            owner.runs[run.task_id] = run
            adopt(run)
            if not run.ended and run.group:
                end_leftover(run.group, run.started)
        return str((self._keeper.get(AGENT, "agent") or {}).get("id", ""))


def task_json(run: Run, agent_id: str) -> Json:
    """A run as the Task of ``mesos.proto``."""
    info = run.task
    made: Json = {
        "name": info.get("name", ""),
        "task_id": info["task_id"],
        "framework_id": {"value": run.framework_id},
        "agent_id": {"value": agent_id},
        "state": run.state,
        "resources": info.get("resources") or [],
        "statuses": run.statuses,
    }
    told = run.waiting[0]["status"] if run.waiting else run.acknowledged
    if told is not None:
        made["status_update_state"], made["status_update_uuid"] = told["state"], told["uuid"]
    if (info.get("command") or {}).get("user"):
        made["user"] = info["command"]["user"]
    for key in _SAME:
        if key in info:
            made[key] = info[key]
    return made


def _key(run: Run) -> str:
    return f"{run.framework_id}/{run.task_id}"

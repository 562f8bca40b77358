"""The executor of one task: it prepares, starts, checks and ends it, and reports each step.

What ``src/launcher/executor.cpp`` (the command executor) and ``src/docker/executor.cpp`` do. It lives beside the agent:
while that is stopped, it goes on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from labkit.embedded.mesos.agent import statuses
from labkit.embedded.mesos.agent.checking import watch_check, watch_health
from labkit.embedded.mesos.agent.checks import CHECK_UPDATED, HEALTH_UPDATED, Rule, Verdict, nothing_yet
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.records import Run
from labkit.embedded.mesos.agent.work import LaunchError, Work
from labkit.embedded.runtime.clock import Timer
from labkit.embedded.runtime.gates import Held
from labkit.embedded.runtime.signals import SIGKILL

log = logging.getLogger(__name__)

Json = dict[str, Any]

GRACE = 3.0  # seconds between asking a task to end and SIGKILL, when its kill policy says nothing
KILLED_EARLY = "REASON_TASK_KILLED_DURING_LAUNCH"
MAX_TIME = "REASON_MAX_COMPLETION_TIME_REACHED"
NANO = 1e9


class Report(Protocol):
    """Who hears of a task's state."""

    def __call__(
        self,
        run: Run,
        state: str,
        *,
        source: str = statuses.EXECUTOR,
        reason: str = "",
        message: str = "",
        healthy: bool | None = None,
        check: Json | None = None,
        data: str = "",
        labels: Json | None = None,
    ) -> None: ...


class Executor:
    """Runs one task."""

    __slots__ = (
        "_checks", "_grace", "_healthy", "_host", "_kill_timer", "_killing", "_over", "_report", "_run", "_sick",
        "_since", "_started", "_status", "_time_timer", "_timed_out", "work",
    )  # fmt: skip

    def __init__(self, host: Host, run: Run, work: Work, report: Report) -> None:
        self.work = work
        self._host = host
        self._run = run
        self._report = report
        self._started = False
        self._over = False
        self._killing = False  # somebody wants it to end
        self._grace = GRACE
        self._sick = False  # its health checks do
        self._timed_out = False
        self._healthy: bool | None = None
        self._status: Json | None = None  # of the general check
        self._since = 0.0
        self._kill_timer: Timer | None = None
        self._time_timer: Timer | None = None
        self._checks: list[asyncio.Task[None]] | None = None

    @property
    def over(self) -> bool:
        """Has the task ended, or been given up?"""
        return self._over

    def begin(self) -> None:
        """Launch the task; what becomes of it is reported."""
        self._host.chores.start(self._held())

    async def _held(self) -> None:
        await Held(self._launch(), self._host.gate)

    async def _launch(self) -> None:
        run = self._run
        try:
            await self.work.prepare()
            if self._killing:
                self._finish("TASK_KILLED", reason=KILLED_EARLY, message="Command killed before it was started")
                return
            if self._over:
                return
            self._report(run, "TASK_STARTING")
            self._since = self._host.clock.time()
            await self.work.start(self._ended)
        except LaunchError as error:
            self._finish("TASK_FAILED", source=error.source, reason=error.reason, message=str(error))
            return
        except Exception as error:
            log.exception("task %s could not be started", run.task_id)
            self._finish("TASK_FAILED", reason="REASON_EXECUTOR_TERMINATED", message=f"Failed to launch: {error}")
            return
        if self._over:  # it was short
            return
        self._started = True
        data, labels = self.work.describe()
        check = Rule.of(run.task.get("check"))
        if check is not None:
            self._status = nothing_yet(check)
        self._report(run, "TASK_RUNNING", check=self._status, data=data, labels=labels)
        self._watch(check)
        if self._killing:
            self._terminate()

    def _watch(self, check: Rule | None) -> None:
        """Begin the checks, and the time that it may take."""
        task, chores = self._run.task, self._host.chores
        limit = (task.get("max_completion_time") or {}).get("nanoseconds")
        if limit is not None:
            self._time_timer = self._host.clock.call_later(int(limit) / NANO, self._too_long)
        health = Rule.of(task.get("health_check"))
        if health is not None:
            work = watch_health(self._host, self.work, health, self._since, self._judged)
            self._checks = [chores.start(work)]
        if check is not None:
            self._checks = [*(self._checks or ()), chores.start(watch_check(self._host, self.work, check, self._seen))]

    # what happens to it -----------------------------------------------------------------------------------------

    def kill(self, grace: float | None = None, *, tell: bool = False) -> None:
        """End the task: ask it, and insist after ``grace`` sandbox seconds (None: as its kill policy says).

        ``tell`` has TASK_KILLING reported, for a framework that knows that state. Done again with a shorter grace, it
        ends sooner.
        """
        if self._over:
            return
        if grace is None:
            grace = grace_of(self._run.task.get("kill_policy"))
        self._grace = GRACE if grace is None else max(0.0, grace)
        if self._killing:
            if self._kill_timer is not None:
                self._kill_timer.cancel()
                self._kill_timer = self._host.clock.call_later(self._grace, self._insist)
            return
        self._killing = True
        if self._started:
            if tell:
                self._report(self._run, "TASK_KILLING", healthy=self._healthy)
            self._terminate()

    def _terminate(self) -> None:
        self.work.terminate()
        if not self._over:
            self._kill_timer = self._host.clock.call_later(self._grace, self._insist)

    def _insist(self) -> None:
        if self._host.gate.closed:
            self._host.chores.start(self._after_thaw(self._insist))
            return
        if not self._over:
            self.work.signal(SIGKILL)

    def _too_long(self) -> None:
        if not self._over and not self._killing:
            self._timed_out = True
            self._grace = GRACE
            self._killing = True
            self._terminate()

    def discard(self) -> None:
        """The machine has lost its power: it is gone, and nobody is told."""
        self._stop()
        self.work.discard()

    def _ended(self, code: int) -> None:
        if self._over:
            return
        if self._host.gate.closed:
            self._host.chores.start(self._after_thaw(lambda: self._ended(code)))
            return
        reason, message = self.work.end_words(code)
        if self._timed_out:
            self._finish("TASK_FAILED", reason=MAX_TIME, message=message)
            return
        state = statuses.outcome(code, self._killing)
        source = statuses.AGENT if reason else statuses.EXECUTOR
        self._finish(state, source=source, reason=reason, message=message, healthy=False if self._sick else None)

    async def _after_thaw(self, then: Any) -> None:
        await self._host.gate.wait()
        then()

    def _finish(self, state: str, **given: Any) -> None:
        if not self._over:
            self._stop()
            self._report(self._run, state, **given)

    def _stop(self) -> None:
        self._over = True
        for timer in (self._kill_timer, self._time_timer):
            if timer is not None:
                timer.cancel()
        self._kill_timer = self._time_timer = None
        for check in self._checks or ():
            check.cancel()
        self._checks = None

    # checks -----------------------------------------------------------------------------------------------------

    def _judged(self, verdict: Verdict) -> None:
        if self._over or self._killing:
            return
        self._healthy = verdict.healthy
        self._report(self._run, "TASK_RUNNING", reason=HEALTH_UPDATED, healthy=verdict.healthy, check=self._status)
        if verdict.kill:
            self._sick = True
            self.kill()

    def _seen(self, status: Json) -> None:
        if not self._over and not self._killing:
            self._status = status
            self._report(self._run, "TASK_RUNNING", reason=CHECK_UPDATED, healthy=self._healthy, check=status)


def grace_of(policy: Json | None) -> float | None:
    """Seconds of a KillPolicy; None when it says nothing."""
    period = (policy or {}).get("grace_period")
    return None if period is None else int(period.get("nanoseconds", 0)) / NANO

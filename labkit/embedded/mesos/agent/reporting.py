"""How an agent tells of its tasks: statuses are made, kept until the master has them, and sent."""

from __future__ import annotations

import random
from collections.abc import Callable

from labkit.embedded.mesos.agent import statuses
from labkit.embedded.mesos.agent.ledger import Ledger
from labkit.embedded.mesos.agent.records import Json, Run
from labkit.embedded.mesos.agent.registration import Registration
from labkit.embedded.mesos.agent.tally import Tally
from labkit.embedded.mesos.agent.updates import Updates
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.runtime.clock import Clock


class Reports:
    """The statuses of one agent's tasks. ``agent_id()`` is the id that it has now."""

    def __init__(
        self,
        me: Pid,
        post: Post,
        clock: Clock,
        rng: random.Random,
        ledger: Ledger,
        registration: Registration,
        tally: Tally,
        agent_id: Callable[[], str],
    ) -> None:
        self.updates = Updates(clock, self._forward, ledger.keep_stream, self._done)
        self._me = me
        self._post = post
        self._clock = clock
        self._rng = rng
        self._ledger = ledger
        self._registration = registration
        self._tally = tally
        self._agent_id = agent_id

    def report(
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
    ) -> None:
        """A task is in another state, or there is something new to say of it."""
        work = run.executor.work if run.executor is not None else None
        made = statuses.status(
            run.task_id,
            state,
            agent_id=self._agent_id(),
            now=self._clock.time(),
            uuid=statuses.new_uuid(self._rng),
            source=source,
            reason=reason,
            message=message,
            healthy=healthy,
            check=check,
            container=work.container_status() if work is not None else None,
            data=data,
            labels=labels,
        )
        run.state = state
        run.statuses = statuses.remember(run.statuses, made)
        framework = self._ledger.frameworks.get(run.framework_id)
        if run.ended:
            self._tally.count(state)
        if framework is None:
            return
        if framework.terminating:
            if run.ended:
                self._ledger.finish(framework, run)
            return
        self.updates.add(run, statuses.update(run.framework_id, made))

    def _forward(self, run: Run, update: Json) -> None:
        self._send({**update, "latest_state": run.state})

    def _send(self, update: Json) -> None:
        if self._registration.master is not None:
            self._tally.updates += 1
            body = {"update": update, "pid": str(self._me)}
            self._post.send(self._me, self._registration.master, "StatusUpdateMessage", body)

    def _done(self, run: Run) -> None:
        framework = self._ledger.frameworks.get(run.framework_id)
        if framework is not None:
            self._ledger.finish(framework, run)

    def unknown(self, framework_id: str, task_id: str, state: str, reason: str, message: str) -> None:
        """A status of a task that is not here. It is sent once: nobody has to keep what is not there."""
        made = statuses.status(
            task_id,
            state,
            agent_id=self._agent_id(),
            now=self._clock.time(),
            uuid=statuses.new_uuid(self._rng),
            source=statuses.AGENT,
            reason=reason,
            message=message,
        )
        self._send(statuses.update(framework_id, made))

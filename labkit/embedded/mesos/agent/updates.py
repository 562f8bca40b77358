"""Status updates that arrive: one unacknowledged at a time of each task, sent again until the master has it.

As ``src/status_update_manager`` and ``src/slave/task_status_update_manager.cpp`` have it: 10 s, then twice as long each
time, up to 10 minutes; nothing is sent while no master knows this agent, and at once when one does again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from labkit.embedded.mesos.agent.records import Run
from labkit.embedded.mesos.tasks import is_terminal
from labkit.embedded.runtime.clock import Clock

Json = dict[str, Any]

RETRY_MIN, RETRY_MAX = 10.0, 600.0


class Updates:
    """The streams of one agent's tasks.

    ``send`` puts an update on the wire, ``kept`` is called when a stream has changed, ``done`` when the master has
    acknowledged a task's end.
    """

    def __init__(
        self,
        clock: Clock,
        send: Callable[[Run, Json], object],
        kept: Callable[[Run], object],
        done: Callable[[Run], object],
    ) -> None:
        self._clock = clock
        self._send = send
        self._kept = kept
        self._done = done
        self._paused = True
        self._streams: dict[tuple[str, str], Run] = {}

    def __len__(self) -> int:
        """How many tasks have an update that is not acknowledged."""
        return len(self._streams)

    def get(self, framework_id: str, task_id: str) -> Run | None:
        """The task whose stream this is, while something of it is not acknowledged."""
        return self._streams.get((framework_id, task_id))

    def add(self, run: Run, update: Json) -> None:
        """A new update of a task."""
        if run.waiting is None:
            run.waiting = deque()
            self._streams[run.framework_id, run.task_id] = run
        run.waiting.append(update)
        self._kept(run)
        if len(run.waiting) == 1:
            self._forward(run, RETRY_MIN)

    def adopt(self, run: Run) -> None:
        """The stream of a task that was recovered."""
        if run.waiting:
            self._streams[run.framework_id, run.task_id] = run

    def acknowledge(self, framework_id: str, task_id: str, uuid: str) -> bool:
        """The master has it. False when it was not what is waited for (one that was sent twice)."""
        run = self._streams.get((framework_id, task_id))
        if run is None or not run.waiting or run.waiting[0]["uuid"] != uuid:
            return False
        taken = run.waiting.popleft()
        self._stop(run)
        run.acknowledged = {"state": taken["status"]["state"], "uuid": uuid}
        if run.waiting:
            self._forward(run, RETRY_MIN)
        else:
            run.waiting = None
            del self._streams[framework_id, task_id]
        if is_terminal(taken["status"]["state"]):
            self.forget(run)
            self._done(run)
        else:
            self._kept(run)
        return True

    def forget(self, run: Run) -> None:
        """Nobody wants to know any more."""
        self._stop(run)
        run.waiting = None
        self._streams.pop((run.framework_id, run.task_id), None)

    def pause(self) -> None:
        """No master knows this agent."""
        self._paused = True
        for run in self._streams.values():
            self._stop(run)

    def resume(self) -> None:
        """One does: whatever is first in a stream is sent now."""
        self._paused = False
        for run in self._streams.values():
            self._stop(run)
            self._forward(run, RETRY_MIN)

    def _forward(self, run: Run, interval: float) -> None:
        if self._paused or not run.waiting:
            return
        run.interval = interval
        self._send(run, run.waiting[0])
        run.retry = self._clock.call_later(interval, self._again, run)

    def _again(self, run: Run) -> None:
        self._forward(run, min(run.interval * 2, RETRY_MAX))

    def _stop(self, run: Run) -> None:
        if run.retry is not None:
            run.retry.cancel()
            run.retry = None

"""The operators' event stream (``SUBSCRIBE`` of ``/api/v1``): who is added, updated and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import ids
from labkit.embedded.mesos.master import views
from labkit.embedded.mesos.master.model import Agent, Framework, Task
from labkit.embedded.mesos.master.subscription import Subscription

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

Json = dict[str, Any]

MOST = 1000  # --max_operator_event_stream_subscribers


class Subscribers:
    """Truth value: is there anybody? Whoever would make an event asks first."""

    def __init__(self, lead: Leadership) -> None:
        self._lead = lead
        self._lines: dict[Subscription, None] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def subscribe(self) -> Subscription:
        """A new stream: the whole state first, then what changes, and a heartbeat in between."""
        line = Subscription(ids.new_uuid(self._lead.rng), self._gone)
        while len(self._lines) >= MOST:
            oldest = next(iter(self._lines))
            del self._lines[oldest]
            oldest.close()
        self._lines[line] = None
        interval = self._lead.options.heartbeat_interval
        line.send(
            {
                "type": "SUBSCRIBED",
                "subscribed": {"get_state": views.get_state(self._lead), "heartbeat_interval_seconds": interval},
            }
        )
        self._beat(line)
        return line

    def _gone(self, line: Subscription) -> None:
        self._lines.pop(line, None)

    def _beat(self, line: Subscription) -> None:
        if line.open and self._lead.alive:
            line.send({"type": "HEARTBEAT"})
            self._lead.clock.call_later(self._lead.options.heartbeat_interval, self._beat, line)

    def close(self) -> None:
        """Hang up on all of them."""
        lines, self._lines = list(self._lines), {}
        for line in lines:
            line.close()

    def _send(self, kind: str, body: Json) -> None:
        event = {"type": kind, kind.lower(): body}
        for line in list(self._lines):
            line.send(event)

    def task_added(self, task: Task) -> None:
        self._send("TASK_ADDED", {"task": task.json()})

    def task_updated(self, task: Task, status: Json) -> None:
        self._send(
            "TASK_UPDATED",
            {"framework_id": {"value": task.framework_id}, "status": status, "state": task.state},
        )

    def agent_added(self, agent: Agent) -> None:
        self._send("AGENT_ADDED", {"agent": views.agent(self._lead, agent)})

    def agent_removed(self, agent_id: str) -> None:
        self._send("AGENT_REMOVED", {"agent_id": {"value": agent_id}})

    def framework_added(self, framework: Framework) -> None:
        self._send("FRAMEWORK_ADDED", {"framework": views.framework(framework)})

    def framework_updated(self, framework: Framework) -> None:
        self._send("FRAMEWORK_UPDATED", {"framework": views.framework(framework)})

    def framework_removed(self, framework: Framework) -> None:
        self._send("FRAMEWORK_REMOVED", {"framework_info": framework.info})

"""Stand-ins for the parts of Mesos that a test does not want to run."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.resources import Resources

Json = dict[str, Any]


class FakeDriver:
    """A :class:`labkit.embedded.mesos.driver.SchedulerDriver` that records calls and lets a test play events."""

    def __init__(
        self,
        framework: Json | None = None,
        received: Callable[[Json], object] = lambda event: None,
        connected: Callable[[], object] = lambda: None,
        disconnected: Callable[[], object] = lambda: None,
    ) -> None:
        self.framework = framework or {}
        self.framework_id: str | None = self.framework.get("id", {}).get("value")
        self.leader: Json | None = None
        self.connected = False
        self.started = False
        self.torn_down = False
        self.calls: list[Json] = []
        self._received = received
        self._on_connected = connected
        self._on_disconnected = disconnected

    async def start(self) -> None:
        self.started = True

    async def stop(self, *, teardown: bool = False) -> None:
        self.started = False
        self.torn_down = self.torn_down or teardown
        self.disconnect()

    def call(self, call: Json) -> None:
        self.calls.append(call)

    # -- what a test does

    def subscribe(self, framework_id: str = "framework-0000") -> None:
        """The master lets the framework in."""
        self.framework_id = framework_id
        self.connected = True
        self.leader = {"id": "master", "hostname": "127.9.0.10", "port": 5050, "address": {"ip": "127.9.0.10"}}
        self._on_connected()
        self.play(
            {
                "type": "SUBSCRIBED",
                "subscribed": {
                    "framework_id": {"value": framework_id},
                    "heartbeat_interval_seconds": 15.0,
                    "master_info": self.leader,
                },
            }
        )

    def disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self.leader = None
            self._on_disconnected()

    def play(self, event: Json) -> None:
        """An event arrives."""
        self._received(event)

    def offer(self, *offers: Json) -> None:
        self.play({"type": "OFFERS", "offers": {"offers": list(offers)}})

    def update(self, status: Json) -> None:
        self.play({"type": "UPDATE", "update": {"status": status}})

    def taken(self, kind: str | None = None) -> list[Json]:
        """The calls so far (of one type), which are forgotten."""
        found = [call for call in self.calls if kind is None or call["type"] == kind]
        self.calls = [call for call in self.calls if call not in found]
        return found


class FakeAgent:
    """An agent that says what a test lets it say. It answers pings, and runs each task at once if ``obliging``."""

    def __init__(
        self,
        post: Post,
        machine: str,
        address: str,
        resources: str = "cpus:4;mem:4096;disk:10000;ports:[31000-31999]",
        *,
        obliging: bool = True,
    ) -> None:
        self.pid = Pid("slave(1)", machine, address, 5051)
        self.resources = Resources.parse(resources)
        self.obliging = obliging
        self.answering = True
        self.id = ""
        self.master: Pid | None = None
        self.heard: list[tuple[str, Json]] = []
        self.tasks: dict[str, Json] = {}  # Task, as it is told of on re-registration
        self.frameworks: dict[str, Json] = {}
        self.unacknowledged: set[str] = set()
        self._numbers = 0
        self._post = post
        post.register(self.pid, self)

    @property
    def info(self) -> Json:
        info: Json = {
            "hostname": self.pid.address,
            "port": 5051,
            "resources": self.resources.json(),
            "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "a"}}],
            "checkpoint": True,
        }
        if self.id:
            info["id"] = {"value": self.id}
        return info

    def register(self, master: Pid) -> None:
        """Say hello, or that it is back with its tasks."""
        self.master = master
        self._post.link(self.pid, master)
        body: Json = {"agent": self.info, "version": "1.11.0", "agent_capabilities": [{"type": "MULTI_ROLE"}]}
        if not self.id:
            self._say("RegisterSlaveMessage", body)
            return
        body |= {"tasks": list(self.tasks.values()), "frameworks": list(self.frameworks.values())}
        self._say("ReregisterSlaveMessage", body)

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        self.heard.append((message, body))
        if message in ("SlaveRegisteredMessage", "SlaveReregisteredMessage"):
            self.id = body["agent_id"]["value"]
        elif message == "PingSlaveMessage" and self.answering:
            self._post.send(self.pid, sender, "PongSlaveMessage", {})
        elif message == "RunTaskMessage":
            self._run(body)
        elif message == "KillTaskMessage" and self.obliging:
            self.update(body["task_id"]["value"], "TASK_KILLED")
        elif message == "StatusUpdateAcknowledgementMessage":
            self.unacknowledged.discard(body["uuid"])

    def exited(self, pid: Pid) -> None:
        self.master = None

    def _run(self, body: Json) -> None:
        task, framework_id = body["task"], body["framework_id"]
        self.frameworks[framework_id["value"]] = body["framework"]
        self.tasks[task["task_id"]["value"]] = {
            **{key: task[key] for key in ("name", "task_id", "agent_id", "resources", "labels") if key in task},
            "framework_id": framework_id,
            "state": "TASK_STAGING",
        }
        if self.obliging:
            self.update(task["task_id"]["value"], "TASK_RUNNING")

    def update(self, task_id: str, state: str, **more: Any) -> None:
        """Report a state; it is to be acknowledged."""
        self._numbers += 1
        uuid = base64.b64encode(self._numbers.to_bytes(16, "big")).decode()
        task = self.tasks[task_id]
        task["state"] = task["status_update_state"] = state
        task["status_update_uuid"] = uuid
        status = {
            "task_id": task["task_id"],
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "agent_id": {"value": self.id},
            "executor_id": task["task_id"],
            "timestamp": 1.0,
            "uuid": uuid,
            **more,
        }
        task["statuses"] = [*task.get("statuses", ()), status]
        self.unacknowledged.add(uuid)
        update = {
            "framework_id": task["framework_id"],
            "agent_id": {"value": self.id},
            "status": status,
            "timestamp": 1.0,
            "uuid": uuid,
            "latest_state": state,
        }
        self._say("StatusUpdateMessage", {"update": update, "pid": str(self.pid)})

    def _say(self, message: str, body: Json) -> None:
        if self.master is not None:
            self._post.send(self.pid, self.master, message, body)

    def messages(self, kind: str) -> list[Json]:
        """What it has heard of that kind."""
        return [body for message, body in self.heard if message == kind]

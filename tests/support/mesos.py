"""Stand-ins for the parts of Mesos that a test does not want to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

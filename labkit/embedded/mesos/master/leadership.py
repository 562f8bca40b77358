"""Everything that a leading master knows and does. It begins empty with each election, and ends with the leadership."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from labkit.embedded.mesos.allocator import Allocator
from labkit.embedded.mesos.ids import MasterIds
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.master.agents import Agents
from labkit.embedded.mesos.master.events import Subscribers
from labkit.embedded.mesos.master.frameworks import Frameworks
from labkit.embedded.mesos.master.model import MAX_UNREACHABLE_TASKS
from labkit.embedded.mesos.master.offers import Offers
from labkit.embedded.mesos.master.options import Options
from labkit.embedded.mesos.master.registry import Registry
from labkit.embedded.mesos.master.returning import Returning
from labkit.embedded.mesos.master.updates import Updates
from labkit.embedded.runtime.clock import Clock

Json = dict[str, Any]


class Leadership:
    """The books of the leader, and who keeps which of them."""

    options_max_unreachable = MAX_UNREACHABLE_TASKS

    def __init__(
        self,
        pid: Pid,
        post: Post,
        clock: Clock,
        rng: random.Random,
        options: Options,
        registry: Registry,
        ids: MasterIds,
        info: Json,
    ) -> None:
        self.pid = pid
        self.post = post
        self.clock = clock
        self.rng = rng
        self.options = options
        self.registry = registry
        self.ids = ids
        self.info = info
        self.alive = True
        self.elected_time = clock.time()
        self.counters: Counter[str] = Counter()
        self.subscribers = Subscribers(self)
        self.frameworks = Frameworks(self)
        self.offers = Offers(self)
        self.updates = Updates(self)
        self.allocator = Allocator(
            clock,
            rng,
            self.offers.make,
            interval=options.allocation_interval,
            weights={**options.weights, **registry.weights()},
        )
        self.agents = Agents(self)
        self._messages: dict[str, Callable[[Pid, Json], object]] = {
            "RegisterSlaveMessage": self.agents.register,
            "ReregisterSlaveMessage": Returning(self, self.agents).reregister,
            "UnregisterSlaveMessage": self.agents.unregister,
            "PongSlaveMessage": self.agents.pong,
            "StatusUpdateMessage": self.updates.received,
            "ExitedExecutorMessage": self.updates.executor_exited,
            "ExecutorToFrameworkMessage": self._from_executor,
        }

    def start(self) -> None:
        """Make offers from now on."""
        self.allocator.start()

    def end(self) -> None:
        """The process ends: connections of schedulers and of operators break, nobody is told anything."""
        self.alive = False
        self.allocator.stop()
        for framework in self.frameworks:
            for timer in (framework.heartbeat, framework.patience):
                if timer is not None:
                    timer.cancel()
            if framework.line is not None:
                framework.line.close()
        for agent in self.agents:
            for timer in (agent.ping, agent.patience):
                if timer is not None:
                    timer.cancel()
        self.subscribers.close()

    # -- messages

    def send(self, to: Pid, message: str, body: Json) -> None:
        """Send an agent a message."""
        self.post.send(self.pid, to, message, body)

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        """An agent's message. Those that nobody knows are dropped, as libprocess does."""
        handler = self._messages.get(message)
        if handler is not None:
            self.counters[f"messages/{message}"] += 1
            handler(sender, body)

    def _from_executor(self, sender: Pid, body: Json) -> None:
        framework = self.frameworks.get((body.get("framework_id") or {}).get("value", ""))
        if framework is None or not framework.connected:
            self.counters["invalid_executor_to_framework_messages"] += 1
            return
        self.counters["valid_executor_to_framework_messages"] += 1
        message = {key: body[key] for key in ("agent_id", "executor_id", "data") if key in body}
        framework.send({"type": "MESSAGE", "message": message})

    # -- counting

    def count_state(self, state: str) -> None:
        """A task has ended in that state."""
        self.counters[state.lower().replace("task_", "tasks_", 1)] += 1

    def set_weights(self, weights: dict[str, float]) -> None:
        """Weights of roles; offers of before are taken back where a role in use is concerned."""
        for role, weight in weights.items():
            self.registry.set_weight(role, weight)
            self.allocator.set_weight(role, weight)
        if not weights.keys().isdisjoint(self.frameworks.all_roles()):
            for offer in list(self.offers.all.values()):
                self.offers.rescind(offer)

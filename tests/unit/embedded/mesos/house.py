"""A leading master with fake agents and schedulers, on a clock that a test turns."""

from __future__ import annotations

import random
from typing import Any

from support.mesos import FakeAgent

from labkit.embedded.mesos.ids import MasterIds
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.master import calls
from labkit.embedded.mesos.master.answers import Answer
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.options import Options
from labkit.embedded.mesos.master.registry import Registry
from labkit.embedded.mesos.master.subscription import Subscription
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine

Json = dict[str, Any]


class Scheduler:
    """A framework's scheduler that remembers its events."""

    def __init__(self, house: House, **info: Any) -> None:
        self.house = house
        self.info: Json = {"user": "root", "name": "test", "checkpoint": True, **info}
        self.events: list[Json] = []
        self.ended = False
        self.id = ""
        self.line: Subscription | None = None

    def subscribe(self, **more: Any) -> Scheduler:
        call: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": dict(self.info), **more}}
        if self.id:
            call["framework_id"] = call["subscribe"]["framework_info"]["id"] = {"value": self.id}
        answer = calls.handle(self.house.lead, call, None, None)
        assert isinstance(answer, Subscription)
        self.line, self.ended = answer, False
        answer.attach(lambda event: self.events.append(event), self._end)
        subscribed = self.of("SUBSCRIBED")
        if subscribed:
            self.id = subscribed[-1]["framework_id"]["value"]
        return self

    def _end(self) -> None:
        self.ended = True

    def call(self, kind: str, **parts: Any) -> Answer:
        assert self.line is not None
        call = {"type": kind, "framework_id": {"value": self.id}, **parts}
        answer = calls.handle(self.house.lead, call, None, self.line.stream_id)
        assert isinstance(answer, Answer)
        return answer

    def of(self, kind: str) -> list[Json]:
        return [event.get(kind.lower(), {}) for event in self.events if event["type"] == kind]

    def offers(self) -> list[Json]:
        """Those that came and were not taken back; they are forgotten here."""
        rescinded = {one["offer_id"]["value"] for one in self.of("RESCIND")}
        found = [offer for event in self.of("OFFERS") for offer in event["offers"]]
        self.events = [event for event in self.events if event["type"] not in ("OFFERS", "RESCIND")]
        return [offer for offer in found if offer["id"]["value"] not in rescinded]

    def statuses(self) -> list[Json]:
        return [update["status"] for update in self.of("UPDATE")]

    def states(self) -> list[tuple[str, str]]:
        return [(status["task_id"]["value"], status["state"]) for status in self.statuses()]

    def launch(self, offer: Json, *tasks: Json, refuse: float = 5.0) -> Answer:
        operation = {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}
        accept = {"offer_ids": [offer["id"]], "operations": [operation], "filters": {"refuse_seconds": refuse}}
        return self.call("ACCEPT", accept=accept)

    def acknowledge(self, status: Json) -> None:
        part = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
        self.call("ACKNOWLEDGE", acknowledge=part)


def task(task_id: str, offer: Json, cpus: float = 1.0, mem: float = 128.0, **more: Any) -> Json:
    return {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": offer["agent_id"],
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}},
        ],
        "command": {"value": "sleep 1"},
        **more,
    }


class House:
    def __init__(self, agents: int = 2, **options: Any) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.post = Post(self.fleet, self.clock)
        self.pid = Pid("master", "master-1", "127.9.0.10", 5050)
        self.fleet.add(Machine(name="master-1", address=self.pid.address))
        self.rng = random.Random(1)
        self.options = Options(**options)
        self.registry = Registry(None)
        self.agents = []
        for number in range(1, agents + 1):
            name, address = f"agent-{number}", f"127.9.0.{20 + number}"
            self.fleet.add(Machine(name=name, address=address))
            self.agents.append(FakeAgent(self.post, name, address))
        self.lead = self.elect()

    def elect(self) -> Leadership:
        """A new master leads, which knows what is in the registry."""
        ids = MasterIds(self.rng)
        info = {"id": ids.master, "hostname": self.pid.address, "port": 5050, "pid": str(self.pid)}
        self.lead = Leadership(self.pid, self.post, self.clock, self.rng, self.options, self.registry, ids, info)
        self.post.register(self.pid, _Receiver(self))
        self.lead.start()
        return self.lead

    async def up(self) -> House:
        for agent in self.agents:
            agent.register(self.pid)
        await self.clock.advance(0)
        await self.clock.advance(0)
        return self

    def scheduler(self, **info: Any) -> Scheduler:
        return Scheduler(self, **info).subscribe()


class _Receiver:
    def __init__(self, house: House) -> None:
        self._house = house

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        self._house.lead.receive(sender, message, body)

    def exited(self, pid: Pid) -> None:
        self._house.lead.agents.exited(pid)

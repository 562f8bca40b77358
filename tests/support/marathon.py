"""Marathons over a real ensemble of one member, with a stand-in for Mesos that a test plays."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp

from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.marathon import Marathon
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.term import Term
from labkit.embedded.marathon.events import Event
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Ensemble, Session
from support.mesos import FakeDriver

Json = dict[str, Any]


def app(id: str = "/web", instances: int = 1, **fields: Any) -> Json:
    return {"id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances, **fields}


class Play:
    """``async with Play() as play``: one or more Marathons; ``play.driver`` is the leader's line to Mesos."""

    def __init__(self, marathons: int = 1, options: Options | None = None) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.count = marathons
        self.options = options or Options()
        self.drivers: list[FakeDriver] = []
        self.agents: dict[str, Json] = {}
        self.events: list[Json] = []
        self._offers = 0

    async def __aenter__(self) -> Play:
        self.network = await Network.open(self.fleet, self.clock)
        names = [f"master-{number}" for number in range(1, self.count + 1)]
        for index, name in enumerate(names):
            self.fleet.add(Machine(name=name, address=self.network.machine_address(index)))
        self.ensemble = Ensemble(self.fleet, self.clock, Storage(), names[:1], random.Random(1))
        await self.ensemble.start(names[0])
        await self.clock.advance(5)
        self.marathons = [
            Marathon(
                name, self.fleet, self.clock, self.network, self.ensemble, self._driver, self.options,
                random.Random(index),
            )
            for index, name in enumerate(names)
        ]  # fmt: skip
        for marathon in self.marathons:
            marathon.bus.subscribe(self._note)
            await marathon.start()
            await self.clock.advance(2)
        self.http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.close()
        for marathon in self.marathons:
            stopping = asyncio.ensure_future(marathon.stop())
            for _ in range(60):  # without a quorum it waits for its session's patience
                await self.clock.advance(1)
                if stopping.done():
                    break
            await stopping
        await self.ensemble.close()
        await self.network.close()

    def _note(self, event: Event) -> None:
        self.events.append(event.body)

    def _driver(
        self, machine: str, session: Session, framework: Json, received: Any, connected: Any, disconnected: Any
    ) -> FakeDriver:
        driver = FakeDriver(framework, received, connected, disconnected)
        self.drivers.append(driver)
        return driver

    # -- who leads

    @property
    def leader(self) -> Marathon:
        return next(each for each in self.marathons if each.is_leader)

    @property
    def term(self) -> Term:
        found = self.leader.term
        assert found is not None
        return found

    @property
    def driver(self) -> FakeDriver:
        return self.drivers[-1]

    async def subscribe(self) -> None:
        self.driver.subscribe()
        await self.clock.settle()

    # -- what Mesos does

    def offer(self, agent: str = "a1", *, cpus: float = 4, mem: float = 4096, **attributes: str) -> Json:
        self._offers += 1
        number = int(agent[1:])
        begin = 31000 + 1000 * (number - 1)
        return {
            "id": {"value": f"o{self._offers}"},
            "framework_id": {"value": "framework-0000"},
            "agent_id": {"value": agent},
            "hostname": f"127.9.0.{20 + number}",
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}, "role": "*"},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}, "role": "*"},
                {"name": "disk", "type": "SCALAR", "scalar": {"value": 10000}, "role": "*"},
                {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": begin, "end": begin + 999}]}},
            ],
            "attributes": [
                {"name": name, "type": "TEXT", "text": {"value": value}} for name, value in attributes.items()
            ],
        }  # fmt: skip

    async def offers(self, *agents: str) -> list[Json]:
        """Offer these; returns the tasks that are launched on them."""
        self.driver.offer(*[self.offer(agent) for agent in agents or ("a1",)])
        await self.clock.settle()
        return self.launched()

    def launched(self) -> list[Json]:
        return [
            {**task, "agent_id": task.get("agent_id")}
            for call in self.driver.taken("ACCEPT")
            for operation in call["accept"]["operations"]
            for task in operation["launch"]["task_infos"]
        ]

    async def say(self, task_id: str, state: str, agent: str = "a1", **more: Any) -> None:
        self.driver.update(
            {
                "task_id": {"value": task_id},
                "agent_id": {"value": agent},
                "state": state,
                "uuid": f"u{len(self.events)}",
                **more,
            }
        )
        await self.clock.settle()

    async def run_all(self, *agents: str) -> list[Json]:
        """Offer, and let everything that is launched run."""
        tasks = await self.offers(*agents)
        for task in tasks:
            await self.say(task["task_id"]["value"], "TASK_RUNNING", task["agent_id"]["value"])
        return tasks

    async def kill_all(self) -> list[str]:
        """Let every task whose kill was asked for end; returns their ids."""
        killed = []
        for call in self.driver.taken("KILL"):
            killed.append(call["kill"]["task_id"]["value"])
            await self.say(killed[-1], "TASK_KILLED", call["kill"].get("agent_id", {}).get("value", "a1"))
        return killed

    # -- what a person does

    async def call(
        self, method: str, path: str, body: Any = None, *, at: int | None = None, **more: Any
    ) -> tuple[int, Any]:
        """Status and body of a request to the leader, or to the Marathon of that index."""
        marathon = self.leader if at is None else self.marathons[at]
        address = marathon.server.address
        assert address is not None
        url = f"http://{address[0]}:{address[1]}{path}"
        async with self.http.request(method, url, json=body, **more) as answer:
            self.headers = answer.headers
            text = await answer.read()
            if answer.content_type == "application/json" and text:
                return answer.status, await answer.json()
            return answer.status, text.decode()

    def instances(self, app_id: str = "/web") -> list[Instance]:
        return list(self.term.tracker.of_app(app_id))

    def kinds(self) -> list[str]:
        """The types of events so far, which are forgotten."""
        found = [event["eventType"] for event in self.events]
        self.events.clear()
        return found

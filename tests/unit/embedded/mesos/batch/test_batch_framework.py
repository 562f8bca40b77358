"""The batch framework on its line to Mesos: offers taken, silence while idle, jobs over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from support.mesos import FakeDriver

from labkit.embedded.mesos.batch import Batch, Options
from labkit.embedded.mesos.batch.jobs import parse
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


class House:
    async def open(self) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.network = await Network.open(self.fleet, self.clock)
        self.fleet.add(Machine("master-1", self.network.machine_address(0)))
        self.storage = Storage()
        self.batch = await self.made()

    async def made(self) -> Batch:
        batch = Batch("master-1", self.fleet, self.clock, self.network, self.storage, self._driver, Options())
        await batch.start()
        self.driver.subscribe("F1")
        return batch

    def _driver(self, info: Json, received: Any, connected: Any, disconnected: Any) -> FakeDriver:
        self.driver = FakeDriver(info, received, connected, disconnected)
        return self.driver

    def offer(self, text: str) -> None:
        resources = Resources.parse(text).json("batch")
        self.driver.offer({"id": {"value": "O1"}, "agent_id": {"value": "S0"}, "resources": resources})

    def update(self, task_id: str, state: str) -> None:
        ids = {"task_id": {"value": task_id}, "agent_id": {"value": "S0"}}
        self.driver.update({**ids, "state": state, "uuid": "AAAA"})

    def launched(self) -> list[str]:
        calls = [call["accept"] for call in self.driver.taken("ACCEPT")]
        return [
            info["task_id"]["value"]
            for call in calls
            for operation in call["operations"]
            for info in operation["launch"]["task_infos"]
        ]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.open()
    yield made
    await made.batch.stop()
    await made.network.close()


async def test_it_is_silent_while_it_has_nothing_to_do(house: House) -> None:
    assert [call["type"] for call in house.driver.taken()] == ["SUPPRESS"]
    house.batch.submit(parse({"maps": 1, "reduces": 0}))
    assert [call["type"] for call in house.driver.taken()] == ["REVIVE"]
    house.offer("cpus:1;mem:64")
    assert [call["type"] for call in house.driver.taken()] == ["ACCEPT", "SUPPRESS"]
    house.update("attempt_0001_m_000000_0", "TASK_FINISHED")
    assert [call["type"] for call in house.driver.taken()] == ["ACKNOWLEDGE"]
    assert house.batch.jobs["job_0001"].state == "SUCCEEDED"


async def test_it_takes_what_fits(house: House) -> None:
    house.batch.submit(parse({"maps": 10, "cpus": 0.5, "mem": 100}))
    house.offer("cpus:4;mem:350")
    assert len(house.launched()) == 3
    house.offer("cpus:0.4;mem:350")
    (call,) = house.driver.taken("DECLINE")
    assert call["decline"]["filters"] == {"refuse_seconds": 1.0}


async def test_a_scheduler_that_comes_back_asks_what_has_become_of_its_tasks(house: House) -> None:
    house.batch.submit(parse({"maps": 2}))
    house.offer("cpus:0.1;mem:64")
    await house.batch.stop()
    house.batch = await house.made()
    assert house.driver.framework["id"] == {"value": "F1"}
    (call,) = house.driver.taken("RECONCILE")
    assert [one["task_id"]["value"] for one in call["reconcile"]["tasks"]] == ["attempt_0001_m_000000_0"]
    house.update("attempt_0001_m_000000_0", "TASK_LOST")
    assert len(house.batch.jobs["job_0001"].waiting) == 2


async def test_torn_down_it_begins_anew_and_its_jobs_are_over(house: House) -> None:
    house.batch.submit(parse({"maps": 5}))
    house.offer("cpus:0.1;mem:64")
    before = house.driver
    before.play({"type": "ERROR", "error": {"message": "Framework has been removed"}})
    await house.clock.settle()
    assert house.driver is not before
    assert "id" not in house.driver.framework
    job = house.batch.jobs["job_0001"]
    assert (job.state, job.running, len(job.waiting)) == ("KILLED", {}, 0)
    house.driver.subscribe("F2")
    assert not house.driver.taken("RECONCILE")
    await house.batch.stop()
    house.batch = await house.made()
    assert house.driver.framework["id"] == {"value": "F2"}


async def test_jobs_over_http(house: House) -> None:
    real = house.network.real(house.fleet.machine("master-1").address, 8088)
    assert real is not None
    url = f"http://{real[0]}:{real[1]}/jobs"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={"name": "count", "maps": 3}) as answer:
            assert answer.status == 201
            job = await answer.json()
        assert (job["id"], job["tasks"]["waiting"]) == ("job_0001", 3)
        house.offer("cpus:1;mem:64")
        async with session.get(f"{url}/job_0001") as answer:
            assert (await answer.json())["tasks"]["running"] == 2
        async with session.delete(f"{url}/job_0001") as answer:
            assert answer.status == 202
        assert len(house.driver.taken("KILL")) == 2
        async with session.get(url) as answer:
            assert [one["state"] for one in (await answer.json())["jobs"]] == ["KILLED"]
        for method, path, body, status in (
            ("POST", url, b"{", 400),
            ("POST", url, b"[]", 422),
            ("PUT", url, b"", 405),
            ("GET", f"{url}/none", b"", 404),
            ("GET", url.replace("/jobs", "/x"), b"", 404),
        ):
            async with session.request(method, path, data=body) as answer:
                assert answer.status == status
                assert (await answer.json())["message"]


async def test_it_asks_for_its_tasks_until_it_has_heard_of_each(house: House) -> None:
    """A new master knows nothing yet of the agents that have not come back to it, and says nothing of their tasks."""
    house.batch.submit(parse({"maps": 2, "reduces": 0}))
    house.offer("cpus:1;mem:128")
    first, second = house.launched()
    house.driver.disconnect()
    house.driver.subscribe("F1")
    house.driver.taken()

    def asked() -> list[str]:
        calls = [call["reconcile"]["tasks"] for call in house.driver.taken("RECONCILE")]
        return [one["task_id"]["value"] for tasks in calls for one in tasks]

    house.update(first, "TASK_RUNNING")
    await house.clock.advance(16)
    assert asked() == [second]
    await house.clock.advance(31)
    assert asked() == [second]
    house.update(second, "TASK_GONE")
    await house.clock.advance(1000)
    assert asked() == []
    house.offer("cpus:1;mem:128")
    assert house.launched() == ["attempt_0001_m_000001_1"]

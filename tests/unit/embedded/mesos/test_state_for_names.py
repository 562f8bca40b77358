"""What Mesos-DNS reads of a master here is as good for names as the whole of its state, and less of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from labkit.embedded.marathon.discovery.mesosdns import Config
from labkit.embedded.marathon.discovery.mesosdns.records import make_zone
from labkit.embedded.mesos.api.state import running, state

from .house import House, task


async def test_the_running_tasks_make_the_same_names_as_the_whole_state() -> None:
    house = await House(1).up()
    scheduler = house.scheduler(hostname="127.9.0.10")
    await house.clock.advance(1)
    (offer,) = scheduler.offers()
    discovery = {"visibility": "CLUSTER", "name": "db", "ports": {"ports": [{"number": 5432, "name": "sql"}]}}
    scheduler.launch(offer, task("web", offer), task("db", offer, discovery=discovery), task("over", offer))
    await house.clock.advance(1)
    house.agents[0].update("over", "TASK_FINISHED")
    await house.clock.advance(1)
    for status in scheduler.statuses():
        scheduler.acknowledge(status)
    info = {"id": "m", "pid": str(house.pid), "hostname": house.pid.address, "port": 5050, "capabilities": []}
    master: Any = SimpleNamespace(info=info, pid=house.pid, options=house.options, start_time=0.0)
    whole, little = state(master, house.lead), running(master, house.lead)
    assert [one["id"] for one in whole["frameworks"][0]["completed_tasks"]] == ["over"]
    assert [one["id"] for one in little["frameworks"][0]["tasks"]] == ["web", "db"]
    config = Config(masters=(f"{house.pid.address}:5050",))
    zone = make_zone(little, config)
    assert zone == make_zone(whole, config)
    assert {"web.test.mesos.", "db.test.mesos.", "leader.mesos.", "slave.mesos.", "test.mesos."} <= set(zone.a)

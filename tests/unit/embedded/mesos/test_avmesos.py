"""avmesos, a stock framework library on requests, runs a task on the master's HTTP API."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from .cluster import Cluster

avmesos = pytest.importorskip("avmesos.client")

Json = dict[str, Any]


async def test_a_task_by_avmesos() -> None:
    cluster = await Cluster(masters=1).up(http=True, users={"labkit": "secret"})
    address = cluster.servers["master-1"].address
    assert address is not None
    client = avmesos.MesosClient(
        mesos_urls=[f"http://labkit:secret@{address[0]}:{address[1]}"], frameworkName="av", max_reconnect=1
    )
    client.set_checkpoint(True)
    drivers: list[Any] = []
    states: list[str] = []

    def offered(offers: list[Any]) -> None:
        for offer in offers:
            agent = offer.get_offer()["agent_id"]
            task = {
                "name": "t",
                "task_id": {"value": "t1"},
                "agent_id": agent,
                "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}],
                "command": {"value": "true"},
            }
            offer.accept([task]) if not states else offer.decline()

    client.on(client.SUBSCRIBED, drivers.append)
    client.on(client.OFFERS, offered)
    client.on(client.UPDATE, lambda update: states.append(update["status"]["state"]))
    thread = threading.Thread(target=client.register, daemon=True)
    thread.start()
    try:
        for _ in range(500):
            # It reads lines, and a record has no end of line: it sees each event when the next heartbeat comes.
            await cluster.clock.advance(1)
            await asyncio.sleep(0.01)
            if "TASK_RUNNING" in states and not cluster.agents[0].unacknowledged:
                break
        assert states == ["TASK_RUNNING"]
        assert not cluster.agents[0].unacknowledged
        await asyncio.to_thread(drivers[0].tearDown)
        lead = cluster.leader.leading
        assert lead is not None
        assert not lead.frameworks.registered
    finally:
        client.stop = True
        await cluster.close()
        thread.join(5)

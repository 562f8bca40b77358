"""avmesos, a framework library that exists: it subscribes, launches, hears, declines and goes."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster, resources
from support.until import until

Json = dict[str, Any]

avmesos = pytest.importorskip("avmesos.client", reason="avmesos is not installed: pip install 'labkit[test]'")


@holds(
    "mesos/docs/api-client-libraries.md#scheduler-api",
    "mesos/docs/scheduler-http-api.md#overview",
)
def test_a_task_by_avmesos(cluster: MesosCluster) -> None:
    at = urlsplit(cluster.leader).netloc
    user = ":".join(cluster.mesos.auth) + "@" if cluster.mesos.auth else ""
    client = avmesos.MesosClient(mesos_urls=[f"http://{user}{at}"], frameworkName="av", max_reconnect=1)
    client.set_checkpoint(True)
    drivers: list[Any] = []
    states: list[str] = []
    launched: list[Json] = []

    def offered(offers: list[Any]) -> None:
        for offer in offers:
            if launched:
                offer.decline()
                continue
            task = {
                "name": "av", "task_id": {"value": cluster.name("av")}, "agent_id": offer.get_offer()["agent_id"],
                "resources": resources(), "command": {"value": "exec sleep 1000"},
            }  # fmt: skip
            launched.append(task)
            offer.accept([task])

    client.on(client.SUBSCRIBED, drivers.append)
    client.on(client.OFFERS, offered)
    client.on(client.UPDATE, lambda update: states.append(update["status"]["state"]))
    thread = threading.Thread(target=client.register, daemon=True)
    thread.start()
    # It reads lines, and a record has no end of line: it sees each event when the next one comes.
    until(lambda: "TASK_RUNNING" in states, 60.0)
    framework = next(one for one in cluster.show("/frameworks")["frameworks"] if one["name"] == "av")
    assert [one["state"] for one in framework["tasks"]] == ["TASK_RUNNING"]
    client.stop = True
    drivers[0].tearDown()
    until(lambda: "av" not in [one["name"] for one in cluster.show("/frameworks")["frameworks"]])
    thread.join(10)

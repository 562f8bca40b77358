"""The batch framework with the real master and agent: a whole job, beside another framework."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from labkit.embedded.mesos.batch import Batch, Options
from labkit.embedded.mesos.batch.jobs import parse
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.zookeeper import Detector

from ..agent.test_agent_and_master import IMAGE, Cluster  # noqa: TID252


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster()
    await made.open(tmp_path)
    await made.until(lambda: made.agent.registered and made.driver.connected)
    yield made
    await made.close()


async def test_a_job_runs_through_beside_another_framework(cluster: Cluster) -> None:
    def line(info: Any, received: Any, connected: Any, disconnected: Any) -> SchedulerDriver:
        detector = Detector(cluster.ensemble.session("master-2"), "/mesos")
        return SchedulerDriver(
            "master-2", cluster.fleet, cluster.clock, lambda: cluster.masters, detector, info, received,
            connected=connected, disconnected=disconnected,
        )  # fmt: skip

    batch = Batch(
        "master-2", cluster.fleet, cluster.clock, cluster.network, cluster.storage, line, Options(role="batch")
    )
    await batch.start()
    cluster.run("service", **IMAGE)
    await cluster.until(lambda: cluster.states.get("service", [])[-1:] == ["TASK_RUNNING"])
    job = batch.submit(parse({"maps": 30, "reduces": 3, "seconds": 2, "cpus": 4}))
    await cluster.until(lambda: len(job.running) > 10)
    await cluster.until(lambda: job.over)
    assert (job.state, job.failures) == ("SUCCEEDED", 0)
    await cluster.until(lambda: [run.task_id for run in cluster.agent.runs()] == ["service"])
    await batch.stop()

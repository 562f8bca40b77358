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


def batch_on(cluster: Cluster) -> Batch:
    def line(info: Any, received: Any, connected: Any, disconnected: Any) -> SchedulerDriver:
        detector = Detector(cluster.ensemble.session("master-2"), "/mesos")
        return SchedulerDriver(
            "master-2", cluster.fleet, cluster.clock, lambda: cluster.masters, detector, info, received,
            connected=connected, disconnected=disconnected,
        )  # fmt: skip

    return Batch(
        "master-2", cluster.fleet, cluster.clock, cluster.network, cluster.storage, line, Options(role="batch")
    )


async def test_a_job_runs_through_beside_another_framework(cluster: Cluster) -> None:
    batch = batch_on(cluster)
    await batch.start()
    cluster.run("service", **IMAGE)
    await cluster.until(lambda: cluster.states.get("service", [])[-1:] == ["TASK_RUNNING"])
    job = batch.submit(parse({"maps": 30, "reduces": 3, "seconds": 2, "cpus": 4}))
    await cluster.until(lambda: len(job.running) > 10)
    await cluster.until(lambda: job.over)
    assert (job.state, job.failures) == ("SUCCEEDED", 0)
    await cluster.until(lambda: [run.task_id for run in cluster.agent.runs()] == ["service"])
    await batch.stop()


async def test_it_hears_that_it_was_torn_down_and_begins_anew(cluster: Cluster) -> None:
    batch = batch_on(cluster)
    await batch.start()
    job = batch.submit(parse({"maps": 8, "seconds": 1000}))
    await cluster.until(lambda: len(job.running) == 8)
    await cluster.until(lambda: len(cluster.agent.runs()) == 8)
    before = batch._framework_id
    assert before is not None
    lead = next(master.leading for master in cluster.masters.values() if master.leading is not None)
    lead.frameworks.remove(lead.frameworks.registered[before])
    await cluster.until(lambda: batch._framework_id not in (None, before))
    assert (job.state, job.running) == ("KILLED", {})
    await cluster.until(lambda: not cluster.agent.runs())
    again = batch.submit(parse({"maps": 1, "reduces": 0, "seconds": 1}))
    await cluster.until(lambda: again.state == "SUCCEEDED")
    await batch.stop()

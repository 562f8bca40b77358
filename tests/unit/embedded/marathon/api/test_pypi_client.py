"""The ``marathon`` client of PyPI, as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from support.marathon import Play

marathon = pytest.importorskip("marathon")


async def _in_thread(fn: Callable[..., Any], *args: Any, **more: Any) -> Any:
    async with asyncio.timeout(20):
        return await asyncio.to_thread(fn, *args, **more)


async def test_the_client_reads_and_writes_everything_it_knows() -> None:
    async with Play() as play:
        await play.subscribe()
        address = play.leader.server.address
        assert address is not None
        client = marathon.MarathonClient(f"http://{address[0]}:{address[1]}")
        events = client.event_stream()
        attached = asyncio.Event()
        play.leader.bus.subscribe(lambda event: attached.set() if event.type == "event_stream_attached" else None)
        reading = asyncio.ensure_future(_in_thread(lambda: list(islice(events, 12))))
        async with asyncio.timeout(20):
            await attached.wait()
        wanted = marathon.models.MarathonApp(cmd="sleep 10", mem=16, cpus=0.1, instances=2)
        made = await _in_thread(client.create_app, "web", wanted)
        assert made.id == "/web"
        assert [each.id for each in await _in_thread(client.list_deployments)] == [made.deployments[0].id]
        assert (await _in_thread(client.list_queue))[0].count == 2
        tasks = await play.run_all()
        assert len(await _in_thread(client.list_tasks)) == 2
        assert (await _in_thread(client.get_app, "web", embed_task_stats=True)).tasks_running == 2
        assert (await _in_thread(client.list_apps, embed_tasks=True))[0].tasks[0].app_id == "/web"
        assert (await _in_thread(client.scale_app, "web", instances=3))["deploymentId"]
        await play.run_all()
        await _in_thread(client.restart_app, "web", force=True)
        await _in_thread(client.kill_task, "web", tasks[0]["task_id"]["value"])
        await _in_thread(client.create_group, marathon.models.MarathonGroup(id="/g"))
        assert (await _in_thread(client.get_group, "/g")).id == "/g"
        assert await _in_thread(client.list_versions, "web")
        assert (await _in_thread(client.get_info)).name == "marathon"
        assert (await _in_thread(client.get_leader))["leader"]
        assert await _in_thread(client.ping) == b"pong"
        assert await _in_thread(client.get_metrics)
        await _in_thread(client.delete_app, "web", force=True)
        with pytest.raises(marathon.exceptions.NotFoundError):
            await _in_thread(client.get_app, "none")
        seen = {type(event).__name__ for event in await reading}
        assert {"MarathonApiPostEvent", "MarathonDeploymentInfo"} <= seen

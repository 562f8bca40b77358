"""What a thousand containers cost."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc

from labkit.embedded.swarm.objects import Task

from .conftest import World, pulled

COUNT = 1000


async def test_a_thousand_containers(world: World) -> None:
    host = world.hosts["one"]
    await pulled(host)
    tasks = [
        Task(
            id=f"{number:025d}",
            service_id="s" * 25,
            service_name="big",
            slot=number,
            node_id="n" * 25,
            spec={"ContainerSpec": {"Image": "test/tools:1", "Args": ["sleep", "1000"]}},
        )
        for number in range(COUNT)
    ]
    controllers = [host.executor.controller(task) for task in tasks]

    async def up(controller: object) -> None:
        await controller.prepare()  # type: ignore[attr-defined]
        await controller.start()  # type: ignore[attr-defined]

    gc.collect()
    tracemalloc.start()
    await asyncio.gather(*(up(controller) for controller in controllers[:100]))
    await world.clock.settle()
    gc.collect()
    each = tracemalloc.get_traced_memory()[0] / 100
    tracemalloc.stop()
    began = time.perf_counter()
    await asyncio.gather(*(up(controller) for controller in controllers[100:]))
    host.keeper.flush()
    took = time.perf_counter() - began
    assert sum(container.running for container in host.containers) == COUNT
    # 11 KB and 0.2 s on a quiet machine; a loaded one must not fail for its load.
    assert each < 14_000, f"{each:.0f} bytes a container"
    assert took < 5, f"{took:.2f} s"
    print(f"{each:.0f} bytes a container, {took:.2f} s for {COUNT - 100}")

"""Two thousand requests while an app is scaled and all its tasks are replaced: none fails."""

from __future__ import annotations

import asyncio

import aiohttp

from labkit.embedded.marathon.discovery.lb import MarathonLb

from .fakes import Json, Lab, app

REQUESTS = 2000
CLIENTS = 8


async def ask(url: str, count: list[int], failed: list[str]) -> None:
    """Requests one after the other over kept connections, as ``hey`` or ``wrk`` make them."""
    async with aiohttp.ClientSession(headers={"Host": "web.example"}) as session:
        while count[0] < REQUESTS:
            count[0] += 1
            try:
                async with session.get(url) as answer:
                    text = await answer.text()
                    if answer.status != 200:
                        failed.append(f"{answer.status} {text[:80]}")
            except aiohttp.ClientError as error:
                failed.append(repr(error))


async def roll(place: Lab, balancer: MarathonLb, web: Json) -> None:
    """Scale from two to four, then replace each of the four: the new one first, then the old one is killed."""
    for index in range(2):
        web["tasks"].append((await place.back_end(f"agent-{index + 1}")).task())
        await place.settle(balancer)
    for old in place.back_ends[:4]:
        new = await place.back_end("agent-1")
        web["tasks"].append(new.task())
        await place.settle(balancer)
        for each in web["tasks"]:
            if each["id"] == old.task()["id"]:
                each["state"] = "TASK_KILLING"
        # The task has its SIGTERM before the balancer knows.
        gone = asyncio.create_task(old.stop())
        await place.settle(balancer)
        await gone
        web["tasks"] = [each for each in web["tasks"] if each["id"] != old.task()["id"]]
        await place.settle(balancer)


async def test_no_request_is_lost(place: Lab, kind: str) -> None:
    web = app(labels={"HAPROXY_0_VHOST": "web.example"})
    for index in range(2):
        web["tasks"].append((await place.back_end(f"agent-{index + 1}")).task())
    place.marathon.apps.append(web)
    balancer = await place.balancer(kind)
    count, failed = [0], []  # type: ignore[var-annotated]
    places = [f"http://{balancer.place(port)}/" for port in (10000, balancer.http_port)]
    clients = [asyncio.create_task(ask(places[index % 2], count, failed)) for index in range(CLIENTS)]
    await roll(place, balancer, web)
    await asyncio.gather(*clients)
    assert count[0] >= REQUESTS
    assert failed == []
    served = [back_end.served for back_end in place.back_ends]
    assert sum(served) == REQUESTS
    assert all(served), served

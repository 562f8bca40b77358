"""How Marathon is read over HTTP: credentials, the event stream, a redirect, a Marathon that is gone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest
from aiohttp import web

from labkit.embedded.marathon.discovery.lb import HttpMarathon
from labkit.embedded.marathon.discovery.lb.dial import Dialler
from labkit.embedded.marathon.discovery.lb.source import Unavailable

from .fakes import Lab, app, until

USER = ("labkit", "secret")


@dataclass
class Served:
    """A Marathon's HTTP API at the balancer's machine, and its events to be sent."""

    url: str
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    asked: list[str] = field(default_factory=list)
    elsewhere: str = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        if request.headers.get("Authorization") != "Basic " + base64.b64encode(b"labkit:secret").decode():
            return web.Response(status=401)
        if request.path == "/v2/apps":
            return web.Response(body=orjson.dumps({"apps": [app()]}), content_type="application/json")
        if self.elsewhere:
            return web.Response(status=302, headers={"Location": self.elsewhere + request.raw_path})
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        while kind := await self.events.get():
            await stream.write(f"event: {kind}\r\ndata: {{}}\r\n\r\n".encode())
        return stream


@pytest.fixture
async def served(place: Lab) -> AsyncIterator[Served]:
    machine = place.fleet.machine("master-1")
    made = Served(f"http://{machine.address}:8080")
    listener = await place.network.listen_http(machine, machine.address, 8080, made.answer)
    yield made
    listener.shut()


def source(place: Lab, *urls: str, user: tuple[str, str] | None = USER) -> HttpMarathon:
    return HttpMarathon(urls, Dialler(place.fleet, place.network, "master-1"), user)


async def test_apps(place: Lab, served: Served) -> None:
    assert [each["id"] for each in await source(place, served.url).apps()] == ["/web"]
    assert served.asked == ["/v2/apps?embed=apps.tasks"]


async def test_without_the_password(place: Lab, served: Served) -> None:
    with pytest.raises(Unavailable):
        await source(place, served.url, user=None).apps()


async def test_the_next_one_is_asked_and_then_preferred(place: Lab, served: Served) -> None:
    gone = f"http://{place.fleet.machine('agent-1').address}:8080"
    marathon = source(place, gone, served.url)
    assert await marathon.apps()
    assert marathon._urls[0] == served.url


@pytest.mark.parametrize("redirected", [False, True])
async def test_events(place: Lab, served: Served, redirected: bool) -> None:
    first = served
    if redirected:
        machine = place.fleet.machine("agent-1")
        first = Served(f"http://{machine.address}:8080", elsewhere=served.url)
        await place.network.listen_http(machine, machine.address, 8080, first.answer)
    found: list[str] = []

    async def follow() -> None:
        async for kind in source(place, first.url).events():
            found.append(kind)

    task = asyncio.create_task(follow())
    await until(lambda: found == [""])
    served.events.put_nowait("status_update_event")
    served.events.put_nowait("event_stream_attached")
    await until(lambda: len(found) == 3)
    assert found[1:] == ["status_update_event", "event_stream_attached"]
    assert "plan-format=light&event_type=api_post_event" in served.asked[-1]
    served.events.put_nowait("")
    await asyncio.wait_for(task, 5)


async def test_a_cut_wire_ends_the_stream(place: Lab, served: Served) -> None:
    machine = place.fleet.machine("agent-1")
    other = Served(f"http://{machine.address}:8080")
    await place.network.listen_http(machine, machine.address, 8080, other.answer)
    found: list[str] = []

    async def follow() -> None:
        async for kind in source(place, other.url).events():
            found.append(kind)

    task = asyncio.create_task(follow())
    await until(lambda: found)
    place.fleet.partition(["agent-1"])
    await asyncio.wait_for(task, 5)
    with pytest.raises(Unavailable):
        await source(place, other.url).apps()

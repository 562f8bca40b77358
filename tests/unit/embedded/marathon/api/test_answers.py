"""Status codes, headers and words of Marathon's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.marathon import Play, app

from labkit.embedded.marathon.api.labels import BadSelector, parse

BOTH = "You cannot use scale and wipe at the same time."
LONG_AGO = "2000-01-01T00:00:00.000Z"


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with Play() as play:
        await play.subscribe()
        yield play


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/v2/apps//none", None, 404, "App '/none' does not exist"),
        ("PATCH", "/v2/apps//none", {"cmd": "sleep 1"}, 404, "App '/none' does not exist"),
        ("DELETE", "/v2/apps//none", None, 404, "App '/none' does not exist"),
        ("POST", "/v2/apps//none/restart", None, 404, "App '/none' does not exist"),
        ("GET", "/v2/apps//none/tasks", None, 404, "App '/none' does not exist"),
        ("GET", "/v2/apps//none/versions", None, 404, "App '/none' does not exist"),
        ("GET", "/v2/groups//none", None, 404, "Group '/none' does not exist"),
        ("DELETE", "/v2/groups//none", None, 404, "Group '/none' does not exist"),
        ("GET", "/v2/apps//none/*", None, 404, "Group '/none' does not exist"),
        ("DELETE", "/v2/queue//none/delay", None, 404, "Application /none not found in tasks queue."),
        ("DELETE", "/v2/apps//web/tasks?scale=true&wipe=true", None, 400, BOTH),
        ("DELETE", "/v2/apps//web/tasks/nothing", None, 404, "Task 'nothing' does not exist"),
        ("POST", "/v2/apps", {"id": "/bad"}, 422, "Object is not valid"),
        ("POST", "/v2/apps", app(), 409, "An app with id [/web] already exists."),
        ("POST", "/v2/apps", {"id": 3}, 422, "Invalid JSON"),
        ("GET", f"/v2/apps/web/versions/{LONG_AGO}", None, 404, f"App '/web' does not exist in version {LONG_AGO}"),
        ("GET", "/v2/nothing", None, 404, "URI not found"),
        ("POST", "/v2/pods", {"id": "/pod"}, 501, "Pods are not implemented by the embedded Marathon"),
    ],
)  # fmt: skip
async def test_refusals(play: Play, method: str, path: str, body: Any, status: int, message: str) -> None:
    await play.call("POST", "/v2/apps", app())
    found, answer = await play.call(method, path, body)
    assert (found, answer["message"]) == (status, message)


async def test_malformed_json_is_400(play: Play) -> None:
    status, body = await play.call("POST", "/v2/apps", data=b"{", headers={"Content-Type": "application/json"})
    assert (status, body["message"]) == (400, "Invalid JSON")


async def test_lists_and_embeds(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(labels={"tier": "front"}))
    await play.run_all()
    for query, count in (
        ("", 1),
        ("?label=tier==front", 1),
        ("?label=tier!=front", 0),
        ("?cmd=SLEEP", 1),
        ("?id=no", 0),
    ):
        _, body = await play.call("GET", f"/v2/apps{query}")
        assert len(body["apps"]) == count
    _, body = await play.call("GET", "/v2/apps?embed=apps.tasks&embed=apps.taskStats")
    assert body["apps"][0]["tasks"][0]["state"] == "TASK_RUNNING"
    assert body["apps"][0]["taskStats"]["totalSummary"]["stats"]["counts"]["running"] == 1
    _, body = await play.call("GET", "/v2/tasks?status=staging")
    assert body == {"tasks": []}
    _, text = await play.call("GET", "/v2/tasks", headers={"Accept": "text/plain"})
    assert text.startswith("web\t")
    _, body = await play.call("GET", "/v2/groups")
    assert body["apps"][0]["id"] == "/web"
    _, body = await play.call("GET", "/v2/apps//*")
    assert [each["id"] for each in body["*"]] == ["/web"]


async def test_versions_and_rollback(play: Play) -> None:
    _, first = await play.call("POST", "/v2/apps", app())
    await play.run_all()
    await play.clock.advance(1)
    await play.call("PUT", "/v2/apps//web?force=true", {"cmd": "other"})
    _, body = await play.call("GET", "/v2/apps//web/versions")
    assert len(body["versions"]) == 2
    assert body["versions"][-1] == first["version"]
    status, _ = await play.call("PUT", "/v2/apps//web?force=true", {"version": first["version"]})
    assert status == 200
    assert (await play.call("GET", "/v2/apps//web"))[1]["app"]["cmd"] == "sleep 1000"


async def test_kill_and_scale(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(instances=3))
    tasks = await play.run_all()
    id = tasks[0]["task_id"]["value"]
    status, body = await play.call("POST", "/v2/tasks/delete?scale=true", {"ids": [id]})
    assert status == 200
    assert body["deploymentId"]
    await play.clock.settle()
    assert await play.kill_all() == [id]
    assert (await play.call("GET", "/v2/apps//web"))[1]["app"]["instances"] == 2


async def test_groups_dry_run_scale_and_delete(play: Play) -> None:
    group = {"id": "/shop", "apps": [app("web", 2)]}
    _, body = await play.call("PUT", "/v2/groups//shop?dryRun=true", group)
    assert [step["actions"][0]["action"] for step in body["steps"]] == ["StartApplication", "ScaleApplication"]
    assert (await play.call("POST", "/v2/groups", group))[0] == 201
    await play.run_all()
    assert (await play.call("POST", "/v2/groups", group))[0] == 409
    await play.call("PUT", "/v2/groups//shop", {"scaleBy": 2})
    assert (await play.call("GET", "/v2/apps//shop/web"))[1]["app"]["instances"] == 4
    assert (await play.call("DELETE", "/v2/groups//shop?force=true"))[0] == 200
    await play.clock.settle()
    await play.kill_all()
    assert (await play.call("GET", "/v2/apps"))[1] == {"apps": []}


async def test_events_come_as_a_stream(play: Play) -> None:
    address = play.leader.server.address
    assert address is not None
    url = f"http://{address[0]}:{address[1]}/v2/events?plan-format=light&event_type=deployment_info"
    async with play.http.get(url) as refused:
        assert refused.status == 405
    async with play.http.get(url, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        await play.call("POST", "/v2/apps", app())
        async with asyncio.timeout(5):
            assert await stream.content.readline() == b"event: deployment_info\r\n"
            line = await stream.content.readline()
        assert line.startswith(b"data: {")
        assert b'"original"' not in line


async def test_who_does_not_lead_passes_on_or_redirects() -> None:
    async with Play(marathons=2) as play:
        status, _ = await play.call("POST", "/v2/apps", app(), at=1)
        assert status == 201
        status, _ = await play.call("GET", "/v2/events", at=1, allow_redirects=False)
        assert status == 302
        assert play.headers["Location"] == f"http://{play.leader.host_port}/v2/events"
        assert await play.call("GET", "/ping", at=1) == (200, "pong")
        _, info = await play.call("GET", "/v2/info")
        assert (info["name"], info["version"], info["elected"]) == ("marathon", "1.11.24", True)


def test_label_selectors() -> None:
    labels = {"tier": "front", "a.b/c": "x y"}
    for text, expected in {
        "tier": True, "other": False, "tier==front": True, "tier != front": False, "tier in (front, back)": True,
        "tier notin (front)": False, "tier==front, other": False, r"a.b/c==x\ y": True,
    }.items():  # fmt: skip
        assert parse(text)(labels) is expected, text
    with pytest.raises(BadSelector):
        parse("==")

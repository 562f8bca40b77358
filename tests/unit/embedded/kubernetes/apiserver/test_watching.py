"""Watches over real TLS."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from support.apiserver import Served

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Lines:
    """The events of a watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            line = await self.answer.content.readline()
        return json.loads(line) if line else None

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def make(served: Served, name: str, **labels: str) -> Any:
    body = {"metadata": {"name": name, "labels": labels}}
    return (await served.call("POST", CONFIG_MAPS, body))[1]


async def test_what_is_there_then_what_comes(served: Served) -> None:
    await make(served, "a")
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=true") as answer:
        assert (answer.status, answer.headers["Transfer-Encoding"]) == (200, "chunked")
        lines = Lines(answer)
        assert await lines.names(1) == [("ADDED", "a")]
        await make(served, "b")
        await served.call("DELETE", f"{CONFIG_MAPS}/a")
        assert await lines.names(2) == [("ADDED", "b"), ("DELETED", "a")]


async def test_from_a_version_on(served: Served) -> None:
    made = await make(served, "a")
    await make(served, "b")
    version = made["metadata"]["resourceVersion"]
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1&resourceVersion={version}") as answer:
        assert await Lines(answer).names(1) == [("ADDED", "b")]


async def test_selectors_make_changes_come_and_go(served: Served) -> None:
    await make(served, "a", app="x")
    merge = {"Content-Type": "application/merge-patch+json"}
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx") as answer:
        lines = Lines(answer)
        assert await lines.names(1) == [("ADDED", "a")]
        await served.call("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "y"}}}, headers=merge)
        await served.call("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "x"}}}, headers=merge)
        assert await lines.names(2) == [("DELETED", "a"), ("ADDED", "a")]


async def test_a_version_that_is_too_old_is_an_event(served: Served) -> None:
    await make(served, "a")
    served.etcd.compact()
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1&resourceVersion=1") as answer:
        assert answer.status == 200
        lines = Lines(answer)
        event = await lines.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await lines.next() is None


async def test_initial_events_end_with_a_bookmark(served: Served) -> None:
    await make(served, "a")
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?{query}") as answer:
        lines = Lines(answer)
        assert await lines.names(1) == [("ADDED", "a")]
        event = await lines.next()
        assert event["type"] == "BOOKMARK"
        assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_bookmarks_come_every_minute(served: Served) -> None:
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1&allowWatchBookmarks=true") as answer:
        lines = Lines(answer)
        for _ in range(2):
            await served.clock.advance(61)
            event = await lines.next()
            assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "ConfigMap")


async def test_it_ends_when_its_time_is_over(served: Served) -> None:
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1&timeoutSeconds=5") as answer:
        waiting = asyncio.ensure_future(Lines(answer).next())
        await served.clock.advance(6)
        assert await waiting is None
    assert not served.server.watches


async def test_tables_define_their_columns_once(served: Served) -> None:
    await make(served, "a")
    await make(served, "b")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1", headers=accept) as answer:
        lines = Lines(answer)
        first, second = await lines.next(), await lines.next()
    assert first["object"]["kind"] == second["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"]
    assert not second["object"]["columnDefinitions"]


async def test_the_old_path_of_watches(served: Served) -> None:
    await make(served, "a")
    await make(served, "b")
    async with served.admin.get(f"{served.url}/api/v1/watch/namespaces/default/configmaps/b") as answer:
        assert await Lines(answer).names(1) == [("ADDED", "b")]


async def test_a_client_that_goes_away_leaves_nothing(served: Served) -> None:
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1") as answer:
        answer.close()
    async with asyncio.timeout(5):
        while served.server.watches:
            await make(served, f"c{served.etcd.revision}")
            await asyncio.sleep(0)


async def test_watches_are_silent_without_etcd_and_go_on_with_it(served: Served) -> None:
    async with served.admin.get(f"{served.url}{CONFIG_MAPS}?watch=1") as answer:
        served.etcd.stop()
        assert (await served.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}}))[0] == 500
        served.etcd.start()
        await make(served, "b")
        assert await Lines(answer).names(1) == [("ADDED", "b")]


async def test_what_a_reader_does_not_read_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from labkit.embedded.kubernetes.apiserver import watching

    monkeypatch.setattr(watching, "SLOW", 0.2)
    context = served.context("admin")
    host, port = served.url.removeprefix("https://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, limit=1024)
    writer.transport.pause_reading()
    writer.write(f"GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(20):
        while not served.server.watches:  # noqa: ASYNC110
            await asyncio.sleep(0)
        number = 0
        while served.server.watches:
            body = {"metadata": {"name": f"big-{number}"}, "data": {"x": "y" * 500_000}}
            await served.call("POST", CONFIG_MAPS, body)
            await served.call("DELETE", f"{CONFIG_MAPS}/big-{number}")
            number += 1
    writer.close()

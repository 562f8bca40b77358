from __future__ import annotations

import asyncio

import orjson
import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Expired, Invalid
from labkit.embedded.kubernetes.etcd import Etcd, Event
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry, Watch
from labkit.embedded.kubernetes.registry.watching import check_watch_options

from .things import config_map, pod, refused

PODS, MAPS = kinds.PODS, kinds.CONFIG_MAPS


def says(events: list[Event]) -> list[str]:
    return [f"{event.type} {event.obj['metadata'].get('name', '')}".strip() for event in events]


def test_without_a_version_what_is_there_comes_first(registry: Registry) -> None:
    registry.create(PODS, "default", pod("b"))
    registry.create(PODS, "default", pod("a"))
    for version in ("", "0"):
        watch = registry.watch(PODS, version=version)
        assert says(watch.take()) == ["ADDED a", "ADDED b"]
    registry.delete(PODS, "default", "a")
    # A pod of no node goes at once; that it is to go is a revision of its own, though.
    assert says(watch.take()) == ["MODIFIED a", "DELETED a"]


def test_from_a_version_on(registry: Registry, etcd: Etcd) -> None:
    registry.create(PODS, "default", pod("a"))
    version = str(etcd.revision)
    registry.create(PODS, "default", pod("b"))
    registry.create(MAPS, "default", config_map("m"))
    watch = registry.watch(PODS, version=version)
    assert says(watch.take()) == ["ADDED b"]
    registry.create(PODS, "default", pod("c"))
    assert says(watch.take()) == ["ADDED c"]


def test_the_past_heeds_the_selector(registry: Registry, etcd: Etcd) -> None:
    version = str(etcd.revision)
    registry.create(PODS, "default", pod("a", labels={"app": "web"}))
    registry.create(PODS, "default", pod("b", labels={"app": "db"}))
    registry.modify(PODS, "default", "a", lambda obj: {**obj, "metadata": {**obj["metadata"], "labels": {}}})
    watch = registry.watch(PODS, "default", labels="app=web", version=version)
    assert says(watch.take()) == ["ADDED a", "DELETED a"]


def test_a_version_to_come_is_silent_until_then(registry: Registry, etcd: Etcd) -> None:
    watch = registry.watch(PODS, version=str(etcd.revision + 2))
    for name in "abc":
        registry.create(PODS, "default", pod(name))
    assert says(watch.take()) == ["ADDED c"]


def test_too_old(registry: Registry, etcd: Etcd) -> None:
    registry.create(PODS, "default", pod("a"))
    etcd.compact()
    registry.watch(PODS, version=str(etcd.revision)).close()
    with pytest.raises(Expired) as caught:
        registry.watch(PODS, version="1")
    assert refused(caught) == (410, f"too old resource version: 1 ({etcd.revision})")


def test_a_kubelet_hears_of_its_pods(registry: Registry) -> None:
    registry.create(PODS, "default", pod("a"))
    watch = registry.watch(PODS, fields="spec.nodeName=n1")
    registry.bind("default", "a", "n1")
    registry.create(PODS, "default", pod("b", node="n2"))
    registry.delete(PODS, "default", "a")
    registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=0))
    assert says(watch.take()) == ["ADDED a", "MODIFIED a", "MODIFIED a", "DELETED a"]


def test_one_object(registry: Registry) -> None:
    watch = registry.watch(MAPS, "default", fields="metadata.name=a")
    registry.create(MAPS, "default", config_map("a"))
    registry.create(MAPS, "default", config_map("b"))
    assert says(watch.take()) == ["ADDED a"]


class TestInitialEvents:
    def test_they_end_with_a_bookmark(self, registry: Registry, etcd: Etcd) -> None:
        registry.create(PODS, "default", pod("a"))
        watch = registry.watch(PODS, initial=True, bookmarks=True)
        added, bookmark = watch.take()
        assert says([added, bookmark]) == ["ADDED a", "BOOKMARK"]
        assert orjson.loads(bookmark.line) == {
            "type": "BOOKMARK",
            "object": {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {
                    "resourceVersion": str(etcd.revision),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            },
        }

    def test_also_of_nothing_and_from_a_version(self, registry: Registry) -> None:
        watch = registry.watch(PODS, initial=True, bookmarks=True, version="1")
        assert says(watch.take()) == ["BOOKMARK"]

    def test_bookmarks_say_how_far_it_is(self, registry: Registry, etcd: Etcd) -> None:
        watch = registry.watch(PODS, version=str(etcd.revision), bookmarks=True)
        registry.create(MAPS, "default", config_map("m"))
        watch.bookmark(etcd.revision)
        (bookmark,) = watch.take()
        assert bookmark.obj["metadata"] == {"resourceVersion": str(etcd.revision)}
        assert bookmark.obj["kind"] == "Pod"

    @pytest.mark.parametrize(
        ("match", "initial", "words"),
        [
            ("", True, "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
            (
                "NotOlderThan",
                None,
                "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is",
            ),
            ("Exact", True, "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ],
    )
    def test_what_does_not_go_together(self, match: str, initial: bool | None, words: str) -> None:
        with pytest.raises(Invalid, match=r"ListOptions\.meta\.k8s\.io") as caught:
            check_watch_options(match, initial)
        assert words in refused(caught)[1]

    def test_what_does(self) -> None:
        check_watch_options("", None)
        check_watch_options("NotOlderThan", True)


class TestIterating:
    async def test_it_waits_for_what_comes(self, registry: Registry) -> None:
        watch = registry.watch(PODS)
        seen: list[str] = []

        async def read() -> None:
            async for event in watch:
                seen.append(event.obj["metadata"]["name"])

        reader = asyncio.create_task(read())
        for name in "abc":
            registry.create(PODS, "default", pod(name))
            await asyncio.sleep(0)
        watch.close()
        await reader
        assert seen == ["a", "b", "c"]

    async def test_what_has_come_can_be_read_after_the_end(self, registry: Registry) -> None:
        watch = registry.watch(PODS)
        registry.create(PODS, "default", pod("a"))
        watch.close()
        watch.close()
        registry.create(PODS, "default", pod("b"))
        assert [event.obj["metadata"]["name"] async for event in watch] == ["a"]
        assert not await watch.wait()

    async def test_the_store_may_end_it(self, registry: Registry, etcd: Etcd) -> None:
        watch = registry.watch(PODS)
        ended = asyncio.create_task(_rest(watch))
        await asyncio.sleep(0)
        etcd.end_watches()
        assert await ended == []

    def test_it_is_left_with_its_block(self, registry: Registry) -> None:
        with registry.watch(PODS) as watch:
            pass
        assert watch.closed

    def test_who_does_not_read_is_cut_off(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        from labkit.embedded.kubernetes.registry import watching

        monkeypatch.setattr(watching, "LAG", 3)
        watch = registry.watch(PODS)
        for name in "abcdef":
            registry.create(PODS, "default", pod(name))
        assert watch.closed
        assert len(watch.take()) == 4


async def _rest(watch: Watch) -> list[Event]:
    return [event async for event in watch]

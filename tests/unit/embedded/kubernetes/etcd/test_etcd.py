from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import InternalError, StatusError
from labkit.embedded.kubernetes.etcd import Etcd, Event, Scope, Watcher, disk, hub
from labkit.embedded.kubernetes.etcd import etcd as module
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.storage import Row, Storage

PODS, MAPS = kinds.PODS, kinds.CONFIG_MAPS


def pod(name: str, namespace: str = "default", node: str = "", **labels: str) -> Json:
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}, "spec": {"nodeName": node}}


def put(etcd: Etcd, obj: Json, kind: kinds.Kind = PODS) -> None:
    metadata = obj["metadata"]
    etcd.put(kind, (metadata["namespace"], metadata["name"]), obj)


def told(etcd: Etcd, scope: Scope, after: int = 0) -> list[Event]:
    found: list[Event] = []
    etcd.watch(PODS, Watcher(scope, found.append, lambda: None, after))
    return found


def on(node: str) -> Scope:
    return Scope(index=node, by_index=True, matches=lambda obj: obj["spec"]["nodeName"] == node)


def says(events: list[Event]) -> list[tuple[str, str, int]]:
    return [(event.type, event.obj["metadata"]["name"], event.revision) for event in events]


def killed(file: Path) -> Storage:
    """What a process that was killed at this moment has left behind: its files as they are, its lock gone."""
    left = file.parent / f"left-{file.name}"
    for suffix in ("", "-wal"):
        if (source := Path(f"{file}{suffix}")).exists():
            shutil.copy(source, f"{left}{suffix}")
    return Storage(left)


def test_one_revision_counts_the_writes_of_all_kinds() -> None:
    etcd = Etcd()
    put(etcd, pod("a"))
    put(etcd, pod("m"), MAPS)
    put(etcd, pod("a"))
    assert etcd.get(PODS, ("default", "a")).revision == 4  # type: ignore[union-attr]
    assert etcd.get(MAPS, ("default", "m")).obj["metadata"]["resourceVersion"] == "3"  # type: ignore[union-attr]
    gone = etcd.delete(PODS, ("default", "a"))
    assert gone.revision == etcd.revision == 5
    assert gone.obj["metadata"]["resourceVersion"] == "5"
    assert etcd.get(PODS, ("default", "a")) is None


def test_keys_are_in_the_order_of_etcd() -> None:
    etcd = Etcd()
    for namespace, name in (("a", "z"), ("a-b", "x"), ("a", "b.c"), ("a", "b-c"), ("a", "b")):
        put(etcd, pod(name, namespace))
    table = etcd.table(PODS)
    # "-" and "." come before "/" in ASCII
    assert table.keys() == [("a-b", "x"), ("a", "b"), ("a", "b-c"), ("a", "b.c"), ("a", "z")]
    assert table.keys("a") == [("a", "b"), ("a", "b-c"), ("a", "b.c"), ("a", "z")]
    assert table.keys("nowhere") == []


def test_pods_are_found_by_node() -> None:
    etcd = Etcd()
    put(etcd, pod("a", node="n1"))
    put(etcd, pod("b"))
    put(etcd, pod("b", node="n1"))
    put(etcd, pod("a", node="n2"))
    etcd.put(PODS, ("other", "c"), pod("c", "other", "n1"))
    table = etcd.table(PODS)
    assert table.keys(index=("spec.nodeName", "n1")) == [("default", "b"), ("other", "c")]
    assert table.keys("other", index=("spec.nodeName", "n1")) == [("other", "c")]
    assert table.keys(index=("spec.nodeName", "")) == []
    etcd.delete(PODS, ("default", "b"))
    assert table.keys("default", index=("spec.nodeName", "n1")) == []


class TestWatching:
    def test_everything_in_order(self) -> None:
        etcd = Etcd()
        events = told(etcd, Scope())
        put(etcd, pod("a"))
        put(etcd, pod("a"))
        put(etcd, pod("m"), MAPS)
        etcd.delete(PODS, ("default", "a"))
        assert says(events) == [("ADDED", "a", 2), ("MODIFIED", "a", 3), ("DELETED", "a", 5)]

    @pytest.mark.parametrize(
        ("scope", "names"),
        [
            (Scope(), "abcd"),
            (Scope(namespace="default"), "abc"),
            (Scope(name="a"), "a"),
            (Scope(namespace="default", name="a"), "a"),
            (Scope(namespace="other", name="a"), ""),
            (on("n1"), "ad"),
            (Scope(namespace="other", index="n1", by_index=True), "d"),
            (on(""), "c"),
            (Scope(matches=lambda obj: obj["metadata"]["labels"].get("app") == "web"), "b"),
        ],
    )
    def test_each_hears_of_its_own(self, scope: Scope, names: str) -> None:
        etcd = Etcd()
        events = told(etcd, scope)
        put(etcd, pod("a", node="n1"))
        put(etcd, pod("b", node="n2", app="web"))
        put(etcd, pod("c"))
        put(etcd, pod("d", "other", "n1"))
        assert "".join(name for _, name, _ in says(events)) == names

    def test_what_comes_to_match_is_added_and_what_matches_no_longer_is_deleted_as_it_was(self) -> None:
        etcd = Etcd()
        events = told(etcd, Scope(matches=lambda obj: obj["metadata"]["labels"].get("app") == "web"))
        for labels in ({}, {"app": "web"}, {"app": "web", "x": "y"}, {"app": "db"}, {}):
            put(etcd, pod("a", **labels))
        assert says(events) == [("ADDED", "a", 3), ("MODIFIED", "a", 4), ("DELETED", "a", 5)]
        assert events[-1].obj["metadata"]["labels"] == {"app": "web", "x": "y"}
        assert events[-1].obj["metadata"]["resourceVersion"] == "5"

    def test_a_pod_that_is_bound_reaches_its_kubelet(self) -> None:
        etcd = Etcd()
        unbound, first, second = (
            told(etcd, on(node)) for node in ("", "n1", "n2")
        )  # fmt: skip
        put(etcd, pod("a"))
        put(etcd, pod("a", node="n1"))
        put(etcd, pod("a", node="n1"))
        etcd.delete(PODS, ("default", "a"))
        assert says(unbound) == [("ADDED", "a", 2), ("DELETED", "a", 3)]
        assert says(first) == [("ADDED", "a", 3), ("MODIFIED", "a", 4), ("DELETED", "a", 5)]
        assert says(second) == []

    def test_neighbours_share_the_event_and_its_line(self) -> None:
        etcd = Etcd()
        one, other = told(etcd, Scope()), told(etcd, Scope(namespace="default"))
        put(etcd, pod("a"))
        assert one[0] is other[0]
        assert one[0].line == b'{"type":"ADDED","object":' + etcd.get(PODS, ("default", "a")).json + b"}\n"  # type: ignore[union-attr]

    def test_who_has_left_hears_nothing(self) -> None:
        etcd = Etcd()
        events: list[Event] = []
        leave = etcd.watch(PODS, Watcher(Scope(), events.append, lambda: None))
        leave()
        leave()
        put(etcd, pod("a"))
        assert events == []

    def test_all_watches_can_be_ended(self) -> None:
        etcd = Etcd()
        ended: list[str] = []
        for name in ("x", "y"):
            etcd.watch(PODS, Watcher(Scope(name=name), lambda event: None, lambda name=name: ended.append(name)))  # type: ignore[misc]
        etcd.end_watches()
        assert sorted(ended) == ["x", "y"]

    def test_a_change_costs_the_same_with_five_hundred_kubelets(self) -> None:
        etcd = Etcd()
        asked = 0

        def matches(obj: Json) -> bool:
            nonlocal asked
            asked += 1
            return True

        for number in range(500):
            told(etcd, Scope(index=f"n{number}", by_index=True, matches=matches))
        put(etcd, pod("a", node="n7"))
        assert asked == 1


class TestHistory:
    def test_it_goes_back_and_is_told_from_a_revision_on(self) -> None:
        etcd = Etcd()
        for name in "abc":
            put(etcd, pod(name))
        assert [change.key[1] for change in etcd.changes(PODS, 2)] == ["b", "c"]
        assert etcd.changes(PODS, 4) == []

    def test_the_past_can_be_seen(self) -> None:
        etcd = Etcd()
        put(etcd, pod("a", app="v1"))
        put(etcd, pod("b"))
        put(etcd, pod("a", app="v2"))
        etcd.delete(PODS, ("default", "b"))
        then = etcd.at(PODS, 3)
        assert sorted(key[1] for key in then) == ["a", "b"]
        assert then["default", "a"].obj["metadata"]["labels"] == {"app": "v1"}
        assert sorted(key[1] for key in etcd.at(PODS, 2)) == ["a"]

    def test_it_ends_somewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub, "HISTORY_EVENTS", 10)
        etcd = Etcd()
        for number in range(25):
            put(etcd, pod(f"p{number}"))
        assert etcd.since(PODS) == 16
        assert len(etcd.changes(PODS, etcd.since(PODS))) == 10

    def test_it_takes_no_more_memory_than_it_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "HISTORY_BYTES", 50_000)
        etcd = Etcd()
        for _ in range(200):
            put(etcd, pod("a", text="x" * 1000))
            etcd.flush()
        put(etcd, pod("m"), MAPS)
        etcd.flush()
        assert sum(each.size for each in etcd._hubs.values()) <= 50_000
        assert 150 < etcd.since(PODS) < 201
        assert etcd.since(MAPS) == 0, "the small one is not to suffer for the big one"

    def test_after_five_minutes_only_the_last_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: now)
        etcd = Etcd()
        for number in range(250):
            put(etcd, pod(f"p{number}"))
        etcd.flush()
        assert etcd.since(PODS) == 0
        for _ in range(8):
            now += 60
            put(etcd, pod("m"), MAPS)
            etcd.flush()
        assert etcd.since(PODS) == 151
        assert len(etcd.changes(PODS, 151)) == 100
        assert etcd.since(MAPS) == 0

    def test_compaction_forgets(self) -> None:
        etcd = Etcd()
        for name in "abc":
            put(etcd, pod(name))
        etcd.compact(3)
        assert etcd.since(PODS) == 3
        etcd.compact()
        assert etcd.since(PODS) == etcd.since(MAPS) == 4


class TestStopped:
    def test_nothing_can_be_read_or_written(self) -> None:
        etcd = Etcd()
        put(etcd, pod("a"))
        etcd.stop()
        for attempt in (
            lambda: etcd.get(PODS, ("default", "a")),
            lambda: etcd.table(PODS),
            lambda: put(etcd, pod("b")),
            lambda: etcd.delete(PODS, ("default", "a")),
            etcd.check,
        ):
            with pytest.raises(StatusError, match="connection refused") as caught:
                attempt()
            assert caught.value.code == 500
        etcd.start()
        put(etcd, pod("b"))
        assert etcd.revision == 3


class TestDisk:
    def test_a_sandbox_that_was_killed_goes_on_where_it_was(self, tmp_path: Path) -> None:
        etcd = Etcd(Storage(tmp_path / "store"))
        put(etcd, pod("a", node="n1"))
        put(etcd, pod("b"))
        etcd.put(kinds.NODES, ("", "n1"), {"metadata": {"name": "n1"}})
        etcd.delete(PODS, ("default", "b"))
        etcd.flush()
        put(etcd, pod("lost"))  # nobody was told of it
        after = Etcd(killed(tmp_path / "store"))
        assert after.revision == 5
        assert [*after.table(PODS).records] == [("default", "a")]
        assert after.get(kinds.NODES, ("", "n1")).revision == 4  # type: ignore[union-attr]
        assert after.get(PODS, ("default", "a")).obj == etcd.get(PODS, ("default", "a")).obj  # type: ignore[union-attr]
        assert after.table(PODS).keys(index=("spec.nodeName", "n1")) == [("default", "a")]
        put(after, pod("c"))
        assert after.get(PODS, ("default", "c")).revision == 6  # type: ignore[union-attr]

    def test_a_watch_resumes_where_nothing_was_missed_and_only_there(self, tmp_path: Path) -> None:
        etcd = Etcd(Storage(tmp_path / "store"))
        put(etcd, pod("a"))
        put(etcd, pod("m"), MAPS)
        etcd.delete(PODS, ("default", "a"))
        put(etcd, pod("n"), MAPS)
        etcd.flush()
        after = Etcd(killed(tmp_path / "store"))
        # Of each kind it is known when it last changed, deletions included. What was before that is not.
        assert after.since(PODS) == 4
        assert after.since(MAPS) == 5
        assert after.since(kinds.NODES) == 0

    async def test_what_waits_shares_a_transaction(self, tmp_path: Path) -> None:
        commits = 0

        class Counting(Storage):
            def transaction(self):  # type: ignore[no-untyped-def]
                nonlocal commits
                commits += 1
                return super().transaction()

        etcd = Etcd(Counting(tmp_path / "store"))

        async def write(name: str) -> None:
            put(etcd, pod(name))
            await etcd.durable()

        await asyncio.gather(*(write(f"p{number}") for number in range(20)))
        assert commits == 1
        assert len(Etcd(killed(tmp_path / "store")).table(PODS)) == 20
        await etcd.durable()
        assert commits == 1, "nothing to wait for"

    async def test_one_who_gives_up_does_not_take_the_others_along(self) -> None:
        etcd = Etcd()
        put(etcd, pod("a"))
        waiting = [asyncio.create_task(etcd.durable()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await waiting[1]
        assert waiting[0].cancelled() or waiting[0].done()

    async def test_who_has_seen_only_what_is_on_disk_need_not_wait(self) -> None:
        etcd = Etcd()
        put(etcd, pod("a"))
        await etcd.durable()
        put(etcd, pod("b"))
        await etcd.durable(2)
        assert etcd._disk.pending
        await etcd.durable(3)
        assert not etcd._disk.pending

    async def test_a_write_goes_to_disk_though_nobody_waits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disk, "WRITE_BEHIND", 0)
        etcd = Etcd(Storage(tmp_path / "store"))
        put(etcd, pod("a"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(Etcd(killed(tmp_path / "store")).table(PODS)) == 1

    async def test_a_disk_that_refuses_is_told_to_who_waits_and_tried_again(self) -> None:
        class Full(Storage):
            full = True

            def write(self, rows: Iterable[Row], gone: Iterable[tuple[str, str]] = ()) -> None:
                if self.full:
                    raise sqlite3.OperationalError("database or disk is full")
                super().write(rows, gone)

        storage = Full()
        etcd = Etcd(storage)
        put(etcd, pod("a"))
        with pytest.raises(InternalError, match="etcdserver: database or disk is full"):
            await etcd.durable()
        storage.full = False
        await etcd.durable()
        assert storage.get("kubernetes/pods", "default/a")["metadata"]["name"] == "a"


def test_events_rest_as_json_and_are_what_they_were() -> None:
    storage = Storage()
    etcd = Etcd(storage)
    put(etcd, pod("said"), kinds.EVENTS)
    key = ("default", "said")
    said = etcd.get(kinds.EVENTS, key)
    assert said is not None
    warm, line = said.obj, said.json
    etcd.flush()
    assert said.obj is not warm  # made anew for each who asks
    assert (said.obj, said.json) == (warm, line)
    put(etcd, pod("said", again="1"), kinds.EVENTS)
    [*_, change] = etcd.changes(kinds.EVENTS, 0)
    assert change.old is said
    assert (said.obj, said.json) == (warm, line)  # also when it has been overtaken
    etcd.flush()
    etcd.delete(kinds.EVENTS, key)
    assert etcd.changes(kinds.EVENTS, 0)[-1].deleted.obj["metadata"]["labels"] == {"again": "1"}
    put(etcd, pod("other"), kinds.EVENTS)
    etcd.flush()
    again = Etcd(storage).get(kinds.EVENTS, ("default", "other"))
    assert again is not None
    assert again.obj == pod("other") | {"metadata": {**pod("other")["metadata"], "resourceVersion": "5"}}


def test_an_encoded_object_takes_no_more_than_its_length() -> None:
    etcd = Etcd()
    put(etcd, pod("a"))
    record = etcd.get(PODS, ("default", "a"))
    assert record is not None
    tracemalloc.start()
    try:
        kept = record.json
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < len(kept) + 200
    assert record.json is kept
    put(etcd, pod("a", node="n"))
    assert record.json == kept  # encoded once more, should anybody ask

"""Watches: what comes first, what comes then, where they resume, and when they may not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from kubernetes import watch
from support.kube_cluster import KubeCluster, config_map


@pytest.fixture
def maps(kube: KubeCluster, ns: str) -> Callable[..., str]:
    """Creates ConfigMaps by name and gives the path of all of them."""

    def create(*names: str, **labels: str) -> str:
        for name in names:
            kube.create(ns, config_map(name, labels))
        return kube.path("configmaps", ns)

    return create


OURS = {"labelSelector": "ours"}


def test_first_what_is_there_then_what_happens(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", "b", ours="yes")
    with kube.watch(path, **OURS) as events:
        assert sorted(events.named(2)) == [("ADDED", "a"), ("ADDED", "b")]
        maps("c", ours="yes")
        kube.patch(f"{path}/a", {"data": {"x": "1"}})
        kube.delete(f"{path}/b")
        assert events.named(3) == [("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_the_object_that_was_deleted_has_a_new_version(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    with kube.watch(path, **OURS) as events:
        _, before = events.next()
        kube.delete(f"{path}/a")
        kind, after = events.next()
    assert kind == "DELETED"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])


def test_a_watch_from_a_lists_version_misses_nothing(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    version = kube.get(path)["metadata"]["resourceVersion"]
    maps("b", ours="yes")
    kube.delete(f"{path}/b")
    with kube.watch(path, resourceVersion=version, **OURS) as events:
        assert events.named(2) == [("ADDED", "b"), ("DELETED", "b")]


def test_a_watch_goes_on_where_another_ended(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", "b", "c", ours="yes")
    with kube.watch(path, resourceVersion="0", **OURS) as events:
        seen = [events.next()[1]["metadata"] for _ in range(3)]
    last = max(int(meta["resourceVersion"]) for meta in seen)
    kube.patch(f"{path}/b", {"data": {"x": "1"}})
    with kube.watch(path, resourceVersion=str(last), **OURS) as events:
        assert events.named(1) == [("MODIFIED", "b")]


def test_leaving_a_selector_is_a_deletion(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    with kube.watch(path, labelSelector="ours=yes") as events:
        assert events.named(1) == [("ADDED", "a")]
        kube.patch(f"{path}/a", {"metadata": {"labels": {"ours": "no"}}})
        kube.patch(f"{path}/a", {"data": {"x": "1"}})
        kube.patch(f"{path}/a", {"metadata": {"labels": {"ours": "yes"}}})
        assert events.named(2) == [("DELETED", "a"), ("ADDED", "a")]


def test_a_watch_of_one_object(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", "b", ours="yes")
    with kube.watch(path, fieldSelector="metadata.name=b") as events:
        kube.patch(f"{path}/a", {"data": {"x": "1"}})
        kube.patch(f"{path}/b", {"data": {"x": "1"}})
        assert events.named(2) == [("ADDED", "b"), ("MODIFIED", "b")]


def test_the_old_path_of_a_watch(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    maps("a", ours="yes")
    with kube.watch(f"/api/v1/watch/namespaces/{ns}/configmaps", **OURS) as events:
        assert events.named(1) == [("ADDED", "a")]


def test_a_watch_ends_when_its_time_is_over(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    started = time.monotonic()
    with kube.watch(path, timeoutSeconds=1, **OURS) as events:
        assert [kind for kind, _ in events.rest()] == ["ADDED"]
    assert time.monotonic() - started < 10


def test_a_watch_from_what_is_no_version(kube: KubeCluster, ns: str) -> None:
    status = kube.refusal("GET", kube.path("configmaps", ns), params={"watch": "true", "resourceVersion": "x"})
    assert status["message"] == ('resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax')


def test_a_watch_of_tables(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    answer = kube.raw("GET", path, params={"watch": "1", **OURS}, headers=headers, stream=True)
    try:
        lines = answer.iter_lines()
        first = json.loads(next(lines))["object"]
        maps("b", ours="yes")
        second = json.loads(next(lines))["object"]
    finally:
        answer.close()
    assert first["kind"] == second["kind"] == "Table"
    assert [c["name"] for c in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second["columnDefinitions"]  # said once
    assert second["rows"][0]["cells"][0] == "b"


def test_bookmarks_come_when_they_are_asked_for(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    kube.needs((1, 27), "sendInitialEvents")
    path = maps("a", "b", ours="yes")
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with kube.watch(path, **asked, **OURS) as events:
        assert sorted(events.named(2)) == [("ADDED", "a"), ("ADDED", "b")]
        kind, found = events.next()
        assert kind == "BOOKMARK"
        assert found["kind"] == "ConfigMap"
        assert found["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        kube.delete(f"{path}/a")
        assert events.named(1) == [("DELETED", "a")]


def test_initial_events_want_to_be_asked_for_wholly(kube: KubeCluster, ns: str) -> None:
    kube.needs((1, 27), "sendInitialEvents")
    status = kube.refusal("GET", kube.path("configmaps", ns), params={"watch": "1", "sendInitialEvents": "true"})
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" \
        in status["message"]  # fmt: skip


def test_a_watch_of_all_namespaces(kube: KubeCluster, ns: str) -> None:
    word = ns.replace("-", "")
    with kube.watch(kube.path("configmaps"), labelSelector=f"word={word}") as events:
        kube.create(ns, config_map("a", {"word": word}))
        kind, found = events.next()
    assert (kind, found["metadata"]["namespace"]) == ("ADDED", ns)
    assert (found["kind"], found["apiVersion"]) == ("ConfigMap", "v1")


def test_the_official_clients_watch(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(
        kube.core.list_namespaced_config_map, ns, label_selector="ours", timeout_seconds=20, _request_timeout=30
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 1:
            kube.patch(f"{path}/a", {"data": {"x": "1"}})
        elif len(seen) == 2:
            kube.delete(f"{path}/a")
        else:
            watcher.stop()
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_kubectl_waits_by_watching(kube: KubeCluster, ns: str, maps: Callable[..., str]) -> None:
    path = maps("a", ours="yes")
    waiting = kube.start("wait", "--for=delete", "configmap/a", "-n", ns, "--timeout=30s")
    kube.delete(f"{path}/a")
    out, _ = waiting.communicate(timeout=40)
    assert waiting.returncode == 0, out

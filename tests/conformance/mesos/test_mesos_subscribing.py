"""SUBSCRIBE: how a framework is let in, kept, refused, and let in again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import JSON, MesosCluster, Scheduler, framework_info
from support.until import until

Json = dict[str, Any]
Frameworks = Callable[..., Scheduler]

SUBSCRIBE = "mesos/docs/scheduler-http-api.md#subscribe"
DISCONNECTIONS = "mesos/docs/scheduler-http-api.md#disconnections"
CALLS = "mesos/docs/scheduler-http-api.md#calls"


def _subscribe(info: Json, **fields: Any) -> Json:
    return {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, **fields}}


def _shown(cluster: MesosCluster, framework_id: str, part: str = "frameworks") -> Json | None:
    return next((one for one in cluster.show("/frameworks")[part] if one["id"] == framework_id), None)


@holds(SUBSCRIBE, "mesos/docs/scheduler-http-api.md#subscribed")
def test_the_first_event_says_who_one_is(frameworks: Frameworks) -> None:
    one = frameworks()
    told = one.subscribe()["subscribed"]
    assert told["framework_id"]["value"]
    assert told["heartbeat_interval_seconds"] == 15
    assert one.stream.seen[0]["type"] == "SUBSCRIBED"


@holds("mesos/docs/recordio.md#mesos-recordio-format", "mesos/docs/scheduler-http-api.md#recordio-response-format")
def test_the_answer_is_an_endless_stream_of_records(scheduler: Scheduler) -> None:
    headers = scheduler.stream.answer.headers
    assert headers["Transfer-Encoding"] == "chunked"
    assert headers["Content-Type"] == JSON
    assert "Content-Length" not in headers
    assert 0 < len(headers["Mesos-Stream-Id"]) <= 128


@holds("mesos/docs/scheduler-http-api.md#heartbeat", "mesos/docs/scheduler-http-api.md#network-partitions")
def test_heartbeats_come_again_and_again(scheduler: Scheduler) -> None:
    scheduler.stream.event("HEARTBEAT")
    assert scheduler.stream.event("HEARTBEAT") == {"type": "HEARTBEAT"}


@holds(SUBSCRIBE)
def test_two_frameworks_are_two(frameworks: Frameworks) -> None:
    one, other = frameworks(), frameworks()
    one.subscribe()
    other.subscribe()
    assert one.id != other.id
    assert one.stream_id != other.stream_id


@holds("mesos/include/mesos/v1/mesos.proto#FrameworkInfo", "mesos/docs/endpoints/master/frameworks.md#description")
def test_what_a_framework_says_of_itself_is_shown(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(
        name="somebody", webui_url="http://127.0.0.1:1/", hostname="here", failover_timeout=60.0, checkpoint=True,
        labels={"labels": [{"key": "team", "value": "blue"}]},
    )  # fmt: skip
    one.subscribe()
    shown = _shown(cluster, one.id)
    assert shown is not None
    assert (shown["name"], shown["hostname"], shown["webui_url"]) == ("somebody", "here", "http://127.0.0.1:1/")
    assert (shown["failover_timeout"], shown["checkpoint"], shown["active"]) == (60.0, True, True)
    assert shown["labels"] == [{"key": "team", "value": "blue"}]
    assert shown["roles"] == ["*"]
    assert "MULTI_ROLE" in shown["capabilities"]


@holds(SUBSCRIBE)
def test_subscribe_brings_no_stream_id(frameworks: Frameworks) -> None:
    stream = frameworks().open(_subscribe(framework_info()), **{"Mesos-Stream-Id": "mine"})
    assert stream.status == 400
    assert "Subscribe calls should not include the 'Mesos-Stream-Id' header" in stream.words


@holds(CALLS)
def test_every_other_call_brings_one(scheduler: Scheduler) -> None:
    body = {"type": "REVIVE", "framework_id": {"value": scheduler.id}}
    answer = scheduler.post(body, **{"Mesos-Stream-Id": ""})
    assert answer.status_code == 400
    assert "should include the 'Mesos-Stream-Id' header" in answer.text
    answer = scheduler.post(body, **{"Mesos-Stream-Id": "another"})
    assert answer.status_code == 400
    assert "didn't match the stream ID currently associated with framework ID" in answer.text


@holds(SUBSCRIBE)
def test_a_call_of_nobody(scheduler: Scheduler) -> None:
    answer = scheduler.post({"type": "REVIVE", "framework_id": {"value": "nobody"}})
    assert (answer.status_code, answer.text) == (400, "Framework cannot be found")


@holds(DISCONNECTIONS)
def test_a_call_of_a_framework_that_hung_up(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(failover_timeout=3600.0)
    one.subscribe()
    one.stream.close()
    until(lambda: not (_shown(cluster, one.id) or {"connected": True})["connected"])
    answer = one.call("REVIVE")
    assert (answer.status_code, answer.text) == (403, "Framework is not subscribed")


@holds(DISCONNECTIONS)
def test_it_comes_back_with_its_id_and_gets_a_new_stream(frameworks: Frameworks) -> None:
    one = frameworks(failover_timeout=3600.0)
    one.subscribe()
    before = (one.id, one.stream_id)
    one.stream.close()
    one.subscribe()
    assert one.id == before[0]
    assert one.stream_id != before[1]
    one.told("REVIVE")


@holds(DISCONNECTIONS, "mesos/docs/scheduler-http-api.md#error")
def test_a_second_subscription_ends_the_first(frameworks: Frameworks) -> None:
    one = frameworks(failover_timeout=3600.0)
    one.subscribe()
    first = one.stream
    one.subscribe()
    assert "Framework failed over" in first.event("ERROR")["error"]["message"]
    assert first.ended.wait(10)
    one.told("REVIVE")


@holds(DISCONNECTIONS)
def test_without_a_failover_timeout_it_is_gone_at_once(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks()
    one.subscribe()
    one.stream.close()
    until(lambda: _shown(cluster, one.id) is None, what="the framework is removed")
    gone = _shown(cluster, one.id, "completed_frameworks")
    assert gone is not None
    assert gone["active"] is False


@holds(DISCONNECTIONS)
def test_after_its_failover_timeout_it_is_gone(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(failover_timeout=5.0)
    one.subscribe()
    one.stream.close()
    until(lambda: _shown(cluster, one.id) is None, what="the framework is removed")


@holds(DISCONNECTIONS)
def test_a_framework_that_was_removed_does_not_come_back(frameworks: Frameworks) -> None:
    one = frameworks()
    one.subscribe()
    one.told("TEARDOWN")
    info = framework_info(id={"value": one.id})
    stream = one.open({**_subscribe(info), "framework_id": {"value": one.id}})
    assert stream.event("ERROR")["error"]["message"] == "Framework has been removed"


@holds("mesos/docs/scheduler-http-api.md#teardown")
def test_teardown_ends_the_stream_and_its_tasks(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    scheduler.told("TEARDOWN")
    assert scheduler.stream.ended.wait(10)
    gone = until(lambda: _shown(cluster, scheduler.id, "completed_frameworks")) or {}
    assert [one["id"] for one in gone["completed_tasks"]] == [task["task_id"]["value"]]
    until(cluster.idle, what="its resources are given back")


@holds(SUBSCRIBE, "mesos/include/mesos/v1/scheduler/scheduler.proto#Call")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Expecting 'type' to be present"),
        ({"type": "NONSENSE"}, "type"),
        ({"type": "SUBSCRIBE"}, "Expecting 'subscribe' to be present"),
        ({"type": "SUBSCRIBE", "subscribe": {}}, "framework_info"),
        ({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root"}}}, "name"),
        ({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}}, "user"),
        (
            {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": 1, "user": "root"}}},
            "JSON number for field 'name'",
        ),
        ({"type": "REVIVE"}, "Expecting 'framework_id' to be present"),
        ([], "JSON"),
    ],
)
def test_calls_that_are_none(scheduler: Scheduler, body: Any, words: str) -> None:
    answer = scheduler.post(json.dumps(body).encode(), **{"Mesos-Stream-Id": ""})
    assert answer.status_code == 400
    assert words in answer.text


@holds("mesos/include/mesos/v1/scheduler/scheduler.proto#Call")
@pytest.mark.parametrize(
    "kind",
    [
        "ACCEPT", "DECLINE", "KILL", "SHUTDOWN", "ACKNOWLEDGE", "RECONCILE", "MESSAGE", "REQUEST",
        "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS", "ACKNOWLEDGE_OPERATION_STATUS", "RECONCILE_OPERATIONS",
        "UPDATE_FRAMEWORK",
    ],
)  # fmt: skip
def test_a_call_without_its_part(scheduler: Scheduler, kind: str) -> None:
    answer = scheduler.call(kind)
    assert answer.status_code == 400
    assert f"Expecting '{kind.lower()}' to be present" in answer.text


@holds("mesos/docs/scheduler-http-api.md#acknowledge", "mesos/docs/scheduler-http-api.md#message")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("ACKNOWLEDGE", {"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": "no-base64!"}),
        ("MESSAGE", {"agent_id": {"value": "a"}, "executor_id": {"value": "e"}, "data": "words, no bytes"}),
    ],
)
def test_bytes_are_base64(scheduler: Scheduler, kind: str, body: Json) -> None:
    field = "uuid" if kind == "ACKNOWLEDGE" else "data"
    answer = scheduler.call(kind, **body)
    assert answer.status_code == 400
    assert f"Failed to base64 decode bytes field '{field}'" in answer.text


@holds("mesos/docs/scheduler-http-api.md#overview")
def test_only_post(cluster: MesosCluster) -> None:
    answer = cluster.master("/api/v1/scheduler")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@holds("mesos/docs/scheduler-http-api.md#overview")
def test_the_content_type_is_named(scheduler: Scheduler) -> None:
    answer = scheduler.post(_subscribe(framework_info()), **{"Content-Type": ""})
    assert (answer.status_code, answer.text) == (400, "Expecting 'Content-Type' to be present")
    answer = scheduler.post(_subscribe(framework_info()), **{"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "Expecting 'Content-Type' of application/json" in answer.text


@holds("mesos/docs/scheduler-http-api.md#overview")
def test_malformed_json(scheduler: Scheduler) -> None:
    answer = scheduler.post(b'{"type": ')
    assert answer.status_code == 400
    assert "Failed to parse body into JSON" in answer.text


@holds("mesos/docs/scheduler-http-api.md#events")
def test_what_cannot_be_spoken_is_not_acceptable(frameworks: Frameworks) -> None:
    stream = frameworks().open(_subscribe(framework_info()), Accept="text/html")
    assert stream.status == 406
    assert "Expecting 'Accept' to allow" in stream.words


@holds(SUBSCRIBE)
def test_the_two_ids_are_one(scheduler: Scheduler) -> None:
    body = {**_subscribe(framework_info(id={"value": "one"})), "framework_id": {"value": "other"}}
    answer = scheduler.post(body, **{"Mesos-Stream-Id": ""})
    assert answer.status_code == 400
    assert "'framework_id' differs from 'subscribe.framework_info.id'" in answer.text


@holds("mesos/docs/roles.md#invalid-role-names", "mesos/docs/scheduler-http-api.md#error")
@pytest.mark.parametrize("role", [".", "..", "-dash", "with space", "tab\there", "/slash", "a//b", "a/", "a/*"])
def test_invalid_roles(frameworks: Frameworks, role: str) -> None:
    stream = frameworks().open(_subscribe(framework_info(roles=[role])))
    assert stream.status in (200, 400)  # the document allows for both: an answer of 4xx, or an ERROR in the stream
    words = stream.words if stream.status == 400 else stream.event("ERROR")["error"]["message"]
    assert "role" in words


@holds("mesos/docs/roles.md#subscribing-to-multiple-roles")
@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"roles": ["a", "a"]}, "'FrameworkInfo.roles' contains duplicate items"),
        ({"roles": ["a"], "capabilities": []}, "'FrameworkInfo.roles' must not be set"),
        ({"roles": [], "role": "a"}, "'FrameworkInfo.role' must not be set"),
    ],
)
def test_roles_that_do_not_go_together(frameworks: Frameworks, info: Json, words: str) -> None:
    stream = frameworks().open(_subscribe(framework_info(**info)))
    assert words in stream.event("ERROR")["error"]["message"]


@holds(SUBSCRIBE)
def test_suppressed_roles_are_roles_of_the_framework(frameworks: Frameworks) -> None:
    stream = frameworks().open(_subscribe(framework_info(roles=["a"]), suppressed_roles=["b"]))
    words = stream.words if stream.status == 400 else stream.event("ERROR")["error"]["message"]
    assert "Suppressed roles { b } are not contained in the set of roles" in words


@holds("mesos/docs/authentication.md#framework")
def test_a_framework_does_not_pretend_to_be_somebody_else(cluster: MesosCluster, frameworks: Frameworks) -> None:
    if cluster.mesos.auth is None:
        pytest.skip("this Mesos asks nobody for credentials")
    stream = frameworks().open(_subscribe(framework_info(principal="somebody")))
    assert stream.status == 400
    assert "does not match principal 'somebody' set in `FrameworkInfo`" in stream.words


@holds("mesos/docs/scheduler-http-api.md#update_framework")
def test_a_framework_changes_what_it_says_of_itself(cluster: MesosCluster, scheduler: Scheduler) -> None:
    info = {**scheduler.info, "id": {"value": scheduler.id}, "name": "renamed", "roles": ["*", "second"]}
    if cluster.mesos.auth is not None:
        info["principal"] = cluster.mesos.auth[0]
    answer = scheduler.call("UPDATE_FRAMEWORK", framework_info=info, suppressed_roles=["second"])
    assert answer.status_code == 200, answer.text
    shown = _shown(cluster, scheduler.id)
    assert shown is not None
    assert (shown["name"], sorted(shown["roles"])) == ("renamed", ["*", "second"])


@holds("mesos/docs/scheduler-http-api.md#disallowed-updates")
@pytest.mark.parametrize("field", [{"user": "somebody-else"}, {"checkpoint": True}])
def test_what_a_framework_cannot_change(cluster: MesosCluster, scheduler: Scheduler, field: Json) -> None:
    info = {**scheduler.info, "id": {"value": scheduler.id}, **field}
    if cluster.mesos.auth is not None:
        info["principal"] = cluster.mesos.auth[0]
    answer = scheduler.call("UPDATE_FRAMEWORK", framework_info=info)
    assert answer.status_code == 400
    assert f"Updating 'FrameworkInfo.{next(iter(field))}' is unsupported" in answer.text

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Recorder
from labkit.embedded.kubernetes.objects import Json


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube() as kube:
        yield kube


@pytest.fixture
async def pod(kube: Kube) -> Json:
    made = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return await kube.create(kinds.PODS, made)


def recorder(kube: Kube, **given: Any) -> Recorder:
    client = Client(kube.door, machine="worker-1", user="system:node:worker-1", manager="kubelet")
    return Recorder(client, "kubelet", "worker-1", **given)


async def test_an_event_says_who_what_and_when(kube: Kube, pod: Json) -> None:
    recorder(kube).event(pod, "Normal", "Started", "Container started", field_path="spec.containers{c}")
    await kube.settle()
    (event,) = kube.all(kinds.EVENTS)
    assert event["metadata"]["name"].startswith("web.")
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "default",
        "name": "web",
        "uid": pod["metadata"]["uid"],
        "apiVersion": "v1",
        "resourceVersion": pod["metadata"]["resourceVersion"],
        "fieldPath": "spec.containers{c}",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Started", "Container started")
    assert event["source"] == {"component": "kubelet", "host": "worker-1"}
    assert event["reportingComponent"] == "kubelet"
    assert event["reportingInstance"] == "worker-1"
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["count"] == 1


async def test_the_same_again_counts_up(kube: Kube, pod: Json) -> None:
    says = recorder(kube)
    for _ in range(3):
        says.event(pod, "Warning", "BackOff", "Back-off restarting failed container")
        await kube.advance(10)
    (event,) = kube.all(kinds.EVENTS)
    assert event["count"] == 3
    assert event["firstTimestamp"] < event["lastTimestamp"]


async def test_an_event_that_is_gone_is_written_anew_with_its_count(kube: Kube, pod: Json) -> None:
    says = recorder(kube)
    says.event(pod, "Warning", "BackOff", "no")
    await kube.settle()
    kube.registry.delete_collection(kinds.EVENTS, "default")
    says.event(pod, "Warning", "BackOff", "no")
    await kube.settle()
    (event,) = kube.all(kinds.EVENTS)
    assert event["count"] == 2


async def test_about_an_object_without_a_namespace_it_is_told_in_default(kube: Kube) -> None:
    node = kube.registry.get(kinds.NODES, "", "worker-1")
    recorder(kube).event(node, "Normal", "NodeReady", "Node worker-1 status is now: NodeReady")
    await kube.settle()
    (event,) = kube.all(kinds.EVENTS)
    assert "namespace" not in event["involvedObject"]


async def test_it_keeps_a_pace_and_drops_what_the_queue_does_not_hold(kube: Kube) -> None:
    says = recorder(kube)
    for number in range(1500):
        about = {"kind": "Pod", "namespace": "default", "name": f"p{number}", "uid": f"u{number}", "apiVersion": "v1"}
        says.event(about, "Normal", "Scheduled", "here")
    await kube.settle()
    assert len(kube.all(kinds.EVENTS)) == 100
    await kube.advance(1)
    assert 140 <= len(kube.all(kinds.EVENTS)) <= 160
    await kube.advance(60)
    assert len(kube.all(kinds.EVENTS)) == 1000


async def test_a_refused_event_is_lost_and_an_unreachable_server_is_tried_again(kube: Kube, pod: Json) -> None:
    says = recorder(kube)
    says.event({**pod, "metadata": {**pod["metadata"], "namespace": "gone"}}, "Normal", "A", "a")
    kube.door.close()
    says.event(pod, "Normal", "B", "b")
    await kube.advance(15)
    kube.door.open()
    await kube.advance(10)
    assert [event["reason"] for event in kube.all(kinds.EVENTS)] == ["B"]


async def test_modern_events_have_their_time_and_action(kube: Kube, pod: Json) -> None:
    recorder(kube, modern=True).event(pod, "Normal", "Scheduled", "Successfully assigned", action="Binding")
    await kube.settle()
    (event,) = kube.all(kinds.EVENTS)
    assert event["eventTime"]
    assert event["action"] == "Binding"
    assert not event.get("count")


async def test_stopped_it_leaves_no_task(kube: Kube, pod: Json) -> None:
    says = recorder(kube, rate=0.1, burst=1)
    says.event(pod, "Normal", "A", "a")
    says.event(pod, "Normal", "B", "b")
    await kube.settle()
    await says.stop()
    await kube.advance(100)
    assert [event["reason"] for event in kube.all(kinds.EVENTS)] == ["A"]


FORMS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({}, {}, True),
    ({"modern": True}, {"action": "Binding"}, True),
    ({}, {"field_path": "spec.containers{c}"}, True),
    ({}, {}, False),
    ({"modern": True}, {"action": "Draining"}, False),
]


@pytest.mark.parametrize("about", ["pod", "node", "reference"])
async def test_fields_known_from_an_event_before_are_those_that_would_be_worked_out(
    kube: Kube, pod: Json, about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects: dict[str, list[Json]] = {
        "pod": [pod, await kube.create(kinds.PODS, {**pod, "metadata": {"name": "other"}, "status": {}})],
        "node": [kube.registry.get(kinds.NODES, "", name) for name in ("worker-1", "worker-2")],
        "reference": [
            {"kind": "Node", "name": "worker-1", "uid": "worker-1"},
            {"kind": "Node", "name": "worker-2", "uid": ""},
        ],
    }

    async def told() -> list[Json]:
        """The fields of an event of each form about each object, in order."""
        client = Client(kube.door, machine="worker-1", user="system:node:worker-1", manager="kubelet")
        for form, said, hosted in FORMS:
            for obj in objects[about]:
                says = Recorder(client, "kubelet", "worker-1" if hosted else "", **form)
                says.event(obj, "Normal", "Started", "It goes", **said)
                await kube.settle()
                await says.stop()
        events = sorted(kube.all(kinds.EVENTS), key=lambda event: int(event["metadata"]["resourceVersion"]))
        kube.registry.delete_collection(kinds.EVENTS, "default")
        return [event["metadata"]["managedFields"][0]["fieldsV1"] for event in events]

    monkeypatch.setattr("labkit.embedded.kubernetes.client.recorder._FIELDS", {})
    known = await told()
    monkeypatch.setattr("labkit.embedded.kubernetes.client.recorder._FIELDS", _Forgetful())
    worked_out = await told()
    assert len(known) == len(FORMS) * len(objects[about])
    assert known == worked_out
    assert len({str(fields) for fields in known}) > 2, "the forms differ, or this shows nothing"


class _Forgetful(dict[Any, Any]):
    def __setitem__(self, form: Any, fields: Any) -> None:
        pass

"""EndpointSlices: the plan, which is pure, and the controllers around it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.endpointslices import (
    EndpointSliceController,
    EndpointSliceMirroringController,
)
from labkit.embedded.kubernetes.controllers.endpointslices.plan import Group, Plan, Template, endpoint_key, plan
from labkit.embedded.kubernetes.objects import Json, name_of

from .clusterstage import Stage

OWNER = {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u"}
TEMPLATE = Template(OWNER, "default", "web-", {"kubernetes.io/service-name": "web"}, placeholders=("IPv4",))
GROUP: Group = ("IPv4", (("", 80, "TCP", ""),))
OTHER: Group = ("IPv4", (("", 81, "TCP", ""),))
LIMIT = 4


def endpoint(number: int, ready: bool = True) -> Json:
    return {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready}, "targetRef": {"uid": f"u{number}"}}


def wanted(numbers: dict[int, bool], group: Group = GROUP) -> dict[Group, dict[Any, Json]]:
    made = [endpoint(number, ready) for number, ready in sorted(numbers.items())]
    return {group: {endpoint_key(one): one for one in made}} if made else {}


class Shelf:
    """Does what plans say."""

    def __init__(self) -> None:
        self.slices: dict[str, Json] = {}
        self._made = 0

    def carry_out(self, todo: Plan) -> None:
        for slice in todo.create:
            self._made += 1
            slice["metadata"]["name"] = f"web-{self._made}"
        for slice in (*todo.create, *todo.update):
            self.slices[name_of(slice)] = slice
        for slice in todo.delete:
            del self.slices[name_of(slice)]


desired = st.dictionaries(st.integers(0, 12), st.booleans(), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(desired, desired), min_size=1, max_size=8))
def test_every_endpoint_is_in_one_slice_and_nothing_is_written_in_vain(rounds: list[Any]) -> None:
    shelf = Shelf()
    for first, second in rounds:
        want = {**wanted(first), **wanted(second, OTHER)}
        before = dict(shelf.slices)
        todo = plan(TEMPLATE, shelf.slices.values(), want, limit=LIMIT)
        # Nothing that exists was changed in place, and only what differs is written.
        for slice in todo.update:
            old = before[name_of(slice)]
            assert old["endpoints"] != slice["endpoints"] or old["ports"] != slice["ports"]
        assert not (todo.create and todo.delete)  # one would have become the other
        shelf.carry_out(todo)
        found = [
            (slice["ports"][0]["port"], one["addresses"][0], one["conditions"]["ready"])
            for slice in shelf.slices.values()
            for one in slice["endpoints"]
        ]
        expected = [(80, f"10.0.0.{n}", ready) for n, ready in first.items()]
        expected += [(81, f"10.0.0.{n}", ready) for n, ready in second.items()]
        assert Counter(found) == Counter(expected)
        assert all(len(slice["endpoints"]) <= LIMIT for slice in shelf.slices.values())
        assert shelf.slices  # a Service without endpoints has a slice that says so
        if found:
            assert all(slice["endpoints"] for slice in shelf.slices.values())
        assert not plan(TEMPLATE, shelf.slices.values(), want, limit=LIMIT)  # it is settled


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.integers(0, 40), st.booleans(), min_size=1), st.data())
def test_one_change_is_one_write(numbers: dict[int, bool], data: st.DataObject) -> None:
    shelf = Shelf()
    shelf.carry_out(plan(TEMPLATE, [], wanted(numbers), limit=LIMIT))
    number = data.draw(st.sampled_from(sorted(numbers)))
    todo = plan(TEMPLATE, shelf.slices.values(), wanted({**numbers, number: not numbers[number]}), limit=LIMIT)
    assert (len(todo.create), len(todo.update), len(todo.delete)) == (0, 1, 0)
    less = {key: value for key, value in numbers.items() if key != number}
    todo = plan(TEMPLATE, shelf.slices.values(), wanted(less), limit=LIMIT)
    assert len(todo.create) + len(todo.update) + len(todo.delete) == 1


def test_a_replaced_pod_takes_the_place_of_the_old_one() -> None:
    shelf = Shelf()
    shelf.carry_out(plan(TEMPLATE, [], wanted(dict.fromkeys(range(8), True)), limit=LIMIT))
    todo = plan(TEMPLATE, shelf.slices.values(), wanted(dict.fromkeys(range(1, 9), True)), limit=LIMIT)
    assert (len(todo.create), len(todo.update), len(todo.delete)) == (0, 1, 0)


# -- the controller


def service(stage: Stage, name: str = "web", **spec: Any) -> Json:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return stage.create(kinds.SERVICES, {"metadata": {"name": name, "labels": {"team": "a"}}, "spec": spec})


async def test_a_slice_tells_of_its_service_and_of_each_pod() -> None:
    async with Stage(EndpointSliceController) as stage:
        stage.node("worker-1", labels={"topology.kubernetes.io/zone": "zone-a"})
        owner = service(stage)
        pod = stage.pod("a", {"app": "web"}, node="worker-1", ready=True)
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        assert slice["metadata"]["name"].startswith("web-")
        assert slice["metadata"]["generateName"] == "web-"
        assert slice["metadata"]["labels"] == {
            "team": "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        (reference,) = slice["metadata"]["ownerReferences"]
        assert (reference["kind"], reference["uid"]) == ("Service", owner["metadata"]["uid"])
        assert slice["addressType"] == "IPv4"
        assert slice["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
        assert slice["endpoints"] == [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": pod["metadata"]["uid"]},
                "nodeName": "worker-1",
                "zone": "zone-a",
            }
        ]


def conditions(stage: Stage) -> dict[str, tuple[bool, bool, bool]]:
    return {
        one["targetRef"]["name"]: tuple(one["conditions"][c] for c in ("ready", "serving", "terminating"))  # type: ignore[misc]
        for slice in stage.all(kinds.ENDPOINT_SLICES)
        for one in slice["endpoints"] or ()
    }


async def test_conditions_follow_readiness_and_deletion() -> None:
    async with Stage(EndpointSliceController) as stage:
        stage.node("worker-1")
        service(stage)
        stage.pod("a", {"app": "web"}, node="worker-1", ready=True)
        stage.pod("b", {"app": "web"}, node="worker-1", ready=False)
        await stage.settle(1)
        assert conditions(stage) == {"a": (True, True, False), "b": (False, False, False)}
        stage.delete(kinds.PODS, "a", grace_period_seconds=30)
        await stage.settle(1)
        assert conditions(stage)["a"] == (False, True, True)
        stage.delete(kinds.PODS, "a", grace_period_seconds=0)
        stage.runs("b", True)
        await stage.settle(1)
        assert conditions(stage) == {"b": (True, True, False)}


async def test_no_pods_no_endpoints_but_a_slice() -> None:
    async with Stage(EndpointSliceController) as stage:
        service(stage)
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        assert not slice["endpoints"]
        assert not slice["ports"]
        stage.node("n")
        stage.pod("a", {"app": "web"}, node="n", ready=True)
        await stage.settle(1)
        (now,) = stage.all(kinds.ENDPOINT_SLICES)
        assert name_of(now) == name_of(slice)
        assert len(now["endpoints"]) == 1


async def test_250_pods_are_three_slices_and_one_change_writes_one() -> None:
    async with Stage(EndpointSliceController) as stage:
        stage.node("n")
        service(stage)
        for number in range(250):
            stage.pod(f"p{number}", {"app": "web"}, node="n", ready=True)
        await stage.settle(1)
        before = {name_of(slice): slice for slice in stage.all(kinds.ENDPOINT_SLICES)}
        assert sorted(len(slice["endpoints"]) for slice in before.values()) == [50, 100, 100]
        stage.runs("p7", False)
        await stage.settle(1)
        after = {name_of(slice): slice for slice in stage.all(kinds.ENDPOINT_SLICES)}
        assert sum(after[name] is not before[name] for name in before) == 1


async def test_a_slice_that_somebody_deletes_or_edits_is_put_right() -> None:
    async with Stage(EndpointSliceController) as stage:
        stage.node("n")
        service(stage)
        stage.pod("a", {"app": "web"}, node="n", ready=True)
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        stage.delete(kinds.ENDPOINT_SLICES, name_of(slice))
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        assert len(slice["endpoints"]) == 1
        stage.registry.modify(kinds.ENDPOINT_SLICES, "default", name_of(slice), lambda s: {**s, "endpoints": []})
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        assert len(slice["endpoints"]) == 1


async def test_a_pod_of_an_unknown_node_waits_for_it() -> None:
    async with Stage(EndpointSliceController) as stage:
        service(stage)
        stage.pod("a", {"app": "web"}, node="late", ready=True)
        await stage.settle(1)
        assert conditions(stage) == {}
        stage.node("late")
        await stage.settle(1)
        assert conditions(stage) == {"a": (True, True, False)}


async def test_mirrors_of_endpoints_made_by_hand() -> None:
    async with Stage(EndpointSliceMirroringController) as stage:
        stage.create(kinds.SERVICES, {"metadata": {"name": "db"}, "spec": {"ports": [{"name": "a", "port": 80}]}})
        subsets = [
            {
                "addresses": [{"ip": "10.9.9.9"}, {"ip": "10.9.9.8"}],
                "notReadyAddresses": [{"ip": "10.9.9.7"}],
                "ports": [{"name": "a", "port": 1234}],
            }
        ]
        metadata = {"name": "db", "labels": {"x": "y"}, "annotations": {"note": "mine"}}
        stage.create(kinds.ENDPOINTS, {"metadata": metadata, "subsets": subsets})
        await stage.settle(1)
        (slice,) = stage.all(kinds.ENDPOINT_SLICES)
        managed_by = "endpointslice.kubernetes.io/managed-by"
        assert slice["metadata"]["labels"][managed_by] == "endpointslicemirroring-controller.k8s.io"
        assert slice["metadata"]["labels"]["x"] == "y"
        assert slice["metadata"]["annotations"] == {"note": "mine"}
        assert slice["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
        assert slice["ports"] == [{"name": "a", "port": 1234, "protocol": "TCP"}]
        found = {one["addresses"][0]: one["conditions"] for one in slice["endpoints"]}
        assert found == {"10.9.9.9": {"ready": True}, "10.9.9.8": {"ready": True}, "10.9.9.7": {"ready": False}}
        stage.change(kinds.ENDPOINTS, "db", labels={"endpointslice.kubernetes.io/skip-mirror": "true"})
        await stage.settle(1)
        assert stage.all(kinds.ENDPOINT_SLICES) == []


async def test_a_restart_changes_nothing_that_is_right() -> None:
    async with Stage(EndpointSliceController) as stage:
        stage.node("n")
        service(stage)
        stage.pod("a", {"app": "web"}, node="n", ready=True)
        await stage.settle(1)
        before = stage.registry.etcd.revision
        await stage.manager.stop()
        stage.manager.start()
        await stage.settle(60)
        assert stage.registry.etcd.revision == before

"""Endpoints of Services, as the controller keeps them."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.endpoints import EndpointsController
from labkit.embedded.kubernetes.controllers.endpoints.subsets import truncated
from labkit.embedded.kubernetes.objects import Json

from .clusterstage import Stage


def service(stage: Stage, name: str = "web", **spec: Any) -> Json:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return stage.create(kinds.SERVICES, {"metadata": {"name": name}, "spec": spec})


def addresses(stage: Stage, part: str = "addresses", name: str = "web") -> list[str]:
    endpoints = stage.get(kinds.ENDPOINTS, name)
    assert endpoints is not None
    return [a["targetRef"]["name"] for s in endpoints.get("subsets") or () for a in s.get(part, ())]


async def test_ready_pods_are_addresses_and_others_are_not_ready_addresses() -> None:
    async with Stage(EndpointsController) as stage:
        stage.node("worker-1")
        stage.pod("a", {"app": "web"}, node="worker-1", ready=True)
        stage.pod("b", {"app": "web"}, node="worker-1", ready=False)
        stage.pod("c", {"app": "other"}, ready=True)
        stage.pod("d", {"app": "web"})  # has no address yet
        service(stage)
        await stage.settle(1)
        endpoints = stage.get(kinds.ENDPOINTS, "web")
        assert endpoints is not None
        (subset,) = endpoints["subsets"]
        assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
        (address,) = subset["addresses"]
        assert address["nodeName"] == "worker-1"
        pod = stage.get(kinds.PODS, "a")
        assert pod is not None
        assert address["ip"] == pod["status"]["podIP"]
        uid = pod["metadata"]["uid"]
        assert address["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": uid}
        assert addresses(stage, "notReadyAddresses") == ["b"]
        assert endpoints["metadata"]["labels"] == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


async def test_a_pod_follows_its_readiness_its_labels_and_its_end() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage)
        stage.pod("a", {"app": "web"}, ready=True)
        stage.pod("b", {"app": "web"}, ready=True)
        await stage.settle(1)
        assert addresses(stage) == ["a", "b"]
        stage.runs("a", False)
        await stage.settle(1)
        assert (addresses(stage), addresses(stage, "notReadyAddresses")) == (["b"], ["a"])
        stage.change(kinds.PODS, "b", labels={"app": "odd-one-out"})
        await stage.settle(1)
        assert (addresses(stage), addresses(stage, "notReadyAddresses")) == ([], ["a"])
        stage.delete(kinds.PODS, "a", grace_period_seconds=0)
        await stage.settle(1)
        endpoints = stage.get(kinds.ENDPOINTS, "web")
        assert endpoints is not None
        assert "subsets" not in endpoints


async def test_a_pod_that_is_going_is_listed_nowhere() -> None:
    async with Stage(EndpointsController) as stage:
        stage.node("worker-1")
        service(stage)
        stage.pod("a", {"app": "web"}, node="worker-1", ready=True)
        await stage.settle(1)
        stage.delete(kinds.PODS, "a", grace_period_seconds=30)  # its node has yet to confirm
        await stage.settle(1)
        assert stage.get(kinds.PODS, "a") is not None
        assert addresses(stage) == addresses(stage, "notReadyAddresses") == []


async def test_publish_not_ready_addresses_lists_all() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage, publishNotReadyAddresses=True, clusterIP="None")
        stage.pod("a", {"app": "web"}, ready=False)
        await stage.settle(1)
        assert addresses(stage) == ["a"]


async def test_named_ports_are_each_pods_own() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage, ports=[{"name": "http", "port": 80, "targetPort": "web"}, {"name": "x", "port": 9}])
        stage.pod("old", {"app": "web"}, ready=True, ports=[{"name": "web", "containerPort": 8080}])
        stage.pod("new", {"app": "web"}, ready=True, ports=[{"name": "web", "containerPort": 9090}])
        stage.pod("odd", {"app": "web"}, ready=True, ports=[{"name": "web", "containerPort": 1, "protocol": "UDP"}])
        await stage.settle(1)
        endpoints = stage.get(kinds.ENDPOINTS, "web")
        assert endpoints is not None
        found = {
            tuple(a["targetRef"]["name"] for a in s["addresses"]): [(p["name"], p["port"]) for p in s["ports"]]
            for s in endpoints["subsets"]
        }
        assert found == {
            ("old",): [("http", 8080), ("x", 9)],
            ("new",): [("http", 9090), ("x", 9)],
            ("odd",): [("x", 9)],
        }


async def test_headless_services_have_a_label_and_need_no_ports() -> None:
    async with Stage(EndpointsController) as stage:
        stage.create(
            kinds.SERVICES, {"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}}
        )
        stage.pod("db-0", {"a": "b"}, ready=True, hostname="zero", subdomain="db")
        await stage.settle(1)
        endpoints = stage.get(kinds.ENDPOINTS, "db")
        assert endpoints is not None
        assert endpoints["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
        (subset,) = endpoints["subsets"]
        assert "ports" not in subset
        assert subset["addresses"][0]["hostname"] == "zero"


async def test_the_trigger_time_is_that_of_the_change() -> None:
    async with Stage(EndpointsController) as stage:

        def said() -> str | None:
            endpoints = stage.get(kinds.ENDPOINTS, "web")
            assert endpoints is not None
            return endpoints["metadata"].get("annotations", {}).get("endpoints.kubernetes.io/last-change-trigger-time")

        made = service(stage)
        stage.pod("a", {"app": "web"}, ready=True)
        await stage.settle(7)
        assert said() == made["metadata"]["creationTimestamp"]
        pod = stage.runs("a", False)
        await stage.settle(7)
        assert said() == pod["status"]["conditions"][0]["lastTransitionTime"]
        stage.delete(kinds.PODS, "a", grace_period_seconds=0)
        await stage.settle(7)
        assert said() is None  # nobody knows when that was decided


async def test_endpoints_go_with_their_service_and_come_back_with_it() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage)
        stage.pod("a", {"app": "web"}, ready=True)
        await stage.settle(1)
        stage.delete(kinds.ENDPOINTS, "web")
        await stage.settle(1)
        assert addresses(stage) == ["a"]
        stage.delete(kinds.SERVICES, "web")
        await stage.settle(1)
        assert stage.get(kinds.ENDPOINTS, "web") is None


async def test_a_service_without_selector_keeps_what_was_made_by_hand() -> None:
    async with Stage(EndpointsController) as stage:
        subsets = [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 1}]}]
        stage.create(kinds.ENDPOINTS, {"metadata": {"name": "db"}, "subsets": subsets})
        stage.create(kinds.SERVICES, {"metadata": {"name": "db"}, "spec": {"ports": [{"port": 1}]}})
        await stage.settle(1)
        stage.delete(kinds.SERVICES, "db")
        await stage.settle(1)
        endpoints = stage.get(kinds.ENDPOINTS, "db")
        assert endpoints is not None
        assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.9.9.9"}]


async def test_what_happened_while_it_was_stopped_is_made_up_for() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage)
        service(stage, "gone")
        stage.pod("a", {"app": "web"}, ready=True)
        await stage.settle(1)
        await stage.manager.stop()
        stage.pod("b", {"app": "web"}, ready=True)
        stage.runs("a", False)
        stage.delete(kinds.SERVICES, "gone")
        await stage.settle(60)
        assert addresses(stage) == ["a"]  # frozen
        stage.manager.start()
        await stage.settle(1)
        assert (addresses(stage), addresses(stage, "notReadyAddresses")) == (["b"], ["a"])
        assert stage.get(kinds.ENDPOINTS, "gone") is None


async def test_many_changes_of_a_large_service_are_few_writes() -> None:
    async with Stage(EndpointsController) as stage:
        service(stage)
        for number in range(300):
            stage.pod(f"p{number}", {"app": "web"}, ready=False)
        await stage.settle(1)
        controller = stage.manager.controllers["endpoints-controller"]
        before = controller.metrics.syncs
        for number in range(300):
            stage.runs(f"p{number}", True)
            await stage.settle(0.0001)
        await stage.settle(1)
        assert len(addresses(stage)) == 300
        assert controller.metrics.syncs - before < 10


def test_more_than_a_thousand_addresses_are_cut_off_the_ready_ones_last() -> None:
    ready = [{"ip": str(number)} for number in range(700)]
    unready = [{"ip": str(number)} for number in range(700)]
    subsets, over = truncated([{"addresses": ready, "notReadyAddresses": unready, "ports": [1]}])
    assert over
    assert [(len(s["addresses"]), len(s["notReadyAddresses"]), s["ports"]) for s in subsets] == [(700, 300, [1])]

"""The controllers that do one small thing each."""

from __future__ import annotations

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Config
from labkit.embedded.kubernetes.controllers.nodettl import TTL, TTLController, step_for
from labkit.embedded.kubernetes.controllers.podgc import PodGarbageCollector, surplus
from labkit.embedded.kubernetes.controllers.rootcacertpublisher import RootCACertPublisher
from labkit.embedded.kubernetes.controllers.serviceaccounts import ServiceAccountsController
from labkit.embedded.kubernetes.controllers.ttlafterfinished import TTLAfterFinishedController
from labkit.embedded.kubernetes.objects import Json, condition_of, name_of
from labkit.embedded.kubernetes.times import rfc3339

from .clusterstage import Stage


async def test_every_namespace_has_a_default_service_account() -> None:
    async with Stage(ServiceAccountsController) as stage:
        stage.create(kinds.NAMESPACES, {"metadata": {"name": "new"}})
        await stage.settle(1)
        assert stage.names(kinds.SERVICE_ACCOUNTS, "new") == {"default"}
        stage.delete(kinds.SERVICE_ACCOUNTS, "default", "new")
        await stage.settle(1)
        assert stage.names(kinds.SERVICE_ACCOUNTS, "new") == {"default"}


async def test_every_namespace_has_the_root_certificate() -> None:
    async with Stage(RootCACertPublisher, config=Config(root_ca="PEM")) as stage:
        stage.create(kinds.NAMESPACES, {"metadata": {"name": "new"}})
        await stage.settle(1)

        def found() -> Json:
            config = stage.get(kinds.CONFIG_MAPS, "kube-root-ca.crt", "new")
            assert config is not None
            return config

        assert found()["data"] == {"ca.crt": "PEM"}
        assert "kubernetes.io/description" in found()["metadata"]["annotations"]
        stage.registry.modify(kinds.CONFIG_MAPS, "new", "kube-root-ca.crt", lambda c: {**c, "data": {"ca.crt": "x"}})
        await stage.settle(1)
        assert found()["data"] == {"ca.crt": "PEM"}
        stage.delete(kinds.CONFIG_MAPS, "kube-root-ca.crt", "new")
        await stage.settle(1)
        assert found()["data"] == {"ca.crt": "PEM"}


async def test_a_finished_job_goes_when_its_time_is_up() -> None:
    async with Stage(TTLAfterFinishedController) as stage:
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}
        for name, ttl in (("short", 10), ("kept", None), ("running", 10)):
            spec: Json = {"template": template}
            if ttl is not None:
                spec["ttlSecondsAfterFinished"] = ttl
            stage.create(kinds.JOBS, {"metadata": {"name": name}, "spec": spec})
        now = rfc3339(stage.clock.time())
        for name in ("short", "kept"):
            done = [
                {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": now},
                {"type": "Complete", "status": "True", "lastTransitionTime": now},
            ]
            stage.status(kinds.JOBS, name, conditions=done, startTime=now, completionTime=now, succeeded=1)
        await stage.settle(9)
        assert stage.names(kinds.JOBS) == {"short", "kept", "running"}
        await stage.settle(3)
        short = stage.get(kinds.JOBS, "short")
        assert short is None or "deletionTimestamp" in short["metadata"]
        assert stage.names(kinds.JOBS) >= {"kept", "running"}


async def test_pods_of_a_node_that_is_gone_are_given_up_after_a_quarantine() -> None:
    async with Stage(PodGarbageCollector) as stage:
        stage.node("n")
        stage.node("gone")
        stage.pod("kept", node="n", ready=True)
        stage.pod("lost", node="gone", ready=True)
        await stage.settle(30)
        stage.delete(kinds.NODES, "gone")
        await stage.settle(30)
        assert stage.names(kinds.PODS) == {"kept", "lost"}
        seen: list[Json] = []
        assert stage.manager.informers is not None
        stage.manager.informers[kinds.PODS].on(updated=lambda _, new: seen.append(new))
        await stage.settle(60)
        assert stage.names(kinds.PODS) == {"kept"}
        target = condition_of(seen[0], "DisruptionTarget")
        assert target is not None
        assert seen[0]["status"]["phase"] == "Failed"
        assert (target["reason"], target["message"]) == ("DeletionByPodGC", "PodGC: node no longer exists")


async def test_a_node_that_comes_back_in_time_keeps_its_pods() -> None:
    async with Stage(PodGarbageCollector) as stage:
        stage.node("n")
        stage.pod("p", node="n", ready=True)
        await stage.settle(5)
        stage.delete(kinds.NODES, "n")
        await stage.settle(30)
        stage.node("n")
        await stage.settle(100)
        assert stage.names(kinds.PODS) == {"p"}


async def test_out_of_service_ends_what_no_kubelet_will() -> None:
    async with Stage(PodGarbageCollector) as stage:
        stage.node("n")
        stage.pod("p", node="n", ready=True)
        stage.delete(kinds.PODS, "p", grace_period_seconds=30)
        await stage.settle(100)
        assert stage.names(kinds.PODS) == {"p"}
        stage.beat("n", "Unknown")
        out = [{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]
        stage.registry.modify(kinds.NODES, "", "n", lambda n: {**n, "spec": {**n.get("spec", {}), "taints": out}})
        await stage.settle(21)
        assert stage.names(kinds.PODS) == set()


def test_finished_pods_beyond_the_threshold_go_oldest_first() -> None:
    def pod(name: str, phase: str, made: str, reason: str = "") -> Json:
        return {"metadata": {"name": name, "creationTimestamp": made}, "status": {"phase": phase, "reason": reason}}

    pods = [
        pod("a", "Succeeded", "2026-01-03"),
        pod("b", "Failed", "2026-01-01"),
        pod("c", "Failed", "2026-01-04", "Evicted"),
        pod("d", "Running", "2025-01-01"),
    ]
    assert [name_of(found) for found in surplus(pods, 1)] == ["c", "b"]
    assert surplus(pods, 3) == []


def test_the_more_nodes_the_longer_secrets_may_be_kept_and_no_jumping() -> None:
    assert [step_for(0, nodes) for nodes in (0, 100, 101, 501, 5000)] == [0, 0, 1, 2, 4]
    assert [step_for(1, nodes) for nodes in (95, 90, 89)] == [1, 1, 0]
    assert step_for(4, 3) == 0


async def test_nodes_are_told_how_long_secrets_may_be_kept() -> None:
    async with Stage(TTLController) as stage:
        for number in range(3):
            stage.node(f"n{number}")
        await stage.settle(1)

        def told() -> set[str]:
            nodes = (stage.get(kinds.NODES, name) for name in stage.names(kinds.NODES))
            return {((node or {})["metadata"].get("annotations") or {}).get(TTL) for node in nodes}

        assert told() == {"0"}
        for number in range(3, 102):
            stage.node(f"n{number}")
        await stage.settle(1)
        assert told() >= {"15"}

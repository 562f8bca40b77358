"""How a namespace ends."""

from __future__ import annotations

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.namespaces import NamespaceController
from labkit.embedded.kubernetes.objects import condition_of

from .clusterstage import Stage


def said(stage: Stage, type: str, name: str = "space") -> tuple[str, str, str]:
    namespace = stage.get(kinds.NAMESPACES, name)
    assert namespace is not None
    condition = condition_of(namespace, type)
    assert condition is not None
    return condition["status"], condition["reason"], condition["message"]


async def test_everything_in_it_goes_and_then_it_itself() -> None:
    async with Stage(NamespaceController) as stage:
        stage.namespace("space")
        stage.create(kinds.CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "space"}})
        stage.create(kinds.SECRETS, {"metadata": {"name": "b", "namespace": "space"}})
        stage.create(kinds.CONFIG_MAPS, {"metadata": {"name": "kept"}})
        stage.delete(kinds.NAMESPACES, "space")
        await stage.settle(4)
        namespace = stage.get(kinds.NAMESPACES, "space")
        assert namespace is not None
        assert namespace["status"]["phase"] == "Terminating"
        assert stage.names(kinds.CONFIG_MAPS, "space") == {"a"}  # it waits five seconds before it begins
        await stage.settle(2)
        assert stage.get(kinds.NAMESPACES, "space") is None
        assert stage.names(kinds.CONFIG_MAPS) == {"kept"}
        assert stage.names(kinds.SECRETS) == set()


async def test_it_waits_for_pods_and_leaves_the_rest_until_then() -> None:
    async with Stage(NamespaceController) as stage:
        stage.node("n")
        stage.namespace("space")
        stage.pod("slow", namespace="space", node="n", ready=True)
        stage.create(kinds.CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "space"}})
        stage.delete(kinds.NAMESPACES, "space")
        await stage.settle(6)
        pod = stage.get(kinds.PODS, "slow", "space")
        assert pod is not None
        assert "deletionTimestamp" in pod["metadata"]
        assert stage.names(kinds.CONFIG_MAPS, "space") == {"a"}
        assert said(stage, "NamespaceContentRemaining") == (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: pods. has 1 resource instances",
        )
        assert said(stage, "NamespaceDeletionContentFailure") == (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        )
        stage.delete(kinds.PODS, "slow", "space", grace_period_seconds=0)
        await stage.settle(20)
        assert stage.get(kinds.NAMESPACES, "space") is None


async def test_a_finalizer_holds_it_and_it_says_which() -> None:
    async with Stage(NamespaceController) as stage:
        stage.namespace("space")
        held = {"name": "a", "namespace": "space", "finalizers": ["example.com/hold"]}
        stage.create(kinds.CONFIG_MAPS, {"metadata": held})
        stage.delete(kinds.NAMESPACES, "space")
        await stage.settle(60)
        assert said(stage, "NamespaceContentRemaining")[2] == (
            "Some resources are remaining: configmaps. has 1 resource instances"
        )
        assert said(stage, "NamespaceFinalizersRemaining") == (
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        )
        stage.change(kinds.CONFIG_MAPS, "a", "space", finalizers=[])
        await stage.settle(20)
        assert stage.get(kinds.NAMESPACES, "space") is None


async def test_it_freezes_and_goes_on() -> None:
    async with Stage(NamespaceController) as stage:
        stage.namespace("space")
        stage.create(kinds.CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "space"}})
        await stage.manager.stop()
        stage.delete(kinds.NAMESPACES, "space")
        await stage.settle(600)
        assert stage.names(kinds.CONFIG_MAPS, "space") == {"a"}
        stage.manager.start()
        await stage.settle(6)
        assert stage.get(kinds.NAMESPACES, "space") is None

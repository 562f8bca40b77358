"""The garbage collector: what goes with its owners, and in what order."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.garbage import GarbageCollector
from labkit.embedded.kubernetes.controllers.garbage.decide import (
    NOTHING,
    Delete,
    DropOwners,
    Look,
    Release,
    State,
    decide,
)
from labkit.embedded.kubernetes.objects import Json, name_of, owners_of

from .clusterstage import Stage, reference

CMS = kinds.CONFIG_MAPS


def config(stage: Stage, name: str, *owners: Json, namespace: str = "default", **metadata: Any) -> Json:
    references = [owner if "metadata" not in owner else reference(owner, controller=False) for owner in owners]
    metadata = {"name": name, "namespace": namespace, **metadata}
    if references:
        metadata["ownerReferences"] = references
    return stage.create(CMS, {"metadata": metadata})


def absent(name: str = "ghost", **more: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": f"no-{name}", **more}


async def test_background_takes_all_generations() -> None:
    async with Stage(GarbageCollector) as stage:
        top = config(stage, "top")
        middle = config(stage, "middle", top)
        config(stage, "bottom", middle)
        config(stage, "other")
        await stage.settle()
        stage.delete(CMS, "top", propagation="Background")
        assert stage.names(CMS) == {"middle", "bottom", "other"}  # the owner goes at once
        await stage.settle(1)
        assert stage.names(CMS) == {"other"}


async def test_foreground_lets_the_owner_go_last() -> None:
    async with Stage(GarbageCollector) as stage:
        stage.node("n")
        top = config(stage, "top")
        middle = config(stage, "middle", top)
        stage.pod("slow", node="n", ready=True, owner=middle)
        await stage.settle()
        stage.delete(CMS, "top", propagation="Foreground")
        await stage.settle(1)
        for name in ("top", "middle"):
            waiting = stage.get(CMS, name)
            assert waiting is not None
            assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
            assert "deletionTimestamp" in waiting["metadata"]
        pod = stage.get(kinds.PODS, "slow")
        assert pod is not None
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
        stage.delete(kinds.PODS, "slow", grace_period_seconds=0)  # its kubelet confirms
        await stage.settle(1)
        assert stage.names(CMS) == set()


async def test_foreground_does_not_wait_for_those_that_do_not_block() -> None:
    async with Stage(GarbageCollector) as stage:
        stage.node("n")
        top = config(stage, "top")
        stage.pod("slow", node="n", ready=True, owner=top)
        stage.change(kinds.PODS, "slow", ownerReferences=[reference(top, blockOwnerDeletion=False)])
        await stage.settle()
        stage.delete(CMS, "top", propagation="Foreground")
        await stage.settle(1)
        assert stage.get(CMS, "top") is None
        pod = stage.get(kinds.PODS, "slow")
        assert pod is not None
        assert "deletionTimestamp" in pod["metadata"]


async def test_orphan_leaves_the_dependents_without_owner() -> None:
    async with Stage(GarbageCollector) as stage:
        top = config(stage, "top")
        other = config(stage, "other")
        config(stage, "child", top)
        config(stage, "shared", top, other)
        await stage.settle()
        stage.delete(CMS, "top", propagation="Orphan")
        await stage.settle(1)
        assert stage.names(CMS) == {"other", "child", "shared"}
        child, shared = stage.get(CMS, "child"), stage.get(CMS, "shared")
        assert child is not None
        assert shared is not None
        assert owners_of(child) == []
        assert [owner["name"] for owner in owners_of(shared)] == ["other"]


async def test_who_has_another_owner_only_forgets_the_one_that_is_gone() -> None:
    async with Stage(GarbageCollector) as stage:
        one, two = config(stage, "one"), config(stage, "two")
        config(stage, "child", one, two)
        await stage.settle()
        stage.delete(CMS, "one", propagation="Background")
        await stage.settle(1)
        child = stage.get(CMS, "child")
        assert child is not None
        assert [owner["name"] for owner in owners_of(child)] == ["two"]
        stage.delete(CMS, "two", propagation="Background")
        await stage.settle(1)
        assert stage.names(CMS) == set()


async def test_a_new_object_of_the_same_name_is_not_the_owner() -> None:
    async with Stage(GarbageCollector) as stage:
        old = config(stage, "owner")
        await stage.manager.stop()
        config(stage, "child", old)
        stage.delete(CMS, "owner", propagation="Background")
        config(stage, "owner")
        stage.manager.start()
        await stage.settle(1)
        assert stage.names(CMS) == {"owner"}


async def test_an_owner_that_the_cache_does_not_know_yet_is_asked_for() -> None:
    async with Stage(GarbageCollector) as stage:
        # Both in one go: whichever informer is the first to tell, the child is not garbage.
        owner = stage.create(kinds.SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
        config(stage, "child", owner)
        await stage.settle(5)
        assert stage.names(CMS) == {"child"}


async def test_an_owner_in_another_namespace_is_none_and_an_event_says_so() -> None:
    async with Stage(GarbageCollector) as stage:
        stage.namespace("elsewhere")
        owner = config(stage, "owner", namespace="elsewhere")
        await stage.settle()
        config(stage, "child", owner)
        await stage.settle(1)
        assert stage.get(CMS, "child") is None
        uid = owner["metadata"]["uid"]
        assert stage.events("OwnerRefInvalidNamespace") == [
            (
                "Warning",
                "OwnerRefInvalidNamespace",
                f"ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}]"
                ' does not exist in namespace "default"',
            )
        ]


async def test_owners_of_unknown_kinds_keep_what_they_have() -> None:
    async with Stage(GarbageCollector) as stage:
        config(stage, "child", {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": "y"})
        await stage.settle(5)
        assert stage.names(CMS) == {"child"}


async def test_nothing_is_collected_while_it_is_stopped_and_all_of_it_afterwards() -> None:
    async with Stage(GarbageCollector) as stage:
        top = config(stage, "top")
        config(stage, "child", top)
        config(stage, "kept", top)
        await stage.manager.stop()
        stage.delete(CMS, "top", propagation="Foreground")
        config(stage, "lost", absent())
        await stage.settle(300)
        assert stage.names(CMS) == {"top", "child", "kept", "lost"}
        stage.manager.start()
        await stage.settle(1)
        assert stage.names(CMS) == set()


async def test_a_circle_in_the_foreground_ends() -> None:
    async with Stage(GarbageCollector) as stage:
        one = config(stage, "one")
        two = config(stage, "two", one)
        stage.change(CMS, "one", ownerReferences=[reference(two, controller=False)])
        await stage.settle()
        stage.delete(CMS, "one", propagation="Foreground")
        await stage.settle(5)
        assert stage.names(CMS) == set()


async def test_a_thousand_dependents() -> None:
    async with Stage(GarbageCollector) as stage:
        top = config(stage, "top")
        for number in range(1000):
            config(stage, f"c{number}", top)
        await stage.settle()
        stage.delete(CMS, "top", propagation="Foreground")
        await stage.settle(5)
        assert stage.names(CMS) == set()


# -- any graph

NODES = st.integers(2, 7).flatmap(
    lambda count: st.tuples(
        # For each object: its owners among those before it, and whether it also names one that never was.
        st.lists(
            st.tuples(st.sets(st.integers(0, 6), max_size=3), st.booleans(), st.booleans()),
            min_size=count,
            max_size=count,
        ),
        st.lists(
            st.tuples(st.integers(0, count - 1), st.sampled_from(["Background", "Foreground", "Orphan"])),
            min_size=1,
            max_size=3,
        ),
    )
)


def survivors(owners: dict[int, set[int]]) -> dict[int, set[int]]:
    """Who is left when everybody is gone whose owners are all absent; -1 never was."""
    while True:
        gone = {n for n, of in owners.items() if of and not of & owners.keys()}
        if not gone:
            return {n: of & owners.keys() for n, of in owners.items()}
        owners = {n: of for n, of in owners.items() if n not in gone}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NODES)
async def test_any_graph_ends_as_it_should(drawn: Any) -> None:
    shapes, deletions = drawn
    async with Stage(GarbageCollector) as stage:
        made: list[Json] = []
        owners: dict[int, set[int]] = {}
        blocks: dict[int, bool] = {}
        for number, (chosen, has_ghost, blocking) in enumerate(shapes):
            mine = {other for other in chosen if other < number}
            references = [
                reference(made[other], controller=False, blockOwnerDeletion=blocking) for other in sorted(mine)
            ]
            if has_ghost and mine:
                references.append(absent())
            made.append(config(stage, f"c{number}", *references))
            owners[number], blocks[number] = set(mine), blocking
        await stage.settle(1)
        ended: list[str] = []
        assert stage.manager.informers is not None
        stage.manager.informers[CMS].on(deleted=lambda obj: ended.append(name_of(obj)))
        for number, policy in deletions:
            if number not in owners:
                continue
            ended.clear()
            before = dict(owners)
            stage.delete(CMS, f"c{number}", propagation=policy)
            await stage.settle(1)
            if policy == "Orphan":
                owners = {n: of - {number} for n, of in owners.items() if n != number}
            else:
                owners = survivors({n: of for n, of in owners.items() if n != number})
            assert stage.names(CMS) == {f"c{n}" for n in owners}
            for n, of in owners.items():
                left = stage.get(CMS, f"c{n}")
                assert left is not None
                assert {owner["name"] for owner in owners_of(left)} == {f"c{o}" for o in of}
                assert "finalizers" not in left["metadata"]
            if policy == "Foreground":  # nobody went before a dependent that blocks it and went, too
                place = {name: at for at, name in enumerate(ended)}
                for n, of in before.items():
                    if f"c{n}" in place and blocks[n] and number in of:
                        assert place[f"c{n}"] < place[f"c{number}"]


# -- the decision


def test_decisions() -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1", "blockOwnerDeletion": True}
    item: Json = {"metadata": {"name": "x", "uid": "x", "ownerReferences": [owner, {**owner, "uid": "2"}]}}
    going = {"metadata": {**item["metadata"], "deletionTimestamp": "…"}}
    child: Json = {"metadata": {"name": "y", "uid": "y", "ownerReferences": [{**owner, "uid": "x"}]}}

    def of(*states: State) -> Any:
        return lambda ref: states[int(ref["uid"]) - 1]

    solid, waiting, dangling = State.SOLID, State.WAITING, State.DANGLING
    assert decide(item, of(solid, solid), lambda _: ()) == NOTHING
    assert decide(item, of(solid, dangling), lambda _: ()) == DropOwners(frozenset({"2"}))
    assert decide(item, of(solid, waiting), lambda _: ()) == DropOwners(frozenset({"2"}))
    assert decide(item, of(dangling, dangling), lambda _: ()) == Delete("Background")
    assert decide(item, of(waiting, dangling), lambda _: ()) == Delete("Background")
    assert decide(item, of(waiting, dangling), lambda _: (child,)) == Delete("Foreground")
    assert decide(going, of(dangling, dangling), lambda _: ()) == NOTHING
    going["metadata"]["finalizers"] = ["foregroundDeletion"]
    assert decide(going, of(dangling, dangling), lambda _: (child,)) == Look((child,))
    assert decide(going, of(dangling, dangling), lambda _: ()) == Release("foregroundDeletion")
    going["metadata"]["finalizers"] = ["orphan"]
    assert decide(going, of(dangling, dangling), lambda _: (child,)) == Release("orphan", (child,))

from typing import Any

from support.kube import Kube, template, workload

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.controllers.claims import adopt, claim, decide, release
from labkit.embedded.kubernetes.objects import Json, controller_of, name_of, owner_reference

OWNER: Json = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "u1"}}
SELECTOR = selectors.of({"matchLabels": {"app": "web"}})


def pod(name: str, app: str = "web", *, owned: bool = False, **metadata: Any) -> Json:
    references = [owner_reference(OWNER)] if owned else []
    return {"metadata": {"name": name, "uid": name, "labels": {"app": app}, "ownerReferences": references, **metadata}}


def names(objs: list[Json]) -> list[str]:
    return [name_of(one) for one in objs]


def test_what_matches_is_kept_or_adopted_what_does_not_is_let_go() -> None:
    mine = [pod("kept", owned=True), pod("strange", "other", owned=True)]
    nobodys = [pod("found"), pod("other", "other"), pod("going", deletionTimestamp="now")]
    claims = decide(OWNER, SELECTOR, mine, nobodys)
    assert (names(claims.keep), names(claims.adopt), names(claims.release)) == (["kept"], ["found"], ["strange"])


def test_who_is_on_its_way_out_takes_and_leaves_nothing() -> None:
    ending = {**OWNER, "metadata": {**OWNER["metadata"], "deletionTimestamp": "now"}}
    claims = decide(ending, SELECTOR, [pod("strange", "other", owned=True)], [pod("found")])
    assert (claims.keep, claims.adopt, claims.release) == ([], [], [])


def test_adopting_adds_a_reference_and_the_finalizer_and_releasing_takes_both_away() -> None:
    taken = adopt(pod("a"), OWNER, "x/y")
    assert taken is not None
    assert controller_of(taken) == owner_reference(OWNER)
    assert taken["metadata"]["finalizers"] == ["x/y"]
    assert adopt(taken, OWNER) is None
    left = release(taken, OWNER, "x/y")
    assert left is not None
    assert "ownerReferences" not in left["metadata"]
    assert "finalizers" not in left["metadata"]
    assert release(left, OWNER) is None


async def test_who_is_gone_by_now_does_not_adopt() -> None:
    async with Kube() as kube:
        bare = {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": template()["spec"]}
        found = await kube.create(kinds.PODS, bare)
        ghost = {**OWNER, "metadata": {**OWNER["metadata"], "namespace": "default"}}
        kept = await claim(kube.client, kinds.REPLICA_SETS, ghost, kinds.PODS, SELECTOR, [], [found])
        assert kept == []
        assert controller_of(kube.get(kinds.PODS, "p")) is None


async def test_a_pod_of_the_same_name_that_is_another_one_is_left_alone() -> None:
    async with Kube() as kube:
        owner = await kube.create(kinds.REPLICA_SETS, workload(replicas=0))
        bare = {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": template()["spec"]}
        stored = await kube.create(kinds.PODS, bare)
        stale = {**stored, "metadata": {**stored["metadata"], "uid": "another"}}
        kept = await claim(kube.client, kinds.REPLICA_SETS, owner, kinds.PODS, SELECTOR, [], [stale])
        assert kept == []
        assert controller_of(kube.get(kinds.PODS, "p")) is None

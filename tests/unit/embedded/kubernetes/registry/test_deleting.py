from __future__ import annotations

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Conflict, Forbidden, Invalid, NotFound
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry
from labkit.embedded.runtime.clock import ManualClock

from .things import config_map, deployment, pod, refused

PODS, MAPS, DEPLOYMENTS, NAMESPACES = kinds.PODS, kinds.CONFIG_MAPS, kinds.DEPLOYMENTS, kinds.NAMESPACES


def exists(registry: Registry, kind: Kind, name: str, namespace: str = "default") -> bool:
    return registry.etcd.get(kind, (namespace, name)) is not None


def unfinalized(obj: Json) -> Json:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "finalizers"}}


def test_most_go_at_once(registry: Registry) -> None:
    made = registry.create(MAPS, "default", config_map("a"))
    assert registry.delete(MAPS, "default", "a") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    assert not exists(registry, MAPS, "a")
    with pytest.raises(NotFound) as caught:
        registry.delete(MAPS, "default", "a")
    assert refused(caught) == (404, 'configmaps "a" not found')


def test_some_are_given_back(registry: Registry) -> None:
    assert registry.delete(kinds.SERVICE_ACCOUNTS, "default", "default")["kind"] == "ServiceAccount"


class TestPods:
    def test_without_a_node_they_go_at_once(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a"))
        gone = registry.delete(PODS, "default", "a")
        assert (gone["kind"], gone["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 0)
        assert not exists(registry, PODS, "a")

    def test_and_so_do_finished_ones(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        registry.modify(PODS, "default", "a", lambda obj: {**obj, "status": {"phase": "Failed"}}, subresource="status")
        registry.delete(PODS, "default", "a")
        assert not exists(registry, PODS, "a")

    def test_others_wait_for_their_kubelet(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        going = registry.delete(PODS, "default", "a")
        assert going["metadata"]["deletionTimestamp"] == "2025-06-15T15:07:10Z"
        assert going["metadata"]["deletionGracePeriodSeconds"] == 30
        assert going["metadata"]["generation"] == 2
        assert registry.get(PODS, "default", "a") is going
        registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=0, uid=going["metadata"]["uid"]))
        assert not exists(registry, PODS, "a")

    def test_the_time_can_only_be_made_shorter(self, registry: Registry, etcd: Etcd, clock: ManualClock) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        going = registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=40))
        before = etcd.revision
        for longer in (None, 40, 50):
            assert registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=longer)) is going
        assert etcd.revision == before
        clock._now += 2
        shorter = registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=5))["metadata"]
        assert (shorter["deletionTimestamp"], shorter["deletionGracePeriodSeconds"]) == ("2025-06-15T15:06:45Z", 5)
        clock._now += 3
        late = registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=2))["metadata"]
        assert (late["deletionTimestamp"], late["deletionGracePeriodSeconds"]) == ("2025-06-15T15:06:45Z", 1)
        assert late["generation"] == 2

    def test_less_than_nothing_is_a_second(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        going = registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=-5))
        assert going["metadata"]["deletionGracePeriodSeconds"] == 1

    def test_their_own_time(self, registry: Registry) -> None:
        sent = pod("a", node="n1")
        sent["spec"]["terminationGracePeriodSeconds"] = 7
        registry.create(PODS, "default", sent)
        assert registry.delete(PODS, "default", "a")["metadata"]["deletionGracePeriodSeconds"] == 7

    def test_a_finalizer_holds_them(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1", finalizers=["x.y/z"]))
        registry.delete(PODS, "default", "a")
        still = registry.delete(PODS, "default", "a", DeleteOptions(grace_period_seconds=0))
        assert still["metadata"]["deletionGracePeriodSeconds"] == 0
        assert exists(registry, PODS, "a")
        registry.modify(PODS, "default", "a", unfinalized)
        assert not exists(registry, PODS, "a")

    def test_a_finalizer_that_goes_before_the_kubelet_is_done_ends_nothing(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1", finalizers=["x.y/z"]))
        registry.delete(PODS, "default", "a")
        registry.modify(PODS, "default", "a", unfinalized)
        assert exists(registry, PODS, "a")


class TestFinalizers:
    def test_they_hold_an_object(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web", finalizers=["a.b/c"]))
        going = registry.delete(DEPLOYMENTS, "default", "web")
        metadata = going["metadata"]
        assert metadata["deletionTimestamp"] == "2025-06-15T15:06:40Z"
        assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (0, 2)
        assert registry.delete(DEPLOYMENTS, "default", "web") is going
        gone = registry.modify(DEPLOYMENTS, "default", "web", unfinalized)
        assert "finalizers" not in gone["metadata"]
        assert not exists(registry, DEPLOYMENTS, "web")

    def test_an_update_cannot_take_the_end_back(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web", finalizers=["a.b/c"]))
        registry.delete(DEPLOYMENTS, "default", "web")
        again = registry.update(DEPLOYMENTS, "default", "web", deployment("web", 5, finalizers=["a.b/c"]))
        assert again["metadata"]["deletionTimestamp"]
        assert again["metadata"]["generation"] == 3

    @pytest.mark.parametrize(
        ("options", "finalizers"),
        [
            ({}, None),
            ({"propagation": "Background"}, None),
            ({"propagation": "Foreground"}, ["foregroundDeletion"]),
            ({"propagation": "Orphan"}, ["orphan"]),
            ({"orphan_dependents": True}, ["orphan"]),
            ({"orphan_dependents": False}, None),
        ],
    )
    def test_those_of_the_garbage_collector(
        self, registry: Registry, options: Json, finalizers: list[str] | None
    ) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        registry.delete(DEPLOYMENTS, "default", "web", DeleteOptions(**options))
        record = registry.etcd.get(DEPLOYMENTS, ("default", "web"))
        assert (record.obj["metadata"]["finalizers"] if record else None) == finalizers

    def test_how_can_still_be_changed(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        registry.delete(DEPLOYMENTS, "default", "web", DeleteOptions(propagation="Orphan"))
        still = registry.delete(DEPLOYMENTS, "default", "web")
        assert still["metadata"]["finalizers"] == ["orphan"], "what was said before counts when nothing is said"
        still = registry.delete(DEPLOYMENTS, "default", "web", DeleteOptions(propagation="Foreground"))
        assert still["metadata"]["finalizers"] == ["foregroundDeletion"]
        registry.delete(DEPLOYMENTS, "default", "web", DeleteOptions(propagation="Background"))
        assert not exists(registry, DEPLOYMENTS, "web")

    @pytest.mark.parametrize("kind", [kinds.REPLICATION_CONTROLLERS, kinds.JOBS])
    def test_the_oldest_kinds_orphan_when_nobody_says(self, registry: Registry, kind: Kind) -> None:
        template = {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "b"}]},
        }
        if kind is kinds.JOBS:
            template["spec"]["restartPolicy"] = "Never"
        registry.create(kind, "default", {"metadata": {"name": "x"}, "spec": {"template": template}})
        assert registry.delete(kind, "default", "x")["metadata"]["finalizers"] == ["orphan"]

    def test_events_have_no_dependents(self, registry: Registry) -> None:
        registry.create(
            kinds.EVENTS, "default", {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}
        )
        registry.delete(kinds.EVENTS, "default", "e", DeleteOptions(propagation="Foreground"))
        assert not exists(registry, kinds.EVENTS, "e")


class TestOptions:
    def test_preconditions(self, registry: Registry) -> None:
        made = registry.create(PODS, "default", pod("a"))
        uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
        with pytest.raises(Conflict) as caught:
            registry.delete(PODS, "default", "a", DeleteOptions(uid="x"))
        assert refused(caught) == (
            409,
            'Operation cannot be fulfilled on Pod "a": the UID in the precondition (x) does not match the UID in '
            f"record ({uid}). The object might have been deleted and then recreated",
        )
        with pytest.raises(Conflict) as caught:
            registry.delete(PODS, "default", "a", DeleteOptions(resource_version="1"))
        assert refused(caught)[1] == (
            'Operation cannot be fulfilled on Pod "a": the ResourceVersion in the precondition (1) does not match the '
            f"ResourceVersion in record ({version}). The object might have been modified"
        )
        registry.delete(PODS, "default", "a", DeleteOptions(uid=uid, resource_version=version))

    def test_what_does_not_go_together(self, registry: Registry) -> None:
        registry.create(MAPS, "default", config_map("a"))
        with pytest.raises(Invalid) as caught:
            registry.delete(MAPS, "default", "a", DeleteOptions(propagation="Orphan", orphan_dependents=True))
        assert refused(caught)[1] == (
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and '
            "deletionPropagation cannot be both set"
        )
        with pytest.raises(Invalid) as caught:
            registry.delete(MAPS, "default", "a", DeleteOptions(propagation="Foo"))
        assert refused(caught)[1] == (
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: '
            '"Foreground", "Background", "Orphan", "nil"'
        )

    @pytest.mark.parametrize("kind", [PODS, MAPS, DEPLOYMENTS])
    def test_a_rehearsal_leaves_all(self, registry: Registry, etcd: Etcd, kind: Kind) -> None:
        sent = {PODS: pod("a", node="n1"), MAPS: config_map("a"), DEPLOYMENTS: deployment("a")}[kind]
        registry.create(kind, "default", sent)
        before = etcd.revision
        registry.delete(kind, "default", "a", DeleteOptions(dry_run=True, propagation="Foreground"))
        assert etcd.revision == before

    def test_the_options_stay_as_they_are(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        options = DeleteOptions(grace_period_seconds=-1)
        registry.delete(PODS, "default", "a", options)
        assert options == DeleteOptions(grace_period_seconds=-1)


class TestNamespaces:
    def test_they_wait_until_they_are_empty(self, registry: Registry) -> None:
        registry.create(NAMESPACES, "", {"metadata": {"name": "x"}})
        going = registry.delete(NAMESPACES, "", "x")
        assert going["status"]["phase"] == "Terminating"
        assert going["metadata"]["deletionTimestamp"]
        assert "deletionGracePeriodSeconds" not in going["metadata"]
        assert registry.delete(NAMESPACES, "", "x") is going
        registry.update(NAMESPACES, "", "x", {"metadata": {"name": "x"}, "spec": {}}, subresource="finalize")
        assert not exists(registry, NAMESPACES, "x", "")

    def test_also_for_the_finalizers_of_others(self, registry: Registry) -> None:
        registry.create(NAMESPACES, "", {"metadata": {"name": "x", "finalizers": ["a.b/c"]}})
        going = registry.delete(NAMESPACES, "", "x")
        registry.update(NAMESPACES, "", "x", {**going, "spec": {}}, subresource="finalize")
        still = registry.delete(NAMESPACES, "", "x")
        assert (still["metadata"]["deletionGracePeriodSeconds"], still["spec"]) == (0, {})
        registry.modify(NAMESPACES, "", "x", unfinalized)
        assert not exists(registry, NAMESPACES, "x", "")

    def test_only_finalize_touches_the_finalizers_of_the_spec(self, registry: Registry) -> None:
        made = registry.create(NAMESPACES, "", {"metadata": {"name": "x"}})
        assert registry.update(NAMESPACES, "", "x", {**made, "spec": {}})["spec"] == {"finalizers": ["kubernetes"]}
        made = registry.update(NAMESPACES, "", "x", {**made, "spec": {}}, subresource="finalize")
        assert made["spec"] == {}
        assert exists(registry, NAMESPACES, "x", ""), "nobody has asked for its end"

    def test_a_cluster_cannot_be_without_some(self, registry: Registry) -> None:
        with pytest.raises(Forbidden) as caught:
            registry.delete(NAMESPACES, "", "default")
        assert refused(caught) == (403, 'namespaces "default" is forbidden: this namespace may not be deleted')


def test_a_whole_collection(registry: Registry) -> None:
    for name, app in (("a", "web"), ("b", "db"), ("c", "web")):
        registry.create(PODS, "default", pod(name, labels={"app": app}, node="n1" if name == "c" else ""))
    gone = registry.delete_collection(PODS, "default", labels="app=web")
    assert [obj["metadata"]["name"] for obj in gone] == ["a", "c"]
    assert not exists(registry, PODS, "a")
    assert registry.get(PODS, "default", "c")["metadata"]["deletionTimestamp"]
    assert exists(registry, PODS, "b")

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest, Conflict, Invalid, NotFound, TooManyRequests
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import Json, condition_of
from labkit.embedded.kubernetes.registry import Registry, WriteOptions

from .things import deployment, pod, refused

PODS, DEPLOYMENTS, BUDGETS = kinds.PODS, kinds.DEPLOYMENTS, kinds.POD_DISRUPTION_BUDGETS


class TestScale:
    def test_what_it_shows(self, registry: Registry) -> None:
        made = registry.create(DEPLOYMENTS, "default", deployment("web", 3))
        metadata = made["metadata"]
        assert registry.scale(DEPLOYMENTS, "default", "web") == {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": "web",
                "namespace": "default",
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "creationTimestamp": metadata["creationTimestamp"],
            },
            "spec": {"replicas": 3},
            "status": {"replicas": 0, "selector": "app=web"},
        }

    def test_of_a_controller_of_old(self, registry: Registry) -> None:
        spec = {**deployment("web", 0)["spec"], "selector": {"b": "2", "app": "web"}}
        spec["template"]["metadata"]["labels"] = {"app": "web", "b": "2"}
        registry.create(kinds.REPLICATION_CONTROLLERS, "default", {"metadata": {"name": "web"}, "spec": spec})
        scale = registry.scale(kinds.REPLICATION_CONTROLLERS, "default", "web")
        assert (scale["spec"], scale["status"]) == ({}, {"replicas": 0, "selector": "app=web,b=2"})

    def test_it_is_set(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"), WriteOptions(manager="creator"))
        scale = registry.scale(DEPLOYMENTS, "default", "web")
        options = WriteOptions(manager="scaler")
        after = registry.update(
            DEPLOYMENTS, "default", "web", {**scale, "spec": {"replicas": 5}}, options, subresource="scale"
        )
        assert (after["kind"], after["spec"]) == ("Scale", {"replicas": 5})
        made = registry.get(DEPLOYMENTS, "default", "web")
        assert (made["spec"]["replicas"], made["metadata"]["generation"]) == (5, 2)
        managed = {entry["manager"]: entry for entry in made["metadata"]["managedFields"]}
        assert managed["scaler"]["subresource"] == "scale"
        assert managed["scaler"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in managed["creator"]["fieldsV1"]["f:spec"]

    @pytest.mark.parametrize(
        ("media_type", "body"),
        [
            ("application/merge-patch+json", {"spec": {"replicas": 4}}),
            ("application/strategic-merge-patch+json", {"spec": {"replicas": 4}}),
            ("application/json-patch+json", [{"op": "replace", "path": "/spec/replicas", "value": 4}]),
            (
                "application/apply-patch+yaml",
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": 4}},
            ),
        ],
    )
    def test_it_is_patched(self, registry: Registry, media_type: str, body: object) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        scale, created = registry.patch(DEPLOYMENTS, "default", "web", media_type, body, subresource="scale")
        assert (scale["kind"], scale["spec"], created) == ("Scale", {"replicas": 4}, False)

    def test_what_is_refused(self, registry: Registry) -> None:
        with pytest.raises(NotFound) as absent:
            registry.scale(DEPLOYMENTS, "default", "web")
        assert refused(absent) == (404, 'deployments/scale.apps "web" not found')
        with pytest.raises(NotFound) as absent:
            registry.patch(DEPLOYMENTS, "default", "web", "application/merge-patch+json", {}, subresource="scale")
        assert refused(absent) == (404, 'deployments.apps "web" not found')
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        scale = registry.scale(DEPLOYMENTS, "default", "web")

        def put(**changes: Json) -> None:
            registry.update(DEPLOYMENTS, "default", "web", {**scale, **changes}, subresource="scale")

        with pytest.raises(Invalid) as invalid:
            put(spec={"replicas": -1})
        assert refused(invalid)[1] == (
            'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
        )
        with pytest.raises(BadRequest) as bad:
            put(metadata={"name": "other"})
        assert refused(bad)[1] == "the name of the object (other) does not match the name on the URL (web)"
        with pytest.raises(Conflict) as conflict:
            put(metadata={"name": "web", "resourceVersion": "1"}, spec={"replicas": 2})
        assert refused(conflict)[1].startswith(
            'Operation cannot be fulfilled on deployments.apps "web": the object has'
        )

    def test_a_scale_that_is_no_other(self, registry: Registry, etcd: Etcd) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        before = etcd.revision
        registry.update(
            DEPLOYMENTS, "default", "web", registry.scale(DEPLOYMENTS, "default", "web"), subresource="scale"
        )
        assert etcd.revision == before


class TestBinding:
    def test_a_pod_gets_its_node(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a"))
        bound = registry.bind("default", "a", "n1")
        assert bound["spec"]["nodeName"] == "n1"
        assert bound["metadata"]["generation"] == 1
        condition = condition_of(bound, "PodScheduled")
        assert condition is not None
        assert (condition["status"], condition["lastTransitionTime"]) == ("True", "2025-06-15T15:06:40Z")

    def test_the_condition_of_a_pod_that_waited_changes(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a"))
        waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}
        registry.modify(
            PODS, "default", "a", lambda obj: {**obj, "status": {"conditions": [waits]}}, subresource="status"
        )
        bound = registry.bind("default", "a", "n1")
        assert [(one["type"], one["status"], one.get("reason")) for one in bound["status"]["conditions"]] == [
            ("PodScheduled", "True", None)
        ]

    def test_once(self, registry: Registry) -> None:
        with pytest.raises(NotFound):
            registry.bind("default", "a", "n1")
        registry.create(PODS, "default", pod("a"))
        registry.bind("default", "a", "n1")
        with pytest.raises(Conflict) as caught:
            registry.bind("default", "a", "n2")
        assert refused(caught) == (
            409,
            'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"',
        )
        assert caught.value.details == {"name": "a", "kind": "pods/binding"}

    def test_not_when_it_is_going(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", finalizers=["x.y/z"]))
        registry.delete(PODS, "default", "a")
        with pytest.raises(Conflict, match="pod a is being deleted, cannot be assigned to a host"):
            registry.bind("default", "a", "n1")

    def test_only_the_one_that_was_meant(self, registry: Registry) -> None:
        made = registry.create(PODS, "default", pod("a"))
        with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other"):
            registry.bind("default", "a", "n1", uid="other")
        registry.bind("default", "a", "n1", uid=made["metadata"]["uid"])

    def test_a_pod_learns_where_it_is(self, registry: Registry) -> None:
        zone = {"topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": "n1"}
        registry.create(kinds.NODES, "", {"metadata": {"name": "n1", "labels": zone}})
        registry.create(PODS, "default", pod("a", labels={"app": "web"}))
        bound = registry.bind("default", "a", "n1")
        assert bound["metadata"]["labels"] == {"app": "web", "topology.kubernetes.io/zone": "a"}

    def test_a_rehearsal(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a"))
        registry.bind("default", "a", "n1", dry_run=True)
        assert "nodeName" not in registry.get(PODS, "default", "a")["spec"]


class TestEviction:
    @pytest.fixture
    def guarded(self, registry: Registry) -> Registry:
        """Two running pods, of which a budget allows one to go."""
        for name in "ab":
            registry.create(PODS, "default", pod(name, labels={"app": "web"}, node="n1"))
            running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            registry.modify(PODS, "default", name, lambda obj, s=running: {**obj, "status": s}, subresource="status")  # type: ignore[misc]
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        registry.create(BUDGETS, "default", {"metadata": {"name": "pdb"}, "spec": spec})
        status = {
            "observedGeneration": 1,
            "disruptionsAllowed": 1,
            "currentHealthy": 2,
            "desiredHealthy": 1,
            "expectedPods": 2,
        }
        registry.modify(BUDGETS, "default", "pdb", lambda obj: {**obj, "status": status}, subresource="status")
        return registry

    def test_a_pod_of_no_budget_goes(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", node="n1"))
        answer = registry.evict("default", "a", {"metadata": {"name": "a"}})
        assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Success", 201)
        going = registry.get(PODS, "default", "a")
        assert going["metadata"]["deletionGracePeriodSeconds"] == 30
        condition = condition_of(going, "DisruptionTarget")
        assert condition is not None
        assert (condition["reason"], condition["message"]) == ("EvictionByEvictionAPI", "Eviction API: evicting")

    def test_a_budget_allows_one(self, guarded: Registry) -> None:
        guarded.evict("default", "a", {"deleteOptions": {"gracePeriodSeconds": 3}})
        assert guarded.get(PODS, "default", "a")["metadata"]["deletionGracePeriodSeconds"] == 3
        paid = guarded.get(BUDGETS, "default", "pdb")["status"]
        assert paid["disruptionsAllowed"] == 0
        assert [*paid["disruptedPods"]] == ["a"]
        with pytest.raises(TooManyRequests) as caught:
            guarded.evict("default", "b", {})
        assert refused(caught) == (429, "Cannot evict pod as it would violate the pod's disruption budget.")
        (cause,) = caught.value.details["causes"]  # type: ignore[index]
        assert cause["reason"] == "DisruptionBudget"
        assert "deletionTimestamp" not in guarded.get(PODS, "default", "b")["metadata"]

    def test_a_rehearsal_costs_nothing(self, guarded: Registry, etcd: Etcd) -> None:
        before = etcd.revision
        guarded.evict("default", "a", {}, WriteOptions(dry_run=True))
        assert etcd.revision == before

    def test_what_is_refused(self, guarded: Registry) -> None:
        with pytest.raises(NotFound):
            guarded.evict("default", "nope", {})
        with pytest.raises(BadRequest, match="name in URL does not match name in Eviction object"):
            guarded.evict("default", "a", {"metadata": {"name": "b"}})
        with pytest.raises(Conflict, match="the ResourceVersion in the precondition"):
            guarded.evict("default", "a", {"deleteOptions": {"preconditions": {"resourceVersion": "1"}}})

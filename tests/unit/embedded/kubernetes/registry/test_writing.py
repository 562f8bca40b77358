from __future__ import annotations

import re

import pytest

from labkit.embedded.kubernetes import kinds, objects
from labkit.embedded.kubernetes.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    StatusError,
)
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.runtime.clock import ManualClock

from .things import config_map, deployment, pod, refused, service, thawed

PODS, MAPS, DEPLOYMENTS = kinds.PODS, kinds.CONFIG_MAPS, kinds.DEPLOYMENTS

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def labelled(**labels: str):  # type: ignore[no-untyped-def]
    def change(obj: Json) -> Json:
        new = objects.edited(obj)
        new["metadata"]["labels"] = {**objects.labels_of(obj), **labels}
        return new

    return change


class TestCreate:
    def test_the_server_says_who_and_when(self, registry: Registry, clock: ManualClock) -> None:
        sent = config_map("a", x="1")
        sent["metadata"].update(uid="mine", creationTimestamp="2001-01-01T00:00:00Z", generation=7, selfLink="/x")
        made = registry.create(MAPS, "default", sent)
        metadata = made["metadata"]
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", metadata["uid"])
        assert metadata["creationTimestamp"] == "2025-06-15T15:06:40Z"
        assert metadata["namespace"] == "default"
        assert "generation" not in metadata
        assert "selfLink" not in metadata
        assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
        assert registry.get(MAPS, "default", "a") is made

    def test_what_was_sent_is_left_alone(self, registry: Registry) -> None:
        sent = pod("a")
        before = thawed(sent)
        registry.create(PODS, "default", sent)
        assert sent == before

    def test_a_generated_name(self, registry: Registry) -> None:
        names = {registry.create(PODS, "default", pod(generateName="web-"))["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20
        assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)
        long = registry.create(MAPS, "default", {"metadata": {"generateName": "x" * 70}})
        assert len(long["metadata"]["name"]) == 63

    def test_when_no_generated_name_is_free(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.names, "generate", lambda base: f"{base}same")
        registry.create(MAPS, "default", {"metadata": {"generateName": "a-"}})
        with pytest.raises(AlreadyExists) as caught:
            registry.create(MAPS, "default", {"metadata": {"generateName": "a-"}})
        words = 'configmaps "a-same" already exists, the server was not able to generate a unique name for the object'
        assert refused(caught) == (409, words)

    def test_a_name_is_given_once(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        with pytest.raises(AlreadyExists) as caught:
            registry.create(DEPLOYMENTS, "default", deployment("web"))
        assert refused(caught) == (409, 'deployments.apps "web" already exists')
        assert caught.value.details == {"name": "web", "group": "apps", "kind": "deployments"}

    def test_also_while_it_is_going(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a", finalizers=["x.y/z"]))
        registry.delete(PODS, "default", "a")
        with pytest.raises(AlreadyExists) as caught:
            registry.create(PODS, "default", pod("a"))
        assert refused(caught) == (409, 'object is being deleted: pods "a" already exists')

    @pytest.mark.parametrize(
        ("sent", "error", "words"),
        [
            ({"metadata": {}}, Invalid, 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName'),
            (
                {"metadata": {"name": "a", "namespace": "other"}},
                BadRequest,
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
            (
                {"metadata": {"name": "a", "resourceVersion": "5"}},
                StatusError,
                "resourceVersion should not be set on objects to be created",
            ),
            (
                {"kind": "Service", "metadata": {"name": "a"}},
                BadRequest,
                'Service in version "v1" cannot be handled as a ConfigMap: converting (v1.Service) to '
                "(core.ConfigMap): unknown conversion",
            ),
            (
                {"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "a"}},
                BadRequest,
                'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for '
                'version "v2" in scheme',
            ),
        ],
    )
    def test_what_cannot_be(self, registry: Registry, sent: Json, error: type[StatusError], words: str) -> None:
        with pytest.raises(error) as caught:
            registry.create(MAPS, "default", sent)
        assert refused(caught)[1].startswith(words)

    def test_its_namespace_must_be_there(self, registry: Registry) -> None:
        with pytest.raises(NotFound) as caught:
            registry.create(PODS, "nope", pod("a"))
        assert refused(caught) == (404, 'namespaces "nope" not found')
        assert caught.value.details == {"name": "nope", "kind": "namespaces"}

    def test_and_stay(self, registry: Registry) -> None:
        registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "going"}})
        registry.delete(kinds.NAMESPACES, "", "going")
        with pytest.raises(Forbidden) as caught:
            registry.create(MAPS, "going", config_map("x"))
        problem = "unable to create new content in namespace going because it is being terminated"
        assert refused(caught) == (403, f'configmaps "x" is forbidden: {problem}')
        assert caught.value.details["causes"] == [  # type: ignore[index]
            {
                "reason": "NamespaceTerminating",
                "message": "namespace going is being terminated",
                "field": "metadata.namespace",
            }
        ]

    def test_status_is_not_for_who_creates(self, registry: Registry) -> None:
        made = registry.create(DEPLOYMENTS, "default", {**deployment("web"), "status": {"replicas": 9}})
        assert made["status"] == {}
        controller = {"metadata": {"name": "rs"}, "spec": deployment("web")["spec"], "status": {"replicas": 9}}
        made = registry.create(kinds.REPLICA_SETS, "default", controller)
        assert made["status"] == {"replicas": 0}
        node = registry.create(kinds.NODES, "", {"metadata": {"name": "n"}, "status": {"phase": "Running"}})
        assert node["status"]["phase"] == "Running", "a kubelet registers with its status"

    def test_a_rehearsal_leaves_nothing(self, registry: Registry, etcd: Etcd) -> None:
        before = etcd.revision
        made = registry.create(PODS, "default", pod("a"), WriteOptions(dry_run=True))
        assert made["metadata"]["uid"]
        assert "resourceVersion" not in made["metadata"]
        assert etcd.revision == before
        with pytest.raises(NotFound):
            registry.get(PODS, "default", "a")

    def test_unknown_fields(self, registry: Registry) -> None:
        sent = pod("a")
        sent["spec"]["nodeNmae"] = "x"
        with pytest.raises(BadRequest) as caught:
            registry.create(PODS, "default", sent, WriteOptions(validation="Strict"))
        words = 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.nodeNmae"'
        assert refused(caught) == (400, words)
        options = WriteOptions()
        made = registry.create(PODS, "default", sent, options)
        assert options.warnings == ['unknown field "spec.nodeNmae"']
        assert "nodeNmae" not in made["spec"]
        options = WriteOptions(validation="Ignore")
        registry.create(PODS, "default", {**sent, "metadata": {"name": "b"}}, options)
        assert options.warnings == []

    def test_what_has_no_effect_here_is_told(self, registry: Registry) -> None:
        sent = pod("a")
        sent["spec"]["containers"][0]["livenessProbe"] = {"grpc": {"port": 2379}}
        options = WriteOptions()
        registry.create(PODS, "default", sent, options)
        assert options.warnings == [
            "spec.containers[0].livenessProbe.grpc is not simulated by the embedded engine",
        ]
        made = deployment("web")
        made["spec"]["template"]["spec"]["containers"][0]["startupProbe"] = {"grpc": {"port": 2379}}
        options = WriteOptions()
        registry.create(DEPLOYMENTS, "default", made, options)
        path = "spec.template.spec.containers[0].startupProbe.grpc"
        assert options.warnings == [f"{path} is not simulated by the embedded engine"]
        options = WriteOptions()
        registry.create(DEPLOYMENTS, "default", deployment("plain"), options)
        assert options.warnings == []

    def test_who_manages_what(self, registry: Registry) -> None:
        made = registry.create(PODS, "default", pod("a"), WriteOptions(manager="kubectl-run"))
        (entry,) = made["metadata"]["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("kubectl-run", "Update")
        managed = entry["fieldsV1"]["f:spec"]
        assert "f:containers" in managed
        assert "f:restartPolicy" in managed, "defaults are the creator's"
        assert "f:tolerations" not in managed, "what admission adds is nobody's"
        assert "f:volumes" not in managed
        assert "f:status" not in entry["fieldsV1"]


class TestUpdate:
    def test_the_newest_version_or_none(self, registry: Registry) -> None:
        made = registry.create(MAPS, "default", config_map("a", x="1"))
        second = registry.update(MAPS, "default", "a", {**made, "data": {"x": "2"}})
        assert int(second["metadata"]["resourceVersion"]) == int(made["metadata"]["resourceVersion"]) + 1
        with pytest.raises(Conflict) as caught:
            registry.update(MAPS, "default", "a", {**made, "data": {"x": "3"}})
        assert refused(caught) == (409, f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}')
        third = registry.update(MAPS, "default", "a", config_map("a", x="4"))
        assert third["data"] == {"x": "4"}
        assert third["metadata"]["uid"] == made["metadata"]["uid"]

    def test_some_want_the_version(self, registry: Registry) -> None:
        lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}}
        registry.create(kinds.LEASES, "default", lease)
        with pytest.raises(Invalid) as caught:
            registry.update(kinds.LEASES, "default", "l", lease)
        assert refused(caught)[1] == (
            'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
            "for an update"
        )

    def test_what_changes_nothing_is_no_revision(self, registry: Registry, etcd: Etcd) -> None:
        made = registry.create(DEPLOYMENTS, "default", deployment("web"))
        events = registry.watch(DEPLOYMENTS, version=str(etcd.revision))
        before = etcd.revision
        assert registry.update(DEPLOYMENTS, "default", "web", made) is made
        assert registry.update(DEPLOYMENTS, "default", "web", deployment("web")) is made, "the defaults are there"
        assert registry.modify(DEPLOYMENTS, "default", "web", lambda obj: None) is made
        assert registry.modify(DEPLOYMENTS, "default", "web", thawed) is made
        assert etcd.revision == before
        assert events.take() == []

    def test_the_generation_counts_changes_of_the_spec(self, registry: Registry) -> None:
        def generation() -> int:
            return int(registry.get(DEPLOYMENTS, "default", "web")["metadata"]["generation"])

        registry.create(DEPLOYMENTS, "default", deployment("web"))
        assert generation() == 1
        registry.modify(DEPLOYMENTS, "default", "web", labelled(a="b"))
        assert generation() == 1
        registry.modify(DEPLOYMENTS, "default", "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 3}})
        assert generation() == 2
        registry.modify(
            DEPLOYMENTS, "default", "web", lambda obj: {**obj, "status": {"replicas": 3}}, subresource="status"
        )
        assert generation() == 2
        annotated = registry.get(DEPLOYMENTS, "default", "web")
        annotated = {**annotated, "metadata": {**annotated["metadata"], "annotations": {"a": "b"}, "generation": 77}}
        registry.update(DEPLOYMENTS, "default", "web", annotated)
        assert generation() == 3, "of a Deployment, the annotations count, too"

    def test_spec_and_status_are_written_apart(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web", 1))
        both = lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 5}, "status": {"replicas": 4}}  # noqa: E731
        made = registry.modify(DEPLOYMENTS, "default", "web", both)
        assert (made["spec"]["replicas"], made["status"]) == (5, {})
        registry.modify(DEPLOYMENTS, "default", "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 1}})
        made = registry.modify(DEPLOYMENTS, "default", "web", both, subresource="status")
        assert (made["spec"]["replicas"], made["status"]) == (1, {"replicas": 4})

    def test_metadata_goes_with_either(self, registry: Registry) -> None:
        registry.create(PODS, "default", pod("a"))
        made = registry.modify(PODS, "default", "a", labelled(x="y"), subresource="status")
        assert made["metadata"]["labels"] == {"x": "y"}
        registry.create(DEPLOYMENTS, "default", deployment("web"))
        made = registry.modify(DEPLOYMENTS, "default", "web", labelled(x="y"), subresource="status")
        assert "labels" not in made["metadata"], "Deployments are strict here"

    @pytest.mark.parametrize(
        ("change", "error", "words"),
        [
            ({"name": "b"}, BadRequest, "the name of the object (b) does not match the name on the URL (a)"),
            (
                {"name": ""},
                BadRequest,
                "the name of the object (a based on URL) was undeterminable: name must be provided",
            ),
            (
                {"namespace": "other"},
                BadRequest,
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
            (
                {"uid": "other"},
                Conflict,
                'Operation cannot be fulfilled on pods "a": StorageError: invalid object, Code: 4, '
                "Key: /registry/pods/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
                "UID in precondition: other, UID in object meta: ",
            ),
            (
                {"deletionTimestamp": "2025-06-15T15:06:40Z"},
                Invalid,
                'Pod "a" is invalid: metadata.deletionTimestamp: Invalid value: ',
            ),
            (
                {"deletionGracePeriodSeconds": 4},
                Invalid,
                'Pod "a" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 4: field is immutable',
            ),
        ],
    )
    def test_what_cannot_be(self, registry: Registry, change: Json, error: type[StatusError], words: str) -> None:
        made = registry.create(PODS, "default", pod("a"))
        with pytest.raises(error) as caught:
            registry.update(PODS, "default", "a", {**made, "metadata": {**made["metadata"], **change}})
        assert refused(caught)[1].startswith(words)

    def test_what_is_not_there_is_created_for_some(self, registry: Registry) -> None:
        with pytest.raises(NotFound) as caught:
            registry.update(PODS, "default", "a", pod("a"))
        assert refused(caught) == (404, 'pods "a" not found')
        lease = {"metadata": {"name": "l", "resourceVersion": "1"}, "spec": {"holderIdentity": "x"}}
        assert registry.update(kinds.LEASES, "default", "l", lease)["metadata"]["uid"]

    def test_no_new_finalizers_on_what_is_going(self, registry: Registry) -> None:
        registry.create(DEPLOYMENTS, "default", deployment("web", finalizers=["a.b/c"]))
        gone = registry.delete(DEPLOYMENTS, "default", "web")
        more = {**gone, "metadata": {**gone["metadata"], "finalizers": ["a.b/c", "d.e/f"]}}
        with pytest.raises(Invalid) as caught:
            registry.update(DEPLOYMENTS, "default", "web", more)
        assert refused(caught)[1] == (
            'Deployment.apps "web" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the '
            'object is being deleted, found new finalizers []string{"d.e/f"}'
        )

    def test_a_rehearsal_leaves_nothing(self, registry: Registry, etcd: Etcd) -> None:
        registry.create(MAPS, "default", config_map("a", x="1"))
        before = etcd.revision
        made = registry.update(MAPS, "default", "a", config_map("a", x="2"), WriteOptions(dry_run=True))
        assert made["data"] == {"x": "2"}
        assert etcd.revision == before
        assert registry.get(MAPS, "default", "a")["data"] == {"x": "1"}

    def test_who_manages_what(self, registry: Registry) -> None:
        registry.create(MAPS, "default", config_map("a", x="1"), WriteOptions(manager="one"))
        registry.modify(MAPS, "default", "a", lambda obj: {**obj, "data": {"x": "1", "y": "2"}}, WriteOptions("other"))
        managed = {
            entry["manager"]: entry["fieldsV1"]
            for entry in registry.get(MAPS, "default", "a")["metadata"]["managedFields"]
        }
        assert managed == {"one": {"f:data": {".": {}, "f:x": {}}}, "other": {"f:data": {"f:y": {}}}}

    def test_a_put_without_managed_fields_forgets_nobody(self, registry: Registry) -> None:
        registry.create(MAPS, "default", config_map("a", x="1"), WriteOptions(manager="one"))
        made = registry.update(MAPS, "default", "a", config_map("a", x="1", y="2"), WriteOptions(manager="other"))
        assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["one", "other"]

    def test_what_the_others_hold_stays_as_it_is(self, registry: Registry) -> None:
        old = registry.create(PODS, "default", pod("a"))
        before = thawed(old)
        registry.modify(PODS, "default", "a", labelled(x="y"))
        registry.modify(PODS, "default", "a", lambda obj: {**obj, "status": {"phase": "Running"}}, subresource="status")
        registry.bind("default", "a", "n1")
        registry.delete(PODS, "default", "a")
        assert old == before

    def test_what_does_not_change_is_shared(self, registry: Registry) -> None:
        old = registry.create(PODS, "default", pod("a"))
        new = registry.modify(PODS, "default", "a", labelled(x="y"))
        assert new["spec"]["containers"] is old["spec"]["containers"]


class TestStrategies:
    def test_a_daemon_set_counts_its_templates(self, registry: Registry) -> None:
        spec = deployment("d")["spec"]
        del spec["replicas"]
        made = registry.create(kinds.DAEMON_SETS, "default", {"metadata": {"name": "d"}, "spec": spec})
        key = "deprecated.daemonset.template.generation"
        assert made["metadata"]["annotations"] == {key: "1"}
        assert made["status"] == {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        }
        new = thawed(made)
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
        new = registry.update(kinds.DAEMON_SETS, "default", "d", new)
        assert (new["metadata"]["annotations"][key], new["metadata"]["generation"]) == ("2", 2)
        new = registry.modify(
            kinds.DAEMON_SETS, "default", "d", lambda obj: {**obj, "spec": {**obj["spec"], "minReadySeconds": 5}}
        )
        assert (new["metadata"]["annotations"][key], new["metadata"]["generation"]) == ("2", 3)

    def test_a_job_gets_its_selector(self, registry: Registry) -> None:
        spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}
        made = registry.create(kinds.JOBS, "default", {"metadata": {"name": "j"}, "spec": spec})
        uid = made["metadata"]["uid"]
        labels = {
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": "j",
            "controller-uid": uid,
            "job-name": "j",
        }
        assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        assert made["spec"]["template"]["metadata"]["labels"] == labels
        assert made["metadata"]["labels"] == labels
        assert "metadata" not in spec["template"]

    def test_a_namespace_has_its_name_as_a_label(self, registry: Registry) -> None:
        made = registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "a", "labels": {"x": "y"}}})
        assert made["metadata"]["labels"] == {"x": "y", "kubernetes.io/metadata.name": "a"}
        assert made["spec"] == {"finalizers": ["kubernetes"]}
        assert made["status"] == {"phase": "Active"}
        made = registry.update(kinds.NAMESPACES, "", "a", {"metadata": {"name": "a"}})
        assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
        assert made["spec"] == {"finalizers": ["kubernetes"]}

    def test_a_secret_takes_text(self, registry: Registry) -> None:
        sent = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}
        made = registry.create(kinds.SECRETS, "default", sent)
        assert made["data"] == {"a": "Yg==", "c": "ZA=="}
        assert made["type"] == "Opaque"
        assert "stringData" not in made

    def test_an_endpoint_slice_counts_all_its_changes(self, registry: Registry) -> None:
        slice_: Json = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [], "ports": []}
        made = registry.create(kinds.ENDPOINT_SLICES, "default", slice_)
        assert made["metadata"]["generation"] == 1
        made = registry.modify(
            kinds.ENDPOINT_SLICES, "default", "s", lambda obj: {**obj, "endpoints": [{"addresses": ["10.0.0.1"]}]}
        )
        assert made["metadata"]["generation"] == 2
        made = registry.modify(kinds.ENDPOINT_SLICES, "default", "s", labelled(x="y"))
        assert made["metadata"]["generation"] == 3

    @pytest.mark.parametrize(
        ("resources", "quality"),
        [
            ([{}], "BestEffort"),
            ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
            (
                [{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}],
                "Guaranteed",
            ),
            ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
            ([{"limits": {"cpu": "1"}}], "Burstable"),
            ([{"requests": {"cpu": "1m"}}], "Burstable"),
            ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
            ([{"requests": {"cpu": "0"}}], "BestEffort"),
            ([{"limits": {"example.com/gpu": "1"}}], "BestEffort"),
        ],
    )
    def test_the_quality_of_service_of_a_pod(self, registry: Registry, resources: list[Json], quality: str) -> None:
        sent = pod("a")
        sent["spec"]["containers"] = [
            {"name": f"c{index}", "image": "x", "resources": each} for index, each in enumerate(resources)
        ]
        made = registry.create(PODS, "default", sent)
        assert made["status"] == {"phase": "Pending", "qosClass": quality}
        assert made["metadata"]["generation"] == 1

    async def test_events_go_after_an_hour(self, registry: Registry, clock: ManualClock) -> None:
        def event(name: str) -> Json:
            return {
                "metadata": {"name": name},
                "involvedObject": {"namespace": "default"},
                "lastTimestamp": "2025-06-15T15:06:40Z",
            }

        registry.create(kinds.EVENTS, "default", event("a"))
        await clock.advance(1800)
        registry.create(kinds.EVENTS, "default", event("b"))
        await clock.advance(1740)
        assert len(registry.list(kinds.EVENTS)) == 2
        await clock.advance(120)
        assert [one["metadata"]["name"] for one in registry.list(kinds.EVENTS)] == ["b"]
        await clock.advance(3600)
        assert len(registry.list(kinds.EVENTS)) == 0

    def test_a_service_may_be_put(self, registry: Registry) -> None:
        assert registry.update(kinds.SERVICES, "default", "web", service("web"))["spec"]["clusterIP"]

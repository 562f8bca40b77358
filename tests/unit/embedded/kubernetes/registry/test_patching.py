from __future__ import annotations

import orjson
import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    StatusError,
    UnsupportedMediaType,
)
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.kubernetes.registry.patching import APPLY, JSON, MERGE, STRATEGIC, go_text

from .things import config_map, deployment, pod, refused

PODS, MAPS, DEPLOYMENTS = kinds.PODS, kinds.CONFIG_MAPS, kinds.DEPLOYMENTS


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (MERGE, {"data": {"x": None, "y": "2"}}),
        (STRATEGIC, {"data": {"x": None, "y": "2"}}),
        (JSON, [{"op": "remove", "path": "/data/x"}, {"op": "add", "path": "/data/y", "value": "2"}]),
    ],
)
def test_three_ways_to_say_the_same(registry: Registry, media_type: str, body: object) -> None:
    old = registry.create(MAPS, "default", config_map("a", x="1"))
    new, created = registry.patch(MAPS, "default", "a", media_type, body)
    assert new["data"] == {"y": "2"}
    assert not created
    assert old["data"] == {"x": "1"}


def test_containers_are_merged_by_name(registry: Registry) -> None:
    registry.create(DEPLOYMENTS, "default", deployment("web"))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}}
    new, _ = registry.patch(DEPLOYMENTS, "default", "web", STRATEGIC, body)
    (container,) = new["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["terminationMessagePolicy"]) == ("nginx:2", "File")
    assert new["metadata"]["generation"] == 2


def test_what_changes_nothing_is_no_revision(registry: Registry, etcd: Etcd) -> None:
    made = registry.create(MAPS, "default", config_map("a", x="1"))
    before = etcd.revision
    for body in ({}, {"data": {"x": "1"}}, {"metadata": {"uid": None}}, {"metadata": {"namespace": None}}):
        assert registry.patch(MAPS, "default", "a", MERGE, body)[0] is made
    assert etcd.revision == before


def test_the_status_is_patched_apart(registry: Registry) -> None:
    registry.create(PODS, "default", pod("a"))
    body = {"status": {"phase": "Running"}, "metadata": {"labels": {"x": "y"}}, "spec": {"activeDeadlineSeconds": 5}}
    new, _ = registry.patch(PODS, "default", "a", MERGE, {**body, "spec": {}})
    assert (new["status"]["phase"], new["metadata"]["labels"]) == ("Pending", {"x": "y"})
    new, _ = registry.patch(PODS, "default", "a", MERGE, body, subresource="status")
    assert new["status"]["phase"] == "Running"
    assert "activeDeadlineSeconds" not in new["spec"]


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (
            {"metadata": {"name": "b"}},
            BadRequest,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            {"metadata": {"name": None}},
            BadRequest,
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
        (
            {"metadata": {"namespace": "other"}},
            BadRequest,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            {"metadata": {"uid": "other"}},
            Invalid,
            'Pod "a" is invalid: metadata.uid: Invalid value: "other": field is immutable',
        ),
        (
            {"metadata": {"resourceVersion": "3"}},
            Conflict,
            'Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the '
            "latest version and try again",
        ),
    ],
)
def test_what_a_patch_cannot_make_of_it(registry: Registry, body: Json, error: type[StatusError], words: str) -> None:
    registry.create(PODS, "default", pod("a"))
    with pytest.raises(error) as caught:
        registry.patch(PODS, "default", "a", MERGE, body)
    assert refused(caught)[1] == words


def test_an_object_that_is_no_pod_any_more(registry: Registry) -> None:
    made = registry.create(PODS, "default", pod("a"))

    def said(body: Json, media_type: str = MERGE, **options: str) -> str:
        with pytest.raises(StatusError) as caught:
            registry.patch(PODS, "default", "a", media_type, body, WriteOptions(**options))  # type: ignore[arg-type]
        code, words = refused(caught)
        assert (code, caught.value.reason) == (422, "Invalid")
        return words

    words = said({"kind": "Service"})
    shown = orjson.dumps(orjson.dumps({**made, "kind": "Service"}).decode()).decode()
    assert words == (
        f' "" is invalid: patch: Invalid value: {shown}: converting (v1.Service) to (core.Pod): unknown conversion'
    )
    assert said({"spec": 5}).endswith(
        ": json: cannot unmarshal number into Go struct field Pod.spec of type v1.PodSpec"
    )
    assert said({"spec": {"foo": 1}}, validation="Strict").endswith('strict decoding error: unknown field "spec.foo"')
    assert said({"spec": {"foo": 1}}, STRATEGIC, validation="Strict") == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[foo:1]]": strict decoding error: unknown field "spec.foo"'
    )


def test_how_go_prints() -> None:
    assert go_text({"b": [1, "x", None, True, 1.5], "a": {"c": {}}}) == "map[a:map[c:map[]] b:[1 x <nil> true 1.5]]"


def test_unknown_fields_are_warned_of(registry: Registry) -> None:
    registry.create(PODS, "default", pod("a"))
    options = WriteOptions()
    registry.patch(PODS, "default", "a", MERGE, {"spec": {"foo": 1}}, options)
    assert options.warnings == ['unknown field "spec.foo"']


def test_nothing_there(registry: Registry) -> None:
    with pytest.raises(NotFound) as caught:
        registry.patch(PODS, "default", "a", MERGE, {})
    assert refused(caught) == (404, 'pods "a" not found')
    registry.create(PODS, "default", pod("a"))
    with pytest.raises(UnsupportedMediaType):
        registry.patch(PODS, "default", "a", "application/json", {})


class TestApply:
    def config(self, **data: str) -> Json:
        return {"kind": "ConfigMap", "apiVersion": "v1", **config_map("a", **data)}

    def apply(
        self, registry: Registry, config: Json, manager: str = "me", force: bool = False, name: str = "a"
    ) -> tuple[Json, bool]:
        return registry.patch(MAPS, "default", name, APPLY, config, WriteOptions(manager=manager, force=force))

    def test_it_creates_and_changes(self, registry: Registry, etcd: Etcd) -> None:
        made, created = self.apply(registry, self.config(x="1"))
        assert created
        assert made["metadata"]["uid"]
        (entry,) = made["metadata"]["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("me", "Apply")
        before = etcd.revision
        again, created = self.apply(registry, self.config(x="1"))
        assert (again, created, etcd.revision) == (made, False, before)
        new, created = self.apply(registry, self.config(y="2"))
        assert (new["data"], created) == ({"y": "2"}, False)

    def test_whose_field_it_is(self, registry: Registry) -> None:
        self.apply(registry, self.config(x="1"), "one")
        with pytest.raises(StatusError) as caught:
            self.apply(registry, self.config(x="2"), "other")
        code, words = refused(caught)
        assert code == 409
        assert words == 'Apply failed with 1 conflict: conflict with "one": .data.x'
        new, _ = self.apply(registry, self.config(x="2"), "other", force=True)
        assert new["data"] == {"x": "2"}

    def test_what_is_refused(self, registry: Registry) -> None:
        with pytest.raises(Invalid) as caught:
            self.apply(registry, self.config(), manager="")
        assert refused(caught)[1] == (
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )
        with pytest.raises(BadRequest) as bad:
            self.apply(registry, self.config(), name="b")
        assert refused(bad)[1] == "the name of the object (a) does not match the name on the URL (b)"
        config = self.config()
        config["metadata"]["uid"] = "x"
        with pytest.raises(Conflict) as conflict:
            self.apply(registry, config)
        assert refused(conflict)[1] == (
            'Operation cannot be fulfilled on configmaps "a": uid mismatch: the provided object specified uid x, and '
            "no existing object was found"
        )
        with pytest.raises(NotFound) as absent:
            registry.patch(MAPS, "nope", "a", APPLY, self.config(), WriteOptions(manager="me"))
        assert refused(absent) == (404, 'namespaces "nope" not found')

    def test_a_rehearsal(self, registry: Registry, etcd: Etcd) -> None:
        before = etcd.revision
        options = WriteOptions(manager="me", dry_run=True)
        assert registry.patch(MAPS, "default", "a", APPLY, self.config(x="1"), options)[1]
        assert etcd.revision == before

    def test_a_whole_deployment(self, registry: Registry) -> None:
        config = {"kind": "Deployment", "apiVersion": "apps/v1", **deployment("web", 3)}
        options = WriteOptions(manager="me")
        made, _ = registry.patch(DEPLOYMENTS, "default", "web", APPLY, config, options)
        assert made["spec"]["progressDeadlineSeconds"] == 600
        again, _ = registry.patch(DEPLOYMENTS, "default", "web", APPLY, config, options)
        assert again is made

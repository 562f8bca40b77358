"""Checkers: the object as the API server keeps it, or the words in which it refuses it."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.kinds import KINDS, Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema.compile import blank, checker, checker_of
from tests.unit.embedded.kubernetes.samples import FINE, complete, container, pod, template

D = kinds.DEPLOYMENTS


def in_container(**fields: Any) -> Json:
    return {"spec": {"template": {"spec": {"containers": [fields]}}}}


def in_spec(**fields: Any) -> Json:
    return {"spec": fields}


def in_metadata(**fields: Any) -> Json:
    return {"metadata": fields}


C = "spec.template.spec.containers"
# What is of a wrong type, what Go calls it, the field as Go names it, and the field's type.
# From sigs.k8s.io/json and the struct tags of k8s.io/api v0.36.
REFUSED: list[tuple[Kind, Json, str, str, str]] = [
    (D, in_spec(replicas="x"), "string", "DeploymentSpec.spec.replicas", "int32"),
    (D, in_spec(replicas=1.5), "number 1.5", "DeploymentSpec.spec.replicas", "int32"),
    (D, in_spec(replicas=2**31), "number 2147483648", "DeploymentSpec.spec.replicas", "int32"),
    (D, in_spec(paused=1), "number", "DeploymentSpec.spec.paused", "bool"),
    (D, {"spec": "x"}, "string", "Deployment.spec", "v1.DeploymentSpec"),
    (D, in_metadata(labels={"a": 1}), "number", "ObjectMeta.metadata.labels", "string"),
    (D, in_metadata(labels=[]), "array", "ObjectMeta.metadata.labels", "map[string]string"),
    (D, in_metadata(uid=5), "number", "ObjectMeta.metadata.uid", "types.UID"),
    (D, in_metadata(creationTimestamp=5), "number", "ObjectMeta.metadata.creationTimestamp", "string"),
    (
        D, in_spec(strategy={"rollingUpdate": {"maxSurge": True}}),
        "bool", "RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge", "int32",
    ),
    (D, in_container(imagePullPolicy=5), "number", f"Container.{C}.imagePullPolicy", "v1.PullPolicy"),
    (D, in_container(command=[5]), "number", f"Container.{C}.command", "string"),
    (D, in_container(command="sh"), "string", f"Container.{C}.command", "[]string"),
    (
        D, in_container(securityContext={"capabilities": {"add": "X"}}),
        "string", f"Capabilities.{C}.securityContext.capabilities.add", "[]v1.Capability",
    ),
    (
        D, in_container(resources={"limits": []}),
        "array", f"ResourceRequirements.{C}.resources.limits", "v1.ResourceList",
    ),
    (D, in_spec(template={"spec": {"containers": {}}}), "object", f"PodSpec.{C}", "[]v1.Container"),
    (D, in_spec(template={"spec": {"containers": ["x"]}}), "string", f"PodSpec.{C}", "v1.Container"),
    (kinds.SECRETS, {"data": {"a": 5}}, "number", "Secret.data", "[]uint8"),
]  # fmt: skip

QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
MALFORMED: list[tuple[Kind, Json, str]] = [
    (D, in_container(resources={"limits": {"cpu": "x"}}), QUANTITY),
    (D, in_container(resources={"limits": {"cpu": True}}), QUANTITY),
    (
        D, in_metadata(creationTimestamp="x"),
        'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ),
    (
        D, in_metadata(creationTimestamp="2020-13-01T00:00:00Z"),
        'parsing time "2020-13-01T00:00:00Z": month out of range',
    ),
    (kinds.SECRETS, {"data": {"a": "%%"}}, "illegal base64 data at input byte 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "create" in kind.verbs or kind.plural == "componentstatuses"], ids=str
)
def test_every_kind_has_a_checker(kind: Kind) -> None:
    assert checker(kind)({}).obj["metadata"] == {}


@pytest.mark.parametrize(("kind", "obj", "value", "path", "go"), REFUSED)
def test_a_wrong_type_is_refused_in_the_words_of_the_decoder(
    kind: Kind, obj: Json, value: str, path: str, go: str
) -> None:
    with pytest.raises(BadRequest) as raised:
        checker(kind)(obj)
    words = f"json: cannot unmarshal {value} into Go struct field {path} of type {go}"
    assert raised.value.message == f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: {words}'


@pytest.mark.parametrize(("kind", "obj", "words"), MALFORMED, ids=lambda value: str(value)[:60])
def test_a_malformed_value_is_refused_in_the_words_of_its_type(kind: Kind, obj: Json, words: str) -> None:
    with pytest.raises(BadRequest) as raised:
        checker(kind)(obj)
    assert raised.value.message == f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: {words}'


def test_unknown_fields_are_left_out_and_named() -> None:
    obj = pod(foo=1)
    obj["spec"]["bar"] = {}
    obj["baz"] = None
    found = checker(kinds.PODS)(obj)
    assert found.unknown == ("spec.containers[0].foo", "spec.bar", "baz")
    assert "foo" not in found.obj["spec"]["containers"][0]
    assert "baz" not in found.obj


def test_field_names_are_case_sensitive() -> None:
    assert checker(kinds.PODS)({"Spec": {}}).unknown == ("Spec",)


def test_what_was_given_is_never_changed() -> None:
    obj = pod(foo=1, stdin=False, resources={"limits": {"cpu": "1000m"}})
    before = copy.deepcopy(obj)
    checker(kinds.PODS)(obj)
    assert obj == before


@pytest.mark.parametrize("kind", FINE, ids=str)
def test_an_object_in_its_kept_form_comes_back_as_it_is(kind: Kind) -> None:
    obj = complete(kind, FINE[kind])
    assert checker(kind)(obj).obj is obj


def test_only_what_changes_is_built_anew() -> None:
    obj = complete(kinds.PODS, pod())
    changed = {**obj, "spec": {**obj["spec"], "hostNetwork": False}}
    found = checker(kinds.PODS)(changed).obj
    assert "hostNetwork" not in found["spec"]
    assert found["spec"]["containers"] is obj["spec"]["containers"]
    assert found["metadata"] is obj["metadata"]


# value given -> value kept, of a field of a pod's spec; None: the field goes
KEPT: list[tuple[str, Any, Any]] = [
    ("hostNetwork", False, None),  # no pointer: false is as good as nothing
    ("hostNetwork", True, True),
    ("automountServiceAccountToken", False, False),  # a pointer: false says something
    ("nodeName", "", None),
    ("runtimeClassName", "", ""),
    ("nodeSelector", {}, None),
    ("tolerations", [], None),
    ("terminationGracePeriodSeconds", 0, 0),
    ("securityContext", {}, {}),
    ("affinity", None, None),
]


@pytest.mark.parametrize(("key", "given_", "kept"), KEPT)
def test_empty_values_are_kept_as_go_keeps_them(key: str, given_: Any, kept: Any) -> None:
    spec = checker(kinds.PODS)(pod({key: given_})).obj["spec"]
    assert spec.get(key) == kept
    assert (key in spec) == (kept is not None)


def test_a_null_in_a_map_or_list_is_the_empty_value() -> None:
    obj = pod(command=["sh", None])
    obj["metadata"]["labels"] = {"a": None}
    found = checker(kinds.PODS)(obj).obj
    assert found["metadata"]["labels"] == {"a": ""}
    assert found["spec"]["containers"][0]["command"] == ["sh", ""]


def test_structs_in_place_are_always_there() -> None:
    found = checker(D)({"metadata": {"name": "web"}, "spec": {"template": template()}}).obj
    assert found["status"] == {}
    assert found["spec"]["strategy"] == {}
    assert found["spec"]["template"]["spec"]["containers"] == [container(resources={})]


def test_a_time_that_is_not_set_stays_null_where_go_writes_it() -> None:
    condition = {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
    found = checker(kinds.PODS)({"metadata": {"creationTimestamp": None}, "status": {"conditions": [condition]}}).obj
    assert found["status"]["conditions"] == [condition]
    assert "creationTimestamp" not in found["metadata"]


CANONICAL: list[tuple[Any, Any]] = [
    ("1000m", "1"), ("0.5", "500m"), (1, "1"), (0.5, "500m"), ("1024Mi", "1Gi"), ("100m", "100m"), ("1e3", "1e3"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kept"), CANONICAL)
def test_quantities_take_their_canonical_form(text: Any, kept: str) -> None:
    found = checker(kinds.PODS)(pod(resources={"requests": {"cpu": text}})).obj
    assert found["spec"]["containers"][0]["resources"] == {"requests": {"cpu": kept}}


def test_bodies_that_are_no_resources_are_checked_too() -> None:
    scale = checker_of("autoscaling", "v1", "Scale")({"spec": {"replicas": 3}})
    assert scale.obj["spec"] == {"replicas": 3}
    with pytest.raises(
        BadRequest, match=r"Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal"
    ):
        checker_of("autoscaling", "v1", "Scale")({"spec": {"replicas": "3"}})
    binding = checker_of("", "v1", "Binding")({"target": {"name": "worker-1", "nose": 1}})
    assert binding.unknown == ("target.nose",)


def test_the_blank_status_of_a_kind() -> None:
    assert blank(kinds.REPLICA_SETS, "status") == {"replicas": 0}
    assert blank(kinds.SERVICES, "status") == {"loadBalancer": {}}
    assert blank(kinds.DEPLOYMENTS, "status") == {}
    assert blank(kinds.PODS, "status") is not blank(kinds.PODS, "status")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
anything = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3))
)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[Kind, Json]:
    """A fine object with something else in one place of it."""
    kind = draw(st.sampled_from(list(FINE)))
    obj = copy.deepcopy(complete(kind, FINE[kind]))
    at: Any = obj
    for _ in range(draw(st.integers(0, 7))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        deeper = [key for key in keys if isinstance(at[key], dict | list) and at[key]]
        if not deeper:
            break
        at = at[draw(st.sampled_from(deeper))]
    if isinstance(at, dict):
        at[draw(st.sampled_from(list(at)))] = draw(anything)
    else:
        at[draw(st.integers(0, len(at) - 1))] = draw(anything)
    return kind, obj


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.text(), anything))
def test_arbitrary_json_is_answered_or_refused(kind: Kind, obj: Json) -> None:
    with contextlib.suppress(BadRequest):
        checker(kind)(obj)


@settings(deadline=None, max_examples=300)
@given(mutants())
def test_what_was_checked_once_needs_no_change_again(case: tuple[Kind, Json]) -> None:
    kind, obj = case
    before = copy.deepcopy(obj)
    try:
        found = checker(kind)(obj)
    except BadRequest:
        return
    assert obj == before
    again = checker(kind)(found.obj)
    assert again.obj is found.obj
    assert again.unknown == ()

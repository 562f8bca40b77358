"""Server-side apply: merging, ownership, conflicts, and what goes when it is no longer applied."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.patch.apply import apply, update
from labkit.embedded.kubernetes.patch.apply.engine import LAST_APPLIED, ApplyConflict, Unappliable
from labkit.embedded.kubernetes.patch.apply.merging import _order
from tests.unit.embedded.kubernetes.patch.apply.making import LATER, NOW, deployment, managers, times, with_spec

KIND = kinds.DEPLOYMENTS


def applied(config, live=None, manager="me", *, force=False, now=NOW, **more):
    return apply(KIND, live, config, manager, force, now, **more)


def written(live, new, manager="other", now=LATER):
    return update(KIND, live, new, manager, now=now)


def names(obj):
    return [one["name"] for one in obj["spec"]["template"]["spec"]["containers"]]


def test_create():
    obj = applied(deployment(labels={"a": "b"}, replicas=2))
    assert {key: obj[key] for key in ("apiVersion", "kind", "spec")} == {
        key: deployment(replicas=2)[key] for key in ("apiVersion", "kind", "spec")
    }
    assert managers(obj) == {
        ("me", "Apply", ""): {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}}}},
                },
            },
        }
    }
    assert times(obj) == {"me": NOW}


def test_the_same_again_changes_nothing_not_even_the_time():
    obj = applied(deployment(replicas=2))
    assert applied(deployment(replicas=2), obj, now=LATER) is obj


def test_what_is_no_longer_applied_goes():
    obj = applied(deployment("a", "b", labels={"x": "1", "y": "1"}, replicas=2))
    obj = applied(deployment("b", labels={"y": "1"}), obj, now=LATER)
    assert names(obj) == ["b"]
    assert obj["metadata"]["labels"] == {"y": "1"}
    assert "replicas" not in obj["spec"]
    assert times(obj) == {"me": LATER}


def test_it_stays_when_somebody_else_manages_it_too():
    obj = applied(deployment("a", "b", replicas=2))
    obj = applied(deployment("a", replicas=2), obj, manager="you")
    obj = applied(deployment("b"), obj)
    assert names(obj) == ["a", "b"]
    assert obj["spec"]["replicas"] == 2


def test_defaults_below_an_item_that_goes_go_with_it():
    obj = applied(deployment("a", "b"))
    obj = copy.deepcopy(obj)
    obj["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"  # nobody's
    assert names(applied(deployment("a"), obj)) == ["a"]


def test_items_of_others_stay():
    obj = applied(deployment("a"))
    more = copy.deepcopy(obj)
    more["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "s"})
    obj = written(obj, more)
    obj = applied(deployment({"name": "a", "image": "i:2"}), obj)
    assert names(obj) == ["a", "sidecar"]


def test_a_conflict_names_the_manager_and_the_field():
    obj = written(live := applied(deployment(replicas=1)), with_spec(live, replicas=5), "kubectl-client-side-apply")
    with pytest.raises(ApplyConflict) as caught:
        applied(deployment(replicas=3), obj)
    message = 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    assert caught.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
                    "field": ".spec.replicas",
                }
            ]
        },
        "code": 409,
    }


def test_several_conflicts_are_listed_by_manager():
    obj = applied(deployment("a", "b", replicas=1))
    obj = update(KIND, obj, with_spec(obj, replicas=5), "scaler", subresource="scale", now=NOW)
    obj = applied(deployment({"name": "a", "image": "i:2"}), obj, manager="you", force=True)
    with pytest.raises(ApplyConflict) as caught:
        applied(deployment("a", "b", replicas=1), obj)
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "scaler" with subresource "scale" using apps/v1:\n'
        "- .spec.replicas\n"
        'conflicts with "you":\n'
        '- .spec.template.spec.containers[name="a"].image'
    )


def test_force_takes_the_field_over():
    obj = written(live := applied(deployment(replicas=1)), with_spec(live, replicas=5))
    forced = applied(deployment(replicas=3), obj, force=True)
    assert forced["spec"]["replicas"] == 3
    assert set(managers(forced)) == {("me", "Apply", "")}


def test_the_same_value_is_shared_not_fought_over():
    obj = written(live := applied(deployment(replicas=1)), with_spec(live, replicas=5))
    shared = applied(deployment(replicas=5), obj)
    found = managers(shared)
    assert "f:replicas" in found["me", "Apply", ""]["f:spec"]
    assert found["other", "Update", ""] == {"f:spec": {"f:replicas": {}}}


def test_what_was_there_before_anybody_tracked_it_belongs_to_before_first_apply():
    obj = {**deployment(replicas=1), "metadata": {"name": "web", "namespace": "default"}}
    found = managers(applied(deployment(replicas=1), obj))
    assert set(found) == {("before-first-apply", "Update", ""), ("me", "Apply", "")}
    with pytest.raises(ApplyConflict, match="before-first-apply"):
        applied(deployment(replicas=2), obj)


def test_kubectl_may_take_over_what_it_had_applied_from_the_client_side():
    config = deployment(replicas=1)
    annotated = copy.deepcopy(config)
    annotated["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(config)}
    live = update(KIND, None, annotated, "kubectl-client-side-apply", now=NOW)
    with pytest.raises(ApplyConflict):
        applied(deployment(replicas=2), live, manager="me")
    taken = applied(deployment(replicas=2), live, manager="kubectl", now=LATER)
    assert taken["spec"]["replicas"] == 2
    # The annotation follows, so that one may go back.
    assert json.loads(taken["metadata"]["annotations"][LAST_APPLIED])["spec"]["replicas"] == 2
    # A field that somebody has changed since is not what kubectl applied.
    scaled = update(KIND, live, with_spec(live, replicas=9), "scaler", now=NOW)
    with pytest.raises(ApplyConflict, match="scaler"):
        applied(deployment(replicas=2), scaled, manager="kubectl")


def test_the_status_is_applied_by_its_sub_resource():
    config = {**deployment(), "status": {"replicas": 3}}
    assert "f:status" not in managers(applied(config))["me", "Apply", ""]
    live = applied(deployment())
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 3}}
    obj = applied(status, live, manager="ctl", subresource="status")
    assert managers(obj)["ctl", "Apply", "status"] == {"f:status": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"kind": "Pod"}, BadRequest, "invalid object type: apps/v1, Kind=Pod"),
        ({"apiVersion": None}, BadRequest, "invalid object type: /, Kind=Deployment"),
        ({"metadata": {"managedFields": []}}, BadRequest, "metadata.managedFields must be nil"),
        ({"spec": 7}, Unappliable, r"\.spec: expected map, got &\{7\}"),
        ({"spec": {"foo": 1}}, Unappliable, r"\.spec\.foo: field not declared in schema"),
        ({"spec": {"replicas": "x"}}, Unappliable, r"\.spec\.replicas: expected numeric \(int or float\), got &\{x\}"),
        ({"spec": {"paused": 1}}, Unappliable, r"\.spec\.paused: expected boolean, got &\{1\}"),
        ({"spec": {"selector": {"x": 1}}}, Unappliable, r"\.spec\.selector\.x: field not declared in schema"),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
            Unappliable,
            r'\.spec\.template\.spec\.containers: duplicate entries for key \[name="a"\]',
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}},
            Unappliable,
            r"\.spec\.template\.spec\.containers: element 0: associative list with keys has an element that omits all",
        ),
        (
            {"metadata": {"finalizers": [{}, None, []]}},
            Unappliable,
            r"errors:\n  \.metadata\.finalizers: element 0: associative list without keys has an element",
        ),
    ],
)
def test_refusals(change, error, words):
    with pytest.raises(error, match=words) as caught:
        applied({**deployment(), **change})
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("live", "wanted", "merged"),
    [
        ("abc", "", "abc"),
        ("", "abc", "abc"),
        ("abc", "cba", "cba"),
        ("abc", "b", "abc"),
        ("abc", "bd", "abdc"),
        ("abc", "ca", "bca"),
        ("ab", "xay", "xayb"),
        ("abcd", "db", "acdb"),
    ],
)
def test_order_is_that_of_the_applier_among_the_others(live, wanted, merged):
    order = _order(list(live), list(wanted))
    assert sorted(order) == sorted(set(live) | set(wanted))
    assert [one for one in order if one in wanted] == list(wanted)


def test_nothing_is_changed():
    obj = applied(deployment("a", "b", replicas=1))
    before, config = copy.deepcopy(obj), deployment("b", replicas=2)
    given_config = copy.deepcopy(config)
    applied(config, obj)
    assert (obj, config) == (before, given_config)


_CONFIGS = st.builds(
    lambda containers, labels, spec: deployment(*containers, labels=labels, **spec),
    st.lists(st.sampled_from("abc"), unique=True, min_size=1).flatmap(
        lambda found: st.tuples(
            *(
                st.fixed_dictionaries(
                    {"name": st.just(name), "image": st.sampled_from(["i:1", "i:2"])},
                    optional={"args": st.just(["x"]), "env": st.just([{"name": "E", "value": "1"}])},
                )
                for name in found
            )
        )
    ),
    st.none() | st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12")),
    st.fixed_dictionaries({}, optional={"replicas": st.integers(0, 2), "paused": st.booleans()}),
)


@given(st.lists(st.tuples(st.sampled_from(["m1", "m2"]), _CONFIGS), min_size=1, max_size=5))
def test_applying_is_idempotent_and_gives_what_was_asked_for(steps):
    live = None
    for manager, config in steps:
        live = applied(config, live, manager=manager, force=True)
        assert applied(config, live, manager=manager, now=LATER) is live
        _holds(live, config)
    # Alone again, an object is what its one manager last applied.
    alone = applied(steps[0][1], None)
    for _, config in steps:
        alone = applied(config, alone)
    wanted = steps[-1][1]["metadata"]
    assert alone["metadata"].get("labels") == wanted.get("labels")
    assert alone["spec"] == steps[-1][1]["spec"]


def _holds(found, wanted):
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            _holds(found[key] if value else found.get(key, value), value)
    elif isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        by_name = {one["name"]: one for one in found}
        for item in wanted:
            _holds(by_name[item["name"]], item)
    else:
        assert found == wanted

"""Strategic merge patch, by the API server's rules (``apimachinery/pkg/util/strategicpatch``)."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.patch.jsonpatch import Unprocessable
from labkit.embedded.kubernetes.patch.strategic import Unmergeable, strategic_merge

DEPLOYMENT = {
    "metadata": {"name": "web", "finalizers": ["a", "b"]},
    "spec": {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {"name": "a", "image": "x", "args": ["1"], "env": [{"name": "A", "value": "1"}]},
                    {"name": "b", "image": "y"},
                ],
                "nodeSelector": {"disk": "ssd"},
            }
        },
    },
}


def pod_spec(**patch):
    """The template's spec after a patch of it."""
    return strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, {"spec": {"template": {"spec": patch}}})["spec"]["template"][
        "spec"
    ]


def names(containers):
    return [container["name"] for container in containers]


def test_items_are_told_apart_by_their_key():
    containers = pod_spec(containers=[{"name": "b", "image": "z"}])["containers"]
    assert {one["name"]: one["image"] for one in containers} == {"a": "x", "b": "z"}


def test_lists_without_a_key_are_replaced():
    assert pod_spec(containers=[{"name": "a", "args": ["2", "3"]}])["containers"][0]["args"] == ["2", "3"]


def test_new_items_stand_before_those_that_the_patch_does_not_name():
    # As the real one: what the patch names comes first, unless both were there.
    assert names(pod_spec(containers=[{"name": "c", "image": "z"}])["containers"]) == ["c", "a", "b"]


def test_maps_are_merged_and_null_takes_away():
    assert pod_spec(nodeSelector={"zone": "1", "disk": None})["nodeSelector"] == {"zone": "1"}
    assert "nodeSelector" not in pod_spec(nodeSelector=None)


def test_sets_of_scalars_are_united():
    patched = strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, {"metadata": {"finalizers": ["c", "a"]}})
    assert sorted(patched["metadata"]["finalizers"]) == ["a", "b", "c"]


def test_delete_from_primitive_list():
    patched = strategic_merge(
        kinds.DEPLOYMENTS, DEPLOYMENT, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    )
    assert patched["metadata"]["finalizers"] == ["b"]


def test_order():
    patch = {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "c", "image": "z"}, {"name": "a", "env": [{"name": "B", "value": "2"}]}],
    }
    spec = pod_spec(**patch)
    assert names(spec["containers"]) == ["c", "a", "b"]
    assert names(spec["containers"][1]["env"]) == ["B", "A"]
    # what only the server has keeps its place before what follows it
    kept = pod_spec(**{"$setElementOrder/containers": [{"name": "b"}]})
    assert names(kept["containers"]) == ["a", "b"]


def test_order_of_the_patch_has_to_be_that_of_the_list():
    with pytest.raises(Unmergeable, match=r"The order in patch list:\n\[map\[name:a\] map\[name:b\]\]\n doesn't match"):
        pod_spec(
            **{
                "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a"}, {"name": "b"}],
            }
        )


def test_directives_in_lists():
    assert names(pod_spec(containers=[{"name": "a", "$patch": "delete"}])["containers"]) == ["b"]
    replaced = pod_spec(containers=[{"$patch": "replace"}, {"name": "c", "image": "z"}])["containers"]
    assert replaced == [{"name": "c", "image": "z"}]


def test_directives_in_maps():
    assert pod_spec(nodeSelector={"$patch": "replace", "zone": "1"})["nodeSelector"] == {"zone": "1"}
    assert pod_spec(nodeSelector={"$patch": "delete"})["nodeSelector"] == {}
    whole = strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, {"$patch": "replace", "spec": {}})
    assert whole == {"spec": {}}


def test_retain_keys_of_a_union():
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, patch)["spec"]["strategy"] == {"type": "Recreate"}


def test_nothing_of_a_directive_is_left_where_there_was_nothing():
    pod = {"spec": {}}
    patch = {
        "spec": {
            "$setElementOrder/volumes": [{"name": "v"}],
            "volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}, "hostPath": None}],
        }
    }
    assert strategic_merge(kinds.PODS, pod, patch) == {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}


@pytest.mark.parametrize(
    ("patch", "error", "words"),
    [
        (
            {"containers": [{"image": "q"}]},
            Unmergeable,
            r"map: map\[image:q\] does not contain declared merge key: name",
        ),
        ({"containers": [{"name": "a", "$patch": "x"}]}, Unmergeable, r"unknown patch type: x in map: map\["),
        ({"containers": [{"$patch": "merge"}]}, Unmergeable, "merging lists cannot yet be specified in the patch"),
        ({"containers": [["a"]]}, Unprocessable, "the server rejected"),
        ({"containers": [{"name": "a"}, "b"]}, Unmergeable, "list element types are not identical"),
        ({"$setElementOrder/containers": {}}, BadRequest, "invalid patch format of setElementOrder list"),
        (
            {"$setElementOrder/containers": ["a"]},
            Unmergeable,
            r"expected a map\[string\]interface \{\}, but",
        ),
        ({"$deleteFromPrimitiveList/containers": 7}, BadRequest, "invalid patch format of primitive list"),
        ({"$retainKeys": "x"}, BadRequest, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["containers"], "nodeName": "n"}, BadRequest, "invalid patch format of retainKeys"),
        ({"$patch": "nonsense"}, Unmergeable, r"unknown patch type: nonsense in map: map\[\$patch:nonsense\]"),
    ],
)
def test_refusals(patch, error, words):
    with pytest.raises(error, match=words) as caught:
        pod_spec(**patch)
    assert 400 <= caught.value.code < 500


@pytest.mark.parametrize("patch", [None, [], "x", 7])
def test_a_patch_is_an_object(patch):
    with pytest.raises(BadRequest):
        strategic_merge(kinds.PODS, {}, patch)


def test_nothing_is_changed_and_the_rest_is_shared():
    before = copy.deepcopy(DEPLOYMENT)
    assert strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, {"spec": {"replicas": 1}}) is DEPLOYMENT
    patched = strategic_merge(kinds.DEPLOYMENTS, DEPLOYMENT, {"spec": {"replicas": 2}})
    assert patched["spec"]["template"] is DEPLOYMENT["spec"]["template"]
    assert before == DEPLOYMENT


# -- a patch made of two objects leads from one to the other

_ENV = st.lists(st.sampled_from("ABC"), unique=True).flatmap(
    lambda keys: st.tuples(*(st.sampled_from("12") for _ in keys)).map(
        lambda values: [{"name": key, "value": value} for key, value in zip(keys, values, strict=True)]
    )
)
_CONTAINER = st.fixed_dictionaries(
    {"image": st.sampled_from("xy")},
    optional={
        "env": _ENV,
        "args": st.lists(st.sampled_from("ab"), max_size=2),
        "resources": st.fixed_dictionaries({}, optional={"limits": st.just({"cpu": "1"}), "requests": st.just({})}),
    },
)
_CONTAINERS = st.dictionaries(st.sampled_from("pqr"), _CONTAINER, min_size=1).map(
    lambda found: [{"name": name, **container} for name, container in found.items()]
)
_PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"name": st.just("p")},
            optional={
                "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
                "finalizers": st.lists(st.sampled_from("fgh"), unique=True),
            },
        ),
        "spec": st.fixed_dictionaries({"containers": _CONTAINERS}, optional={"nodeName": st.sampled_from("mn")}),
    }
)
_KEYED = {"containers": "name", "env": "name"}


def _difference(old, new):
    """A patch as kubectl makes it, with orders and deletions."""
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        found = old.get(key)
        if found == value:
            continue
        if isinstance(found, dict) and isinstance(value, dict):
            patch[key] = _difference(found, value)
        elif isinstance(found, list) and key in _KEYED:
            there = {item["name"]: item for item in found}
            wanted = {item["name"]: item for item in value}
            patch[f"$setElementOrder/{key}"] = [{"name": name} for name in wanted]
            patch[key] = [
                {**_difference(there[name], item), "name": name} if name in there else item
                for name, item in wanted.items()
            ] + [{"name": name, "$patch": "delete"} for name in there if name not in wanted]
        elif isinstance(found, list) and key == "finalizers":
            patch[f"$setElementOrder/{key}"] = value
            patch[key] = [item for item in value if item not in found]
            patch[f"$deleteFromPrimitiveList/{key}"] = [item for item in found if item not in value]
        else:
            patch[key] = value
    return patch


@given(_PODS, _PODS)
def test_the_difference_of_two_pods_leads_from_one_to_the_other(old, new):
    before = copy.deepcopy(old)
    assert strategic_merge(kinds.PODS, old, _difference(old, new)) == new
    assert old == before


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "replace", "delete"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["containers", "name", "$patch", "$retainKeys", "$setElementOrder/containers", "env", "spec", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(_PODS, st.dictionaries(st.sampled_from(["spec", "metadata", "$patch", "status"]), _JUNK))
def test_junk_is_merged_or_refused(pod, junk):
    try:
        strategic_merge(kinds.PODS, pod, junk)
    except (BadRequest, Unmergeable, Unprocessable):
        pass

"""Merge patch: the table of RFC 7386's appendix, and what is kept."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.patch.merge import merge_patch

CASES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({"a": "foo"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": 1}, {"a": True}, {"a": True}),
]


@pytest.mark.parametrize(("obj", "patch", "wanted"), CASES)
def test_table(obj, patch, wanted):
    before = copy.deepcopy(obj)
    merged = merge_patch(obj, patch)
    assert merged == wanted
    assert all(type(merged[key]) is type(wanted[key]) for key in wanted)
    assert obj == before


@pytest.mark.parametrize(("patch", "kind"), [(None, "null"), ([], "array"), ("x", "string"), (1, "number")])
def test_a_patch_is_an_object(patch, kind):
    with pytest.raises(BadRequest, match=f"cannot unmarshal {kind} into Go value of type map"):
        merge_patch({}, patch)


def test_nothing_new_is_the_same_object():
    obj = {"spec": {"replicas": 1}, "metadata": {"labels": {"a": "b"}}}
    assert merge_patch(obj, {"spec": {"replicas": 1}, "metadata": {"labels": {"c": None}}}) is obj
    changed = merge_patch(obj, {"spec": {"replicas": 2}})
    assert changed["metadata"] is obj["metadata"]


_VALUES = st.recursive(
    st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from("abc"), _VALUES)


def _difference(old, new):
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        found = old.get(key)
        patch[key] = _difference(found, value) if isinstance(found, dict) and isinstance(value, dict) else value
    return patch


@given(_OBJECTS, _OBJECTS)
def test_the_difference_of_two_objects_leads_from_one_to_the_other(old, new):
    assert merge_patch(old, _difference(old, new)) == new

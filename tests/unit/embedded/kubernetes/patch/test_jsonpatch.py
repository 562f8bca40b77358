"""JSON patch: RFC 6902's own examples, and how the API server refuses."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.patch.jsonpatch import MAX_OPERATIONS, TooManyOperations, Unprocessable, json_patch

CASES = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/-1"}], {"foo": [1, 2]}),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    (
        {"foo": {"bar": 1, "waldo": 2}, "qux": {}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": 1}, "qux": {"thud": 2}},
    ),
    ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": [1]}, "c": {"b": [1]}}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"a": {"x/y": 1}}, [{"op": "replace", "path": "/a/x~1y", "value": 2}], {"a": {"x/y": 2}}),
    ({"a": 1}, [{"op": "test", "path": "/b", "value": None}], {"a": 1}),
    ({"a": 1.0}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1.0}),
    ({"a": 1}, None, {"a": 1}),
    ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 2}}], {"b": 2}),
]


@pytest.mark.parametrize(("obj", "patch", "wanted"), CASES)
def test_operations(obj, patch, wanted):
    before = copy.deepcopy(obj)
    assert json_patch(obj, patch) == wanted
    assert obj == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "replace", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/l/7", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "add", "path": "b", "value": 1},
        {"op": "move", "from": "/l", "path": "/l/0"},
        {"op": "copy", "path": "/x"},
        {"op": "frobnicate", "path": "/a"},
        {"op": 7, "path": "/a"},
        {"path": "/a"},
        {"op": "add", "path": "", "value": 7},
        {"op": "remove", "path": ""},
    ],
)
def test_what_cannot_be_done_is_a_422_that_does_not_say_why(operation):
    with pytest.raises(Unprocessable) as caught:
        json_patch({"a": 1, "l": [1]}, [operation])
    assert caught.value.status()["code"] == 422
    assert caught.value.status()["reason"] == "Invalid"
    assert caught.value.message == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize("patch", [{}, "x", 7, [7], [[]]])
def test_what_is_no_patch_is_a_bad_request(patch):
    with pytest.raises(BadRequest, match="error decoding patch"):
        json_patch({}, patch)


def test_ten_thousand_operations_are_enough():
    with pytest.raises(TooManyOperations) as caught:
        json_patch({}, [{"op": "test", "path": "/a"}] * (MAX_OPERATIONS + 1))
    assert caught.value.status()["code"] == 413
    assert "The allowed maximum operations in a JSON patch is 10000, got 10001" in caught.value.message


def test_copies_of_copies_do_not_fill_the_memory():
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(Unprocessable):
        json_patch({"a": ["x" * 100]}, doubling)


def test_what_was_copied_is_not_changed_with_its_copy():
    patch = [
        {"op": "add", "path": "/a/n", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/n", "value": 2},
    ]
    assert json_patch({"a": {}}, patch) == {"a": {"n": 1}, "b": {"n": 2}}


def test_what_is_not_touched_is_shared():
    obj = {"spec": {"big": {"x": 1}}, "metadata": {"labels": {"a": "b"}}}
    changed = json_patch(obj, [{"op": "add", "path": "/metadata/labels/c", "value": "d"}])
    assert changed["spec"] is obj["spec"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "~", "/"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "-", "0"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_PATHS = st.lists(st.sampled_from(["a", "b", "-", "0", "1", "-1", "~0", "~1"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": _PATHS},
    optional={"from": _PATHS, "value": _VALUES},
)


@given(obj=st.dictionaries(st.sampled_from("ab"), _VALUES), patch=st.lists(_OPERATIONS, max_size=4))
def test_any_patch_is_applied_or_refused_and_the_object_stays(obj, patch):
    before = copy.deepcopy(obj)
    try:
        assert isinstance(json_patch(obj, patch), dict)
    except Unprocessable:
        pass
    assert obj == before

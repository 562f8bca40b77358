"""Sets of fields: the algebra against plain sets of paths, and one object for one content."""

from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.patch.apply import fieldsets
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, difference, intersection, members, of_paths, union

_PATHS = st.sets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"1"']), min_size=1, max_size=3).map(tuple), max_size=6
)


def paths(root):
    return set(members(root)) if root is not None else set()


@given(_PATHS)
def test_a_set_holds_what_it_was_made_of(given_paths):
    root = of_paths(given_paths)
    assert paths(root) == given_paths
    assert all(fieldsets.holds(root, path) for path in given_paths)
    assert not fieldsets.holds(root, ("f:c",))


@given(_PATHS, _PATHS)
def test_algebra(left, right):
    one, other = of_paths(left), of_paths(right)
    # The root is in no set, so a root that is {} is nothing, where a node that is {} is a leaf.
    if left and right:
        assert paths(union(one, other)) == left | right
        assert paths(intersection(one, other)) == left & right
        assert paths(difference(one, other)) == left - right


@given(_PATHS)
def test_alike_sets_are_one_object(given_paths):
    first = of_paths(sorted(given_paths))
    second = of_paths(sorted(given_paths, reverse=True))
    assert first is second
    assert fieldsets.shared({key: dict(value) for key, value in first.items()}) is first


def test_the_wire_form_is_sorted_with_the_dot_first():
    root = of_paths([("f:b",), ("f:a", "f:x"), ("f:a",)])
    assert list(root) == ["f:a", "f:b"]
    assert list(root["f:a"]) == [".", "f:x"]
    assert root["f:b"] is LEAF


def test_the_table_of_nodes_is_forgotten_when_it_is_full(monkeypatch):
    monkeypatch.setattr(fieldsets, "_LIMIT", 5)
    monkeypatch.setattr(fieldsets, "_nodes", {})
    for number in range(50):
        assert paths(of_paths([("f:a", f"f:{number}")])) == {("f:a", f"f:{number}")}
    assert len(fieldsets._nodes) <= 5


def test_text():
    path = ("f:spec", "f:containers", 'k:{"containerPort":80,"name":"a"}', 'v:"x"', "i:3", "f:a.b/c")
    assert fieldsets.text(path) == '.spec.containers[containerPort=80,name="a"][="x"][3].a.b/c'
    assert fieldsets.text(("k:{nonsense",)) == "{{invalid path element}}"

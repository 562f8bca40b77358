import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.controllers.job import indexes
from labkit.embedded.kubernetes.objects import Json


@pytest.mark.parametrize(
    ("text", "found"),
    [("", set()), ("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("8-12", {8, 9}), ("x,1", {1}), ("1,2", {1, 2})],
)
def test_reading(text: str, found: set[int]) -> None:
    assert indexes.parse(text, 10) == found


@pytest.mark.parametrize(
    ("found", "text"), [(set(), ""), ({3}, "3"), ({0, 1}, "0,1"), ({0, 1, 2, 5}, "0-2,5"), ({1, 3, 4, 5, 6}, "1,3-6")]
)
def test_writing(found: set[int], text: str) -> None:
    assert indexes.format(found) == text


@given(st.sets(st.integers(0, 99)))
def test_what_is_written_is_read(found: set[int]) -> None:
    assert indexes.parse(indexes.format(found), 100) == found


def test_the_lowest_that_nobody_has() -> None:
    assert indexes.first_pending(3, 10, {0, 2}) == [1, 3, 4]
    assert indexes.first_pending(3, 2, {0}) == [1]


def pod(name: str, index: str) -> Json:
    return {"metadata": {"name": name, "annotations": {indexes.INDEX: index}}}


def test_pods_that_double_up_or_do_what_is_done_are_wrong() -> None:
    pods = [pod("a", "0"), pod("b", "0"), pod("c", "7"), pod("d", "1"), pod("e", "2"), pod("f", "x")]
    wrong, right = indexes.doubled(pods, 5, {1})
    assert [one["metadata"]["name"] for one in wrong] == ["b", "c", "d", "f"]
    assert [one["metadata"]["name"] for one in right] == ["a", "e"]


def test_the_variable_is_for_containers_that_do_not_set_it() -> None:
    spec: Json = {"containers": [{"name": "a"}, {"name": "b", "env": [{"name": indexes.INDEX_VARIABLE, "value": "x"}]}]}
    made = indexes.with_variable(spec)
    assert made["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.labels['batch.kubernetes.io/job-completion-index']"
    )
    assert made["containers"][1] is spec["containers"][1]
    assert "env" not in spec["containers"][0]

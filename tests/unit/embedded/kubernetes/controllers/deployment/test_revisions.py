from typing import Any

from labkit.embedded.kubernetes.controllers.deployment import revisions
from labkit.embedded.kubernetes.objects import Json


def deployment(**annotations: str) -> Json:
    return {"metadata": {"name": "web", "annotations": annotations}}


def old(name: str, revision: int, *, replicas: int = 0, **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, "generation": 1, "annotations": {revisions.REVISION: str(revision)}, **metadata},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 1},
    }


def test_a_new_set_takes_the_annotations_over_but_not_kubectls_own() -> None:
    owner = deployment(
        **{"kubernetes.io/change-cause": "set image", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    )
    assert revisions.for_new(owner, {}, 1) == {"kubernetes.io/change-cause": "set image", revisions.REVISION: "1"}


def test_going_back_renumbers_and_keeps_the_history() -> None:
    again = revisions.for_new(deployment(), {revisions.REVISION: "1"}, 3)
    assert again == {revisions.REVISION: "3", revisions.HISTORY: "1"}
    third = revisions.for_new(deployment(), again, 5)
    assert third == {revisions.REVISION: "5", revisions.HISTORY: "1,3"}
    assert revisions.for_new(deployment(), third, 5) == third


def test_the_history_does_not_grow_for_ever() -> None:
    annotations = {revisions.REVISION: "1"}
    for revision in range(2, 2000):
        annotations = revisions.for_new(deployment(), annotations, revision)
    assert len(annotations[revisions.HISTORY]) <= revisions.HISTORY_LENGTH
    assert annotations[revisions.HISTORY].endswith(",1998")


def test_the_oldest_go_unless_they_still_have_pods() -> None:
    sets = [old("a", 1), old("b", 2, replicas=1), old("c", 3), old("d", 4)]
    assert [one["metadata"]["name"] for one in revisions.to_clean(sets, 1)] == ["a", "c"]
    assert revisions.to_clean(sets, 10) == []
    assert revisions.to_clean(sets, None) == []
    assert [one["metadata"]["name"] for one in revisions.to_clean(sets, 0)] == ["a", "c", "d"]


def test_a_number_that_is_none_counts_as_nought() -> None:
    assert revisions.number({"metadata": {"annotations": {revisions.REVISION: "x"}}}) == 0
    assert revisions.highest([]) == 0

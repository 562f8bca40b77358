"""A task's statuses as ``/state`` shows them: labels are lists there, wherever they hang."""

from __future__ import annotations

from labkit.embedded.mesos.shown import extras, status

LABELS = {"labels": [{"key": "a", "value": "b"}]}


def test_labels_are_unwrapped_down_to_the_networks() -> None:
    container = {"container_id": {"value": "c"}, "network_infos": [{"name": "n", "labels": LABELS}]}
    made = {
        "state": "TASK_RUNNING",
        "timestamp": 1.5,
        "healthy": False,
        "labels": LABELS,
        "container_status": container,
        "uuid": "not shown",
    }
    assert status(made) == {
        "state": "TASK_RUNNING",
        "timestamp": 1.5,
        "healthy": False,
        "labels": LABELS["labels"],
        "container_status": {
            "container_id": {"value": "c"},
            "network_infos": [{"name": "n", "labels": LABELS["labels"]}],
        },
    }


def test_empty_labels_are_none() -> None:
    assert status({"state": "TASK_LOST", "timestamp": 1.0, "labels": {}}) == {"state": "TASK_LOST", "timestamp": 1.0}


def test_what_a_task_shows_of_its_description() -> None:
    info = {"labels": LABELS, "discovery": {"visibility": "CLUSTER"}, "command": {"value": "sleep 1"}}
    assert extras(info) == {"labels": LABELS["labels"], "discovery": {"visibility": "CLUSTER"}}
    assert extras({}) == {}

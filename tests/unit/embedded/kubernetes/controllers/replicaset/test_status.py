from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.replicaset.status import Count, Failure, count, status
from labkit.embedded.kubernetes.objects import Json

NOW = 1_750_000_000.0


def owner(**spec: Any) -> Json:
    spec = {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}, **spec}
    return {"metadata": {"name": "web", "generation": 3}, "spec": spec}


def pod(ready_for: float | None = None, phase: str = "Running", labels: Any = None, **metadata: Any) -> Json:
    conditions = []
    if ready_for is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": times.rfc3339(NOW - ready_for)}]
    labels = {"app": "web"} if labels is None else labels
    return {
        "metadata": {"labels": labels, **metadata},
        "spec": {},
        "status": {"phase": phase, "conditions": conditions},
    }


def test_pods_are_counted_by_what_they_are() -> None:
    pods = [
        pod(5),
        pod(50),
        pod(None),
        pod(50, labels={"tier": "other"}),
        pod(50, phase="Failed"),
        pod(50, deletionTimestamp="now"),
    ]
    found = count(owner(minReadySeconds=10), pods, NOW)
    assert found == Count(4, fully_labeled=3, ready=3, available=2, terminating=1, next_available=NOW + 5)


def test_noughts_are_left_out_as_the_api_does() -> None:
    made = status(owner(), Count(), None, NOW, terminating=True)
    assert made == {"replicas": 0, "terminatingReplicas": 0, "observedGeneration": 3}
    assert "terminatingReplicas" not in status(owner(), Count(), None, NOW, terminating=False)


def test_a_failure_is_told_once_and_taken_back() -> None:
    failing = status(owner(), Count(), Failure("FailedCreate", "quota"), NOW, terminating=True)
    (told,) = failing["conditions"]
    assert (told["type"], told["status"], told["reason"], told["message"]) == (
        "ReplicaFailure",
        "True",
        "FailedCreate",
        "quota",
    )
    still = {**owner(), "status": failing}
    assert status(still, Count(), Failure("FailedCreate", "other"), NOW + 9, terminating=True) == failing
    assert "conditions" not in status(still, Count(), None, NOW, terminating=True)

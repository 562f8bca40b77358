from typing import Any

import pytest

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.deployment import conditions as cond
from labkit.embedded.kubernetes.controllers.deployment.status import (
    check_again_in,
    is_complete,
    limits_of,
    makes_progress,
    of_rollout,
)
from labkit.embedded.kubernetes.objects import Json

NOW = 1_750_000_000.0


def deployment(replicas: int = 3, status: Json | None = None, **spec: Any) -> Json:
    return {
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": replicas, **spec},
        "status": status or {},
    }


def replica_set(name: str, wanted: int, **status: int) -> Json:
    return {"metadata": {"name": name}, "spec": {"replicas": wanted}, "status": status}


def full(name: str, number: int) -> Json:
    return replica_set(name, number, replicas=number, readyReplicas=number, availableReplicas=number)


def reason(status: Json, kind: str = cond.PROGRESSING) -> tuple[str, str, str]:
    found = cond.find(status["conditions"], kind)
    assert found is not None
    return found["status"], found["reason"], found["message"]


def test_the_numbers_of_a_rollout() -> None:
    status = of_rollout(
        deployment(3),
        replica_set("new", 2, replicas=2, readyReplicas=1, availableReplicas=1),
        [full("old", 2), replica_set("older", 0, terminatingReplicas=1)],
        NOW,
    )
    conditions = status.pop("conditions")
    assert status == {
        "observedGeneration": 1,
        "replicas": 4,
        "updatedReplicas": 2,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
        "terminatingReplicas": 1,
    }
    assert [one["type"] for one in conditions] == ["Available", "Progressing"]


def test_complete() -> None:
    status = of_rollout(deployment(3), full("new", 3), [], NOW)
    assert is_complete(deployment(3), status)
    assert reason(status) == ("True", "NewReplicaSetAvailable", 'ReplicaSet "new" has successfully progressed.')
    assert reason(status, "Available") == (
        "True",
        "MinimumReplicasAvailable",
        "Deployment has minimum availability.",
    )
    # Once it is complete, scaling does not begin a rollout anew.
    scaled = deployment(5, status)
    assert reason(of_rollout(scaled, full("new", 3), [], NOW + 5)) == reason(status)


def test_progress_moves_the_time_from_which_the_deadline_counts() -> None:
    begun = of_rollout(deployment(3), replica_set("new", 3, replicas=1), [], NOW)
    assert reason(begun) == ("True", "ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
    on = of_rollout(deployment(3, begun), replica_set("new", 3, replicas=2), [], NOW + 60)
    found = cond.find(on["conditions"], cond.PROGRESSING)
    assert found is not None
    assert found["lastUpdateTime"] == times.rfc3339(NOW + 60)
    assert found["lastTransitionTime"] == times.rfc3339(NOW)


def test_standing_still_for_too_long() -> None:
    new = replica_set("new", 3, replicas=3)
    begun = of_rollout(deployment(3), new, [], NOW)
    waiting = deployment(3, begun, progressDeadlineSeconds=100)
    assert of_rollout(waiting, new, [], NOW + 99) == begun
    assert check_again_in(waiting, begun, NOW + 40) == 61
    late = of_rollout(waiting, new, [], NOW + 101)
    assert reason(late) == ("False", "ProgressDeadlineExceeded", 'ReplicaSet "new" has timed out progressing.')
    assert check_again_in(deployment(3, late, progressDeadlineSeconds=100), late, NOW + 102) is None
    # It may still come to a good end.
    assert reason(of_rollout(deployment(3, late), full("new", 3), [], NOW + 500))[1] == "NewReplicaSetAvailable"


def test_without_a_deadline_there_is_no_word_of_progress() -> None:
    status = of_rollout(deployment(3, progressDeadlineSeconds=2**31 - 1), full("new", 3), [], NOW)
    assert cond.find(status["conditions"], cond.PROGRESSING) is None


def test_the_failure_of_a_replica_set_is_the_deployments() -> None:
    failing = replica_set("new", 3)
    failing["status"]["conditions"] = [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": "quota",
            "lastTransitionTime": "t",
        }
    ]
    status = of_rollout(deployment(3), failing, [], NOW)
    assert reason(status, "ReplicaFailure") == ("True", "FailedCreate", "quota")
    assert cond.find(of_rollout(deployment(3, status), full("new", 3), [], NOW)["conditions"], "ReplicaFailure") is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"updatedReplicas": 1, "replicas": 1}, True),
        ({"replicas": 4, "updatedReplicas": 1}, {"replicas": 3, "updatedReplicas": 1}, True),
        ({"readyReplicas": 1}, {"readyReplicas": 2}, True),
        ({"availableReplicas": 1}, {"availableReplicas": 2}, True),
        ({"readyReplicas": 2}, {"readyReplicas": 1}, False),
        ({}, {}, False),
    ],
)
def test_what_counts_as_progress(before: Json, after: Json, expected: bool) -> None:
    assert makes_progress(before, after) is expected


def test_pause_and_resume() -> None:
    paused = cond.of_pause([], True, NOW)
    assert paused is not None
    assert reason({"conditions": paused}) == ("Unknown", "DeploymentPaused", "Deployment is paused")
    assert cond.of_pause(paused, True, NOW) is None
    resumed = cond.of_pause(paused, False, NOW)
    assert resumed is not None
    assert reason({"conditions": resumed}) == ("Unknown", "DeploymentResumed", "Deployment is resumed")
    assert cond.of_pause([], False, NOW) is None
    timed_out = [cond.condition(cond.PROGRESSING, "False", cond.TIMED_OUT, "", NOW)]
    assert cond.of_pause(timed_out, True, NOW) is None


def test_recreate_has_no_limits() -> None:
    assert limits_of(deployment(3, strategy={"type": "Recreate"})).surge == 0

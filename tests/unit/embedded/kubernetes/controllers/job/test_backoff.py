from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.job.backoff import Backoff, ended_at, restarted_too_often
from labkit.embedded.kubernetes.objects import Json

NOW = 1_750_000_000.0


def ended(ago: float) -> Json:
    state = {"terminated": {"finishedAt": times.rfc3339(NOW - ago)}}
    return {"metadata": {}, "status": {"containerStatuses": [{"state": state}]}}


def test_pauses_double_up_to_ten_minutes() -> None:
    pauses = [Backoff(failures, NOW).remaining(NOW) for failures in range(9)]
    assert pauses == [0, 10, 20, 40, 80, 160, 320, 600, 600]
    assert Backoff(1, NOW).remaining(NOW + 4) == 6
    assert Backoff(1, NOW).remaining(NOW + 40) == 0


def test_failures_add_up_in_the_order_of_their_ends_and_a_success_forgets_them() -> None:
    assert Backoff().after([], [ended(5), ended(9)], NOW) == Backoff(2, NOW - 5)
    assert Backoff(3, NOW - 60).after([ended(7)], [ended(9), ended(5)], NOW) == Backoff(1, NOW - 5)
    assert Backoff(3, NOW - 60).after([], [], NOW) == Backoff(3, NOW - 60)


def test_when_a_pod_ended() -> None:
    assert ended_at(ended(30), NOW) == NOW - 30
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": times.rfc3339(NOW - 20)}
    assert ended_at({"metadata": {}, "status": {"conditions": [condition]}}, NOW) == NOW - 20
    going = {"deletionTimestamp": times.rfc3339(NOW + 20), "deletionGracePeriodSeconds": 30}
    assert ended_at({"metadata": going}, NOW) == NOW - 10
    assert ended_at({"metadata": {}}, NOW) == NOW


def job(policy: str = "OnFailure", **spec: Any) -> Json:
    return {"metadata": {}, "spec": {"template": {"spec": {"restartPolicy": policy}}, **spec}}


def running(restarts: int) -> Json:
    return {"metadata": {}, "status": {"phase": "Running", "containerStatuses": [{"restartCount": restarts}]}}


def test_restarts_count_when_the_kubelet_does_the_retrying() -> None:
    assert restarted_too_often(job(backoffLimit=3), [running(2), running(1)])
    assert not restarted_too_often(job(backoffLimit=3), [running(2)])
    assert not restarted_too_often(job("Never", backoffLimit=0), [running(9)])
    assert restarted_too_often(job(backoffLimit=0), [running(1)])
    assert not restarted_too_often(job(backoffLimit=0), [running(0)])

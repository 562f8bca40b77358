"""What the status of a Job may become. The words are a real API server's."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import validate_update
from tests.unit.embedded.kubernetes.samples import complete, job

AT, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
C = "status.conditions: Invalid value"


def true(*kinds_: str) -> list[Json]:
    return [{"type": kind, "status": "True"} for kind in kinds_]


def status(*conditions: str, **fields: Any) -> Json:
    return {"startTime": AT, "conditions": true(*conditions), **fields}


def done(**fields: Any) -> Json:
    return status("SuccessCriteriaMet", "Complete", completionTime=LATER, **fields)


def causes(new: Json, old: Json | None = None, **spec: Any) -> list[str]:
    before = {**complete(kinds.JOBS, job(**spec)), "status": status() if old is None else old}
    return [str(cause) for cause in validate_update(kinds.JOBS, {**before, "status": new}, before, "status")]


INDEXED = {"completionMode": "Indexed", "completions": 5, "parallelism": 2}
PER_INDEX = {**INDEXED, "backoffLimitPerIndex": 1}

REFUSED: list[tuple[Json, Json | None, Json, list[str]]] = [
    (status(failed=-1), None, {}, [
        "status.failed: Invalid value: -1: must be greater than or equal to 0",
        "status.failed: Invalid value: -1: cannot decrease the failed counter",
    ]),
    (status(uncountedTerminatedPods={"succeeded": ["a", ""], "failed": ["a"]}), None, {}, [
        'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
    ]),
    (status("Failed"), None, {}, [f"{C}: cannot set Failed=True condition without the FailureTarget=true condition"]),
    (status("Complete", completionTime=LATER), None, {}, [
        f"{C}: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ]),
    (status("SuccessCriteriaMet", "FailureTarget"), None, {}, [
        f"{C}: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    ]),
    (status("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", completionTime=LATER), None, {}, [
        f"{C}: cannot set Complete=True and Failed=true conditions",
        f"{C}: cannot set Complete=True and FailureTarget=true conditions",
        f"{C}: cannot set SuccessCriteriaMet=True and Failed=true conditions",
        f"{C}: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    ]),
    (status(), status("FailureTarget", "Failed"), {}, [
        f"{C}: cannot disable the terminal Failed=True condition",
        f"{C}: cannot disable the terminal FailureTarget=True condition",
    ]),
    (status(), status("SuccessCriteriaMet"), {}, [f"{C}: cannot disable the SuccessCriteriaMet=True condition"]),
    (status(completionTime=LATER), None, {}, [
        f'status.completionTime: Invalid value: "{LATER}": '
        "cannot set completionTime when there is no Complete=True condition",
    ]),
    (status("SuccessCriteriaMet", "Complete"), None, {}, [
        "status.completionTime: Required value: completionTime is required for Complete jobs",
    ]),
    (done(startTime="2026-01-01T00:02:00Z"), {}, {}, [
        f'status.completionTime: Invalid value: "{LATER}": completionTime cannot be set before startTime',
    ]),
    ({**done(), "completionTime": "2026-01-01T00:03:00Z"}, done(), {}, [
        'status.completionTime: Invalid value: "2026-01-01T00:03:00Z": completionTime cannot be mutated',
    ]),
    ({**done(active=1, terminating=2, uncountedTerminatedPods={"failed": ["a"]}), "startTime": None}, None, {}, [
        "status.active: Invalid value: 1: active>0 is invalid for finished job",
        "status.terminating: Invalid value: 2: terminating>0 is invalid for finished job",
        "status.startTime: Required value: startTime is required for finished job",
        'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: '
        "uncountedTerminatedPods needs to be empty for finished job",
    ]),
    (status(failed=1, succeeded=1), status(failed=2, succeeded=2), {}, [
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
        "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
    ]),
    (status(ready=2, active=1), None, {}, ["status.ready: Invalid value: 2: cannot set more ready pods than active"]),
    (status(completedIndexes="0"), None, {}, [
        'status.completedIndexes: Invalid value: "0": '
        "cannot set non-empty completedIndexes when non-indexed completion mode",
    ]),
    (status(completedIndexes="0-9"), None, INDEXED, [
        'status.completedIndexes: Invalid value: "0-9": error parsing completedIndexes: too large index: "9"',
    ]),
    (status(failedIndexes="1"), None, INDEXED, [
        'status.failedIndexes: Invalid value: "1": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
    ]),
    (status(failedIndexes="2,1"), None, PER_INDEX, [
        'status.failedIndexes: Invalid value: "2,1": error parsing failedIndexes: '
        "non-increasing order, previous: 2, current: 1",
    ]),
    (status(failedIndexes="1,3-4", completedIndexes="0,2-3"), None, PER_INDEX, [
        'status.failedIndexes: Invalid value: "1,3-4": failedIndexes and completedIndexes overlap at index: 3',
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("new", "old", "spec", "words"), REFUSED)
def test_what_may_not_be(new: Json, old: Json | None, spec: Json, words: list[str]) -> None:
    assert causes(new, old, **spec) == words


@pytest.mark.parametrize(
    ("new", "old", "spec"),
    [
        (done(succeeded=1), None, {}),
        (status("FailureTarget", "Failed", failed=3), status("FailureTarget", active=1), {}),
        (status(failedIndexes="1", completedIndexes="0,2-4"), None, PER_INDEX),
        (status(failedIndexes=""), None, PER_INDEX),
        # made smaller as a whole
        (status(succeeded=1), status(succeeded=2), {"completionMode": "Indexed", "completions": 2, "parallelism": 2}),
        # wrong before, and about something else now
        (status(completedIndexes="0-9", active=1), status(completedIndexes="0-9"), INDEXED),
        (status("Complete", "Failed", active=0), status("Complete", "Failed", completionTime=None), {}),
    ],
)
def test_what_may_be(new: Json, old: Json | None, spec: Json) -> None:
    assert causes(new, old, **spec) == []

"""What a Job says, and what its pods are to it. Pure."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json, is_terminating, status_of

FINALIZER = "batch.kubernetes.io/job-tracking"

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS_CRITERIA_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"


def is_finished(job: Json) -> bool:
    return any(
        one["type"] in (COMPLETE, FAILED) and one["status"] == "True" for one in status_of(job).get("conditions") or ()
    )


def is_suspended(job: Json) -> bool:
    return bool(job["spec"].get("suspend"))


def is_indexed(job: Json) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


def parallelism_of(job: Json) -> int:
    return int(job["spec"].get("parallelism", 1))


def completions_of(job: Json) -> int | None:
    """How many must succeed; None: one is enough, and then no more are started (a work queue)."""
    found = job["spec"].get("completions")
    return None if found is None else int(found)


def limit_per_index(job: Json) -> int | None:
    """How often each index may fail for itself; None: failures are counted for the Job as a whole."""
    found = job["spec"].get("backoffLimitPerIndex")
    return None if found is None else int(found)


def failure_policy(job: Json) -> Json | None:
    found: Json | None = job["spec"].get("podFailurePolicy")
    return found


def replaces_only_ended(job: Json) -> bool:
    """Whether a pod that is going has a successor only when it has gone (as always with a ``podFailurePolicy``)."""
    return job["spec"].get("podReplacementPolicy") == "Failed"


def is_tracked(pod: Json) -> bool:
    """Whether it has not been counted for good yet."""
    return FINALIZER in pod["metadata"].get("finalizers", ())


def has_failed(pod: Json, only_ended: bool) -> bool:
    """Whether it counts as failed. One that somebody deleted does so at once: it may never get to say so."""
    phase = status_of(pod).get("phase")
    return phase == "Failed" or (not only_ended and phase != "Succeeded" and is_terminating(pod))

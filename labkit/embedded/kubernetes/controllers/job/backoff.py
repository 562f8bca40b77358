"""When a Job may try again after a pod has failed, and when it has tried often enough. Pure; ``backoff_utils.go``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.objects import Json, condition_of, status_of

FIRST, LAST = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row, and when the last one was."""

    failures: int = 0
    last: float = 0.0

    def after(self, succeeded: Iterable[Json], failed: Iterable[Json], now: float) -> Backoff:
        """After these pods have ended: a success forgets the failures before it."""
        ends = [(ended_at(pod, now), 0) for pod in succeeded] + [(ended_at(pod, now), 1) for pod in failed]
        failures, last = self.failures, self.last
        for at, is_failure in sorted(ends):
            failures, last = (failures + 1, at) if is_failure else (0, 0.0)
        return Backoff(failures, last)

    def remaining(self, now: float) -> float:
        """Seconds until another pod may be made: 10, 20, 40, … 600 after the last failure."""
        if not self.failures:
            return 0.0
        pause = min(FIRST * 2.0 ** min(self.failures - 1, 30), LAST)
        return max(0.0, self.last + pause - now)


def ended_at(pod: Json, now: float) -> float:
    """When its last container ended; if none says so, when it stopped being ready or was asked to go."""
    ends: list[float] = []
    for container in status_of(pod).get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if not ended.get("finishedAt"):
            ends = []
            break
        ends.append(times.parse(ended["finishedAt"]))
    if ends:
        return max(ends)
    ready = condition_of(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return times.parse(ready["lastTransitionTime"])
    if deleted := pod["metadata"].get("deletionTimestamp"):
        return times.parse(deleted) - (pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    return now


def restarted_too_often(job: Json, pods: Iterable[Json]) -> bool:
    """With restartPolicy OnFailure it is the restarts of the pods that run or wait that count."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    total = 0
    for pod in pods:
        if status_of(pod).get("phase") not in ("Running", "Pending"):
            continue
        for part in ("initContainerStatuses", "containerStatuses"):
            total += sum(one.get("restartCount", 0) for one in status_of(pod).get(part) or ())
    limit = job["spec"].get("backoffLimit", 6)
    return total > 0 if limit == 0 else bool(total >= limit)

"""Rules of a Job's status, which whoever manages the Job writes (``ValidateJobStatusUpdate``).

Most rules are kept only by who changes what they are about: the spec may have moved on meanwhile, and a status that is
wrong already must not keep everything else from being written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation.fields import Causes, duplicate, invalid, none_negative, required, wrong
from labkit.embedded.kubernetes.validation.jobpolicies import indexes_of
from labkit.embedded.kubernetes.validation.meta import metadata_update

_COUNTERS = ("active", "succeeded", "failed", "ready", "terminating")
_MET, _TARGET = "SuccessCriteriaMet", "FailureTarget"
# Pairs of conditions that must not both be true, or the second of which must be there with the first; as they are told.
_NEVER_BOTH = (("Complete", "Failed"), ("Complete", _TARGET), (_MET, "Failed"), (_MET, _TARGET))
_ONLY_WITH = (("Failed", _TARGET), ("Complete", _MET))
_CONDITIONS = "status.conditions"


@dataclass(frozen=True, slots=True)
class _Change:
    """A status, and the one before it."""

    new: Json
    old: Json

    def of(self, *fields: str) -> bool:
        return any((self.new.get(one) or None) != (self.old.get(one) or None) for one in fields)

    def of_conditions(self, *kinds: str) -> bool:
        return any(_is(self.new, kind) != _is(self.old, kind) for kind in kinds)

    @property
    def finished(self) -> bool:
        return _is_finished(self.new) != _is_finished(self.old)


def job_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    change = _Change(new.get("status") or {}, old.get("status") or {})
    if change.new is change.old:
        return
    spec = new.get("spec") or {}
    none_negative(change.new, _COUNTERS, "status", out)
    _uncounted(change.new.get("uncountedTerminatedPods") or {}, "status.uncountedTerminatedPods", out)
    _conditions(change, out)
    _completion_time(change, out)
    if _is_finished(change.new):
        _finished(change, out)
    _numbers(change, spec, out)
    _indexes(change, spec, out)


def _is(status: Json, kind: str) -> bool:
    return any(one.get("type") == kind and one.get("status") == "True" for one in status.get("conditions") or ())


def _is_finished(status: Json) -> bool:
    return _is(status, "Complete") or _is(status, "Failed")


def _uncounted(uncounted: Json, path: str, out: Causes) -> None:
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            if not uid:
                out.append(invalid(f"{path}.{field}[{index}]", uid, "must not be empty"))
            elif uid in seen:
                out.append(duplicate(f"{path}.{field}[{index}]", uid))
            seen.add(uid)


def _conditions(change: _Change, out: Causes) -> None:
    new, old = change.new, change.old
    for one, other in _NEVER_BOTH:
        # Those of success are never allowed; the others only not made.
        if _is(new, one) and _is(new, other) and (one == _MET or change.of_conditions(one, other)):
            out.append(wrong(_CONDITIONS, f"cannot set {one}=True and {other}=true conditions"))
    for one, other in _ONLY_WITH:
        if _is(new, one) and not _is(new, other) and change.of_conditions(one, other):
            out.append(wrong(_CONDITIONS, f"cannot set {one}=True condition without the {other}=true condition"))
    for kind in ("Failed", "Complete", _TARGET):
        if _is(old, kind) and not _is(new, kind):
            out.append(wrong(_CONDITIONS, f"cannot disable the terminal {kind}=True condition"))
    if _is(old, _MET) and not _is(new, _MET):
        out.append(wrong(_CONDITIONS, f"cannot disable the {_MET}=True condition"))


def _completion_time(change: _Change, out: Causes) -> None:
    new, path = change.new, "status.completionTime"
    time, before, start = new.get("completionTime"), change.old.get("completionTime"), new.get("startTime")
    if change.of_conditions("Complete") or change.of("completionTime"):
        if time and not _is(new, "Complete"):
            out.append(invalid(path, time, "cannot set completionTime when there is no Complete=True condition"))
        if not time and _is(new, "Complete"):
            out.append(required(path, "completionTime is required for Complete jobs"))
    if time and start and time < start and change.of("startTime", "completionTime"):
        out.append(invalid(path, time, "completionTime cannot be set before startTime"))
    if time and before and time != before:
        out.append(invalid(path, time, "completionTime cannot be mutated"))


def _finished(change: _Change, out: Causes) -> None:
    new = change.new
    uncounted = new.get("uncountedTerminatedPods") or {}
    for field in ("active", "terminating"):
        if (new.get(field) or 0) > 0 and (change.finished or change.of(field)):
            out.append(invalid(f"status.{field}", new[field], f"{field}>0 is invalid for finished job"))
    if not new.get("startTime") and (change.finished or change.of("startTime")):
        out.append(required("status.startTime", "startTime is required for finished job"))
    if any(uncounted.values()) and (change.finished or change.of("uncountedTerminatedPods")):
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        shown = {field[0].upper() + field[1:]: uncounted.get(field) for field in ("succeeded", "failed")}
        out.append(invalid("status.uncountedTerminatedPods", shown, detail))


def _numbers(change: _Change, spec: Json, out: Causes) -> None:
    new, old = change.new, change.old
    # An Indexed Job that is made smaller as a whole forgets the successes beyond its end.
    shrinks = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for field in ("failed",) if shrinks else ("failed", "succeeded"):
        number: int = new.get(field) or 0
        if number < (old.get(field) or 0):
            out.append(invalid(f"status.{field}", number, f"cannot decrease the {field} counter"))
    ready: int = new.get("ready") or 0
    if ready > (new.get("active") or 0) and change.of("ready", "active"):
        out.append(invalid("status.ready", ready, "cannot set more ready pods than active"))


def _indexes(change: _Change, spec: Json, out: Causes) -> None:
    new, completions = change.new, spec.get("completions")
    completed, failed = new.get("completedIndexes") or "", new.get("failedIndexes")
    if change.of("completedIndexes"):
        _readable("completedIndexes", completed, completions, out)
        if completed and spec.get("completionMode") != "Indexed":
            detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
            out.append(invalid("status.completedIndexes", completed, detail))
    if change.of("failedIndexes") and failed is not None:
        if spec.get("backoffLimitPerIndex") is None:
            detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            out.append(invalid("status.failedIndexes", failed, detail))
        else:
            _readable("failedIndexes", failed, completions, out)
    if failed and completed and completions is not None and change.of("completedIndexes", "failedIndexes"):
        both = _read(completed, completions) & _read(failed, completions)
        if both:
            detail = f"failedIndexes and completedIndexes overlap at index: {min(both)}"
            out.append(invalid("status.failedIndexes", failed, detail))


def _readable(field: str, text: str, completions: Any, out: Causes) -> None:
    if completions is not None:
        try:
            indexes_of(text, completions)
        except ValueError as error:
            out.append(invalid(f"status.{field}", text, f"error parsing {field}: {error}"))


def _read(text: str, completions: int) -> set[int]:
    """The indexes of those parts that can be read."""
    found: set[int] = set()
    for part in text.split(","):
        try:
            found.update(*_ranges(indexes_of(part, completions)))
        except ValueError:
            continue
    return found


def _ranges(intervals: Iterable[tuple[int, int]]) -> list[range]:
    return [range(first, last + 1) for first, last in intervals]

"""Jobs: many short tasks in two stages. Pure.

A job maps, then reduces: no reduce task starts before every map task is done. A task that fails is tried again, four
times in all (``mapreduce.map.maxattempts``), then its job has failed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MAX_ATTEMPTS = 4
MAX_TASKS = 10_000
STAGES = ("map", "reduce")

# What a job is made of: name -> (default, least, most).
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "maps": (10, 1, MAX_TASKS),
    "reduces": (1, 0, MAX_TASKS),
    "seconds": (5.0, 0.0, 86400.0),
    "cpus": (0.1, 0.001, 1024.0),
    "mem": (32.0, 1.0, 1024.0**2),
    "spread": (0.0, 0.0, 1.0),
}
_TEXTS = {"name": "job", "image": "busybox"}
MAX_TEXT = 255
GOLDEN = 0.6180339887498949


class JobError(ValueError):
    """That is no job; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What was asked for."""

    name: str
    maps: int
    reduces: int
    seconds: float  # that one task takes
    cpus: float
    mem: float  # MiB
    image: str
    spread: float = 0.0  # tasks take up to this part of `seconds` less or more: no two splits of real data are alike

    def seconds_of(self, attempt: Attempt) -> float:
        """How long this one takes; a task that is tried again takes as long as before."""
        # Multiples of the golden ratio, less their whole part, lie as evenly between 0 and 1 as any numbers do.
        place = (attempt.number + 1) * GOLDEN % 1.0
        return self.seconds * (1 + self.spread * (2 * place - 1))

    def row(self) -> Json:
        return {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}


def parse(body: Any) -> Spec:
    """A job from JSON. Raises :class:`JobError`."""
    if not isinstance(body, dict):
        raise JobError("a job is a JSON object")
    unknown = sorted(set(body) - set(_NUMBERS) - set(_TEXTS))
    if unknown:
        raise JobError(f"a job has no {', '.join(map(str, unknown))}; it has {', '.join((*_TEXTS, *_NUMBERS))}")
    values: dict[str, Any] = {}
    for name, usual in _TEXTS.items():
        text = body.get(name, usual)
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            raise JobError(f"{name} is a text of 1 to {MAX_TEXT} characters")
        values[name] = text
    for name, (default, least, most) in _NUMBERS.items():
        value = body.get(name, default)
        whole = name in ("maps", "reduces")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise JobError(f"{name} is a{' whole' if whole else ''} number")
        if not least <= value <= most:
            raise JobError(f"{name} is between {least:g} and {most:g}, not {value:g}")
        values[name] = value
    return Spec(**values)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one task; its name is Hadoop's way to name it."""

    job: int
    stage: str
    number: int
    attempt: int = 0

    @property
    def task_id(self) -> str:
        return f"attempt_{self.job:04}_{self.stage[0]}_{self.number:06}_{self.attempt}"

    @classmethod
    def of(cls, task_id: str) -> Attempt | None:
        """From a task's id; None when it is not of this framework."""
        parts = task_id.split("_")
        stages = {stage[0]: stage for stage in STAGES}
        if len(parts) != 5 or parts[0] != "attempt" or parts[2] not in stages:
            return None
        try:
            return cls(int(parts[1]), stages[parts[2]], int(parts[3]), int(parts[4]))
        except ValueError:
            return None


@dataclass(slots=True, eq=False)
class Job:
    """A job and how far it is."""

    number: int
    spec: Spec
    state: str = "RUNNING"  # SUCCEEDED, FAILED, KILLED
    stage: str = "map"
    waiting: deque[Attempt] = field(default_factory=deque)
    running: dict[str, str] = field(default_factory=dict)  # task -> agent
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    failures: int = 0
    submitted: float = 0.0
    finished: float = 0.0

    @classmethod
    def new(cls, number: int, spec: Spec, now: float) -> Job:
        job = cls(number, spec, submitted=now)
        job.waiting.extend(Attempt(number, "map", each) for each in range(spec.maps))
        return job

    @property
    def id(self) -> str:
        return f"job_{self.number:04}"

    @property
    def over(self) -> bool:
        return self.state != "RUNNING"

    def launched(self, attempt: Attempt, agent: str) -> None:
        """It is on its way to an agent."""
        self.running[attempt.task_id] = agent

    def ended(self, attempt: Attempt, ok: bool, now: float) -> bool:
        """A task is over. False when nothing changes: it was heard before, or the job is over."""
        if self.running.pop(attempt.task_id, None) is None or self.over:
            return False
        if ok:
            self.done[attempt.stage] += 1
            self._advance(now)
            return True
        self.failures += 1
        if attempt.attempt + 1 >= MAX_ATTEMPTS:
            self.end("FAILED", now)
        else:
            self.waiting.append(Attempt(attempt.job, attempt.stage, attempt.number, attempt.attempt + 1))
        return True

    def lost(self, attempt: Attempt) -> bool:
        """It never ran, or its agent is gone: that is no failure of its own. It is tried again."""
        if self.running.pop(attempt.task_id, None) is None or self.over:
            return False
        self.waiting.append(Attempt(attempt.job, attempt.stage, attempt.number, attempt.attempt + 1))
        return True

    def _advance(self, now: float) -> None:
        if self.stage == "map" and self.done["map"] == self.spec.maps:
            self.stage = "reduce"
            self.waiting.extend(Attempt(self.number, "reduce", each) for each in range(self.spec.reduces))
        if self.stage == "reduce" and self.done["reduce"] == self.spec.reduces:
            self.end("SUCCEEDED", now)

    def end(self, state: str, now: float) -> None:
        """It is over, whatever still runs."""
        self.state, self.finished = state, now
        self.waiting.clear()

    def row(self) -> Json:
        """For the storage."""
        return {
            "number": self.number,
            "spec": self.spec.row(),
            "state": self.state,
            "stage": self.stage,
            "waiting": [attempt.task_id for attempt in self.waiting],
            "running": self.running,
            "done": self.done,
            "failures": self.failures,
            "submitted": self.submitted,
            "finished": self.finished,
        }

    @classmethod
    def of(cls, row: Json) -> Job:
        """As it was written."""
        waiting = deque(found for task_id in row["waiting"] if (found := Attempt.of(task_id)) is not None)
        given = {name: row[name] for name in ("number", "state", "stage", "failures", "submitted", "finished")}
        return cls(spec=Spec(**row["spec"]), waiting=waiting, running=row["running"], done=row["done"], **given)

    def shown(self) -> Json:
        """As the API has it."""
        totals = {"map": self.spec.maps, "reduce": self.spec.reduces}
        return {
            "id": self.id,
            **self.spec.row(),
            "state": self.state,
            "stage": self.stage,
            "progress": {stage: self.done[stage] / totals[stage] if totals[stage] else 1.0 for stage in STAGES},
            "tasks": {
                "waiting": len(self.waiting),
                "running": len(self.running),
                "done": sum(self.done.values()),
                "total": sum(totals.values()),
            },
            "failures": self.failures,
            "submitted": self.submitted,
            "finished": self.finished or None,
        }

"""A lab as data. Nothing here runs by itself; :mod:`labkit.guide.opened` brings it to life beside a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Passed:
    """The cluster is in the wanted state. ``seen`` says what shows it, in one line."""

    seen: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The cluster is not there yet: what was seen instead, and what to try next."""

    seen: str
    try_next: str = ""


Verdict = Passed | NotYet


class ClusterInHand(Protocol):
    """What a check may use of a sandbox. :class:`labkit.sandbox.Sandbox` is one."""

    name: str
    orchestrator: str
    engine: str

    @property
    def client(self) -> Any: ...


@dataclass(slots=True)
class Context:
    """What a check, hint, prediction or solution gets.

    ``memory`` is a dictionary of plain JSON values that lives as long as the lab's progress: a check that has to
    compare before and after notes the before there. ``answer`` is what the learner answered, None before.
    """

    sandbox: Any
    memory: dict[str, Any] = field(default_factory=dict)
    answer: Any = None

    @property
    def client(self) -> Any:
        """The official client of the cluster (Swarm: a ``docker.DockerClient`` on a manager)."""
        return self.sandbox.client


Check = Callable[[Context], Verdict]


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint. With ``when`` it is offered only while the cluster's state calls for it."""

    text: str
    when: Callable[[Context], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that the step's check grades: a choice (its text is the answer) or, without choices, a number."""

    prompt: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """What do you think will happen? Asked before, scored when the step passes.

    ``outcome`` reads from the cluster which of ``choices`` came true; None when it cannot tell.
    """

    prompt: str
    choices: tuple[str, ...]
    outcome: Callable[[Context], str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and how one knows that it is done.

    ``task`` and ``why`` are Markdown. ``check`` must say NotYet before the step is done: the tests prove it for
    every step, run ``solution``, and then want Passed. ``engines`` holds a remark per engine name where engines differ.
    """

    id: str
    title: str
    task: str
    check: Check
    solution: Callable[[Context], Any]
    why: str
    needs: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    ask: Ask | None = None
    prediction: Prediction | None = None
    engines: Mapping[str, str] = field(default_factory=dict)
    patience: float = 60.0  # seconds that the cluster may need after the solution, at real speed


@dataclass(frozen=True, slots=True)
class Recap:
    """A question at the end; ``answer`` is the index of the right choice, ``why`` the explanation in Markdown."""

    prompt: str
    choices: tuple[str, ...]
    answer: int
    why: str


@dataclass(frozen=True, slots=True)
class Lab:
    """A whole lab. ``shows`` names the statements of the course that its steps show: statement -> step id."""

    id: str
    title: str
    goal: str
    minutes: int
    orchestrator: str
    steps: tuple[Step, ...]
    recap: tuple[Recap, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)
    setup: Callable[[Context], Any] | None = None  # brings a fresh sandbox to where the lab starts; idempotent
    reset: Callable[[Context], Any] | None = None  # takes away what the lab made and heals what it broke

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if step.id in seen:
                raise ValueError(f"lab {self.id}: two steps are called {step.id!r}")
            missing = [need for need in step.needs if need not in seen]
            if missing:
                raise ValueError(f"lab {self.id}: step {step.id!r} needs {missing[0]!r}, which does not come before it")
            seen.add(step.id)
        for statement, step_id in self.shows.items():
            if step_id not in seen:
                raise ValueError(f"lab {self.id}: {statement!r} is shown by {step_id!r}, which is no step of it")

    def step(self, step_id: str) -> Step:
        """The step of that id; ``KeyError`` with the list of ids when there is none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(f"{self.id} has no step {step_id!r}; it has {', '.join(s.id for s in self.steps)}")

"""An open lab: its data, a sandbox and the learner's progress, watched until every shown step is done."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Any

from labkit.guide.loader import load_lab
from labkit.guide.panel import Panel
from labkit.guide.progress import Progress
from labkit.guide.source import solution_text
from labkit.guide.steps import Context, Lab, NotYet, Passed, Step, Verdict

log = logging.getLogger(__name__)

CHECK_EVERY = 1.5  # seconds between looks when the cluster reports no change by itself


def open_lab(lab: str | Lab, sandbox: Any, progress: Progress | None = None) -> OpenLab:
    """Open a lab (its id, ``"swarm/01-managers-and-raft"``) on a sandbox and get it ready to start.

    Raises ``FileNotFoundError`` naming the labs that exist, ``ValueError`` when the sandbox runs another orchestrator.
    """
    data = load_lab(lab) if isinstance(lab, str) else lab
    if sandbox is not None and data.orchestrator not in ("", sandbox.orchestrator):
        raise ValueError(f"{data.id} is about {data.orchestrator}; this sandbox runs {sandbox.orchestrator}")
    return OpenLab(data, sandbox, progress or Progress())


class OpenLab:
    """What a notebook holds. Shows panels, checks steps, remembers.

    Checks run one at a time on a background thread, whenever the cluster changes and every 1.5 s, for the steps that
    have been shown and have not passed; ``check`` runs one now. A check that crashes says so in its panel.
    """

    def __init__(self, lab: Lab, sandbox: Any, progress: Progress) -> None:
        self.lab = lab
        self.sandbox = sandbox
        self.progress = progress
        kept = progress.lab(lab.id)
        self._facts: dict[str, dict[str, Any]] = kept["steps"]
        self._recap: dict[str, dict[str, Any]] = kept["recap"]
        self._memory: dict[str, Any] = kept["memory"]
        self._panels: dict[str, Panel] = {}
        self._verdicts: dict[str, NotYet] = {}
        self._one_at_a_time = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        self._watcher: threading.Thread | None = None
        if lab.setup is not None and sandbox is not None:
            lab.setup(self.context(None))

    # -- what a notebook calls -----------------------------------------------------------------------------------

    def step(self, step_id: str) -> Panel:
        """The panel of a step. It turns green by itself once the cluster is in the wanted state."""
        step = self.lab.step(step_id)
        panel = self._panels.get(step_id)
        if panel is None:
            panel = self._panels[step_id] = Panel(self, step)
        self._start_watching()
        self._wake.set()
        return panel

    def check(self, step_id: str) -> Verdict:
        """Look at the cluster now and say whether the step is done. Once passed, a step stays passed."""
        step = self.lab.step(step_id)
        with self._one_at_a_time:
            if self.passed(step_id):
                return Passed(self._facts[step_id].get("seen", "done"))
            missing = [need for need in step.needs if not self.passed(need)]
            if missing:
                titles = ", ".join(f"“{self.lab.step(need).title}”" for need in missing)
                return NotYet(f"waiting for {titles}", "Do that step first.")
            context = self.context(step)
            before = dict(context.memory)
            verdict = step.check(context)
            if context.memory != before:
                self.progress.remember(self.lab.id, context.memory)
            if isinstance(verdict, Passed):
                self._pass(step, context, verdict)
            else:
                self._verdicts[step_id] = verdict
            return verdict

    def passed(self, step_id: str) -> bool:
        return bool(self._facts.get(step_id, {}).get("passed"))

    def answer(self, step_id: str, answer: Any) -> Verdict:
        """Answer the question of a step; graded at once."""
        step = self.lab.step(step_id)
        if step.ask is None:
            raise ValueError(f"step {step_id!r} asks nothing")
        if step.ask.choices and answer not in step.ask.choices:
            raise ValueError(f"choose one of: {'; '.join(step.ask.choices)}")
        with self._one_at_a_time:
            self._note(step_id, answer=answer)
            verdict = self.check(step_id)
        self._refresh(step_id)
        return verdict

    def predict(self, step_id: str, choice: str) -> None:
        """Say what you think will happen; scored when the step passes. Afterwards it is too late."""
        step = self.lab.step(step_id)
        if step.prediction is None:
            raise ValueError(f"step {step_id!r} asks for no prediction")
        if choice not in step.prediction.choices:
            raise ValueError(f"choose one of: {'; '.join(step.prediction.choices)}")
        if self.passed(step_id):
            raise ValueError("this has already happened; predictions are made before")
        self._note(step_id, prediction=choice)
        self._refresh(step_id)

    def hint(self, step_id: str) -> str:
        """The next hint that fits the cluster's state now, or a word that there is none left."""
        step = self.lab.step(step_id)
        shown: list[int] = list(self._facts.get(step_id, {}).get("hints", []))
        with self._one_at_a_time:
            context = self.context(step)
            for index, hint in enumerate(step.hints):
                if index not in shown and (hint.when is None or hint.when(context)):
                    self._note(step_id, hints=[*shown, index])
                    self._refresh(step_id)
                    return hint.text
        return "No further hint fits what the cluster looks like now. The solution is below it."

    def solution(self, step_id: str) -> str:
        """The source of the step's solution: Python that the tests run. Noted in the progress."""
        text = solution_text(self.lab.step(step_id).solution, self.lab.orchestrator)
        self._note(step_id, solution=True)
        self._refresh(step_id)
        return text

    def solve(self, step_id: str, timeout: float | None = None) -> Verdict:
        """Run the step's solution, then wait (at most ``timeout`` seconds) until its check passes."""
        step = self.lab.step(step_id)
        context = self.context(step)
        answered = step.solution(context)
        if context.memory:
            self.progress.remember(self.lab.id, context.memory)
        if step.ask is not None and answered is not None:
            self.answer(step_id, answered)
        self._note(step_id, solution=True)
        return self.wait(step_id, step.patience if timeout is None else timeout)

    def wait(self, step_id: str, timeout: float) -> Verdict:
        """Check again and again until the step passes or ``timeout`` seconds are over.

        A check that crashes is made again too (a cluster that elects a leader refuses to answer for a moment); the
        last one's error is raised when the time is over.
        """
        deadline = time.monotonic() + timeout
        while True:
            last = time.monotonic() >= deadline
            try:
                verdict = self.check(step_id)
            except Exception:
                if last:
                    raise
                log.info("check of %s/%s crashed, and is made again", self.lab.id, step_id, exc_info=True)
            else:
                if last or isinstance(verdict, Passed):
                    self._refresh(step_id)
                    return verdict
            self._wake.clear()
            self._wake.wait(min(0.5, max(0.0, deadline - time.monotonic())))

    def recap(self) -> Any:
        """The questions at the end, as a panel."""
        from labkit.guide.panel import RecapPanel

        return RecapPanel(self)

    def answer_recap(self, index: int, choice: int) -> bool:
        """Answer the recap's question ``index``; True when it was right. May be tried again."""
        question = self.lab.recap[index]
        right = choice == question.answer
        self._recap[str(index)] = {"choice": choice, "right": right}
        self.progress.note_recap(self.lab.id, index, choice, right)
        return right

    def reset(self) -> None:
        """Take away what the lab made, heal what it broke, forget its progress: as if just opened."""
        with self._one_at_a_time:
            if self.lab.reset is not None:
                self.lab.reset(self.context(None))
            self.progress.forget(self.lab.id)
            self._facts.clear()
            self._recap.clear()
            self._memory.clear()
            self._verdicts.clear()
            if self.lab.setup is not None:
                self.lab.setup(self.context(None))
        for step_id in self._panels:
            self._refresh(step_id)
        self._wake.set()

    def close(self) -> None:
        """Stop checking."""
        self._closed = True
        self._wake.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join(timeout=10)

    # -- what panels read ----------------------------------------------------------------------------------------

    def context(self, step: Step | None) -> Context:
        answer = self._facts.get(step.id, {}).get("answer") if step else None
        return Context(self.sandbox, self._memory, answer)

    def facts(self, step_id: str) -> dict[str, Any]:
        """What is noted about a step (see :class:`labkit.guide.progress.Progress`)."""
        return dict(self._facts.get(step_id, {}))

    def last_verdict(self, step_id: str) -> NotYet | None:
        """What the last unsuccessful check saw."""
        return self._verdicts.get(step_id)

    def recap_facts(self) -> dict[str, dict[str, Any]]:
        return dict(self._recap)

    def _repr_html_(self) -> str:
        from labkit.guide.render import overview_html

        return overview_html(self)

    def __repr__(self) -> str:
        done = sum(self.passed(step.id) for step in self.lab.steps)
        return f"<lab {self.lab.id}: {done} of {len(self.lab.steps)} steps done>"

    # -- the watcher ---------------------------------------------------------------------------------------------

    def _pass(self, step: Step, context: Context, verdict: Passed) -> None:
        facts: dict[str, Any] = {"passed": time.time(), "seen": verdict.seen}
        if step.prediction is not None:
            facts["outcome"] = step.prediction.outcome(context)
        self._verdicts.pop(step.id, None)
        self._note(step.id, **facts)

    def _note(self, step_id: str, **facts: Any) -> None:
        self._facts.setdefault(step_id, {}).update(facts)
        self.progress.note(self.lab.id, step_id, **facts)

    def _refresh(self, step_id: str) -> None:
        panel = self._panels.get(step_id)
        if panel is not None:
            panel.refresh()

    def _start_watching(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(
                target=_watch, args=(weakref.ref(self),), name=f"guide {self.lab.id}", daemon=True
            )
            self._watcher.start()

    def _look(self) -> None:
        """One round over the shown steps that are still open."""
        for step_id, panel in list(self._panels.items()):
            if self._closed:
                return
            if self.passed(step_id):
                panel.refresh()
                continue
            try:
                self.check(step_id)
            except Exception as error:
                # The edge of the loop: a check that crashes must reach the learner, not the void.
                log.exception("check of %s/%s crashed", self.lab.id, step_id)
                self._verdicts[step_id] = NotYet(
                    f"the check itself failed: {type(error).__name__}: {error}",
                    "Is the sandbox still up? `labkit ls` in a terminal tells.",
                )
            panel.refresh()


def _watch(reference: weakref.ref[OpenLab]) -> None:
    """Holds the lab only while it looks, so that a notebook that drops its lab lets the thread end."""
    unsubscribe = None
    opened = reference()
    if opened is None:
        return
    wake = opened._wake
    live = getattr(opened.sandbox, "live", None)
    if live is not None:
        unsubscribe = live.subscribe(lambda *_: wake.set())
    try:
        while opened is not None and not opened._closed:
            opened._look()
            opened = None
            wake.wait(CHECK_EVERY)
            wake.clear()
            opened = reference()
    finally:
        if unsubscribe is not None:
            unsubscribe()

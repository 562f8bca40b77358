"""Transcripts of a shell session, as one would paste them into a page: command lines with what they said.

Prose stands at the margin; what is typed and what is answered is indented by four:

    $ kubectl get pods            a command; beneath it what it printed (stdout, then stderr, without blank lines)
    [1]                           its exit code, when it is not 0
    > more                        more lines of the command above (here documents)
    % kubectl wait …              repeated until it succeeds; what it prints depends on when, and is not kept
    & kubectl port-forward …      left running
    ^C 3                          ends what runs (as Ctrl-C does) as soon as it has printed three lines; they follow

Sessions are played by :class:`Player`; :func:`parse` and :func:`render` read and write the text.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.until import until

INDENT = "    "
_CODE = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Step:
    """One command of a session, or a paragraph of prose (`sign` is ""), and what was answered."""

    sign: str
    text: str
    output: tuple[str, ...] = ()
    code: int = 0

    @property
    def said(self) -> list[str]:
        """What was answered, as it stands in the transcript."""
        return [*self.output, *([f"[{self.code}]"] if self.code else [])]


def parse(text: str) -> list[Step]:
    """The steps of a transcript. ValueError for a line that answers to nothing."""
    steps: list[Step] = []
    for line in text.splitlines():
        if not line.startswith(INDENT):
            if steps and not steps[-1].sign:
                steps[-1] = replace(steps[-1], text=f"{steps[-1].text}\n{line}")
            else:
                steps.append(Step("", line))
            continue
        line = line[len(INDENT) :]
        last = steps[-1] if steps else Step("", "")
        if line[:2] in ("$ ", "% ", "& ", "^C"):
            sign = line[:2].strip()
            steps.append(Step(sign, line[2:].strip()))
        elif not last.sign:
            raise ValueError(f"nothing was typed that this could answer: {line!r}")
        elif line.startswith("> ") and not last.output:
            steps[-1] = replace(last, text=f"{last.text}\n{line[2:]}")
        elif code := _CODE.fullmatch(line):
            steps[-1] = replace(last, code=int(code[1]))
        else:
            steps[-1] = replace(last, output=(*last.output, line))
    return [replace(step, text=step.text.strip("\n")) for step in steps if step.sign or step.text.strip()]


def render(steps: Iterable[Step]) -> str:
    """The text of a transcript; :func:`parse` of it gives the same steps."""
    parts = []
    for step in steps:
        if not step.sign:
            parts.append(step.text)
            continue
        first, *more = step.text.split("\n")
        typed = [f"{step.sign} {first}".strip(), *(f"> {line}" for line in more)]
        parts.append("\n".join(f"{INDENT}{line}".rstrip() for line in [*typed, *step.said]))
    return "\n\n".join(parts) + "\n"


@dataclass
class Player:
    """Plays steps in one folder with one environment, and says what was answered.

    `normal` makes of an output the lines that are kept; `patience` is how long a command may take, in seconds.
    """

    folder: Path
    environment: dict[str, str]
    normal: Callable[[str], list[str]]
    patience: float = 90.0
    _running: list[tuple[subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def play(self, step: Step) -> Step:
        """The step with what was answered this time. AssertionError if it does not come to an end."""
        match step.sign:
            case "$":
                code, output = self._run(step.text, self.patience)
                return replace(step, output=tuple(self.normal(output)), code=code)
            case "%":
                self._until(step.text)
            case "&":
                self._begin(step.text)
            case "^C":
                return replace(step, output=tuple(self.normal(self._interrupt(int(step.text or 0)))))
        return step

    def close(self) -> None:
        """Ends what is still running."""
        while self._running:
            self._end(self._running.pop()[0], signal.SIGKILL)

    def _run(self, command: str, patience: float) -> tuple[int, str]:
        process = self._start(command, subprocess.PIPE, subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self._end(process, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{command!r} is still running after {patience:g} s: {out!r} {err!r}") from None
        return process.returncode, _joined(out, err)

    def _until(self, command: str) -> None:
        def succeeds() -> bool:
            code, output = self._run(command, self.patience)
            assert code == 0, output
            return True

        until(succeeds, self.patience, f"{command!r} succeeds", every=0.1)

    def _begin(self, command: str) -> None:
        written = self.folder / f".output-{len(self._running)}"
        with written.open("wb") as file:
            self._running.append((self._start(command, file, subprocess.STDOUT), written))

    def _interrupt(self, lines: int) -> str:
        process, written = self._running.pop()

        def said() -> bool:
            over = process.poll() is not None  # looked at first: what it said last is read afterwards
            enough = written.read_text().count("\n") >= lines
            if over and not enough:
                raise RuntimeError(f"{process.args!r} ended and has said no more than {written.read_text()!r}")
            assert enough, written.read_text()
            return True

        try:
            until(said, self.patience, f"{process.args!r} says {lines} lines", every=0.02)
        finally:
            self._end(process, signal.SIGINT)
        kept = written.read_text().split("\n")
        return "\n".join(kept[:lines])

    def _start(self, command: str, out: object, err: object) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C and the end of patience reach all of a pipeline and nobody else.
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,  # type: ignore[call-overload]
            start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def _end(process: subprocess.Popen[bytes], with_signal: int) -> None:
        try:
            os.killpg(process.pid, with_signal)
            process.wait(5)
        except ProcessLookupError:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _joined(out: bytes, err: bytes) -> str:
    first = out.decode(errors="replace")
    return first + ("\n" if first and not first.endswith("\n") else "") + err.decode(errors="replace")

"""What a learner has done, in one JSON file that can be taken along and brought back."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMAT = 1


def default_path() -> Path:
    """``LABKIT_PROGRESS``, or ``progress.json`` in labkit's state folder."""
    if named := os.environ.get("LABKIT_PROGRESS"):
        return Path(named)
    from labkit.paths import Paths

    return Paths.of().make_state() / "progress.json"


class Progress:
    """The progress file. Every change is read, merged and written under a lock: several notebooks may be open.

    ``{"format": 1, "labs": {lab: {"steps": {step: {"passed": epoch seconds, "hints": n, "answer": …,
    "prediction": …, "outcome": …, "solution": true}}, "recap": {…}, "memory": {…}}}}``
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def lab(self, lab_id: str) -> dict[str, Any]:
        """A copy of what is known of one lab."""
        found = self._read()["labs"].get(lab_id) or {}
        return {"steps": {}, "recap": {}, "memory": {}, **found}

    def note(self, lab_id: str, step_id: str, **facts: Any) -> None:
        """Merge facts about a step."""
        with self._changing() as content:
            self._lab(content, lab_id)["steps"].setdefault(step_id, {}).update(facts)

    def note_recap(self, lab_id: str, index: int, choice: int, right: bool) -> None:
        with self._changing() as content:
            self._lab(content, lab_id)["recap"][str(index)] = {"choice": choice, "right": right}

    def remember(self, lab_id: str, memory: dict[str, Any]) -> None:
        """Keep a lab's memory (see :class:`labkit.guide.steps.Context`)."""
        with self._changing() as content:
            self._lab(content, lab_id)["memory"] = memory

    def forget(self, lab_id: str) -> None:
        """Start a lab anew."""
        with self._changing() as content:
            content["labs"].pop(lab_id, None)

    def export(self, path: Path | str) -> Path:
        """Write a copy to take along."""
        target = Path(path)
        target.write_text(json.dumps(self._read(), indent=2) + "\n")
        return target

    def bring_back(self, path: Path | str) -> int:
        """Merge a copy back in; a step that is passed on either side stays passed. Returns the number of labs in it."""
        try:
            other = json.loads(Path(path).read_text())
            labs = dict(other["labs"])
            if other["format"] != FORMAT:
                raise ValueError(f"its format is {other['format']}, this labkit knows {FORMAT}")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a progress file: {error}") from None
        with self._changing() as content:
            for lab_id, theirs in labs.items():
                mine = self._lab(content, lab_id)
                for step_id, facts in (theirs.get("steps") or {}).items():
                    kept = mine["steps"].get(step_id) or {}
                    mine["steps"][step_id] = {**facts, **kept}
                mine["recap"] = {**(theirs.get("recap") or {}), **mine["recap"]}
                mine["memory"] = {**(theirs.get("memory") or {}), **mine["memory"]}
        return len(labs)

    @staticmethod
    def _lab(content: dict[str, Any], lab_id: str) -> dict[str, Any]:
        lab: dict[str, Any] = content["labs"].setdefault(lab_id, {})
        for part in ("steps", "recap", "memory"):
            lab.setdefault(part, {})
        return lab

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {"format": FORMAT, "labs": {}}
        except ValueError:
            # A file that is not JSON is kept beside, never overwritten: it may be all that somebody has.
            aside = self.path.with_suffix(".damaged.json")
            os.replace(self.path, aside)
            return {"format": FORMAT, "labs": {}}
        if not isinstance(content, dict) or not isinstance(content.get("labs"), dict):
            return {"format": FORMAT, "labs": {}}
        return content

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            yield content
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".progress-")
            with os.fdopen(handle, "w") as file:
                json.dump(content, file, indent=1)
            os.replace(temporary, self.path)

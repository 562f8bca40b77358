"""What a person asked for in the dashboard, and the thread that does it.

A callback in a notebook may run on any thread, and what it raises vanishes. So it only puts an intent here; one
worker thread carries them out in order, and whatever comes of it, good or bad, is told in the status line.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from .protocol import KubernetesActionsLike, MarathonActionsLike, SandboxLike

log = logging.getLogger(__name__)

Arguments = dict[str, Any]
Do = Callable[[SandboxLike, Arguments], Any]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked for: the sentence while and after it is done, and how to do it."""

    doing: str
    done: str
    do: Do


VERBS: dict[str, Verb] = {
    "scale": Verb(
        "scaling {name} to {replicas}…",
        "{name}: {replicas} wanted",
        lambda sandbox, a: sandbox.actions.scale(a["workload"], int(a["replicas"])),
    ),
    "deploy": Verb("deploying {name}…", "{name} deployed", lambda sandbox, a: _deploy(sandbox, a)),
    "remove": Verb("removing {name}…", "{name} removed", lambda sandbox, a: sandbox.actions.remove(a["workload"])),
    "drain": Verb("draining {name}…", "{name} is set to drain", lambda sandbox, a: sandbox.actions.drain(a["node"])),
    "activate": Verb(
        "activating {name}…", "{name} takes tasks", lambda sandbox, a: sandbox.actions.activate(a["node"])
    ),
    "pause": Verb("pausing {name}…", "{name} gets no new tasks", lambda sandbox, a: sandbox.actions.pause(a["node"])),
    "kill": Verb("killing {name}…", "{name} killed", lambda sandbox, a: sandbox.actions.kill(a["task"])),
    "fail": Verb("pulling {name}'s plug…", "{name} is unplugged", lambda sandbox, a: sandbox.fail(a["machine"])),
    "heal": Verb("healing {name}…", "{name} is plugged in again", lambda sandbox, a: sandbox.heal(a["machine"])),
    "freeze": Verb("freezing {name}…", "{name} is frozen", lambda sandbox, a: sandbox.pause(a["machine"])),
    "stop": Verb(
        "stopping {component} on {machine}…",
        "{component} on {machine} is stopped",
        lambda sandbox, a: sandbox.stop(a["component"], a["machine"]),
    ),
    "start": Verb(
        "starting {component} on {machine}…",
        "{component} on {machine} runs again",
        lambda sandbox, a: sandbox.start(a["component"], a["machine"]),
    ),
    "restart": Verb(
        "restarting {name}…",
        "{name} is started anew, by and by",
        lambda sandbox, a: _kubernetes(sandbox).restart(a["workload"]),
    ),
    "roll_back": Verb(
        "rolling {name} back…",
        "{name} goes back to the revision before",
        lambda sandbox, a: _kubernetes(sandbox).roll_back(a["workload"]),
    ),
    "pause_rollout": Verb(
        "pausing {name}…", "{name}: rollouts wait", lambda sandbox, a: _kubernetes(sandbox).pause_rollout(a["workload"])
    ),
    "resume_rollout": Verb(
        "resuming {name}…",
        "{name}: rollouts go on",
        lambda sandbox, a: _kubernetes(sandbox).resume_rollout(a["workload"]),
    ),
    "suspend": Verb(
        "suspending {name}…", "{name} is suspended", lambda sandbox, a: _marathon(sandbox).suspend(a["workload"])
    ),
    "kill_and_scale": Verb(
        "killing {name}…",
        "{name} killed, one instance less is wanted",
        lambda sandbox, a: _marathon(sandbox).kill_and_scale(a["task"]),
    ),
    "teardown": Verb(
        "tearing {name} down…", "{name} is torn down", lambda sandbox, a: sandbox.actions.remove(a["framework"])
    ),
    "relabel": Verb("labelling {name}…", "{name}: {label}", lambda sandbox, a: _relabel(sandbox, a)),
    "partition": Verb("cutting {name} off…", "{name} is cut off", lambda sandbox, a: sandbox.partition(a["machine"])),
}


def _deploy(sandbox: SandboxLike, a: Arguments) -> Any:
    name, image = str(a.get("name", "")).strip(), str(a.get("image", "")).strip()
    if not name or not image:
        raise ValueError("a name and an image are needed")
    return sandbox.actions.deploy(name, image, int(a.get("replicas") or 1), parse_ports(str(a.get("port", ""))))


def _kubernetes(sandbox: SandboxLike) -> KubernetesActionsLike:
    return cast(KubernetesActionsLike, sandbox.actions)


def _marathon(sandbox: SandboxLike) -> MarathonActionsLike:
    return cast(MarathonActionsLike, sandbox.actions)


def _relabel(sandbox: SandboxLike, a: Arguments) -> Any:
    return _kubernetes(sandbox).relabel(a["task"], *parse_label(str(a.get("label", ""))))


def parse_label(text: str) -> tuple[str, str | None]:
    """ "app=web" -> ("app", "web"); "app-" -> ("app", None): take it away, as kubectl label."""
    text = text.strip()
    key, equals, value = text.partition("=")
    if equals and key:
        return key, value
    if text.endswith("-") and len(text) > 1:
        return text[:-1], None
    raise ValueError(f"{text!r} is no label: write key=value, or key- to take it away")


def parse_ports(text: str) -> dict[int, int]:
    """ "8080:80, 9000" -> {8080: 80, 9000: 9000}; empty for nothing published."""
    ports: dict[int, int] = {}
    for part in text.replace(",", " ").split():
        published, colon, target = part.partition(":")
        try:
            left, right = int(published), int(target if colon else published)
        except ValueError:
            raise ValueError(f"{part!r} is no port: write 8080:80 (published:container)") from None
        if not (0 < left < 65536 and 0 < right < 65536):
            raise ValueError(f"{part!r} is no port: ports are 1 to 65535")
        ports[left] = right
    return ports


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last thing that was asked for, for the status line."""

    text: str = ""
    level: str = "info"  # "info" | "working" | "done" | "error"
    at: float = 0.0


class Worker:
    """Carries out intents one after another, and runs ``idle`` between them (to look at slow things).

    Args:
        tell: called with each outcome, on the worker's thread.
        idle: called every ``every`` seconds, and after each intent.
    """

    def __init__(
        self,
        sandbox: SandboxLike,
        tell: Callable[[Outcome], None],
        idle: Callable[[], None] = lambda: None,
        every: float = 2.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._sandbox = sandbox
        self._tell = tell
        self._idle = idle
        self._every = every
        self._now = now
        self._queue: queue.Queue[tuple[str, Arguments] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="labkit-actions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the intent that is under way."""
        self._queue.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def ask(self, verb: str, arguments: Arguments) -> None:
        """Have something done. Never blocks, never raises."""
        self._queue.put((verb, arguments))

    def look(self) -> None:
        """Run ``idle`` soon: what there is to look at has changed."""
        self._queue.put(("", {}))

    def _run(self) -> None:
        while True:
            self._look()
            try:
                item = self._queue.get(timeout=self._every)
            except queue.Empty:
                continue
            if item is None:
                return
            if item[0]:
                self.carry_out(*item)

    def carry_out(self, verb: str, arguments: Arguments) -> None:
        """Do it now, on this thread; the outcome is told, never raised."""
        try:
            known = VERBS[verb]
            words = {"name": "", **arguments}
            self._say(known.doing.format(**words), "working")
            known.do(self._sandbox, arguments)
            self._say(known.done.format(**words), "done")
        except Exception as error:
            log.debug("%s failed", verb, exc_info=True)
            self._say(f"{verb.replace('_', ' ')}: {explain(error)}", "error")
        finally:
            self._poke()

    def _poke(self) -> None:
        try:
            self._sandbox.live.poke()
        except Exception:
            log.debug("cannot poke", exc_info=True)

    def _look(self) -> None:
        try:
            self._idle()
        except Exception as error:
            self._say(explain(error), "error")

    def _say(self, text: str, level: str) -> None:
        self._tell(Outcome(text, level, self._now()))


def explain(error: BaseException) -> str:
    """An exception in one line, in the words of the engine where it has some."""
    text = str(getattr(error, "explanation", None) or error).strip()
    if isinstance(error, KeyError):
        text = f"unknown: {text}"
    return text.splitlines()[0] if text else type(error).__name__

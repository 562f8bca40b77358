"""Checks of tasks: what their results mean. Pure; :mod:`.checking` carries them out.

``TaskInfo.health_check`` and ``TaskInfo.check`` of ``mesos.proto``, as ``src/checks/health_checker.cpp`` and
``checker_process.cpp`` judge them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

HEALTH_UPDATED = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
CHECK_UPDATED = "REASON_TASK_CHECK_STATUS_UPDATED"


@dataclass(frozen=True, slots=True)
class Rule:
    """A check with its defaults; times in seconds."""

    kind: str  # COMMAND, HTTP, TCP
    given: Json
    delay: float
    interval: float
    timeout: float | None  # None: for ever
    grace: float
    failures: int  # in a row until the task is killed; 0: never

    @classmethod
    def of(cls, given: Json | None) -> Rule | None:
        """Of a HealthCheck or a CheckInfo."""
        if not given:
            return None
        kinds = {"COMMAND": "command", "HTTP": "http", "TCP": "tcp"}
        kind = given.get("type") or next((name for name, part in kinds.items() if part in given), "")
        if kind not in kinds:
            return None
        timeout = float(given.get("timeout_seconds", 20.0))
        return cls(
            kind,
            given,
            float(given.get("delay_seconds", 15.0)),
            float(given.get("interval_seconds", 10.0)),
            timeout or None,
            float(given.get("grace_period_seconds", 10.0)),
            int(given.get("consecutive_failures", 3)),
        )

    @property
    def part(self) -> Json:
        """The part of its kind: command, port and path."""
        found: Json = self.given.get(self.kind.lower()) or {}
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a result of a health check changes."""

    healthy: bool
    kill: bool = False


class Health:
    """The results of one task's health checks so far."""

    __slots__ = ("_failures", "_healthy", "_rule", "_since")

    def __init__(self, rule: Rule, since: float) -> None:
        self._rule = rule
        self._since = since
        self._failures = 0
        self._healthy: bool | None = None

    def take(self, ok: bool, now: float) -> Verdict | None:
        """What is to be told: the first success, the first after failures, and every failure that counts."""
        if ok:
            first = self._healthy is not True
            self._healthy, self._failures = True, 0
            return Verdict(True) if first else None
        if self._healthy is None and now < self._since + self._rule.grace:
            return None  # it is still starting
        self._healthy = False
        self._failures += 1
        return Verdict(False, bool(self._rule.failures) and self._failures >= self._rule.failures)


def http_ok(status: int) -> bool:
    """200 to 399, as ``curl`` has it."""
    return 200 <= status < 400


def nothing_yet(rule: Rule) -> Json:
    """The CheckStatusInfo of a check without a result."""
    return {"type": rule.kind, rule.kind.lower(): {}}

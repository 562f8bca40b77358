"""Health checks: those that Marathon makes itself, and what executors report of the others.

``core/health/impl/HealthCheckActor.scala`` and ``HealthCheckWorker.scala``: a check begins five seconds after its task
runs (or an interval after, if that is shorter); failures before the first success do not count within the grace period;
when there have been ``maxConsecutiveFailures`` the next one kills the task, whose instance then gets another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core import probing
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.kills import KillService
from labkit.embedded.marathon.core.probing import NoAnswer, NotAsked, Prober
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.marathon.events import EventBus, stamp
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Timer

Json = dict[str, Any]

FIRST = 5.0  # seconds after a task runs
BY_MARATHON = frozenset(("HTTP", "HTTPS", "TCP"))
HEALTHY = range(200, 400)
INFORMATIONAL = range(100, 200)


class Health:
    """What one check has found out about one instance."""

    __slots__ = (
        "check", "consecutive_failures", "first_success", "instance", "last_failure", "last_failure_cause",
        "last_success",
    )  # fmt: skip

    def __init__(self, instance: Instance, check: Json) -> None:
        self.instance = instance
        self.check = check
        self.first_success: float | None = None
        self.last_success: float | None = None
        self.last_failure: float | None = None
        self.last_failure_cause: str | None = None
        self.consecutive_failures = 0

    @property
    def known(self) -> bool:
        """Has it been asked, with a result that counts?"""
        return self.last_success is not None or self.last_failure is not None

    @property
    def alive(self) -> bool:
        """Was the last result a good one? False before the first."""
        if self.last_success is None:
            return False
        return self.last_failure is None or self.last_success > self.last_failure

    def succeeded(self, now: float) -> None:
        """A good result; failures in a row begin anew."""
        if self.first_success is None:
            self.first_success = now
        self.last_success = now
        if self.last_failure is not None and self.last_failure >= now:
            self.last_failure = None  # within one moment of the sandbox's clock: the later word counts
        self.consecutive_failures = 0

    def failed(self, now: float, cause: str) -> None:
        """A bad result, which counts."""
        self.last_failure, self.last_failure_cause = now, cause
        self.consecutive_failures += 1

    def as_json(self) -> Json:
        """One of ``healthCheckResults``."""
        found: Json = {
            "alive": self.alive,
            "consecutiveFailures": self.consecutive_failures,
            "instanceId": self.instance.id,
        }
        for name, at in (
            ("firstSuccess", self.first_success),
            ("lastFailure", self.last_failure),
            ("lastSuccess", self.last_success),
        ):
            if at is not None:
                found[name] = stamp(at)
        if self.last_failure_cause is not None:
            found["lastFailureCause"] = self.last_failure_cause
        return found


class _Watched:
    """An instance that runs, its checks and their timers."""

    __slots__ = ("healths", "instance", "task_id", "timers")

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.task_id = instance.task_id
        self.healths = [Health(instance, check) for check in instance.app.health_checks]
        self.timers: list[Timer | None] = [None] * len(self.healths)


class HealthChecks:
    """Watches every running instance of apps that have health checks."""

    def __init__(
        self, tracker: InstanceTracker, kills: KillService, bus: EventBus, prober: Prober, running: Callable[[], bool]
    ) -> None:
        """``running`` says whether this Marathon may still act."""
        self._tracker = tracker
        self._kills = kills
        self._bus = bus
        self._prober = prober
        self._clock = prober.clock
        self._running = running
        self._watched: dict[str, _Watched] = {}
        self._chores = Chores()
        tracker.subscribe(self._changed)

    _killed: Callable[[Instance, str], object] = staticmethod(lambda *_: None)

    def on_kill(self, fn: Callable[[Instance, str], object]) -> None:
        """Have ``fn(instance, reason)`` called before an instance is killed for its health."""
        self._killed = fn

    def results(self, instance: Instance) -> list[Json]:
        """``healthCheckResults`` of its task: of each check that has been made."""
        watched = self._watched.get(instance.id)
        if watched is None:
            return []
        return [health.as_json() for health in watched.healths if health.known]

    def resume(self) -> None:
        """Begin with those that a new leader found running."""
        for instance in self._tracker.by_id.values():
            if instance.running:
                self._watch(instance)

    def close(self) -> None:
        """Ask nobody any more."""
        for watched in tuple(self._watched.values()):
            self._stop(watched)
        self._watched.clear()
        self._chores.cancel()

    # -- who is watched

    def _changed(self, instance: Instance, before: str) -> None:
        if not instance.app.health_checks:
            return
        watched = self._watched.get(instance.id)
        if watched is not None and (
            watched.task_id != instance.task_id
            or not instance.launched
            or instance.condition == c.UNREACHABLE_INACTIVE
            or instance.id not in self._tracker.by_id
        ):
            self._stop(watched)
            del self._watched[instance.id]
        if instance.running and instance.id not in self._watched and instance.id in self._tracker.by_id:
            self._watch(instance)

    def _watch(self, instance: Instance) -> None:
        if not instance.app.health_checks:
            return
        watched = self._watched[instance.id] = _Watched(instance)
        for index, health in enumerate(watched.healths):
            if health.check["protocol"] in BY_MARATHON:
                first = min(FIRST, float(health.check["intervalSeconds"]))
                watched.timers[index] = self._clock.call_later(first, self._due, watched, index)

    def _stop(self, watched: _Watched) -> None:
        for timer in watched.timers:
            if timer is not None:
                timer.cancel()
        watched.timers = []

    def _due(self, watched: _Watched, index: int) -> None:
        interval = float(watched.healths[index].check["intervalSeconds"])
        watched.timers[index] = self._clock.call_later(max(1.0, interval), self._due, watched, index)
        if watched.instance.running and self._running():
            self._chores.start(self._check(watched, watched.healths[index]))

    # -- one check

    async def _check(self, watched: _Watched, health: Health) -> None:
        cause = await self._ask(watched.instance, health.check)
        if cause is not None and self._watched.get(watched.instance.id) is watched and watched.timers:
            self._judge(watched, health, cause)

    async def _ask(self, instance: Instance, check: Json) -> str | None:
        """ "" when it is well, else what is wrong; None: this answer does not count."""
        timeout = float(check["timeoutSeconds"])
        app = instance.app
        try:
            host, port = probing.address(app, instance), probing.port(app, instance, check)
            if check["protocol"] == "TCP":
                await self._prober.tcp(host, port, timeout)
                return ""
            if check["protocol"] == "HTTPS":
                # Images of the sandbox speak no TLS, and a handshake with one that does not fails like this.
                await self._prober.tcp(host, port, timeout)
                return "Unsupported or unrecognized SSL message"
            answer = await self._prober.http(host, port, check.get("path") or "", timeout)
        except NotAsked as error:
            return f"UnsupportedOperationException: {error}"
        except NoAnswer as error:
            return str(error)
        if answer.status in HEALTHY:
            return ""
        if check.get("ignoreHttp1xx") and answer.status in INFORMATIONAL:
            return None
        return f"{answer.status} {answer.reason}".strip()

    def _judge(self, watched: _Watched, health: Health, cause: str) -> None:
        instance, check, now = watched.instance, health.check, self._clock.time()
        was_alive, was_known = health.alive, health.known
        if not cause:
            health.succeeded(now)
        else:
            if not instance.running:
                return
            if health.first_success is None and instance.since + float(check["gracePeriodSeconds"]) > now:
                return
            self._bus.publish(
                "failed_health_check_event",
                {"appId": instance.app_id, "healthCheck": check, "taskId": instance.id, "instanceId": instance.id},
            )
            failures = health.consecutive_failures
            health.failed(now, cause)
            if 0 < check["maxConsecutiveFailures"] <= failures:
                self._kill(instance, health)
        self._report(watched, health, was_alive if was_known else None)

    def _report(self, watched: _Watched, health: Health, was_alive: bool | None) -> None:
        instance = watched.instance
        if health.alive != bool(was_alive):
            self._bus.publish(
                "health_status_changed_event",
                {
                    "appId": instance.app_id,
                    "instanceId": instance.id,
                    "version": instance.version,
                    "alive": health.alive,
                },
            )
        if all(each.known for each in watched.healths):
            self._tracker.set_healthy(instance, all(each.alive for each in watched.healths))
        elif health.known and not health.alive:
            self._tracker.set_healthy(instance, False)

    def _kill(self, instance: Instance, health: Health) -> None:
        if instance.condition == c.UNREACHABLE:
            return
        reason = health.last_failure_cause or "unknown"
        self._killed(instance, reason)
        self._bus.publish(
            "unhealthy_instance_kill_event",
            {
                "appId": instance.app_id,
                "taskId": instance.task_id,
                "instanceId": instance.id,
                "version": instance.version,
                "reason": reason,
                "host": instance.host,
                "slaveId": instance.agent_id,
            },
        )
        self._kills.kill([instance], "failed health checks")

    # -- what executors say

    def mesos_checked(self, instance: Instance, healthy: bool, status: Json) -> None:
        """An executor has checked (COMMAND, MESOS_HTTP…): ``healthy`` of its status is for all of those together."""
        watched = self._watched.get(instance.id)
        if watched is None:
            return
        now = self._clock.time()
        for health in watched.healths:
            if health.check["protocol"] in BY_MARATHON:
                continue
            was_alive = health.alive if health.known else None
            if healthy:
                health.succeeded(now)
            else:
                health.failed(now, status.get("message") or "")
            self._report(watched, health, was_alive)

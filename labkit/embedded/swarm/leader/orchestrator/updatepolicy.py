"""The arithmetic of rolling updates, apart from everything that waits (SwarmKit ``manager/orchestrator/update``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from labkit.embedded.swarm.leader.orchestrator.tasks import NANO
from labkit.embedded.swarm.objects import Json, Service

_MONITOR = 5.0


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """``UpdateConfig`` or ``RollbackConfig`` with its defaults; durations in seconds."""

    parallelism: int = 1  # 0: all at once
    delay: float = 0.0
    monitor: float = _MONITOR
    order: str = "stop-first"
    failure_action: str = "pause"  # pause | continue | rollback
    max_failure_ratio: float = 0.0
    rolling_back: bool = False

    @property
    def monitoring(self) -> float:
        """Seconds to watch on after the last slot. Longer than a delay, or the last tasks would never be watched."""
        return self.delay + 1.0 if self.delay >= self.monitor else self.monitor


def update_policy(service: Service) -> UpdatePolicy:
    """By what the service is updated now, or rolled back."""
    rolling_back = state_of(service) == "rollback_started"
    config = service.spec.get("RollbackConfig" if rolling_back else "UpdateConfig")
    if not config:
        return UpdatePolicy(rolling_back=rolling_back)
    return UpdatePolicy(
        parallelism=int(config.get("Parallelism") or 0),
        delay=(config.get("Delay") or 0) * NANO,
        monitor=(config.get("Monitor") or 0) * NANO or _MONITOR,
        order=config.get("Order") or "stop-first",
        failure_action=config.get("FailureAction") or "pause",
        max_failure_ratio=float(config.get("MaxFailureRatio") or 0.0),
        rolling_back=rolling_back,
    )


def state_of(service: Service) -> str:
    """``UpdateStatus.State``, or the empty string."""
    return str((service.update_status or {}).get("State", ""))


PAUSED = frozenset({"paused", "rollback_paused"})
UNDER_WAY = frozenset({"updating", "rollback_started"})


@dataclass(slots=True)
class Verdict:
    """What a failure leads to: ``pause`` or ``rollback``, and why."""

    action: str
    message: str


@dataclass(slots=True)
class Watchlist:
    """The tasks that an update has made, and what became of them."""

    policy: UpdatePolicy
    slots: int  # how many the update is about
    ran_at: dict[str, float | None] = field(default_factory=dict)  # when each came to run; None: not yet
    failed: set[str] = field(default_factory=set)

    def made(self, task_id: str) -> None:
        self.ran_at[task_id] = None

    def ran(self, task_id: str, now: float) -> None:
        if self.ran_at.get(task_id, now) is None:
            self.ran_at[task_id] = now

    def ended(self, task_id: str, now: float) -> Verdict | None:
        """A task stopped. If the update made it, and it had not run longer than the monitor's time, that is a failure;
        too many of them stop the update."""
        if task_id not in self.ran_at or task_id in self.failed:
            return None
        ran_at = self.ran_at[task_id]
        if ran_at is not None and now - ran_at > self.policy.monitor:
            return None
        self.failed.add(task_id)
        if len(self.failed) / self.slots <= self.policy.max_failure_ratio or self.policy.failure_action == "continue":
            return None
        cause = f"due to failure or early termination of task {task_id}"
        if self.policy.rolling_back:
            return Verdict("pause", f"rollback paused {cause}")  # a rollback is never rolled back
        if self.policy.failure_action == "rollback":
            return Verdict("rollback", f"update rolled back {cause}")
        return Verdict("pause", f"update paused {cause}")


# -- what becomes of the service object. Each returns None where there is nothing to write.


def started(service: Service, now: float) -> Service | None:
    if service.update_status is not None:
        return None
    status: Json = {"State": "updating", "StartedAt": now, "Message": "update in progress"}
    return replace(service, update_status=status)


def paused(service: Service, message: str) -> Service | None:
    if service.update_status is None:
        return None  # changed since: this update is no longer the point
    state = "rollback_paused" if state_of(service) == "rollback_started" else "paused"
    return replace(service, update_status=service.update_status | {"State": state, "Message": message})


def completed(service: Service, now: float) -> Service | None:
    if service.update_status is None:
        return None
    word = "rollback" if state_of(service) == "rollback_started" else "update"
    state = "rollback_completed" if word == "rollback" else "completed"
    status = service.update_status | {"State": state, "Message": f"{word} completed", "CompletedAt": now}
    return replace(service, update_status=status)


def rolled_back(service: Service, message: str) -> Service | None:
    """The previous spec again. There is none before that one, so it cannot be done twice."""
    if service.update_status is None or service.previous_spec is None:
        return None
    return replace(
        service,
        spec=service.previous_spec,
        spec_version=service.previous_spec_version,
        previous_spec=None,
        previous_spec_version=0,
        update_status=service.update_status | {"State": "rollback_started", "Message": message},
    )

"""What ``?insertDefaults=true`` fills in: the values that SwarmKit's loops use where a spec says nothing."""

from __future__ import annotations

from labkit.embedded.swarm.objects import Json

SECOND = 1_000_000_000

STOP_GRACE_PERIOD = 10 * SECOND
RESTART_POLICY: Json = {"Condition": "any", "Delay": 5 * SECOND, "MaxAttempts": 0}
UPDATE_CONFIG: Json = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * SECOND,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def with_defaults(spec: Json) -> Json:
    """A stored ServiceSpec with every default spelt out; ``spec`` is not changed."""
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    restart = task.get("RestartPolicy")
    return {
        **spec,
        "TaskTemplate": {
            **task,
            "ContainerSpec": {"StopGracePeriod": STOP_GRACE_PERIOD, "DNSConfig": {}, **container},
            "Resources": task.get("Resources", {}),
            "RestartPolicy": RESTART_POLICY if restart is None else {"Delay": RESTART_POLICY["Delay"], **restart},
            "Placement": task.get("Placement", {}),
        },
        "UpdateConfig": _update(spec.get("UpdateConfig")),
        "RollbackConfig": _update(spec.get("RollbackConfig")),
    }


def _update(config: Json | None) -> Json:
    return UPDATE_CONFIG if config is None else {"Monitor": UPDATE_CONFIG["Monitor"], **config}

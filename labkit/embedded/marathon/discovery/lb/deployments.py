"""Deployment groups: two apps that stand for one while the new one takes over (zero-downtime deployment, ``zdd.py``).

As instances of the newer app get healthy, as many of the older one are drained: they get no new sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

_GROUP = "HAPROXY_DEPLOYMENT_GROUP"
_STARTED = "HAPROXY_DEPLOYMENT_STARTED_AT"
_TARGET = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES"


def merge_groups(apps: Iterable[Json]) -> list[Json]:
    """The apps, with those of a deployment group merged into one under the group's name. None of them is changed."""
    alone: list[Json] = []
    merged: dict[str, Json] = {}
    for app in apps:
        group = (app.get("labels") or {}).get(_GROUP)
        if not group:
            alone.append(app)
            continue
        name = group if group.startswith("/") else f"/{group}"
        renamed = {**app, "id": name}
        merged[name] = _merge(merged[name], renamed) if name in merged else renamed
    return alone + list(merged.values())


def _merge(one: Json, other: Json) -> Json:
    # ISO dates in UTC compare as text; an app without one counts as the older.
    old, new = sorted((one, other), key=lambda app: app["labels"].get(_STARTED, ""))
    target = int(new["labels"].get(_TARGET) or 1)
    ready = _ready(new)
    drained = max(0, min(ready, ready + int(old.get("instances", 0)) - target))
    tasks = sorted(old.get("tasks") or (), key=lambda task: task["id"])
    tasks = [{**task, "draining": True} if index < drained else task for index, task in enumerate(tasks)]
    return {**old, "tasks": [*tasks, *(new.get("tasks") or ())]}


def _ready(app: Json) -> int:
    if not app.get("healthChecks"):
        return int(app.get("instances", 0))
    return sum(
        any(result and result.get("alive") for result in task.get("healthCheckResults") or ())
        for task in app.get("tasks") or ()
    )

"""How apps, tasks and groups are shown: ``core/appinfo`` and ``raml/TaskConversion.scala`` of Marathon."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.events import stamp
from labkit.embedded.marathon.specs import App, Group

if TYPE_CHECKING:
    from labkit.embedded.marathon.core.term import Term

Json = dict[str, Any]

TASKS, COUNTS, DEPLOYMENTS = "tasks", "counts", "deployments"
READINESS, LAST_FAILURE, STATS = "readiness", "lastTaskFailure", "taskStats"

_EMBEDS: dict[str, frozenset[str]] = {
    "tasks": frozenset((TASKS, DEPLOYMENTS)),
    "failures": frozenset((TASKS, LAST_FAILURE, DEPLOYMENTS)),
    "deployments": frozenset((DEPLOYMENTS,)),
    "readiness": frozenset((READINESS,)),
    "lastTaskFailure": frozenset((LAST_FAILURE,)),
    "counts": frozenset((COUNTS,)),
    "taskStats": frozenset((STATS,)),
}
_STAGED = frozenset((c.PROVISIONED, c.STAGING, c.STARTING))


def app_embeds(given: Iterable[str]) -> set[str]:
    """What ``embed`` asks for; what it does not know it ignores (``InfoEmbedResolver.scala``)."""
    found: set[str] = set()
    for each in given:
        for prefix in ("group.apps.", "apps.", "app."):
            if each.startswith(prefix):
                each = each[len(prefix) :]
                break
        found |= _EMBEDS.get(each, frozenset())
    return found


# -- tasks


def tasks_of(term: Term, app_id: str, service_ports: Collection[int] = ()) -> list[Json]:
    """The tasks of an app: of instances that have one."""
    return [task_json(term, each, service_ports) for each in term.tracker.of_app(app_id) if each.launched]


def task_json(term: Term, instance: Instance, service_ports: Collection[int] = ()) -> Json:
    found: Json = {
        "appId": instance.app_id,
        "healthCheckResults": term.health.results(instance) if instance.app.health_checks else [],
        "host": instance.host,
        "id": instance.task_id,
        "ipAddresses": instance.ip_addresses,
        "ports": instance.ports if instance.active else [],
        "servicePorts": service_ports,
        "slaveId": instance.agent_id,
        "state": c.task_state(instance.condition),
    }
    if instance.active:
        if instance.staged_at is not None:
            found["stagedAt"] = stamp(instance.staged_at)
        if instance.started_at is not None:
            found["startedAt"] = stamp(instance.started_at)
        found["version"] = instance.version
    found["localVolumes"] = []
    if instance.region is not None:
        found["region"] = instance.region
    if instance.zone is not None:
        found["zone"] = instance.zone
    found["role"] = instance.app.role
    return found


# -- apps


def counts(instances: Iterable[Instance]) -> tuple[int, int, int, int]:
    """Staged, running, healthy, unhealthy."""
    staged = running = healthy = unhealthy = 0
    for each in instances:
        if each.condition == c.RUNNING:
            running += 1
            if each.healthy is not None:
                healthy += each.healthy
                unhealthy += not each.healthy
        elif each.condition in _STAGED:
            staged += 1
    return staged, running, healthy, unhealthy


def app_json(term: Term, app: App, embeds: Collection[str]) -> Json:
    """An app with what was asked for."""
    found = app.to_json()
    instances = term.tracker.of_app(app.id)
    if COUNTS in embeds:
        staged, running, healthy, unhealthy = counts(instances)
        found["tasksStaged"], found["tasksRunning"] = staged, running
        found["tasksHealthy"], found["tasksUnhealthy"] = healthy, unhealthy
    if DEPLOYMENTS in embeds:
        found["deployments"] = [{"id": id} for id in term.deployments.of_app(app.id)]
    if READINESS in embeds:
        found["readinessCheckResults"] = term.deployments.readiness(app.id)
    if TASKS in embeds:
        found["tasks"] = tasks_of(term, app.id)
    if LAST_FAILURE in embeds and app.id in term.updates.last_failures:
        found["lastTaskFailure"] = term.updates.last_failures[app.id]
    if STATS in embeds:
        found["taskStats"] = stats_json(term, app, list(instances))
    return found


def stats_json(term: Term, app: App, instances: list[Instance]) -> Json:
    """Counts and lifetimes by how the tasks relate to the app's versions (``TaskStatsByVersion.scala``)."""
    launched = [each for each in instances if each.launched]
    configured, scaled = app.config_version, app.versions.scaled or app.version
    chosen = {
        "startedAfterLastScaling": [each for each in launched if each.version >= scaled],
        "withLatestConfig": [each for each in launched if each.version >= configured],
        "withOutdatedConfig": [each for each in launched if each.version < configured],
        "totalSummary": launched,
    }
    return {name: {"stats": _stats(term, some)} for name, some in chosen.items() if some}


def _stats(term: Term, instances: list[Instance]) -> Json:
    staged, running, healthy, unhealthy = counts(instances)
    found: Json = {
        "counts": {"staged": staged, "running": running, "healthy": healthy, "unhealthy": unhealthy},
    }
    now = term.clock.time()
    lifetimes = [now - each.started_at for each in instances if each.started_at is not None]
    if lifetimes:
        found["lifeTime"] = {
            "averageSeconds": round(sum(lifetimes) / len(lifetimes), 3),
            "medianSeconds": round(statistics.median(lifetimes), 3),
        }
    return found


# -- groups


def group_json(term: Term, group: Group, embeds: Collection[str], apps: Collection[str]) -> Json:
    """A group; ``embeds``: ``group.apps``, ``group.groups``, ``group.pods``; ``apps``: what to show of the apps."""
    found: Json = {"id": group.id}
    if "group.apps" in embeds:
        found["apps"] = [app_json(term, app, apps) for app in group.apps.values()]
    if "group.pods" in embeds:
        found["pods"] = []
    if "group.groups" in embeds:
        found["groups"] = [group_json(term, each, embeds, apps) for each in group.groups.values()]
    found["dependencies"] = sorted(group.dependencies)
    found["version"] = group.version
    if group.enforce_role:  # the client on PyPI does not know the field, so it is only there where it says something
        found["enforceRole"] = True
    return found

"""Services of Marathon's ``GET /v2/apps?embed=apps.tasks``: who gets traffic."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from labkit.embedded.marathon.discovery.lb.deployments import merge_groups
from labkit.embedded.marathon.discovery.lb.labels import BadLabel, service_fields
from labkit.embedded.marathon.discovery.lb.model import Check, Json, Server, Service
from labkit.embedded.marathon.discovery.lb.ports import place, service_ports

log = logging.getLogger(__name__)

# What gets traffic besides TASK_RUNNING: a task that Mesos has lost sight of may well be running.
SERVING = frozenset({"TASK_RUNNING", "TASK_LOST", "TASK_UNREACHABLE"})
# Health checks of these protocols say that the port speaks HTTP.
SPEAK_HTTP = frozenset({"HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"})
EVERYTHING = "*"

Resolve = Callable[[str], str | None]  # host -> address


def services(
    apps: Iterable[Json],
    groups: Sequence[str] = (EVERYTHING,),
    *,
    resolve: Resolve = lambda host: host,
    said: dict[str, bool] | None = None,
) -> list[Service]:
    """The services of these groups that have a server, by app id and port.

    ``said`` remembers of each task what its health checks said last, for answers that leave the results out.
    """
    found = [service for app in merge_groups(apps) for service in _of_app(app, resolve, {} if said is None else said)]
    chosen = [each for each in found if each.enabled and each.servers and in_group(groups, each.groups)]
    return sorted(chosen, key=lambda service: (service.app_id, service.port))


def in_group(wanted: Sequence[str], groups: Sequence[str]) -> bool:
    """Is a service of ``groups`` for a balancer of ``wanted``? One of group ``*`` takes all, also those of no group."""
    return EVERYTHING in wanted or not set(wanted).isdisjoint(groups)


def is_healthy(app: Json, task: Json, said: dict[str, bool]) -> bool:
    """Any check that says it is alive is enough; without results the last ones count; without checks it is."""
    if not app.get("healthChecks"):
        # Also remembered for later: when a new version of the app is the first with checks, the tasks of the old one,
        # which nobody checks, serve on until they are replaced. (marathon-lb itself takes them out at once.)
        said[task["id"]] = True
        return True
    results = task.get("healthCheckResults")
    if not results:  # a Marathon that has just begun to lead has asked nobody yet
        return said.get(task["id"], False)
    alive = any(result and result.get("alive") for result in results)
    said[task["id"]] = alive
    return alive


def _of_app(app: Json, resolve: Resolve, said: dict[str, bool]) -> list[Service]:
    labels = app.get("labels") or {}
    common = tuple(group for group in labels.get("HAPROXY_GROUP", "").split(",") if group)
    numbers = service_ports(app)
    servers: list[list[Server]] = [[] for _ in numbers]
    for task in app.get("tasks") or ():
        found = _reached(app, task, resolve, said)
        for index, port in enumerate(found[1][: len(numbers)] if found else ()):
            assert found is not None
            host = task["host"]
            servers[index].append(Server(host, port, found[0], task["id"], bool(task.get("draining"))))
    made = []
    for index, number in enumerate(numbers):
        try:
            made.append(_service(app, index, number, servers, labels, common))
        except BadLabel as error:
            log.error("skipping service port %s of %s: %s", number, app["id"], error)
    return made


def _reached(app: Json, task: Json, resolve: Resolve, said: dict[str, bool]) -> tuple[str, list[int]] | None:
    if not task.get("host") or task.get("state", "TASK_RUNNING") not in SERVING:
        return None
    if not is_healthy(app, task, said) or (found := place(app, task)) is None:
        return None
    ip = resolve(found[0])
    return (ip, found[1]) if ip else None


def _service(
    app: Json, index: int, number: int, servers: list[list[Server]], labels: dict[str, str], common: tuple[str, ...]
) -> Service:
    fields: dict[str, Any] = service_fields(labels, index)
    check_index = fields.pop("check_index", None)
    check = _check(app, index)
    if check is None and check_index is not None:
        check = _check(app, check_index)
    fields["groups"] = fields.get("groups") or common
    if check is not None and check.protocol in SPEAK_HTTP:  # whatever the label says
        fields["mode"] = "http"
    elif "mode" not in fields:
        fields["mode"] = "http" if fields.get("vhosts") else "tcp"
    checked: tuple[int, ...] = ()
    own = sorted(servers[index])
    if check_index is not None and -len(servers) <= check_index < len(servers):
        other = {server.task_id: server.port for server in servers[check_index]}
        checked = tuple(other.get(server.task_id, server.port) for server in own)
    service = Service(app["id"], number, tuple(own), check=check, check_ports=checked)
    return dataclasses.replace(service, **fields)


def _check(app: Json, index: int) -> Check | None:
    """The first check of that port; one with a port number of its own is for all."""
    for each in app.get("healthChecks") or ():
        if each.get("port") or each.get("portIndex") == index:
            return Check(
                each.get("protocol", "HTTP"),
                each.get("path") or "/",
                each.get("port"),
                each.get("portIndex"),
                float(each.get("intervalSeconds", 60)),
                float(each.get("timeoutSeconds", 20)),
                float(each.get("gracePeriodSeconds", 300)),
                int(each.get("maxConsecutiveFailures", 3)),
            )
    return None

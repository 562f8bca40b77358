"""``/v2/tasks``, ``/v2/apps/ID/tasks``: ``TasksResource.scala``, ``AppTasksResource.scala``, ``TaskKiller.scala``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.embedded.marathon.api.answers import Answer, Refused, Request, Route, deployed, not_found
from labkit.embedded.marathon.api.apps import unknown_app
from labkit.embedded.marathon.api.render import Json, task_json, tasks_of
from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import Instance, app_id_of, instance_id_of
from labkit.embedded.marathon.specs import App, Group, Malformed, NoSuchPath, paths

if TYPE_CHECKING:
    from labkit.embedded.marathon.core.term import Term
    from labkit.embedded.marathon.planning import DeploymentPlan

_BOTH = "You cannot use scale and wipe at the same time."
_STATES = {"running": frozenset((c.RUNNING,)), "staging": frozenset((c.STAGING,))}


async def index(request: Request) -> Answer:
    term = request.term
    if request.wants_text:
        return endpoints(term, term.groups.root.all_apps.values())
    wanted: set[str] = set()
    for each in [*request.queries("status"), *request.queries("status[]")]:
        wanted |= _STATES.get(each.lower(), frozenset())
    found = []
    for app_id in term.tracker.apps():
        app = term.groups.app(app_id)
        if app is None:
            continue
        ports = app.service_ports
        for instance in term.tracker.of_app(app_id):
            if instance.launched and (not wanted or instance.condition in wanted):
                found.append(task_json(term, instance, ports))
    return Answer({"tasks": found})


def endpoints(term: Term, apps: Iterable[App]) -> Answer:
    """As marathon-lb's forerunners read it: a line for each service port with the tasks that serve it."""
    lines = []
    for app in apps:
        running = [each for each in term.tracker.of_app(app.id) if each.running and each.healthy is not False]
        name = app.safe_id
        if not app.service_ports:
            lines.append("\t".join([name, " ", *(each.host for each in running)]) + "\t\n")
        for index, port in enumerate(app.service_ports):
            served = [f"{each.host}:{each.ports[index]}" for each in running if index < len(each.ports)]
            lines.append("\t".join([name, str(port), *served]) + "\t\n")
    return Answer("".join(lines).encode(), content_type="text/plain")


async def of_app(request: Request) -> Answer:
    term, id = request.term, request.match["id"]
    if id == "*" or id.endswith("/*"):
        group = term.groups.root.group(paths.absolute(id[:-1]))
        if group is None:
            raise not_found(f"Group '{paths.absolute(id[:-1])}' does not exist")
        apps = list(group.all_apps.values())
    else:
        app = term.groups.app(request.path_id())
        if app is None:
            raise unknown_app(request.path_id())
        apps = [app]
    if request.wants_text:
        return endpoints(term, apps)
    return Answer({"tasks": [task for app in apps for task in tasks_of(term, app.id)]})


# -- killing


async def delete_many(request: Request) -> Answer:
    app_id, host = request.path_id(), request.query("host")
    chosen = [each for each in request.term.tracker.of_app(app_id) if host in (None, "*", each.host)]
    scale, wipe = _modes(request)
    if scale:
        return deployed(await _kill_and_scale(request, {app_id: chosen}))
    killed = _kill(request, app_id, chosen, wipe)
    return Answer({"tasks": killed})


async def delete_one(request: Request) -> Answer:
    app_id, task_id = request.path_id(), request.match["task"]
    instance = request.term.tracker.by_id.get(instance_id_of(task_id) or "")
    chosen = [instance] if instance is not None and instance.app_id == app_id and instance.launched else []
    scale, wipe = _modes(request)
    if scale:
        return deployed(await _kill_and_scale(request, {app_id: chosen}))
    killed = _kill(request, app_id, chosen, wipe)
    if not killed:
        raise not_found(f"Task '{task_id}' does not exist")
    return Answer({"task": killed[0]})


async def delete_any(request: Request) -> Answer:
    """``POST /v2/tasks/delete`` with ``{"ids": […]}``."""
    scale, wipe = _modes(request)
    data = await request.json()
    ids = data.get("ids") if isinstance(data, dict) else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise Malformed([("/ids", "error.path.missing" if ids is None else "error.expected.jsarray")])
    chosen: dict[str, list[Instance]] = {}
    for task_id in ids:
        instance_id = instance_id_of(task_id)
        if instance_id is None:
            why = f"taskId {task_id} no valid identifier (of class scala.MatchError)"
            raise Refused(400, f"Invalid task id '{task_id}'. [{why}]")
        instance = request.term.tracker.by_id.get(instance_id)
        if instance is not None:
            chosen.setdefault(app_id_of(instance_id), []).append(instance)
    if scale:
        return deployed(await _kill_and_scale(request, chosen))
    killed = []
    for app_id, instances in chosen.items():
        if request.term.groups.app(app_id) is not None:
            killed += _kill(request, app_id, instances, wipe)
    return Answer({"tasks": killed})


def _modes(request: Request) -> tuple[bool, bool]:
    scale, wipe = request.flag("scale"), request.flag("wipe")
    if scale and wipe:
        raise Refused(400, _BOTH)
    return scale, wipe


def _kill(request: Request, app_id: str, instances: list[Instance], wipe: bool) -> list[Json]:
    """Kill them; others take their place. ``wipe`` forgets them, too."""
    term = request.term
    if term.groups.app(app_id) is None:
        raise unknown_app(app_id)
    shown = [task_json(term, each) for each in instances if each.launched]
    if wipe:
        for each in instances:
            if each.launched:
                term.kills.kill_task(each.task_id, each.agent_id)
            term.tracker.expunge(each)
        term.upkeep.scale(app_id)
    else:
        term.kills.kill((each for each in instances if each.active), "asked for by the API")
    return shown


async def _kill_and_scale(request: Request, chosen: dict[str, list[Instance]]) -> DeploymentPlan:
    """Kill them, and want that many fewer."""
    term = request.term
    for app_id in chosen:
        if not term.tracker.of_app(app_id):
            raise NoSuchPath(app_id)
    ends = {
        app_id: [each.id for each in instances if each.active and each.condition != c.KILLING]
        for app_id, instances in chosen.items()
    }

    def change(root: Group, version: str) -> Group:
        for app_id, ids in ends.items():
            app = root.app(app_id)
            if app is not None:
                root = root.with_app(app.with_instances(max(0, app.instances - len(ids))), version)
        return root

    return await term.groups.update("/", change, force=request.flag("force"), to_kill=ends)


ROUTES: list[Route] = [
    ("GET", r"/v2/tasks/?", index),
    ("POST", r"/v2/tasks/delete", delete_any),
    ("GET", r"/v2/apps/(?P<id>.+)/tasks/?", of_app),
    ("DELETE", r"/v2/apps/(?P<id>.+)/tasks/?", delete_many),
    ("DELETE", r"/v2/apps/(?P<id>.+)/tasks/(?P<task>[^/]+)", delete_one),
]

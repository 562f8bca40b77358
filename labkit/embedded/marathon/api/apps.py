"""``/v2/apps``: ``AppsResource.scala``, ``AppVersionsResource.scala``."""

from __future__ import annotations

from labkit.embedded.marathon.api import labels
from labkit.embedded.marathon.api.answers import DEPLOYMENT, Answer, Request, Route, deployed, not_found
from labkit.embedded.marathon.api.render import COUNTS, DEPLOYMENTS, LAST_FAILURE, TASKS, app_embeds, app_json
from labkit.embedded.marathon.specs import (
    App,
    Group,
    NoSuchApp,
    RollBack,
    SpecError,
    parse_app,
    paths,
    update_app,
    update_apps,
)


def unknown_app(app_id: str, version: str | None = None) -> SpecError:
    return NoSuchApp(app_id, version)


async def index(request: Request) -> Answer:
    term = request.term
    cmd, id, label = request.query("cmd"), request.query("id"), request.query("label")
    selects = labels.parse(label) if label is not None else None
    embeds = app_embeds(request.queries("embed")) | {COUNTS, DEPLOYMENTS}
    found = []
    for app in term.groups.root.all_apps.values():
        if cmd is not None and cmd.lower() not in (app.cmd or "").lower():
            continue
        if id is not None and id.lower() not in app.id:
            continue
        if selects is not None and not selects(app.labels):
            continue
        found.append(app_json(term, app, embeds))
    return Answer({"apps": found})


async def create(request: Request) -> Answer:
    term = request.term
    data = await request.json()
    made: list[App] = []

    def change(root: Group, version: str) -> Group:
        app = parse_app(data, root, term.options.specs, version)
        made.append(app)
        return root.with_app(app, version)

    plan = await term.groups.update(_id_of(data), change, force=request.flag("force"))
    app = plan.target.app(made[0].id) or made[0]
    posted(request, app)
    body = app.to_json() | {"tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0}
    body["deployments"] = [{"id": plan.id}]
    return Answer(body, 201, {DEPLOYMENT: plan.id, "Location": location(request, app.id)})


def _id_of(data: object) -> str:
    return paths.absolute(str(data.get("id", ""))) if isinstance(data, dict) else "/"


def location(request: Request, id: str) -> str:
    """``Response.created(new URI("/x"))``: below the root of the API, whatever was posted to."""
    return f"http://{request.raw.host}{id}"


def posted(request: Request, app: App) -> None:
    fields = {"clientIp": request.client, "uri": request.raw.path, "appDefinition": app.to_json()}
    request.term.bus.publish("api_post_event", fields)


async def show(request: Request) -> Answer:
    term, id = request.term, request.match["id"]
    embeds = app_embeds(request.queries("embed")) | {COUNTS, TASKS, LAST_FAILURE, DEPLOYMENTS}
    if id == "*" or id.endswith("/*"):
        group = term.groups.root.group(paths.absolute(id[:-1]))
        if group is None:
            raise not_found(f"Group '{paths.absolute(id[:-1])}' does not exist")
        return Answer({"*": [app_json(term, app, embeds) for app in group.all_apps.values()]})
    app = term.groups.app(request.path_id())
    if app is None:
        raise unknown_app(request.path_id())
    return Answer({"app": app_json(term, app, embeds)})


async def _update(request: Request, *, partial: bool, create: bool) -> Answer:
    term, app_id = request.term, request.path_id()
    data = await request.json()

    def change(root: Group, version: str) -> Group:
        found = update_app(app_id, data, root, term.options.specs, version, partial=partial, create=create)
        app = term.groups.rolled_back(found) if isinstance(found, RollBack) else found
        return root.with_app(app, version)

    plan = await term.groups.update(app_id, change, force=request.flag("force"))
    app = plan.target.app(app_id)
    if app is not None:
        posted(request, app)
    if plan.original.app(app_id) is None:
        return deployed(plan, 201, Location=location(request, app_id))
    return deployed(plan)


async def replace(request: Request) -> Answer:
    return await _update(request, partial=request.flag("partialUpdate", True), create=True)


async def patch(request: Request) -> Answer:
    return await _update(request, partial=True, create=False)


async def _update_many(request: Request, *, partial: bool, create: bool) -> Answer:
    term = request.term
    data = await request.json()

    def change(root: Group, version: str) -> Group:
        for found in update_apps(data, root, term.options.specs, version, partial=partial, create=create):
            app = term.groups.rolled_back(found) if isinstance(found, RollBack) else found
            root = root.with_app(app, version)
        return root

    return deployed(await term.groups.update("/", change, force=request.flag("force")))


async def replace_many(request: Request) -> Answer:
    return await _update_many(request, partial=request.flag("partialUpdate", True), create=True)


async def patch_many(request: Request) -> Answer:
    return await _update_many(request, partial=True, create=False)


async def delete(request: Request) -> Answer:
    app_id = request.path_id()

    def change(root: Group, version: str) -> Group:
        if root.app(app_id) is None:
            raise unknown_app(app_id)
        return root.without_app(app_id, version)

    force = request.flag("force", True)
    return deployed(await request.term.groups.update(paths.parent(app_id), change, force=force))


async def restart(request: Request) -> Answer:
    app_id = request.path_id()

    def change(root: Group, version: str) -> Group:
        app = root.app(app_id)
        if app is None:
            raise unknown_app(app_id)
        return root.with_app(app.marked_for_restart(), version)

    return deployed(await request.term.groups.update(app_id, change, force=request.flag("force")))


async def versions(request: Request) -> Answer:
    app_id = request.path_id()
    if request.term.groups.app(app_id) is None:
        raise unknown_app(app_id)
    return Answer({"versions": request.term.groups.app_versions(app_id)})


async def version(request: Request) -> Answer:
    app_id, wanted = request.path_id(), request.match["version"]
    app = request.term.groups.app_at(app_id, wanted)
    if app is None:
        raise unknown_app(app_id, wanted)
    return Answer(app.to_json())


ROUTES: list[Route] = [
    ("GET", r"/v2/apps/?", index),
    ("POST", r"/v2/apps/?", create),
    ("PUT", r"/v2/apps/?", replace_many),
    ("PATCH", r"/v2/apps/?", patch_many),
    ("POST", r"/v2/apps/(?P<id>.+)/restart", restart),
    ("GET", r"/v2/apps/(?P<id>.+)/versions", versions),
    ("GET", r"/v2/apps/(?P<id>.+)/versions/(?P<version>[^/]+)", version),
    ("GET", r"/v2/apps/(?P<id>.+)", show),
    ("PUT", r"/v2/apps/(?P<id>.+)", replace),
    ("PATCH", r"/v2/apps/(?P<id>.+)", patch),
    ("DELETE", r"/v2/apps/(?P<id>.+)", delete),
]

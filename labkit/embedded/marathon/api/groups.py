"""``/v2/groups``: ``GroupsResource.scala``."""

from __future__ import annotations

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.api.answers import Answer, Request, Route, deployed
from labkit.embedded.marathon.api.apps import location
from labkit.embedded.marathon.api.render import app_embeds, app_json, group_json
from labkit.embedded.marathon.specs import (
    Group,
    NoSuchGroup,
    RollBack,
    empty_root,
    paths,
    prepare,
    update_enforce_role,
    update_group,
)

DEFAULT = ("group.apps", "group.pods", "group.groups")


async def show(request: Request) -> Answer:
    """A group, or what its last name asks of it: ``apps``, ``versions``, ``versions/V``."""
    term, id = request.term, request.match.get("id", "")
    given = request.queries("embed") or DEFAULT
    apps = app_embeds(each for each in given if each.startswith("group.apps."))
    names = paths.names(id)
    if names and names[-1] == "apps":
        group = _group(request, "/" + "/".join(names[:-1]))
        return Answer([app_json(term, app, apps) for app in group.all_apps.values()])
    if names and names[-1] == "versions":
        group = _group(request, "/" + "/".join(names[:-1]))
        return Answer(term.groups.versions(group.id))
    if len(names) > 1 and names[-2] == "versions":
        path = "/" + "/".join(names[:-2])
        root = term.groups.root_at(names[-1])
        found = None if root is None else root.group(path)
        if found is None:
            raise NoSuchGroup(path)
        return Answer(found.to_json())
    return Answer(group_json(term, _group(request, request.path_id()), given, apps))


def _group(request: Request, path: str) -> Group:
    group = request.term.groups.root.group(path)
    if group is None:
        raise NoSuchGroup(path)
    return group


async def create(request: Request) -> Answer:
    return await _update(request, create=True)


async def update(request: Request) -> Answer:
    if not request.flag("dryRun"):
        return await _update(request, create=False)
    groups, data = request.term.groups, await request.json()
    version = groups.next_version()
    changed = _changed(request, groups.root, data, version, create=False)
    target = prepare(groups.root, changed, version, request.term.options.specs)
    plan = planning.plan(groups.root, target, version, "")
    return Answer({"steps": planning.steps_json(plan)})


def _changed(request: Request, root: Group, data: object, version: str, *, create: bool) -> Group:
    groups = request.term.groups
    found = update_group(request.path_id(), data, root, request.term.options.specs, version, create=create)
    return root.put(groups.group_rolled_back(found), version) if isinstance(found, RollBack) else found


async def _update(request: Request, *, create: bool) -> Answer:
    path, data = request.path_id(), await request.json()

    def change(root: Group, version: str) -> Group:
        return _changed(request, root, data, version, create=create)

    plan = await request.term.groups.update(path, change, force=request.flag("force"))
    if not create:
        return deployed(plan)
    own = data.get("id") if isinstance(data, dict) else None
    path = paths.absolute(own, path) if isinstance(own, str) else path
    return deployed(plan, 201, Location=location(request, path))


async def patch(request: Request) -> Answer:
    path, data = request.path_id(), await request.json()
    config = request.term.options.specs
    await request.term.groups.patch(lambda root: update_enforce_role(path, data, root, config))
    return Answer()


async def delete(request: Request) -> Answer:
    path = request.path_id()

    def change(root: Group, version: str) -> Group:
        if path == paths.ROOT:
            return empty_root(version)
        if root.group(path) is None:
            raise NoSuchGroup(path)
        return root.without_group(path, version)

    return deployed(await request.term.groups.update(paths.parent(path), change, force=request.flag("force")))


ROUTES: list[Route] = [
    (method, path, handler)
    for method, handler in (("GET", show), ("POST", create), ("PUT", update), ("PATCH", patch), ("DELETE", delete))
    for path in (r"/v2/groups/?", r"/v2/groups/(?P<id>.+)")
]

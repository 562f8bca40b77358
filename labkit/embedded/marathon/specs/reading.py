"""Bodies of the API become apps (``api/v2/AppsResource.scala``, ``api/v2/AppHelpers.scala``)."""

from __future__ import annotations

import codecs
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from labkit.embedded.marathon.specs import normalizing, paths, raml, rules
from labkit.embedded.marathon.specs.app import App
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.errors import (
    AppRejected,
    Conflict,
    Details,
    Malformed,
    NoJson,
    NoSuchApp,
    NotJson,
    Unprocessable,
)
from labkit.embedded.marathon.specs.groups import Group
from labkit.embedded.marathon.specs.reader import Object
from labkit.embedded.marathon.specs.roles import role_settings
from labkit.embedded.marathon.specs.versions import Versions

Json = dict[str, Any]


def read_json(body: bytes) -> Any:
    """The body as JSON. Raises ``NotJson`` (400)."""
    try:
        # Jackson passes over the mark that editors on Windows put before UTF-8.
        return orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise NoJson from None
        raise NotJson(str(error)) from None


def read(type: Object, data: Any, *, partial: bool = False) -> Json:
    """By a table of ``raml``. Raises ``Malformed`` (422)."""
    errors: Details = []
    try:
        found: Json = type.read(data, "", errors, partial=partial)
    except RecursionError:
        raise NotJson("Document nesting depth exceeds the maximum allowed") from None
    if errors:
        raise Malformed(errors)
    return found


def normalized(app: Json, config: Config, role: str, roles: Collection[str], base: str = paths.ROOT) -> Json:
    """A decoded app in canonical form. Raises ``AppRejected``."""
    app = normalizing.canonical_ids(app, base)
    errors = rules.deprecated_errors(app)
    if errors:
        raise AppRejected(errors)
    app = normalizing.from_deprecated(app, config)
    app.setdefault("role", role)
    errors = rules.errors(app, config, roles)
    if errors:
        raise AppRejected(errors)
    return normalizing.with_defaults(app, config)


def as_app(body: Json, versions: Versions) -> App:
    return App({key: value for key, value in body.items() if key not in ("version", "versionInfo")}, versions)


def parse_app(data: Any, root: Group, config: Config, version: str, base: str = paths.ROOT) -> App:
    """A new app (``POST /v2/apps``). ``version`` is now.

    Raises ``Malformed`` or ``AppRejected`` (422), ``Conflict`` (409) if there is one of that id.
    """
    decoded = read(raml.APP, data)
    app_id = paths.absolute(decoded["id"], base)
    role, roles = role_settings(app_id, root, config)
    app = as_app(normalized(decoded, config, role, roles, base), Versions(version))
    if root.app(app.id) is not None:
        raise Conflict(f"An app with id [{app.id}] already exists.")
    return app


@dataclass(frozen=True, slots=True)
class RollBack:
    """Not a new definition: the app is to be what it was in that version. Whoever has the store looks it up."""

    app: str
    version: str


def update_app(
    app_id: str,
    data: Any,
    root: Group,
    config: Config,
    version: str,
    *,
    partial: bool = True,
    create: bool = True,
) -> App | RollBack:
    """An app with parts of it, or all of it, replaced (``PUT`` and ``PATCH /v2/apps/ID``).

    ``partial``: fields that are not given keep their values. ``create`` (not for PATCH): an app that does not exist is
    made. Raises as ``parse_app``, and ``NoSuchApp`` (404). The result has the versions of the present app: ``prepare``
    sees what has changed and gives new ones.
    """
    app_id = paths.absolute(app_id)
    role, roles = role_settings(app_id, root, config)
    existing = root.app(app_id)
    if not partial or existing is None:
        # The body need not name the id, the URL does.
        decoded = read(raml.APP, {**data, "id": app_id} if isinstance(data, dict) else data)
        body = normalized(decoded, config, role, roles)
    else:
        update = _update(data, config)
        if "version" in update:
            return RollBack(app_id, update["version"])
        body = _merged(app_id, update, existing, config, role, roles)
    if existing is None and not create:
        raise NoSuchApp(app_id)
    return as_app(body, existing.versions if existing is not None else Versions(version))


def _update(data: Any, config: Config) -> Json:
    update = normalizing.canonical_ids(read(raml.APP, data, partial=True))
    update = normalizing.update_from_deprecated(update, config)
    if "version" in update and set(update) - {"version", "id"}:
        raise AppRejected([("/", "The 'version' field may only be combined with the 'id' field.")])
    return update


# Fields that an update which does not name them takes away, as Marathon's conversion forgets them.
_FORGOTTEN = ("executorResources", "resourceLimits")


def _merged(app_id: str, update: Json, existing: App | None, config: Config, role: str, roles: Collection[str]) -> Json:
    """The whole app with the update in it, normalized again."""
    if existing is None:
        # Nothing to keep: everything else is as in a new app without port definitions.
        whole = {**read(raml.APP, {"id": app_id}), "portDefinitions": []}
    else:
        whole = {key: value for key, value in existing.body.items() if key not in _FORGOTTEN}
    merged = {**whole, **update, "id": app_id}
    merged = {key: value for key, value in merged.items() if value or key not in _DROP_EMPTY}
    return normalized(merged, config, role, roles)


_DROP_EMPTY = {name for name, each in raml.APP.fields.items() if each.drop_empty}


def update_apps(
    data: Any, root: Group, config: Config, version: str, *, partial: bool = True, create: bool = True
) -> list[App | RollBack]:
    """Several apps at once (``PUT`` and ``PATCH /v2/apps``): all of them, or none."""
    if not isinstance(data, list):
        raise Malformed([("", "error.expected.jsarray")])
    errors: Details = []
    for index, each in enumerate(data):
        raml.APP.read(each, f"({index})", errors, partial=partial)
    if errors:
        raise Malformed(errors)
    if any(each.get("id") is None for each in data):
        raise Unprocessable("requirement failed: App Update must have app id set")
    ids = [paths.absolute(each["id"]) for each in data]
    if not create:
        for app_id in ids:
            if root.app(app_id) is None:
                raise NoSuchApp(app_id)
    return [
        update_app(app_id, each, root, config, version, partial=partial, create=create)
        for app_id, each in zip(ids, data, strict=True)
    ]

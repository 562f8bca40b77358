"""Paths and operations, made from the table of kinds."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.kubernetes.kinds import Kind, Subresource
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.openapi import parameters
from labkit.embedded.kubernetes.schema import definitions

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_STATUS = f"{_META}.Status"
_DELETE_OPTIONS = f"{_META}.DeleteOptions"
_PATCH = f"{_META}.Patch"
COMMON = (_STATUS, _DELETE_OPTIONS, _PATCH, f"{_META}.WatchEvent", f"{_META}.APIResourceList")

JSON, YAML = "application/json", "application/yaml"
_WATCH = "application/json;stream=watch"
_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml")
_JSON_PATCH = "application/json-patch+json"
_OPERATIONS: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "copy", "move", "remove", "replace", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}

_METHODS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
_ACTIONS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
_WORDS = {"get": "read", "create": "create", "update": "replace", "patch": "partially update", "delete": "delete"}
_IDS = {"get": "read", "create": "create", "update": "replace", "patch": "patch", "delete": "delete"}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas_of(kind: Kind) -> set[str]:
    """The definitions that a kind's operations speak of."""
    own = definitions.name_of(kind.group, kind.version, kind.kind)
    found = {own}
    if "list" in kind.verbs:
        found.add(f"{own}List")
    for part in kind.subresources.values():
        if _has_body(part):
            found.add(_body_of(kind, part))
    return found


def paths_of(kind: Kind) -> dict[str, Json]:
    """Every path of a kind with its operations."""
    whole = kind.path("{namespace}" if kind.namespaced else "")
    scope = (parameters.NAMESPACE,) if kind.namespaced else ()
    own = definitions.name_of(kind.group, kind.version, kind.kind)
    found: dict[str, Json] = {}
    collection = _collection(kind, own)
    if collection:
        found[whole] = {**collection, "parameters": [*scope, parameters.PRETTY]}
    one = {
        _METHODS[verb]: _operation(kind, verb, own, (*_query_of(verb),))
        for verb in ("get", "update", "patch", "delete")
        if verb in kind.verbs
    }
    if one:
        found[f"{whole}/{{name}}"] = {**one, "parameters": [parameters.NAME, *scope, parameters.PRETTY]}
    for part in sorted(kind.subresources.values(), key=lambda part: part.name):
        path = f"{whole}/{{name}}/{part.name}"
        found[path] = {**_part(kind, part), "parameters": [parameters.NAME, *scope]}
        if part.name == "proxy":
            below = {_METHODS[verb]: _connect(kind, part, verb, "WithPath") for verb in part.verbs}
            found[f"{path}/{{path}}"] = {**below, "parameters": [parameters.NAME, *scope, parameters.PATH]}
    if kind.namespaced and "list" in kind.verbs:
        everywhere = _list(kind, own, everywhere=True)
        found[kind.path()] = {"get": everywhere, "parameters": [parameters.PRETTY]}
    return found


def resources_path(group: str, version: str) -> tuple[str, Json]:
    """The path at which a group version lists its resources."""
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    operation = {
        "tags": [_tag(group, version)],
        "description": "get available resources",
        "operationId": f"get{_camel(group)}{_title(version)}APIResources",
        "responses": _responses(f"{_META}.APIResourceList", (200,)),
    }
    return path, {"get": operation}


# -- operations


def _collection(kind: Kind, own: str) -> Json:
    found: Json = {}
    if "list" in kind.verbs:
        found["get"] = _list(kind, own)
    if "create" in kind.verbs:
        found["post"] = _operation(kind, "create", own, parameters.WRITE)
    if "deletecollection" in kind.verbs:
        words = f"delete collection of {kind.kind}"
        found["delete"] = {
            **_base(kind, "deletecollection", f"delete{_id(kind)}Collection{_scoped(kind)}", words),
            "parameters": [*parameters.DELETE, *parameters.SELECT],
            "requestBody": _body(_DELETE_OPTIONS),
            "responses": _responses(_STATUS, (200,)),
        }
    return found


def _scoped(kind: Kind) -> str:
    return f"Namespaced{kind.kind}" if kind.namespaced else kind.kind


def _list(kind: Kind, own: str, *, everywhere: bool = False) -> Json:
    name = f"{kind.kind}ForAllNamespaces" if everywhere else _scoped(kind)
    responses = _responses(f"{own}List", (200,))
    responses["200"]["content"][_WATCH] = {"schema": ref(f"{_META}.WatchEvent")}
    return {
        **_base(kind, "list", f"list{_id(kind)}{name}", f"list or watch objects of kind {kind.kind}"),
        "parameters": list(parameters.LIST),
        "responses": responses,
    }


def _operation(kind: Kind, verb: str, body: str, query: Iterable[Json], part: str = "") -> Json:
    what = f"{part} of the specified {kind.kind}" if part else f"the specified {kind.kind}"
    words = f"create {part or 'a'} {kind.kind}" if verb == "create" else f"{_WORDS[verb]} {what}"
    name = f"{_IDS[verb]}{_id(kind)}{_scoped(kind)}{_title(part)}"
    found = _base(kind, _ACTIONS[verb], name, words)
    if query:
        found["parameters"] = list(query)
    if verb in ("create", "update"):
        found["requestBody"] = {**_body(body), "required": True}
    elif verb == "patch":
        content: Json = {media_type: {"schema": ref(_PATCH)} for media_type in _PATCHES}
        found["requestBody"] = {"required": True, "content": {_JSON_PATCH: {"schema": _OPERATIONS}, **content}}
    elif verb == "delete":
        found["requestBody"] = _body(_DELETE_OPTIONS)
    if verb == "delete":
        # The object while it is still on its way out, else a Status.
        found["responses"] = _responses("", (200, 202), {"anyOf": [ref(body), ref(_STATUS)]})
    else:
        codes = {"create": (200, 201, 202), "update": (200, 201), "patch": (200, 201)}.get(verb, (200,))
        found["responses"] = _responses(body, codes)
    return found


def _query_of(verb: str) -> tuple[Json, ...]:
    return {"update": parameters.WRITE, "patch": parameters.PATCH, "delete": parameters.DELETE}.get(verb, ())


def _part(kind: Kind, part: Subresource) -> Json:
    """The operations of a sub-resource."""
    if part.name == "log":
        operation = _base(kind, "get", f"read{_id(kind)}{_scoped(kind)}Log", f"read log of the specified {kind.kind}")
        text: Json = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
        return {
            "get": {
                **operation,
                "parameters": list(parameters.CONNECT["pods", "log"]),
                "responses": {"200": text, **_failures()},
            }
        }
    if not _has_body(part):  # exec, attach, portforward, proxy
        return {_METHODS[verb]: _connect(kind, part, verb) for verb in part.verbs}
    body = _body_of(kind, part)
    found: Json = {}
    for verb in part.verbs:
        query = parameters.WRITE if verb == "create" else _query_of(verb)
        operation = _operation(kind, verb, body, (*query, parameters.PRETTY), part.name)
        if part.kind:
            operation["x-kubernetes-group-version-kind"] = _gvk(part.group, part.version, part.kind)
        found[_METHODS[verb]] = operation
    return found


def _connect(kind: Kind, part: Subresource, verb: str, suffix: str = "") -> Json:
    method = _METHODS[verb]
    name = f"connect{_id(kind)}{method.capitalize()}{_scoped(kind)}{_title(part.name)}{suffix}"
    text: Json = {"description": "OK", "content": {"*/*": {"schema": {"type": "string"}}}}
    return {
        **_base(kind, "connect", name, f"connect {method.upper()} requests to {part.name} of {kind.kind}"),
        "x-kubernetes-group-version-kind": _gvk(part.group, part.version, part.kind),
        "parameters": list(parameters.CONNECT.get((kind.plural, part.name), ())),
        "responses": {"101": {"description": "Switching Protocols"}, "200": text, **_failures()},
    }


def _base(kind: Kind, action: str, name: str, words: str) -> Json:
    return {
        "tags": [_tag(kind.group, kind.version)],
        "description": words,
        "operationId": name,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind.group, kind.version, kind.kind),
    }


def _has_body(part: Subresource) -> bool:
    return part.name != "log" and not part.kind.endswith("Options")


def _body_of(kind: Kind, part: Subresource) -> str:
    if part.kind:
        return definitions.name_of(part.group, part.version, part.kind)
    return definitions.name_of(kind.group, kind.version, kind.kind)


def _gvk(group: str, version: str, kind: str) -> Json:
    return {"group": group, "kind": kind, "version": version}


def _body(name: str) -> Json:
    return {"content": {media_type: {"schema": ref(name)} for media_type in (JSON, YAML)}}


def _responses(name: str, codes: Iterable[int], schema: Json | None = None) -> Json:
    words = {200: "OK", 201: "Created", 202: "Accepted"}
    content = {media_type: {"schema": schema or ref(name)} for media_type in (JSON, YAML)}
    found: Json = {str(code): {"description": words[code], "content": dict(content)} for code in codes}
    return {**found, **_failures()}


def _failures() -> Json:
    """Every refusal is a Status. The real document names only 401, though the real server answers many more."""
    content = {JSON: {"schema": ref(_STATUS)}}
    return {
        "401": {"description": "Unauthorized", "content": content},
        "default": {"description": "what was wrong", "content": content},
    }


# -- names


def _tag(group: str, version: str) -> str:
    return f"{group.partition('.')[0] or 'core'}_{version}"


def _camel(group: str) -> str:
    """``rbacAuthorization``, ``core``: groups in operations' names, without what they all end in."""
    if not group:
        return "Core"
    parts = group.removesuffix(".k8s.io").split(".")
    return "".join(part.capitalize() for part in parts)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _id(kind: Kind) -> str:
    return f"{_camel(kind.group)}{_title(kind.version)}"

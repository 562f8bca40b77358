"""What a request's path and method mean: the resource, object and verb, as ``RequestInfo`` of the real API server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind, Subresource

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path below ``/api/v1`` or ``/apis/G/V`` names. ``kind`` is None when nothing is served there."""

    group: str
    version: str
    namespace: str  # of the object
    scope: str  # the namespace that rights are asked for in
    resource: str  # as written, whether it exists or not
    name: str
    subresource: str
    kind: Kind | None
    part: Subresource | None  # the row of ``subresource``
    watching: bool  # the old form with /watch/ before the resource

    def allows(self, method: str) -> bool:
        """Whether the real one has a route for this method, whatever the rights of who asks."""
        kind = self.kind
        if kind is None:
            return False
        if self.part is not None:
            return _METHOD_VERBS.get(method) in self.part.verbs
        if self.watching:
            return method == "GET"
        verb = _METHOD_VERBS.get(method)
        if not self.name:
            verb = {"get": "list", "delete": "deletecollection"}.get(verb or "", verb)
            if verb in ("update", "patch"):
                return False
            return verb in kind.verbs and not (kind.namespaced and not self.namespace and verb != "list")
        return verb in kind.verbs and verb != "create"


_METHOD_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@lru_cache(maxsize=4096)
def parse(path: str) -> Target | None:
    """The target of a raw path (still escaped, without a query); None when it is none of the API's resources."""
    parts = [unquote(part) if "%" in part else part for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watching = rest[0] == "watch" and len(rest) > 1
    if watching:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace = rest[1]
        rest = rest[2:]
    resource, name, subresource = (*rest[:3], "", "")[:3]
    kind = kinds.at(group, version, resource)
    part = kind.subresources.get(subresource) if kind is not None and subresource else None
    served = kind is not None and (not subresource or part is not None)
    served = served and (len(rest) <= 3 or subresource == "proxy")
    if kind is not None:
        if kind.namespaced and not namespace and name:
            served = False  # /api/v1/pods/x
        if not kind.namespaced and namespace:
            served = False  # /api/v1/namespaces/x/nodes
    if resource == "namespaces" and not namespace:
        namespace = name  # that is where rights are asked for
    return Target(
        group=group,
        version=version,
        namespace=namespace if kind is None or kind.namespaced else "",
        scope=namespace,
        resource=resource,
        name=name,
        subresource=subresource,
        kind=kind if served else None,
        part=part,
        watching=watching,
    )


def verb_of(method: str, target: Target, *, watch: bool) -> str:
    """The verb that rights are asked for."""
    verb = VERBS.get(method, "")
    if not target.name and verb in ("get", "delete"):
        verb = {"get": "list", "delete": "deletecollection"}[verb]
    if target.watching or (watch and verb == "list"):
        return "watch"
    return verb

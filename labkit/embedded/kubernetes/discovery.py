"""Discovery: which groups, versions and resources there are.

Two forms. The aggregated one (``APIGroupDiscoveryList``) tells everything in two requests, ``/api`` and ``/apis``; it
is given to who asks for it in ``Accept``, which kubectl does since 1.26. The older one is a walk: ``/api``, ``/apis``,
and a list of resources for each group and version. Both are made from the table of kinds when first asked for.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any, NamedTuple

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind, Subresource
from labkit.embedded.kubernetes.objects import Json

JSON = "application/json"
_AGGREGATED_GROUP = "apidiscovery.k8s.io"
_AGGREGATED_VERSIONS = ("v2", "v2beta1")

# The order in which the real API server lists its groups (``api/discovery/apis.json`` in kubernetes/kubernetes).
_ORDER = (
    "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling",
    "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io",
)  # fmt: skip


class Answer(NamedTuple):
    """A body with its media type and entity tag (the latter without quotes; "" when the real one sends none)."""

    body: bytes
    content_type: str = JSON
    etag: str = ""


def answer(path: str, accept: str = "", *, address: str = "") -> Answer | None:
    """What ``GET path`` (``/api``, ``/api/v1``, ``/apis``, ``/apis/apps``, ``/apis/apps/v1``) answers.

    ``accept`` is the Accept header: the aggregated form is given to who asks for it at ``/api`` and ``/apis``.
    ``address`` is where the API server is found, ``127.1.0.10:6443``. A slash at the end makes no difference.
    None: no such group or version.
    """
    parts = tuple(part for part in path.split("/") if part)
    if parts in (("api",), ("apis",)):
        version = wanted_version(accept)
        if version:
            return _aggregated(parts[0], version)
        return _versions(address) if parts[0] == "api" else _groups()
    if parts[:1] == ("api",) and len(parts) == 2:
        return _resources("", parts[1])
    if parts[:1] == ("apis",) and len(parts) == 2:
        return _group(parts[1])
    if parts[:1] == ("apis",) and len(parts) == 3:
        return _resources(parts[1], parts[2])
    return None


def wanted_version(accept: str) -> str:
    """The version of the aggregated form that an Accept header prefers; "" when it wants the older form first."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        if name in (JSON, "*/*", "application/*") and "as" not in given:
            return ""
        wanted = given.get("as") == "APIGroupDiscoveryList" and given.get("g") == _AGGREGATED_GROUP
        if name == JSON and wanted and given.get("v") in _AGGREGATED_VERSIONS:
            return given["v"]
    return ""


def group_order() -> list[str]:
    """The served groups in the real one's order, without the core group."""
    found = [group for group in kinds.groups() if group]
    return sorted(found, key=lambda group: (_ORDER.index(group) if group in _ORDER else len(_ORDER), group))


# -- the aggregated form


@functools.cache
def _aggregated(root: str, version: str) -> Answer:
    groups = [""] if root == "api" else group_order()
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {
                    "version": each,
                    "resources": [_discovered(kind) for kind in _kinds_of(group, each)],
                    "freshness": "Current",
                }
                for each in kinds.groups()[group]
            ],
        }
        for group in groups
    ]
    body = orjson.dumps(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"{_AGGREGATED_GROUP}/{version}",
            "metadata": {},
            "items": items,
        }
    )
    media_type = f"{JSON};g={_AGGREGATED_GROUP};v={version};as=APIGroupDiscoveryList"
    return Answer(body, media_type, hashlib.sha256(body).hexdigest().upper())


def _discovered(kind: Kind) -> Json:
    found: Json = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        found["shortNames"] = list(kind.short)
    if kind.categories:
        found["categories"] = list(kind.categories)
    if kind.subresources:
        found["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": {
                    "group": part.group,
                    "version": part.version if part.group else "",
                    "kind": part.kind or kind.kind,
                },
                "verbs": list(part.verbs),
            }
            for part in _parts_of(kind)
        ]
    return found


# -- the walk


def _versions(address: str) -> Answer:
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return Answer(orjson.dumps({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}))


@functools.cache
def _groups() -> Answer:
    groups = [_described(group) for group in group_order()]
    return Answer(orjson.dumps({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))


@functools.cache
def _group(group: str) -> Answer | None:
    if group not in kinds.groups():
        return None
    return Answer(orjson.dumps({"kind": "APIGroup", "apiVersion": "v1", **_described(group)}))


def _described(group: str) -> Json:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in kinds.groups()[group]]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


@functools.cache
def _resources(group: str, version: str) -> Answer | None:
    found = _kinds_of(group, version)
    if not found:
        return None
    resources: list[Json] = []
    for kind in found:
        resources.append(_resource(kind))
        resources += [_subresource(kind, part) for part in _parts_of(kind)]
    head: dict[str, Any] = {"kind": "APIResourceList"}
    if group:  # the core group's list goes without, as it always has
        head["apiVersion"] = "v1"
    return Answer(orjson.dumps({**head, "groupVersion": found[0].api_version, "resources": resources}))


def _resource(kind: Kind) -> Json:
    found: Json = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        found["shortNames"] = list(kind.short)
    if kind.categories:
        found["categories"] = list(kind.categories)
    if kind.stored:
        found["storageVersionHash"] = _storage_hash(kind)
    return found


def _subresource(kind: Kind, part: Subresource) -> Json:
    found: Json = {"name": f"{kind.plural}/{part.name}", "singularName": "", "namespaced": kind.namespaced}
    if part.group:  # its body is of another group than the resource
        found |= {"group": part.group, "version": part.version}
    return {**found, "kind": part.kind or kind.kind, "verbs": list(part.verbs)}


def _storage_hash(kind: Kind) -> str:
    """``StorageVersionHash`` of apiserver: which version the store keeps, to be compared for equality only."""
    name = f"{kind.group}/{kind.version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()


def _kinds_of(group: str, version: str) -> list[Kind]:
    found = [kind for kind in kinds.KINDS if (kind.group, kind.version) == (group, version)]
    return sorted(found, key=lambda kind: kind.plural)


def _parts_of(kind: Kind) -> list[Subresource]:
    return sorted(kind.subresources.values(), key=lambda part: part.name)

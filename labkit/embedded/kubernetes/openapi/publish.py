"""The documents, made when asked for.

A group version's document is a few hundred kilobytes of prose that is read once by ``kubectl explain`` and kept by
kubectl on its own disk. So it is made on demand and kept compressed. Its hash is one of what it is made from; making it
only to hash it would cost more than the whole API server's start.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import pathlib
from typing import Any

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.openapi import operations, parameters
from labkit.embedded.kubernetes.schema import definitions

VERSION = "v1.36.1"
_GVKS = "x-kubernetes-group-version-kind"
_SERVED = {(kind.group, kind.version) for kind in kinds.KINDS}


def index() -> bytes:
    """The body of ``GET /openapi/v3``: where each group version's document is, with its hash."""
    paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={fingerprint()}"} for path in _group_versions()}
    return orjson.dumps({"paths": paths})


def document(path: str) -> bytes | None:
    """The document at ``path``: ``api/v1``, ``apis/apps/v1``; None: there is none."""
    packed = compressed(path)
    return None if packed is None else gzip.decompress(packed)


@functools.cache
def compressed(path: str) -> bytes | None:
    """The same in gzip, for clients that take it so (kubectl does)."""
    found = _group_versions().get(path)
    if found is None:
        return None
    return gzip.compress(orjson.dumps(_made(*found)), compresslevel=6, mtime=0)


@functools.cache
def fingerprint() -> str:
    """A hash of all that goes into the documents, in hexadecimal: it is another one when any of them could be."""
    found = hashlib.sha512(f"{VERSION} {definitions.SCHEMA_VERSION}".encode())
    source = definitions.source()
    found.update(f"{source.stat().st_size}".encode())
    for module in (__file__, operations.__file__, parameters.__file__, definitions.__file__, kinds.__file__):
        found.update(pathlib.Path(module).read_bytes())
    return found.hexdigest().upper()


@functools.cache
def _group_versions() -> dict[str, tuple[str, str]]:
    found = {}
    for group, versions in kinds.groups().items():
        for version in versions:
            found[f"apis/{group}/{version}" if group else f"api/{version}"] = (group, version)
    return found


def _made(group: str, version: str) -> Json:
    served = [kind for kind in kinds.KINDS if (kind.group, kind.version) == (group, version)]
    names = {name for kind in served for name in operations.schemas_of(kind)} | set(operations.COMMON)
    resources, listing = operations.resources_path(group, version)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": {resources: listing, **_paths(served)},
        "components": {
            "schemas": {name: _schema(schema) for name, schema in definitions.described(names).items()},
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "name": "authorization",
                    "in": "header",
                    "description": "Bearer Token authentication",
                }
            },
        },
    }


def _paths(served: list[Kind]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in served:
        found |= operations.paths_of(kind)
    return dict(sorted(found.items()))


def _schema(schema: Json) -> Json:
    """A definition in the words of OpenAPI 3.0, where nothing may stand beside ``$ref``."""
    found: Json = {}
    for key, value in schema.items():
        if key == "$ref":
            continue
        if key == "properties":
            found[key] = {name: _schema(below) for name, below in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _schema(value)
        elif key in ("oneOf", "anyOf", "allOf"):
            found[key] = [_schema(below) for below in value]
        elif key == _GVKS:
            # DeleteOptions and Status are registered in every group there is: name only those that are here.
            found[key] = [one for one in value if (one["group"], one["version"]) in _SERVED]
        else:
            found[key] = value
    name = definitions.reference(schema)
    if not name:
        return found
    target = operations.ref(name)
    return {**found, "allOf": [target]} if found else target

"""Paths that are no resources: discovery, OpenAPI, version, health, metrics."""

from __future__ import annotations

import gzip

import orjson

from labkit.embedded.kubernetes import discovery, kinds, openapi
from labkit.embedded.kubernetes.apiserver import health, metrics, version
from labkit.embedded.kubernetes.apiserver.answers import JSON, NOT_FOUND, Answer, encode, text
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.tokens import ISSUER
from labkit.embedded.kubernetes.errors import MethodNotAllowed, PathNotFound
from labkit.embedded.kubernetes.objects import Json

_HEALTH = ("healthz", "livez", "readyz")
_OPENID: Json = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/openid/v1/jwks",
    "response_types_supported": ["id_token"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["HS256"],
}


def answer(call: Call) -> Answer:
    """The answer to a request for such a path. Raises PathNotFound, MethodNotAllowed."""
    first = call.path.strip("/").partition("/")[0]
    if first in _HEALTH:
        return health.answer(call) or _paths(404)
    if call.raw.method not in ("GET", "HEAD"):
        if first in ("api", "apis", "version", "openapi"):
            raise MethodNotAllowed
        return _paths(404)
    if first in ("api", "apis"):
        return _discovery(call)
    if first == "openapi":
        return _openapi(call)
    path = call.path.rstrip("/")
    if path == "/version":
        return Answer(200, encode(version.INFO, pretty=True), JSON)
    if path == "/metrics":
        return Answer(200, metrics.render(call.server).encode(), metrics.MIME)
    if path == "/.well-known/openid-configuration":
        return call.reply(_OPENID)
    if path == "/openid/v1/jwks":
        return call.reply({"keys": []})  # a key that is secret has no public half
    if path == "":
        return _paths(200)
    return _paths(404)


def _paths(status: int) -> Answer:
    """The list of paths, which the real one also gives (with 404) to who asks for one that is not there."""
    found = {"/", "/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version", *health.PATHS}
    for group, versions in kinds.groups().items():
        base = f"/apis/{group}" if group else "/api"
        found |= {base, *(f"{base}/{one}" for one in versions)}
    return Answer(status, orjson.dumps({"paths": sorted(found)}, option=orjson.OPT_INDENT_2), JSON)


def _discovery(call: Call) -> Answer:
    path = call.path.rstrip("/")
    headers = call.raw.headers
    host, port = call.server.address or ("", 0)
    found = discovery.answer(path, headers.get("Accept", ""), address=f"{host}:{port}" if host else "")
    if found is None:
        parts = path.split("/")
        if parts[1] == "apis" and len(parts) > 2 and parts[2] not in kinds.groups():
            return text(404, NOT_FOUND)
        raise PathNotFound
    return _tagged(call, found.body, found.content_type, found.etag)


def _tagged(call: Call, body: bytes, mime: str, etag: str) -> Answer:
    """A body with an entity tag, or nothing new for a client that has it."""
    if not etag:
        if call.pretty and mime.startswith(JSON):
            body = encode(orjson.loads(body), pretty=True)
        return Answer(200, body, mime)
    tag = ("ETag", f'"{etag}"')
    known = [
        item.strip().removeprefix("W/").strip('"') for item in call.raw.headers.get("If-None-Match", "").split(",")
    ]
    if etag in known:
        return Answer(304, b"", mime, (tag, ("Vary", "Accept")))
    return Answer(200, body, mime, (tag, ("Vary", "Accept")))


def _openapi(call: Call) -> Answer:
    path = call.path.strip("/")
    if path == "openapi/v3":
        return Answer(200, openapi.index(), JSON)
    if path == "openapi/v2":
        # Only in the form that kubectl before 1.29 insists on; every client that asks for JSON makes do with v3.
        if openapi.SWAGGER not in call.raw.headers.get("Accept", ""):
            return text(404, NOT_FOUND)
        packed, etag = openapi.swagger()
        return _tagged(call, gzip.decompress(packed), openapi.CONTENT_TYPE, etag)
    document = openapi.document(path.removeprefix("openapi/v3/")) if path.startswith("openapi/v3/") else None
    if document is None:
        return text(404, NOT_FOUND)
    headers = [("Cache-Control", "public, immutable")] if "hash" in call.query else []
    return Answer(200, document, JSON, headers)

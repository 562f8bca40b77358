"""Requests that no client would send: each is answered with something below 500, and nothing is lost by it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from support.apiserver import Served

from labkit.embedded.kubernetes import kinds

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\0",
    "é" * 300,
    [],
    [None],
    [[]],
    {},
    {"": None},
    {"a": {"b": []}},
]
NAMES = ["a", "A_", "..", "%2e%2e", "%00", "x" * 300, "kube-root-ca.crt", "default", "a%2Fb", "é", "watch", "status"]
QUERY = ["watch", "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector",
         "timeoutSeconds", "dryRun", "fieldManager", "fieldValidation", "force", "pretty", "gracePeriodSeconds",
         "propagationPolicy", "sendInitialEvents", "allowWatchBookmarks", "includeObject", "container", "tailLines",
         "sinceTime", "ports", "command", "as"]  # fmt: skip
VALUES = ["", "1", "-1", "x", "true", "%00", "99999999999999999999", "a=b,c in (d)", "((", "metadata.name=x", "All",
          "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYSJ9", "=", "NotOlderThan",
          "2020-01-01T00:00:00Z"]  # fmt: skip
TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json-patch+json",
         "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
         "text/plain", ""]  # fmt: skip
ACCEPTS = ["", "*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "x",
           ";;;q=x,application/json", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"]  # fmt: skip


def body(rng: random.Random, kind: kinds.Kind) -> bytes:
    choice = rng.randrange(6)
    if choice == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
    if choice == 1:
        return json.dumps(rng.choice(ODD)).encode()
    if choice == 2:
        step = {"op": rng.choice(["add", "remove", "test", "x"]), "path": rng.choice(["/a", "", "x", "/metadata/name"])}
        return json.dumps([{**step, "value": rng.choice(ODD)}]).encode()
    obj: dict[str, Any] = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": rng.choice(["a", "b"])},
    }
    place = obj
    for key in rng.choice([["metadata"], ["spec"], ["status"], ["spec", "template"], ["metadata", "labels"], ["data"]]):
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            break
    if isinstance(place, dict):
        key = rng.choice(["name", "labels", "ownerReferences", "finalizers", "replicas", "selector", "containers",
                          "metadata", "ports", "clusterIP", "managedFields", "resourceVersion", "uid"])  # fmt: skip
        place[key] = rng.choice(ODD)
    return json.dumps(obj).encode()


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_answered_with_a_500(served: Served, seed: int) -> None:
    rng = random.Random(seed)
    await served.call("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
    session = served.admin
    for _ in range(250):
        kind = rng.choice(kinds.KINDS)
        path = kind.path(rng.choice(["", "default", rng.choice(NAMES)]), rng.choice(["", "a", rng.choice(NAMES)]))
        if rng.random() < 0.3:
            path += "/" + rng.choice([*kind.subresources, "nope", ""])
        if rng.random() < 0.1:
            path = rng.choice(
                ["/", "/api", "/apis/x", "/openapi/v3/x", "/healthz/x", "//", "/api//v1", path + "/x/y/z"]
            )
        query = "&".join(f"{rng.choice(QUERY)}={rng.choice(VALUES)}" for _ in range(rng.randrange(3)))
        method = rng.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
        headers = {"Content-Type": rng.choice(TYPES), "Accept": rng.choice(ACCEPTS)}
        data = body(rng, kind) if method in ("POST", "PUT", "PATCH", "DELETE") else None
        if "watch" in query or "/watch" in path:
            query += "&timeoutSeconds=1"
        # A watch is not waited for: the clock stands still, and its head is all that matters.
        async with session.request(method, f"{served.url}{path}?{query}", data=data, headers=headers) as answer:
            seen = answer.status
            words = "" if answer.headers.get("Transfer-Encoding") else (await answer.read())[:500]
        wanted = seen < 500 or (seen in (503, 504) and b'"reason":"' in words)
        # A resourceVersion that is no number is a plain 500 in the real one, too.
        assert wanted or b"strconv.ParseUint" in words, (seed, method, path, query, headers, data, seen, words)
    status, _ = await served.call("GET", "/api/v1/namespaces/default/configmaps/kept")
    assert status in (200, 404)  # it may have been deleted, but not lost its way

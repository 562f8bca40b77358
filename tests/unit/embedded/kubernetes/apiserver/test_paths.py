"""What paths and methods mean."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.apiserver.paths import parse, verb_of


@pytest.mark.parametrize(
    ("path", "kind", "namespace", "name", "subresource"),
    [
        ("/api/v1/pods", kinds.PODS, "", "", ""),
        ("/api/v1/namespaces/a/pods", kinds.PODS, "a", "", ""),
        ("/api/v1/namespaces/a/pods/", kinds.PODS, "a", "", ""),
        ("/api/v1/namespaces/a/pods/b", kinds.PODS, "a", "b", ""),
        ("/api/v1/namespaces/a/pods/b/log", kinds.PODS, "a", "b", "log"),
        ("/api/v1/namespaces/a/pods/b/proxy/x/y", kinds.PODS, "a", "b", "proxy"),
        ("/api/v1/namespaces", kinds.NAMESPACES, "", "", ""),
        ("/api/v1/namespaces/a", kinds.NAMESPACES, "", "a", ""),
        ("/api/v1/namespaces/a/finalize", kinds.NAMESPACES, "", "a", "finalize"),
        ("/api/v1/namespaces/a/status", kinds.NAMESPACES, "", "a", "status"),
        ("/api/v1/nodes/n/status", kinds.NODES, "", "n", "status"),
        ("/apis/apps/v1/namespaces/a/deployments/d/scale", kinds.DEPLOYMENTS, "a", "d", "scale"),
        ("/apis/apps/v1/deployments", kinds.DEPLOYMENTS, "", "", ""),
        ("/api/v1/watch/namespaces/a/pods", kinds.PODS, "a", "", ""),
        ("/api/v1/namespaces/a/pods/b%2Fc", kinds.PODS, "a", "b/c", ""),
    ],
)
def test_a_path_names_an_object(path: str, kind: kinds.Kind, namespace: str, name: str, subresource: str) -> None:
    target = parse(path)
    assert target is not None
    assert (target.kind, target.namespace, target.name, target.subresource) == (kind, namespace, name, subresource)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nope",
        "/apis/apps/v9/deployments",
        "/api/v1/pods/x",
        "/api/v1/namespaces/a/nodes",
        "/api/v1/namespaces/a/namespaces",
        "/api/v1/namespaces/a/pods/b/nope",
        "/api/v1/namespaces/a/pods/b/log/more",
        "/apis/apps/v1/namespaces/a/controllerrevisions/b/status",
    ],
)
def test_what_is_not_served_has_no_kind(path: str) -> None:
    target = parse(path)
    assert target is not None
    assert target.kind is None


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz/ping"])
def test_other_paths_are_no_resources(path: str) -> None:
    assert parse(path) is None


@pytest.mark.parametrize(
    ("method", "path", "watch", "verb"),
    [
        ("GET", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/pods", True, "watch"),
        ("GET", "/api/v1/watch/pods", False, "watch"),
        ("GET", "/api/v1/namespaces/a/pods/b", False, "get"),
        ("DELETE", "/api/v1/namespaces/a/pods", False, "deletecollection"),
        ("DELETE", "/api/v1/namespaces/a/pods/b", False, "delete"),
        ("POST", "/api/v1/namespaces/a/pods", False, "create"),
        ("PUT", "/api/v1/namespaces/a/pods/b", False, "update"),
        ("PATCH", "/api/v1/namespaces/a/pods/b", False, "patch"),
    ],
)
def test_verbs(method: str, path: str, watch: bool, verb: str) -> None:
    target = parse(path)
    assert target is not None
    assert verb_of(method, target, watch=watch) == verb
    assert target.allows(method)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/v1/namespaces/a/pods"),
        ("POST", "/api/v1/namespaces/a/pods/b"),
        ("POST", "/api/v1/pods"),
        ("DELETE", "/api/v1/pods"),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces/a/pods/b/log"),
        ("GET", "/api/v1/namespaces/a/pods/b/binding"),
        ("GET", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("HEAD", "/api/v1/pods"),
        ("DELETE", "/api/v1/watch/pods"),
    ],
)
def test_methods_that_no_route_takes(method: str, path: str) -> None:
    target = parse(path)
    assert target is not None
    assert target.kind is not None
    assert not target.allows(method)


def test_rights_to_a_namespace_are_asked_for_in_it() -> None:
    target = parse("/api/v1/namespaces/a")
    assert target is not None
    assert (target.scope, target.namespace) == ("a", "")

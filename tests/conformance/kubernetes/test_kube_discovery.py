"""What the server says of itself: versions, groups, resources, documents, health."""

from __future__ import annotations

import pytest
from kubernetes import client
from support.kube_cluster import KubeCluster

# resource: (kind, namespaced, short names, in "all")
RESOURCES = {
    "v1": {
        "namespaces": ("Namespace", False, ["ns"], False),
        "nodes": ("Node", False, ["no"], False),
        "pods": ("Pod", True, ["po"], True),
        "services": ("Service", True, ["svc"], True),
        "endpoints": ("Endpoints", True, ["ep"], False),
        "replicationcontrollers": ("ReplicationController", True, ["rc"], True),
        "configmaps": ("ConfigMap", True, ["cm"], False),
        "secrets": ("Secret", True, [], False),
        "serviceaccounts": ("ServiceAccount", True, ["sa"], False),
        "events": ("Event", True, ["ev"], False),
    },
    "apps/v1": {
        "replicasets": ("ReplicaSet", True, ["rs"], True),
        "deployments": ("Deployment", True, ["deploy"], True),
        "daemonsets": ("DaemonSet", True, ["ds"], True),
        "controllerrevisions": ("ControllerRevision", True, [], False),
    },
    "batch/v1": {"jobs": ("Job", True, [], True)},
    "coordination.k8s.io/v1": {"leases": ("Lease", True, [], False)},
    "scheduling.k8s.io/v1": {"priorityclasses": ("PriorityClass", False, ["pc"], False)},
}
ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@pytest.mark.parametrize("version", RESOURCES)
def test_the_resources_of_a_version(kube: KubeCluster, version: str) -> None:
    found = kube.get(f"/{'apis' if '/' in version else 'api'}/{version}")
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", version)
    by_name = {resource["name"]: resource for resource in found["resources"]}
    for plural, (kind, namespaced, short, in_all) in RESOURCES[version].items():
        told = by_name[plural]
        assert (told["kind"], told["namespaced"]) == (kind, namespaced), plural
        assert told.get("shortNames", []) == short, plural
        assert ("all" in told.get("categories", [])) == in_all, plural
        without = ("namespaces", "services") if kube.version < (1, 23) else ("namespaces",)
        expected = [verb for verb in ALL_VERBS if verb != "deletecollection" or plural not in without]
        assert sorted(told["verbs"]) == expected, plural


@pytest.mark.parametrize(
    ("version", "subresource", "kind", "verbs"),
    [
        ("v1", "pods/log", "Pod", ["get"]),
        ("v1", "pods/exec", "PodExecOptions", ["create", "get"]),
        ("v1", "pods/attach", "PodAttachOptions", ["create", "get"]),
        ("v1", "pods/portforward", "PodPortForwardOptions", ["create", "get"]),
        ("v1", "pods/binding", "Binding", ["create"]),
        ("v1", "pods/eviction", "Eviction", ["create"]),
        ("v1", "pods/status", "Pod", ["get", "patch", "update"]),
        ("v1", "namespaces/finalize", "Namespace", ["update"]),
        ("v1", "serviceaccounts/token", "TokenRequest", ["create"]),
        ("v1", "replicationcontrollers/scale", "Scale", ["get", "patch", "update"]),
        ("apps/v1", "deployments/scale", "Scale", ["get", "patch", "update"]),
        ("apps/v1", "replicasets/scale", "Scale", ["get", "patch", "update"]),
        ("apps/v1", "daemonsets/status", "DaemonSet", ["get", "patch", "update"]),
        ("batch/v1", "jobs/status", "Job", ["get", "patch", "update"]),
    ],
)
def test_subresources(kube: KubeCluster, version: str, subresource: str, kind: str, verbs: list[str]) -> None:
    found = kube.get(f"/{'apis' if '/' in version else 'api'}/{version}")
    [told] = [resource for resource in found["resources"] if resource["name"] == subresource]
    assert (told["kind"], sorted(told["verbs"])) == (kind, verbs)


def test_the_groups(kube: KubeCluster) -> None:
    found = kube.get("/apis")
    assert (found["kind"], found["apiVersion"]) == ("APIGroupList", "v1")
    groups = {group["name"]: group for group in found["groups"]}
    assert {"apps", "batch", "policy", "discovery.k8s.io", "coordination.k8s.io", "scheduling.k8s.io",
            "authentication.k8s.io", "authorization.k8s.io"} <= set(groups)  # fmt: skip
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert kube.get("/apis/apps")["kind"] == "APIGroup"
    assert kube.get("/api")["versions"] == ["v1"]


@pytest.mark.parametrize("path", ["/api/", "/apis/", "/version/"])
def test_a_slash_at_the_end_is_the_same_path(kube: KubeCluster, path: str) -> None:
    assert kube.raw("GET", path).text == kube.raw("GET", path.rstrip("/")).text


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_aggregated_discovery(kube: KubeCluster, path: str) -> None:
    kube.needs((1, 26), "aggregated discovery")
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    answer = kube.raw("GET", path, headers={"Accept": accept})
    found = answer.json()
    assert (found["kind"], found["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    resources = {r["resource"]: r for g in found["items"] for v in g["versions"] for r in v["resources"]}
    told = resources["pods" if path == "/api" else "deployments"]
    assert told["scope"] == "Namespaced"
    assert told["responseKind"]["kind"] in ("Pod", "Deployment")
    assert "status" in {sub["subresource"] for sub in told["subresources"]}
    tag = answer.headers["ETag"]
    again = kube.raw("GET", path, headers={"Accept": accept, "If-None-Match": tag})
    assert again.status_code == 304


def test_the_version(kube: KubeCluster) -> None:
    told = kube.get("/version")
    assert told["gitVersion"].startswith(f"v{told['major']}.{told['minor']}.")
    assert {"gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"} <= set(told)
    assert client.VersionApi(kube.api).get_code().git_version == told["gitVersion"]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/healthz/ping", "/livez/etcd", "/readyz/etcd"])
def test_health(kube: KubeCluster, path: str) -> None:
    answer = kube.raw("GET", path)
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_health_in_words(kube: KubeCluster) -> None:
    lines = kube.raw("GET", "/readyz", params={"verbose": ""}).text.splitlines()
    assert lines[-1] == "readyz check passed"
    assert {"[+]ping ok", "[+]etcd ok", "[+]informer-sync ok"} <= set(lines)
    lines = kube.raw("GET", "/livez", params={"verbose": "", "exclude": "etcd"}).text.splitlines()
    assert "[+]etcd excluded: ok" in lines


def test_openapi(kube: KubeCluster) -> None:
    if kube.version < (1, 24):
        definitions = kube.get("/openapi/v2")["definitions"]
        told = definitions["io.k8s.api.apps.v1.DeploymentSpec"]
    else:
        paths = kube.get("/openapi/v3")["paths"]
        document = kube.raw("GET", paths["apis/apps/v1"]["serverRelativeURL"]).json()
        assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}" in document["paths"]
        told = document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]
    assert {"replicas", "selector", "template", "strategy"} <= set(told["properties"])
    assert told["required"] == ["selector", "template"]


def test_kubectl_explains(kube: KubeCluster) -> None:
    text = kube.kubectl("explain", "deployment.spec.strategy").text
    assert "rollingUpdate" in text
    assert "Recreate" in text
    refused = kube.kubectl("explain", "deployment.spec.nothing", check=False)
    assert refused.code == 1
    assert 'field "nothing" does not exist' in refused.err


def test_kubectl_lists_what_is_served(kube: KubeCluster) -> None:
    told = kube.kubectl("api-resources", "--no-headers", "--namespaced=false")
    rows = [line.split() for line in told.lines]
    assert ["nodes", "no", "v1", "false", "Node"] in rows
    assert ["namespaces", "ns", "v1", "false", "Namespace"] in rows
    versions = kube.kubectl("api-versions").out.split()
    assert {"v1", "apps/v1", "batch/v1"} <= set(versions)


def test_the_paths_of_the_server(kube: KubeCluster) -> None:
    paths = kube.get("/")["paths"]
    assert {"/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/livez", "/readyz",
            "/version"} <= set(paths)  # fmt: skip
    answer = kube.raw("GET", "/no/such/path")
    assert answer.status_code == 404
    assert "/healthz" in answer.json()["paths"]


def test_component_statuses(kube: KubeCluster) -> None:
    found = kube.get("/api/v1/componentstatuses")
    assert found["kind"] == "ComponentStatusList"
    names = {item["metadata"]["name"] for item in found["items"]}
    assert {"scheduler", "controller-manager", "etcd-0"} <= names
    [etcd] = [item for item in found["items"] if item["metadata"]["name"] == "etcd-0"]
    assert etcd["conditions"][0]["type"] == "Healthy"
    assert etcd["conditions"][0]["status"] == "True"

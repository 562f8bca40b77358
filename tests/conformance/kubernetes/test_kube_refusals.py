"""What is refused, and the Status that says why: code, reason, details and words."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import requests
from support.kube_cluster import WHOAMI, Json, KubeCluster, config_map, deployment, pod, service

NAME = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"  # noqa: E501
REQUIRED = "Required value"
UNKNOWN = "the server could not find the requested resource"


def at(body: Json, path: str, value: Any) -> Json:
    """The object with something else at a place (``spec.containers.0.name``); None takes it away."""
    body = deepcopy(body)
    *parents, last = path.split(".")
    found: Any = body
    for key in parents:
        found = found[int(key)] if key.isdigit() else found.setdefault(key, {})
    if value is None:
        del found[last]
    else:
        found[last] = value
    return body


def refused(kube: KubeCluster, namespace: str, plural: str, body: Json) -> Json:
    return kube.refusal("POST", kube.path(plural, namespace), json=body)


# -- what an object may not be: (resource, object, field, its cause's reason, its words) -------------------------------

P = pod("p", WHOAMI)
D = deployment("web", 1)
S = service("web")
J: Json = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": {"containers": [{"name": "c", "image": WHOAMI}], "restartPolicy": "Never"}}},
}
DS: Json = D | {"kind": "DaemonSet", "spec": {"selector": D["spec"]["selector"], "template": D["spec"]["template"]}}
N: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}

INVALID = {
    "a name in capitals": ("configmaps", config_map("BAD"), "metadata.name", f'Invalid value: "BAD": {NAME}'),
    "no name": ("configmaps", {"metadata": {}}, "metadata.name", f"{REQUIRED}: name or generateName is required"),
    "a service's name": ("services", at(S, "metadata.name", "a_b"), "metadata.name", 'Invalid value: "a_b": a '),
    "a namespace's name": ("namespaces", at(N, "metadata.name", "a_b"), "metadata.name", 'Invalid value: "a_b": a l'),
    "a label's key": ("configmaps", config_map("c", {"a b": "c"}), "metadata.labels", 'Invalid value: "a b": name'),
    "a label's value": ("configmaps", config_map("c", {"a": "b c"}), "metadata.labels", 'Invalid value: "b c": a v'),
    "a label too long": ("configmaps", config_map("c", {"a": "x" * 64}), "metadata.labels", "Invalid value: "),
    "a key of data": ("configmaps", config_map("c", **{"a b": "c"}), "data[a b]", 'Invalid value: "a b": a v'),
    "no containers": ("pods", at(P, "spec.containers", []), "spec.containers", REQUIRED),
    "a container without image": ("pods", at(P, "spec.containers.0.image", None), "spec.containers[0].image", REQUIRED),
    "a container without name": ("pods", at(P, "spec.containers.0.name", None), "spec.containers[0].name", REQUIRED),
    "a container's name": ("pods", at(P, "spec.containers.0.name", "C_1"), "spec.containers[0].name",
                           'Invalid value: "C_1": a lowercase RFC 1123 label'),
    "two containers of a name": ("pods", at(P, "spec.containers", P["spec"]["containers"] * 2),
                                 "spec.containers[1].name", 'Duplicate value: "c"'),
    "a pull policy": ("pods", at(P, "spec.containers.0.imagePullPolicy", "Maybe"), "spec.containers[0].imagePullPolicy",
                      'Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"'),
    "a restart policy": ("pods", at(P, "spec.restartPolicy", "Maybe"), "spec.restartPolicy",
                         'Unsupported value: "Maybe": supported values: "Always", "'),
    "a port": ("pods", at(P, "spec.containers.0.ports", [{"containerPort": 70000}]),
               "spec.containers[0].ports[0].containerPort", "Invalid value: 70000: must be between 1 and 65535"),
    "a port's name": ("pods", at(P, "spec.containers.0.ports", [{"containerPort": 80, "name": "a_long_port_name"}]),
                      "spec.containers[0].ports[0].name", "Invalid value"),
    "a host port twice": ("pods", at(P, "spec.containers.0.ports", [{"containerPort": 1, "hostPort": 9},
                                                                     {"containerPort": 2, "hostPort": 9}]),
                          "spec.containers[0].ports[1].hostPort", "Duplicate value: "),
    "more asked for than allowed": (
        "pods", at(P, "spec.containers.0.resources", {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        "spec.containers[0].resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit'),
    "an amount below nothing": ("pods", at(P, "spec.containers.0.resources", {"limits": {"memory": "-1"}}),
                                "spec.containers[0].resources.limits[memory]",
                                'Invalid value: "-1": must be greater than or equal to 0'),
    "a mount of nothing": ("pods", at(P, "spec.containers.0.volumeMounts", [{"name": "v", "mountPath": "/v"}]),
                           "spec.containers[0].volumeMounts[0].name", 'Not found: "v"'),
    "a variable's name": ("pods", at(P, "spec.containers.0.env", [{"name": "a=b", "value": "c"}]),
                          "spec.containers[0].env[0].name", 'Invalid value: "a=b"'),
    "a probe of nothing": ("pods", at(P, "spec.containers.0.livenessProbe", {"periodSeconds": 1}),
                           "spec.containers[0].livenessProbe", f"{REQUIRED}: must specify a handler type"),
    "a liveness probe that wants two": (
        "pods", at(P, "spec.containers.0.livenessProbe", {"tcpSocket": {"port": 80}, "successThreshold": 2}),
        "spec.containers[0].livenessProbe.successThreshold", "Invalid value: 2: must be 1"),
    "a toleration's effect": ("pods", at(P, "spec.tolerations", [{"key": "a", "operator": "Exists", "effect": "No"}]),
                              "spec.tolerations[0].effect", 'Unsupported value: "No": supported values: "'),
    "a toleration's operator": ("pods", at(P, "spec.tolerations", [{"operator": "Exists", "value": "x", "key": "a"}]),
                                "spec.tolerations[0].operator",
                                "Invalid value: "),
    "a node's label in an affinity": (
        "pods", at(P, "spec.affinity", {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                   {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}}),
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
        "matchExpressions[0].values", f"{REQUIRED}: must be specified when `operator` is 'In' or 'NotIn'"),
    "a spread's skew": ("pods", at(P, "spec.topologySpreadConstraints", [
        {"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]),
        "spec.topologySpreadConstraints[0].maxSkew", "Invalid value: 0: must be greater than zero"),
    "replicas below nothing": ("deployments", at(D, "spec.replicas", -1), "spec.replicas",
                               "Invalid value: -1: must be greater than or equal to 0"),
    "no selector": ("deployments", at(D, "spec.selector", None), "spec.selector", REQUIRED),
    "an empty selector": ("deployments", at(D, "spec.selector", {}), "spec.selector",
                          "Invalid value: "),
    "a selector that does not select": ("deployments", at(D, "spec.selector.matchLabels", {"app": "x"}),
                                        "spec.template.metadata.labels", "Invalid value: "),
    "a template that ends": ("deployments", at(D, "spec.template.spec.restartPolicy", "Never"),
                             "spec.template.spec.restartPolicy",
                             'Unsupported value: "Never": supported values: "Always"'),
    "nothing may be missing or more": (
        "deployments", at(D, "spec.strategy", {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        "spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: "),
    "a share above all": ("deployments", at(D, "spec.strategy", {"rollingUpdate": {"maxUnavailable": "101%"}}),
                          "spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: "),
    "a deadline before ready": (
        "deployments", at(at(D, "spec.minReadySeconds", 30), "spec.progressDeadlineSeconds", 10),
        "spec.progressDeadlineSeconds", "Invalid value: 10: must be greater than minReadySeconds"),
    "a daemon set's strategy": ("daemonsets", at(DS, "spec.updateStrategy", {"type": "Slow"}),
                                "spec.updateStrategy", "Unsupported value: "),
    "a job that starts over": ("jobs", at(J, "spec.template.spec.restartPolicy", "Always"),
                               "spec.template.spec.restartPolicy", ""),
    "a job below nothing": ("jobs", at(J, "spec.parallelism", -1), "spec.parallelism",
                            "Invalid value: -1: must be greater than or equal to 0"),
    "a service without ports": ("services", at(S, "spec.ports", []), "spec.ports", REQUIRED),
    "two ports without names": ("services", at(S, "spec.ports", [{"port": 80}, {"port": 81}]), "spec.ports[0].name",
                                REQUIRED),
    "a service's type": ("services", at(S, "spec.type", "Magic"), "spec.type", 'Unsupported value: "Magic"'),
    "a cluster IP": ("services", at(S, "spec.clusterIP", "x"), "spec.clusterIPs[0]", 'Invalid value: "x"'),
    "a node port out of range": (
        "services", at(S, "spec", {"type": "NodePort", "ports": [{"port": 80, "nodePort": 99}]}),
        "spec.ports[0].nodePort", "Invalid value: 99: provided port is not in the valid range"),
    "an affinity of sessions": ("services", at(S, "spec.sessionAffinity", "Cookie"), "spec.sessionAffinity",
                                'Unsupported value: "Cookie": supported values: "ClientIP", "None"'),
    "a target port": ("services", at(S, "spec.ports", [{"port": 80, "targetPort": "not_a_port"}]),
                      "spec.ports[0].targetPort", 'Invalid value: "not_a_port"'),
    "an external name of nothing": ("services", at(S, "spec", {"type": "ExternalName"}), "spec.externalName", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_object(kube: KubeCluster, home: str, case: str) -> None:
    plural, body, field, words = INVALID[case]
    status = refused(kube, home, plural, body)
    assert (status["code"], status["reason"]) == (422, "Invalid"), status
    causes = status["details"]["causes"]
    found = [cause for cause in causes if cause["field"] == field]
    assert found, causes
    assert any(cause["message"].startswith(words) for cause in found), found
    for cause in causes:
        assert f"{cause['field']}: {cause['message']}" in status["message"]


# -- what may not change ---------------------------------------------------------------------------------------------


def forbidden(kube: KubeCluster, path: str, change: Json) -> Json:
    headers = {"Content-Type": "application/merge-patch+json"}
    status = kube.refusal("PATCH", path, data=json.dumps(change), headers=headers)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    return status


def test_most_of_a_pod_may_not_change(kube: KubeCluster, home: str, same: Callable[..., None]) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, schedulerName="nobody"))
    path = kube.path("pods", home, name)
    status = forbidden(kube, path, {"spec": {"restartPolicy": "Never"}})
    same(status["message"].partition("\n")[0], "pod updates", name=name)
    # The image may.
    kube.patch(path, {"spec": {"containers": [{"name": "c", "image": WHOAMI}]}}, "strategic")


def test_a_cluster_ip_may_not_change(kube: KubeCluster, home: str) -> None:
    made = kube.create(home, service(kube.name("web")))
    path = kube.path("services", home, made["metadata"]["name"])
    status = forbidden(kube, path, {"spec": {"clusterIP": "10.96.77.77", "clusterIPs": ["10.96.77.77"]}})
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.clusterIPs[0]"]
    assert "may not change once set" in status["message"]


def test_a_jobs_template_may_not_change(kube: KubeCluster, home: str) -> None:
    name = kube.name("j")
    kube.create(home, at(at(J, "metadata.name", name), "spec.parallelism", 0))
    path = kube.path("jobs", home, name)
    status = forbidden(kube, path, {"spec": {"completions": 5}})
    assert status["details"]["causes"][0]["field"] == "spec.completions"
    assert status["message"].endswith("field is immutable")
    kube.patch(path, {"spec": {"parallelism": 1, "activeDeadlineSeconds": 1}})


def test_a_node_port_is_given_once(kube: KubeCluster, home: str) -> None:
    made = kube.create(home, service(kube.name("web"), type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    again = service(kube.name("web"), type="NodePort", ports=[{"port": 80, "nodePort": port}])
    status = refused(kube, home, "services", again)
    assert status["reason"] == "Invalid"
    [cause] = status["details"]["causes"]
    assert (cause["field"], cause["message"]) == (
        "spec.ports[0].nodePort", f"Invalid value: {port}: provided port is already allocated"
    )  # fmt: skip


# -- what is no object -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["{bad", "", "[]", '{"data": {"a": 1}}', '{"data": []}', '{"metadata": {"labels": ["a"]}}', "null", "7"]
)
def test_a_body_that_is_none(kube: KubeCluster, home: str, same: Callable[..., None], body: str) -> None:
    headers = {"Content-Type": "application/json"}
    status = kube.refusal("POST", kube.path("configmaps", home), data=body, headers=headers)
    same(f"{status['code']} {status['message']}", f"body {body}")
    assert status["reason"] == ("Invalid" if status["code"] == 422 else "BadRequest")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
         'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): '
         "unknown conversion"),
        ({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}},
         'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version '
         '"v2" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "elsewhere"}},
         "the namespace of the provided object does not match the namespace sent on the request"),
    ],
    ids=["another kind", "another version", "another namespace"],
)  # fmt: skip
def test_an_object_that_belongs_elsewhere(kube: KubeCluster, home: str, body: Json, words: str) -> None:
    status = refused(kube, home, "configmaps", body)
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == words


def test_a_body_of_another_type(kube: KubeCluster, home: str) -> None:
    headers = {"Content-Type": "text/plain"}
    status = kube.refusal("POST", kube.path("configmaps", home), data="a: b", headers=headers)
    assert (status["code"], status["reason"]) == (415, "UnsupportedMediaType")
    assert status["message"].startswith(
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_a_body_that_is_too_large(kube: KubeCluster, home: str) -> None:
    big = config_map("big", text="x" * (4 << 20))
    status = kube.refusal("POST", kube.path("configmaps", home), json=big)
    assert (status["code"], status["reason"]) == (413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"


def test_a_config_map_that_is_too_large(kube: KubeCluster, home: str) -> None:
    status = refused(kube, home, "configmaps", config_map("big", text="x" * (1 << 20), more="y"))
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"].endswith("Too long: must have at most 1048576 bytes") or status["message"].endswith(
        "Too long: may not be more than 1048576 bytes"
    )


# -- what is not there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plural", "kind", "group"),
    [("configmaps", "configmaps", ""), ("pods", "pods", ""), ("deployments", "deployments", "apps"),
     ("jobs", "jobs", "batch"), ("namespaces", "namespaces", ""), ("nodes", "nodes", "")],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_an_object_that_is_not_there(
    kube: KubeCluster, home: str, plural: str, kind: str, group: str, method: str
) -> None:
    path = kube.path(plural, home, "nothing")
    bodies = {"pods": pod("nothing"), "deployments": deployment("nothing"), "jobs": at(J, "metadata.name", "nothing")}
    body = bodies.get(plural, {"metadata": {"name": "nothing"}}) if method == "PUT" else None
    if method == "PUT" and plural == "nodes":
        return  # a node may be made by a PUT
    status = kube.refusal(method, path, json=body)
    assert (status["code"], status["reason"]) == (404, "NotFound")
    resource = f"{kind}.{group}" if group else kind
    assert status["message"] == f'{resource} "nothing" not found'
    assert status["details"] == {"name": "nothing", "kind": kind, **({"group": group} if group else {})}


@pytest.mark.parametrize(
    ("method", "path", "code", "reason", "words"),
    [
        ("GET", "/api/v1/things", 404, "NotFound", UNKNOWN),
        ("GET", "/api/v1/namespaces/{ns}/things/a", 404, "NotFound", UNKNOWN),
        ("GET", "/api/v1/namespaces/{ns}/nodes", 404, "NotFound", UNKNOWN),
        ("PUT", "/api/v1/namespaces/{ns}/configmaps", 405, "MethodNotAllowed",
         "the server does not allow this method on the requested resource"),
        ("DELETE", "/api/v1/namespaces", 405, "MethodNotAllowed",
         "the server does not allow this method on the requested resource"),
        ("POST", "/api/v1/namespaces/nowhere/configmaps", 404, "NotFound", 'namespaces "nowhere" not found'),
        ("GET", "/api/v1/namespaces/{ns}/pods/none/log", 404, "NotFound", 'pods "none" not found'),
        ("GET", "/api/v1/namespaces/{ns}/pods/none/exec?command=ls&stdout=1", 404, "NotFound", 'pods "none" not found'),
        ("POST", "/api/v1/namespaces/{ns}/pods/none/eviction", 404, "NotFound", 'pods "none" not found'),
    ],
)  # fmt: skip
def test_a_path_that_is_none(
    kube: KubeCluster, home: str, method: str, path: str, code: int, reason: str, words: str
) -> None:
    body: Json | None = {"metadata": {"name": "none"}} if method in ("POST", "PUT") else None
    if "eviction" in path:
        body = {"apiVersion": kube.api_version("Eviction"), "kind": "Eviction", "metadata": {"name": "none"}}
    status = kube.refusal(method, path.format(ns=home), json=body)
    assert (status["code"], status["reason"], status["message"]) == (code, reason, words)


def test_a_group_that_is_none(kube: KubeCluster) -> None:
    answer = kube.raw("GET", "/apis/nothing.example/v1/things")
    assert answer.status_code == 404
    assert answer.text.strip() == "404 page not found"


def test_a_namespace_that_is_none_holds_nothing(kube: KubeCluster) -> None:
    assert kube.get(kube.path("configmaps", "nowhere"))["items"] == []


# -- who is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(kube: KubeCluster) -> requests.Session:
    """A session without credentials."""
    session = requests.Session()
    session.trust_env = False
    session.verify = kube.api.configuration.ssl_ca_cert
    return session


def test_no_credentials(kube: KubeCluster, stranger: requests.Session) -> None:
    host = kube.api.configuration.host
    answer = stranger.get(f"{host}/api/v1/namespaces/default/pods")
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert answer.json()["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
        '"default"'
    )
    for path in ("/healthz", "/version", "/livez", "/readyz"):
        assert stranger.get(host + path).status_code == 200, path


def test_a_token_that_nobody_gave(kube: KubeCluster, stranger: requests.Session) -> None:
    stranger.headers["Authorization"] = "Bearer nothing"
    answer = stranger.get(f"{kube.api.configuration.host}/api/v1/namespaces/default/pods")
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")
    assert answer.json()["message"] == "Unauthorized"


def test_a_server_that_is_not_trusted(kube: KubeCluster) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{kube.api.configuration.host}/version", timeout=5)

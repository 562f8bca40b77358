"""Defaults of pods and of templates, as ``kubectl get -o json`` shows them."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.defaults import set_defaults
from labkit.embedded.kubernetes.defaults.pods import is_latest
from labkit.embedded.kubernetes.objects import Json
from tests.unit.embedded.kubernetes.samples import complete, container, pod, workload

SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def spec_of(spec: Json | None = None, **of_container: Any) -> Json:
    found: Json = complete(kinds.PODS, pod(spec, **of_container))["spec"]
    return found


def container_of(**fields: Any) -> Json:
    found: Json = spec_of(**fields)["containers"][0]
    return found


def test_a_pod_that_says_only_its_image() -> None:
    assert spec_of() == {**SPEC, "enableServiceLinks": True, "containers": [{**container(), **CONTAINER}]}


def test_a_template_has_no_service_links_and_no_requests() -> None:
    limited = container(resources={"limits": {"cpu": "1"}})
    found = complete(kinds.DEPLOYMENTS, workload(template={"spec": {"containers": [limited]}}))
    spec = found["spec"]["template"]["spec"]
    assert "enableServiceLinks" not in spec
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_what_a_person_said_stays() -> None:
    said = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "dnsPolicy": "Default",
        "securityContext": {"runAsUser": 1000},
        "schedulerName": "mine",
        "enableServiceLinks": False,
    }
    assert {key: value for key, value in spec_of(said).items() if key in said} == said


def test_a_pod_with_all_its_defaults_comes_back_as_it_is() -> None:
    whole = complete(kinds.PODS, pod({"volumes": [{"name": "v"}]}, livenessProbe={"httpGet": {"port": 80}}))
    assert set_defaults(kinds.PODS, whole) is whole


def test_what_has_its_defaults_is_shared() -> None:
    whole = complete(kinds.PODS, pod())
    without = {key: value for key, value in whole["spec"].items() if key != "dnsPolicy"}
    again = set_defaults(kinds.PODS, {**whole, "spec": without})
    assert again["spec"]["containers"] is whole["spec"]["containers"]
    assert again["metadata"] is whole["metadata"]


@pytest.mark.parametrize(
    ("image", "latest"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("nginx:1.25", False),
        ("localhost:5000/nginx", True),
        ("localhost:5000/nginx:1", False),
        ("nginx@sha256:" + "0" * 64, False),
        ("", True),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, latest: bool) -> None:
    assert is_latest(image) is latest
    assert container_of(image=image)["imagePullPolicy"] == ("Always" if latest else "IfNotPresent")


def test_probes_and_hooks() -> None:
    http = {"port": 80}
    filled = {"port": 80, "path": "/", "scheme": "HTTP"}
    found = container_of(
        livenessProbe={"httpGet": http},
        readinessProbe={"grpc": {"port": 9}, "periodSeconds": 2},
        lifecycle={"preStop": {"httpGet": http}, "postStart": {"exec": {"command": ["x"]}}},
    )
    assert found["livenessProbe"] == {**PROBE, "httpGet": filled}
    assert found["readinessProbe"] == {**PROBE, "periodSeconds": 2, "grpc": {"port": 9, "service": ""}}
    assert found["lifecycle"] == {"preStop": {"httpGet": filled}, "postStart": {"exec": {"command": ["x"]}}}


def test_ports_and_environment() -> None:
    found = container_of(
        ports=[{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
        env=[
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "C", "value": "1"},
        ],
    )
    assert [port["protocol"] for port in found["ports"]] == ["TCP", "UDP"]
    assert found["env"][0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "metadata.name"}
    assert found["env"][1]["valueFrom"]["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "0"}
    assert found["env"][2] == {"name": "C", "value": "1"}


def test_limits_are_requests_too() -> None:
    found = container_of(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}})
    assert found["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_on_the_hosts_network_ports_are_the_hosts() -> None:
    found = spec_of({"hostNetwork": True}, ports=[{"containerPort": 80}])
    assert found["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]


VOLUMES: list[tuple[Json, Json]] = [
    ({}, {"emptyDir": {}}),
    ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
    ({"configMap": {"name": "c", "defaultMode": 0}}, {"configMap": {"name": "c", "defaultMode": 0}}),
    ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
    (
        {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {
            "downwardAPI": {
                "items": [{"path": "p", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}],
                "defaultMode": 420,
            }
        },
    ),
    (
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "c"}}]}},
        {
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
                    {"configMap": {"name": "c"}},
                ],
                "defaultMode": 420,
            }
        },
    ),
    ({"image": {"reference": "x:1"}}, {"image": {"reference": "x:1", "pullPolicy": "IfNotPresent"}}),
]


@pytest.mark.parametrize(("said", "kept"), VOLUMES)
def test_volumes(said: Json, kept: Json) -> None:
    assert spec_of({"volumes": [{"name": "v", **said}]})["volumes"] == [{"name": "v", **kept}]


@pytest.mark.parametrize("key", ["serviceAccountName", "serviceAccount"])
def test_both_names_of_the_service_account_are_written(key: str) -> None:
    spec = spec_of({key: "robot"})
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("robot", "robot")

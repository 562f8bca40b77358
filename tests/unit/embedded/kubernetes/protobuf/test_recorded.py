"""What kubectl 1.32, 1.33 and 1.37 really send, and the object that ``--dry-run=client -o json`` shows for it."""

import base64
import json
import pathlib

import pytest

from labkit.embedded.kubernetes.protobuf import decode, is_protobuf

RECORDED = json.loads(pathlib.Path(__file__).with_name("recorded.json").read_text())
BODIES = {row["command"]: base64.b64decode(row["body"]) for row in RECORDED}


def sent_by(command):
    return decode(next(body for name, body in BODIES.items() if name.startswith(f"kubectl {command}")))


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: row["command"])
def test_every_recorded_body_is_an_object(row):
    body = base64.b64decode(row["body"])
    assert is_protobuf(body)
    obj = decode(body)
    assert obj["kind"]
    assert obj["apiVersion"]
    json.dumps(obj)


def test_deployment():
    assert sent_by("create deployment") == {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {}}
                    ]
                },
            },
            "strategy": {},
        },
        "status": {},
    }


def test_bytes_are_base64():
    assert sent_by("create secret generic")["data"] == {"p": base64.b64encode(b"q").decode()}
    (data,) = sent_by("create configmap bin")["binaryData"].values()
    assert base64.b64decode(data) == b"\xff\x00\x01bin"


def test_int_or_string():
    assert sent_by("create pdb pdb --selector")["spec"]["minAvailable"] == "50%"
    assert sent_by("create pdb pdb2")["spec"]["maxUnavailable"] == 1
    (port,) = sent_by("create service nodeport")["spec"]["ports"]
    assert port == {"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30001}


def test_quantities():
    assert sent_by("create quota")["spec"] == {
        "hard": {"cpu": "1", "memory": "1G", "pods": "2"},
        "scopes": ["BestEffort"],
    }


def test_zeros_that_mean_something_are_kept_and_others_are_not():
    assert sent_by("create priorityclass pc0")["value"] == 0
    assert "minReadySeconds" not in sent_by("create deployment")["spec"]
    assert "creationTimestamp" not in sent_by("create deployment")["metadata"]


def test_fields_that_stand_among_those_of_their_holder():
    rule = sent_by("create ingress ing --rule")["spec"]["rules"][0]
    assert rule["host"] == "foo.com"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "svc", "port": {"number": 80}}}


def test_requests_that_are_not_stored():
    assert sent_by("create token")["spec"]["expirationSeconds"] == 600
    attributes = sent_by("auth can-i")["spec"]["resourceAttributes"]
    assert attributes == {"namespace": "default", "verb": "get", "resource": "pods"}
    assert sent_by("auth whoami")["kind"] == "SelfSubjectReview"

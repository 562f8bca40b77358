"""Whatever a client makes of the OpenAPI documents that are served: never a 5xx, never silence, always what they say.

Schemathesis makes requests of every operation in every document, over TLS and as the administrator. Random bodies are
seldom good for anything, so every other one is laid over an object that is fine. Left out is what does not end by
itself or is not an exchange of documents:

- watches (``watch`` is taken out of every list's parameters) and ``follow`` of logs,
- ``exec``, ``attach``, ``portforward``: they become WebSockets or SPDY,
- ``proxy``: what it answers is up to what runs in the pod.

``LABKIT_SCHEMATHESIS=50`` makes fifty requests of each operation, other ones every time.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kubernetes import config
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

import labkit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

Json = dict[str, Any]

WISH = os.environ.get("LABKIT_SCHEMATHESIS")
EXAMPLES = int(WISH or 3)
TIMEOUT = 10.0
CONNECTIONS = ("exec", "attach", "portforward", "proxy")
DOCUMENTS = (
    "api/v1",
    "apis/apps/v1",
    "apis/authentication.k8s.io/v1",
    "apis/authorization.k8s.io/v1",
    "apis/batch/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/policy/v1",
    "apis/scheduling.k8s.io/v1",
)
# Fields of these types that are not set may be null, in real answers too, though the (real) documents do not say so.
NULLABLE = ("Time", "MicroTime", "BoundObjectReference")
NAMES = ("web", "nobody", "kube-root-ca.crt", "default", "worker-1")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

_TEMPLATE: Json = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
}
_WORKLOAD: Json = {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": _TEMPLATE}}
_JOB = copy.deepcopy({"spec": {"template": _TEMPLATE}})
_JOB["spec"]["template"]["spec"]["restartPolicy"] = "Never"

# What bodies are laid over, by the resource in the path; for all others an object with nothing but a name.
SAMPLES: dict[str, Json] = {
    "pods": _TEMPLATE,
    "replicationcontrollers": {"spec": {"template": _TEMPLATE}},
    "deployments": _WORKLOAD,
    "replicasets": _WORKLOAD,
    "daemonsets": _WORKLOAD,
    "jobs": _JOB,
    "services": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    "endpointslices": {"addressType": "IPv4", "endpoints": []},
    "poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
    "priorityclasses": {"value": 7},
    "events": {"involvedObject": {"namespace": "default"}, "reason": "Tried", "message": "", "type": "Normal"},
    "controllerrevisions": {"revision": 1},
}


@schemathesis.serializer("application/apply-patch+yaml")
def _as_yaml(context: Any, value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


class Server:
    """The API server of a sandbox, and a session that it trusts."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        self.sandbox = sandbox
        settings = config.new_client_from_config(config_file=sandbox.env["KUBECONFIG"]).configuration
        self.url = settings.host
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.ca = settings.ssl_ca_cert
        self.session.cert = (settings.cert_file, settings.key_file)
        self.told: Counter[int] = Counter()
        self.slowest = 0.0

    def document(self, path: str) -> Json:
        found = self.session.get(f"{self.url}/openapi/v3", timeout=TIMEOUT).json()["paths"]
        document: Json = self.session.get(self.url + found[path]["serverRelativeURL"], timeout=TIMEOUT).json()
        for name, schema in document["components"]["schemas"].items():
            if name.rpartition(".")[2] in NULLABLE:
                schema["nullable"] = True
        return document

    def send(self, case: Any) -> None:
        """Send it, and check the answer by what the document says of it."""
        began = time.monotonic()
        response = case.call(session=self.session, timeout=TIMEOUT, verify=self.ca)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.told[response.status_code] += 1
        if response.status_code >= 500 and _is_real(response.json()):
            return
        case.validate_response(response, checks=CHECKS)


def _is_real(status: Json) -> bool:
    """Refusals for which the real one (1.20, asked) uses a 5xx: a resourceVersion that is yet to come, or is none."""
    not_yet = (status["code"], status.get("reason")) == (504, "Timeout")
    none = status["code"] == 500 and status["message"].startswith("resourceVersion: Invalid value: ")
    return not_yet or none


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    sandbox = labkit.up("kubernetes", name="schemathesis", workers=1)
    try:
        yield Server(sandbox)
    finally:
        sandbox.down()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_operation(server: Server, path: str) -> None:
    schema = schemathesis.openapi.from_dict(server.document(path))
    schema.config.update(base_url=server.url)
    wrong = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path.split("/")[-1] in CONNECTIONS or "/proxy/" in operation.path:
            continue
        try:
            _try(server, operation)
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{operation.method.upper()} {operation.path}: {type(error).__name__}: {error}")
    assert not wrong, f"{len(wrong)} operations: " + "\n\n".join(wrong[:20])
    assert server.session.get(f"{server.url}/readyz", timeout=TIMEOUT).text == "ok"


def _try(server: Server, operation: Any) -> None:
    @given(
        case=operation.as_strategy(), names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=2), good=st.booleans()
    )
    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate], derandomize=WISH is None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def tried(case: Any, names: list[str], good: bool) -> None:
        server.send(_sensible(case, operation.path, names, good))

    tried()


def _sensible(case: Any, path: str, names: list[str], good: bool) -> Any:
    """The case as somebody might send it who means something that is there."""
    for parameter in ("watch", "follow"):
        if case.query:
            case.query.pop(parameter, None)
    if not good:
        return case
    if case.path_parameters:
        case.path_parameters |= {"namespace": "default"} if "namespace" in case.path_parameters else {}
        case.path_parameters |= {"name": names[0]} if "name" in case.path_parameters else {}
    if case.query and "dryRun" in case.query:
        case.query["dryRun"] = "All"
    if (
        isinstance(case.body, dict)
        and case.method.upper() in ("POST", "PUT")
        and not path.endswith(("token", "eviction"))
    ):
        resource = next((part for part in path.split("/") if part in SAMPLES), "")
        case.body = _laid_over(SAMPLES.get(resource, {}), case.body)
        meta = case.body["metadata"] if isinstance(case.body.get("metadata"), dict) else {}
        kept = {key: meta[key] for key in ("labels", "annotations", "finalizers", "ownerReferences") if key in meta}
        case.body["metadata"] = {**kept, "name": (case.path_parameters or {}).get("name", names[1])}
        for field in ("apiVersion", "kind"):
            case.body.pop(field, None)
    return case


def _laid_over(sample: Any, body: Any) -> Any:
    """What the sample says, and of the body what it does not speak of."""
    if not isinstance(sample, dict) or not isinstance(body, dict):
        return copy.deepcopy(sample)
    found = dict(body)
    for key, value in sample.items():
        found[key] = _laid_over(value, body[key]) if key in body else copy.deepcopy(value)
    return found

"""Defaults of all kinds but pods."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.defaults import set_defaults
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from tests.unit.embedded.kubernetes.samples import (
    FINE,
    LABELS,
    cluster_wide,
    complete,
    job,
    metadata,
    service,
    template,
    workload,
)

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}

# kind, spec as said, fields of the spec as kept
SPECS: list[tuple[Kind, Json, Json]] = [
    (kinds.DEPLOYMENTS, {}, {
        "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": ROLLING,
    }),
    (kinds.DEPLOYMENTS, {"replicas": 0}, {"replicas": 0}),
    (kinds.DEPLOYMENTS, {"strategy": {"type": "Recreate"}}, {"strategy": {"type": "Recreate"}}),
    (kinds.DEPLOYMENTS, {"strategy": {"rollingUpdate": {"maxSurge": 0}}}, {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": 0}},
    }),
    (kinds.REPLICA_SETS, {}, {"replicas": 1}),
    (kinds.DAEMON_SETS, {}, {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
    }),
    (kinds.DAEMON_SETS, {"updateStrategy": {"type": "OnDelete"}}, {"updateStrategy": {"type": "OnDelete"}}),
    (kinds.JOBS, {}, {
        "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False,
        "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed",
    }),
    (kinds.JOBS, {"parallelism": 3}, {"parallelism": 3, "completions": None}),
    (kinds.JOBS, {"completions": 3}, {"parallelism": 1, "completions": 3}),
    (kinds.JOBS, {"backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
    (kinds.JOBS, {"podFailurePolicy": {"rules": [{"onPodConditions": [{"type": "X"}]}]}}, {
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": [{"action": "", "onPodConditions": [{"type": "X", "status": "True"}]}]},
    }),
    (kinds.SERVICES, {}, {
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "externalTrafficPolicy": None,
    }),
    (kinds.SERVICES, {"ports": [{"port": 80, "targetPort": "http"}]}, {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}],
    }),
    (kinds.SERVICES, {"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}),
    (kinds.SERVICES, {"type": "LoadBalancer"}, {"allocateLoadBalancerNodePorts": True}),
    (kinds.SERVICES, {"type": "ExternalName", "externalName": "a.b"}, {"internalTrafficPolicy": None}),
    (kinds.SERVICES, {"sessionAffinity": "ClientIP"}, {
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
    }),
    (kinds.SERVICES, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, {"sessionAffinityConfig": None}),
]  # fmt: skip

MAKE: dict[Kind, Any] = {
    kinds.DEPLOYMENTS: workload,
    kinds.REPLICA_SETS: workload,
    kinds.DAEMON_SETS: workload,
    kinds.JOBS: job,
    kinds.SERVICES: service,
}


@pytest.mark.parametrize(("kind", "said", "kept"), SPECS, ids=lambda value: str(value)[:50])
def test_specs(kind: Kind, said: Json, kept: Json) -> None:
    spec = complete(kind, MAKE[kind](**said))["spec"]
    assert {key: spec.get(key) for key in kept} == kept


@pytest.mark.parametrize("kind", FINE, ids=str)
def test_an_object_with_all_its_defaults_comes_back_as_it_is(kind: Kind) -> None:
    whole = complete(kind, FINE[kind])
    assert set_defaults(kind, whole) is whole


@pytest.mark.parametrize("kind", FINE, ids=str)
def test_defaults_of_nothing_at_all(kind: Kind) -> None:
    """A strategy may ask for them before anybody has looked at the object."""
    set_defaults(kind, {"metadata": {}})


def test_a_replication_controller_selects_what_its_template_is_labelled_with() -> None:
    found = complete(kinds.REPLICATION_CONTROLLERS, {"metadata": metadata(), "spec": {"template": template()}})
    assert found["spec"]["selector"] == LABELS
    assert found["metadata"]["labels"] == LABELS
    own = {"metadata": metadata(labels={"a": "b"}), "spec": {"selector": {"c": "d"}, "template": template()}}
    kept = complete(kinds.REPLICATION_CONTROLLERS, own)
    assert (kept["spec"]["selector"], kept["metadata"]["labels"]) == ({"c": "d"}, {"a": "b"})


def test_a_job_is_labelled_as_its_template() -> None:
    assert complete(kinds.JOBS, job())["metadata"]["labels"]["job-name"] == "web"


def test_a_namespace_carries_its_name() -> None:
    found = complete(kinds.NAMESPACES, cluster_wide())
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    assert found["status"] == {"phase": "Active"}
    unnamed = complete(kinds.NAMESPACES, {"metadata": {"generateName": "x-"}})
    assert "labels" not in unnamed["metadata"]


def test_what_a_node_has_can_be_given_away() -> None:
    status = complete(kinds.NODES, FINE[kinds.NODES])["status"]
    assert status["allocatable"] == {"cpu": "2", "pods": "110"}


def test_plain_data_of_a_secret_becomes_data() -> None:
    said = {"metadata": metadata(), "data": {"a": "YQ==", "b": "YQ=="}, "stringData": {"b": "ü", "c": ""}}
    found = complete(kinds.SECRETS, said)
    assert found["data"] == {"a": "YQ==", "b": "w7w=", "c": ""}
    assert "stringData" not in found
    assert found["type"] == "Opaque"


def test_ports_of_endpoints() -> None:
    endpoints = complete(kinds.ENDPOINTS, FINE[kinds.ENDPOINTS])
    assert endpoints["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
    slices = complete(kinds.ENDPOINT_SLICES, {**FINE[kinds.ENDPOINT_SLICES], "ports": [{"port": 80}]})
    assert slices["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_addresses_of_a_load_balancer_are_virtual() -> None:
    balancer = service(type="LoadBalancer")
    balancer["status"] = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "a.b"}]}}
    found = complete(kinds.SERVICES, balancer)["status"]["loadBalancer"]["ingress"]
    assert found == [{"ip": "1.2.3.4", "ipMode": "VIP"}, {"hostname": "a.b"}]


def test_pods_of_a_priority_class_preempt() -> None:
    assert complete(kinds.PRIORITY_CLASSES, cluster_wide(value=1))["preemptionPolicy"] == "PreemptLowerPriority"

"""A rejected object is rejected for the reason that a real server gives: its code, its reason, every field and cause.

Each object has one thing or several that are wrong. ``reasons.json`` has what Kubernetes 1.20 said of it (print it anew
with ``LABKIT_RECORD=1`` and ``-k docker -s``), and what newer versions are known by their sources to say otherwise:
indexes where there were none, reasons that fit better, a TTL of Jobs (1.21), Services whose names begin with a digit
(1.36). The words, which change more often, are looked at elsewhere. Nothing is stored: all requests are dry runs.
"""

from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from support.kube_cluster import WHOAMI, Json, KubeCluster

LABELS = {"app": "a"}
TEMPLATE: Json = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": WHOAMI}]}}
WORKLOAD: Json = {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}

# Objects that are fine, by their resource.
GOOD: dict[str, Json] = {
    "pods": {"spec": TEMPLATE["spec"]},
    "replicationcontrollers": {"spec": {"selector": LABELS, "template": TEMPLATE}},
    "replicasets": WORKLOAD,
    "deployments": WORKLOAD,
    "daemonsets": WORKLOAD,
    "jobs": {"spec": {"template": {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}}},
    "services": {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "endpoints": {"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]},
    "configmaps": {"data": {"a": "b"}},
    "secrets": {"data": {"a": "Yg=="}},
    "serviceaccounts": {},
    "namespaces": {},
    "nodes": {},
    "events": {"involvedObject": {"kind": "Pod", "name": "a"}, "reason": "R", "type": "Normal"},
    "leases": {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 10}},
    "priorityclasses": {"value": 7},
    "controllerrevisions": {"revision": 1, "data": {}},
    "endpointslices": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"port": 80}]},
    "poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
}
C = "spec.containers.0"
T = "spec.template.spec"
PROBE: Json = {"httpGet": {"port": 80}}
NODES = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
PODS = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"

# (resource, what is put where). None takes it away.
BAD: dict[str, tuple[str, Json]] = {
    # metadata
    "names": ("configmaps", {"metadata.name": "A_b"}),
    "labels and annotations": (
        "configmaps",
        {"metadata.labels": {"a b": "c", "d": "e f", "x/y/z": "1"}, "metadata.annotations": {"UP/a b": "c"}},
    ),
    "finalizers": ("configmaps", {"metadata.finalizers": ["nobody"]}),
    "an owner without uid": (
        "configmaps",
        {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]},
    ),
    "an owner without name and kind": (
        "secrets",
        {"metadata.ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": "u"}]},
    ),
    "two controllers": (
        "configmaps",
        {
            "metadata.ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in "ab"
            ]
        },
    ),
    "events own nothing": (
        "configmaps",
        {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]},
    ),
    # pods
    "a pod of nothing": ("pods", {"spec.containers": None, "spec.restartPolicy": "x", "spec.dnsPolicy": "y"}),
    "an empty container": ("pods", {"spec.containers": [{}]}),
    "containers of a name": (
        "pods",
        {"spec.containers": [{"name": "c", "image": "i"}] * 2, "spec.initContainers": [{"name": "c", "image": "i"}]},
    ),
    "a container's words": (
        "pods",
        {f"{C}.imagePullPolicy": "x", f"{C}.terminationMessagePolicy": "y", f"{C}.name": "-a", f"{C}.image": " "},
    ),
    "ports": (
        "pods",
        {
            f"{C}.ports": [
                {"containerPort": 0, "name": "UP"},
                {"containerPort": 70000, "protocol": "ICMP"},
                {"containerPort": 1, "name": "n1"},
                {"containerPort": 2, "name": "n1", "hostPort": 70000, "hostIP": "here"},
            ]
        },
    ),
    "variables": (
        "pods",
        {
            f"{C}.env": [
                {"name": "", "value": "a"},
                {"name": "A=", "value": "a"},
                {"name": "B", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}},
                {"name": "E", "valueFrom": {}},
                {"name": "F", "valueFrom": {"configMapKeyRef": {"name": "a", "key": ""}}},
                {"name": "G", "valueFrom": {"resourceFieldRef": {"resource": "limits.luck"}}},
            ]
        },
    ),
    "variables from nowhere": (
        "pods",
        {f"{C}.envFrom": [{}, {"prefix": "a=", "configMapRef": {"name": ""}}, {"secretRef": {"name": "A_b"}}]},
    ),
    "resources": (
        "pods",
        {f"{C}.resources": {"limits": {"cpu": "-1", "luck": "1", "memory": "1Mi"}, "requests": {"memory": "2Mi"}}},
    ),
    "mounts": (
        "pods",
        {
            f"{C}.volumeMounts": [
                {"name": "v", "mountPath": ""},
                {"name": "w", "mountPath": "/a"},
                {"name": "v", "mountPath": "/a", "subPath": "../b"},
            ],
            "spec.volumes": [{"name": "v", "emptyDir": {}}],
        },
    ),
    "volumes": (
        "pods",
        {
            "spec.volumes": [
                {"name": "A", "emptyDir": {}},
                {"name": "b", "emptyDir": {}, "hostPath": {"path": "/"}},
                {"name": "b", "configMap": {"name": ""}},
                {"name": "c", "secret": {"secretName": "s", "items": [{"key": "", "path": "/x"}]}},
                {"name": "d", "hostPath": {"path": "/a/../b", "type": "Cave"}},
                {"name": "e", "configMap": {"name": "c", "defaultMode": 9999}},
                {"name": "f", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "x"}}]}},
            ]
        },
    ),
    "probes": (
        "pods",
        {
            f"{C}.livenessProbe": {**PROBE, "successThreshold": 3, "periodSeconds": -1},
            f"{C}.readinessProbe": {"httpGet": {"port": 0, "scheme": "FTP"}},
            f"{C}.startupProbe": {**PROBE, "tcpSocket": {"port": "UP"}},
        },
    ),
    "a probe that does nothing": ("pods", {f"{C}.readinessProbe": {}}),
    "hooks": ("pods", {f"{C}.lifecycle": {"postStart": {"exec": {"command": []}}, "preStop": {}}}),
    "an init container's probe": (
        "pods",
        {"spec.initContainers": [{"name": "i", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]},
    ),
    "tolerations": (
        "pods",
        {
            "spec.tolerations": [
                {"operator": "Equal", "value": "x"},
                {"key": "a b", "operator": "Exists"},
                {"key": "a", "operator": "Exists", "value": "x"},
                {"key": "a", "effect": "Never"},
                {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 3},
            ]
        },
    ),
    "a node's affinity": (
        "pods",
        {
            f"{NODES}.nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a b", "operator": "In", "values": ["c"]}]},
                {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["c"]}]},
                {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]},
                {"matchFields": [{"key": "spec.x", "operator": "In", "values": ["c"]}]},
                {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["c"]}]},
            ]
        },
    ),
    "an affinity without terms": ("pods", {f"{NODES}.nodeSelectorTerms": []}),
    "a pod's affinity": (
        "pods",
        {
            PODS: [
                {"topologyKey": "", "labelSelector": {"matchLabels": LABELS}},
                {"topologyKey": "a b", "namespaces": ["A_b"]},
                {"topologyKey": "z", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            ]
        },
    ),
    "weights": (
        "pods",
        {
            "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 0, "podAffinityTerm": {"topologyKey": "z"}},
                {"weight": 101, "podAffinityTerm": {"topologyKey": ""}},
            ]
        },
    ),
    "spreads": (
        "pods",
        {
            "spec.topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"},
                {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"},
                {"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"},
            ]
        },
    ),
    "deadlines and graces": (
        "pods",
        {"spec.activeDeadlineSeconds": 0, "spec.terminationGracePeriodSeconds": -1},
    ),
    "names of a pod": (
        "pods",
        {"spec.hostname": "A_b", "spec.subdomain": "C_d", "spec.nodeName": "E_f", "spec.priorityClassName": "G_h"},
    ),
    "name servers": (
        "pods",
        {"spec.dnsPolicy": "None", "spec.dnsConfig": {"nameservers": ["x"], "searches": ["A_b"], "options": [{}]}},
    ),
    "no name server": ("pods", {"spec.dnsPolicy": "None"}),
    "hosts": ("pods", {"spec.hostAliases": [{"ip": "x", "hostnames": ["A_b"]}]}),
    "node selectors": ("pods", {"spec.nodeSelector": {"a b": "c", "d": "e f"}}),
    "users": ("pods", {"spec.securityContext": {"runAsUser": -1, "fsGroup": -2, "sysctls": [{"name": "A!"}]}}),
    "privileges": (
        "pods",
        {f"{C}.securityContext": {"privileged": True, "allowPrivilegeEscalation": False, "runAsGroup": -1}},
    ),
    "pull secrets and gates": ("pods", {"spec.readinessGates": [{"conditionType": "a b"}]}),
    "a host network's port": (
        "pods",
        {"spec.hostNetwork": True, f"{C}.ports": [{"containerPort": 80, "hostPort": 81}]},
    ),
    # workloads
    "a replication controller": (
        "replicationcontrollers",
        {"spec.replicas": -1, "spec.selector": {"app": "b"}, "spec.minReadySeconds": -1},
    ),
    "a replication controller of nothing": ("replicationcontrollers", {"spec": {}}),
    "a replica set": ("replicasets", {"spec.replicas": -1, "spec.minReadySeconds": -2, "spec.selector": {}}),
    "a replica set's selector": (
        "replicasets",
        {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}},
    ),
    "a replica set's template": (
        "replicasets",
        {f"{T}.restartPolicy": "OnFailure", f"{T}.activeDeadlineSeconds": 3, f"{T}.containers.0.image": ""},
    ),
    "a deployment of nothing": ("deployments", {"spec": {}}),
    "a deployment": (
        "deployments",
        {
            "spec.replicas": -1,
            "spec.revisionHistoryLimit": -1,
            "spec.minReadySeconds": -1,
            "spec.progressDeadlineSeconds": 0,
        },
    ),
    "a deployment's strategy": (
        "deployments",
        {"spec.strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
    ),
    "an unknown strategy": ("deployments", {"spec.strategy": {"type": "Slowly"}}),
    "surges": ("deployments", {"spec.strategy": {"rollingUpdate": {"maxSurge": "x%", "maxUnavailable": -1}}}),
    "no surge and none missing": (
        "deployments",
        {"spec.strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
    ),
    "a template's labels": ("deployments", {"spec.template.metadata.labels": {"app": "b", "c d": "e"}}),
    "a template's containers": ("deployments", {f"{T}.containers": [{"name": "c"}, {"image": "i"}]}),
    "a daemon set": (
        "daemonsets",
        {"spec.updateStrategy": {"type": "Sometimes"}, "spec.minReadySeconds": -1, "spec.revisionHistoryLimit": -1},
    ),
    "a daemon set that waits for none": (
        "daemonsets",
        {"spec.updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}},
    ),
    "a daemon set's template": ("daemonsets", {f"{T}.restartPolicy": "Never", "spec.selector": {}}),
    "a job": (
        "jobs",
        {"spec.parallelism": -1, "spec.completions": -1, "spec.backoffLimit": -1, "spec.activeDeadlineSeconds": -1},
    ),
    "a job's end": ("jobs", {"spec.ttlSecondsAfterFinished": -1, f"{T}.restartPolicy": "Always"}),
    "a job without a policy": ("jobs", {f"{T}.restartPolicy": None}),
    "a job's own selector": ("jobs", {"spec.selector": {"matchLabels": LABELS}}),
    "a job's manual selector": ("jobs", {"spec.manualSelector": True, "spec.selector": {"matchLabels": LABELS}}),
    # services and what they lead to
    "a service without ports": ("services", {"spec.ports": [], "spec.sessionAffinity": "Always"}),
    "a service's ports": (
        "services",
        {
            "spec.ports": [
                {"port": 0, "name": "a"},
                {"port": 80, "name": "A_b", "protocol": "ICMP"},
                {"port": 81, "name": "a", "targetPort": "UP!"},
                {"port": 82, "targetPort": 70000},
            ]
        },
    ),
    "ports twice": ("services", {"spec.ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}),
    "a service's type": ("services", {"spec.type": "Cloud", "spec.selector": {"a b": "c"}}),
    "an external name": ("services", {"spec.type": "ExternalName", "spec.externalName": "A_b"}),
    "a headless node port": ("services", {"spec.type": "NodePort", "spec.clusterIP": "None"}),
    "external addresses": ("services", {"spec.externalIPs": ["x", "169.254.1.1", "0.0.0.0"]}),
    "a policy of traffic": ("services", {"spec.externalTrafficPolicy": "Local"}),
    "an unknown policy of traffic": (
        "services",
        {"spec.type": "NodePort", "spec.externalTrafficPolicy": "Far"},
    ),
    "ranges of sources": ("services", {"spec.loadBalancerSourceRanges": ["x"]}),
    "a long affinity": (
        "services",
        {
            "spec.sessionAffinity": "ClientIP",
            "spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100000}},
        },
    ),
    "a service's name": ("services", {"metadata.name": "1a"}),
    "endpoints": (
        "endpoints",
        {
            "subsets": [
                {"addresses": [{"ip": "x"}, {"ip": "169.254.1.1"}], "ports": [{"port": 0}]},
                {"addresses": [{"ip": "10.0.0.1", "hostname": "A_b"}], "ports": [{"port": 1}, {"port": 2}]},
            ]
        },
    ),
    "endpoints of nothing": ("endpoints", {"subsets": [{"ports": [{"port": 1}]}]}),
    "a slice": (
        "endpointslices",
        {
            "endpoints": [{"addresses": []}, {"addresses": ["x"]}, {"addresses": ["10.0.0.1"], "hostname": "A_b"}],
            "ports": [{"name": "A_b", "protocol": "ICMP"}],
        },
    ),
    "a slice's ports": ("endpointslices", {"ports": [{"port": 1}, {"port": 2}]}),
    "a slice's type": ("endpointslices", {"addressType": "Radio"}),
    # the rest
    "a config map's keys": ("configmaps", {"data": {"a b": "c", "..": "d", "": "e"}}),
    "a config map's key twice": ("configmaps", {"binaryData": {"a": "Yg=="}}),
    "a secret's keys": ("secrets", {"data": {"a b": "Yg==", ".": "Yg=="}}),
    "a secret for nobody": ("secrets", {"type": "kubernetes.io/service-account-token"}),
    "a docker secret": ("secrets", {"type": "kubernetes.io/dockerconfigjson"}),
    "a broken docker secret": (
        "secrets",
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "Yg=="}},
    ),
    "basic credentials": ("secrets", {"type": "kubernetes.io/basic-auth"}),
    "a key without certificate": ("secrets", {"type": "kubernetes.io/tls", "data": {"tls.key": "Yg=="}}),
    "a service account": ("serviceaccounts", {"metadata.name": "A_b"}),
    "a namespace": ("namespaces", {"metadata.name": "a.b", "spec": {"finalizers": ["nobody"]}}),
    "a node's taints": (
        "nodes",
        {
            "spec.taints": [
                {"key": "", "effect": "NoSchedule"},
                {"key": "a", "value": "b c", "effect": "Never"},
                {"key": "d", "effect": "NoExecute"},
                {"key": "d", "effect": "NoExecute"},
            ]
        },
    ),
    "a node's ranges": ("nodes", {"spec.podCIDR": "x", "spec.podCIDRs": ["x"]}),
    "an event elsewhere": ("events", {"involvedObject.namespace": "other"}),
    "a lease": ("leases", {"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
    "a priority class": ("priorityclasses", {"value": 2000000001, "preemptionPolicy": "Often"}),
    "a priority of the system": ("priorityclasses", {"metadata.name": "system-mine"}),
    "a revision": ("controllerrevisions", {"revision": -1}),
    "a revision of nothing": ("controllerrevisions", {"data": None}),
    "a budget of both": ("poddisruptionbudgets", {"spec.maxUnavailable": 1}),
    "a budget's numbers": ("poddisruptionbudgets", {"spec.minAvailable": -1}),
    "a budget's shares": ("poddisruptionbudgets", {"spec.minAvailable": "150%"}),
    "a budget's words": ("poddisruptionbudgets", {"spec.minAvailable": "many"}),
    "a budget's selector": (
        "poddisruptionbudgets",
        {"spec.selector": {"matchLabels": {"a b": "c"}, "matchExpressions": [{"key": "d", "operator": "Near"}]}},
    ),
}

SAID = json.loads(Path(__file__).with_name("reasons.json").read_text())
RECORDED: dict[str, Json] = SAID["1.20"]
NEWER: dict[str, Json] = SAID["1.36"]


def made(plural: str, changes: Json) -> Json:
    """The good object with something else at some places."""
    body: Json = {"metadata": {"name": "a"}, **deepcopy(GOOD[plural])}
    for path, value in changes.items():
        *parents, last = path.split(".")
        found: Any = body
        for key in parents:
            found = found[int(key)] if key.isdigit() else found.setdefault(key, {})
        if value is None:
            found.pop(last, None)
        else:
            found[last] = deepcopy(value)
    return body


def told(kube: KubeCluster, namespace: str, case: str) -> Json:
    """Code, reason, and the causes: their fields, and their reasons."""
    plural, changes = BAD[case]
    path = kube.path(plural, namespace)
    status = kube.raw("POST", path, json=made(plural, changes), params={"dryRun": "All"}).json()
    causes = (status.get("details") or {}).get("causes") or ()
    found = sorted({f"{cause.get('field', '')} {cause.get('reason', '')}" for cause in causes})
    return {"code": status.get("code", 201), "reason": status.get("reason", ""), "causes": found}


@pytest.mark.parametrize("case", BAD)
def test_the_reasons_of_a_rejection(kube: KubeCluster, home: str, case: str) -> None:
    found = told(kube, home, case)
    if os.environ.get("LABKIT_RECORD"):
        print(f"\n{json.dumps({case: found})}")
        return
    if case in NEWER and (1, 20) < kube.version < (1, 36):
        pytest.skip("it is not recorded with which version this has changed")
    assert found == (NEWER if case in NEWER and kube.version > (1, 20) else RECORDED)[case]


def test_every_kind_has_bad_objects() -> None:
    assert {plural for plural, _ in BAD.values()} == set(GOOD)
    assert set(RECORDED) == set(BAD)
    assert len(BAD) >= 60

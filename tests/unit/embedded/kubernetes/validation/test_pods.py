"""Rules of new pods.

The words were heard from a real API server (1.20), or are those of 1.36's source where it changed them.
"""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import validate
from tests.unit.embedded.kubernetes.samples import complete, container, metadata, pod


def complaints(obj: Json) -> list[str]:
    return [str(cause) for cause in validate(kinds.PODS, complete(kinds.PODS, obj))]


C = "spec.containers[0]"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


UPWARDS = {"key": "k", "path": "../x"}


def volumes(*found: Json) -> Json:
    return pod({"volumes": list(found)})


def affinity(**found: Any) -> Json:
    return pod({"affinity": found})


REFUSED: list[tuple[Json, list[str]]] = [
    ({"metadata": metadata(), "spec": {}}, ["spec.containers: Required value"]),
    (pod({"restartPolicy": "Sometimes"}), [
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ]),
    (pod({"dnsPolicy": "X"}), [
        'spec.dnsPolicy: Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", '
        '"Default", "None"',
    ]),
    (pod(name="", image=""), [f"{C}.name: Required value", f"{C}.image: Required value"]),
    (pod(image=" x "), [f'{C}.image: Invalid value: " x ": must not have leading or trailing whitespace']),
    (pod(imagePullPolicy="X"), [
        f'{C}.imagePullPolicy: Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"',
    ]),
    (pod({"containers": [container(), container()]}), ['spec.containers[1].name: Duplicate value: "web"']),
    (pod({"initContainers": [container()]}), ['spec.initContainers[0].name: Duplicate value: "web"']),
    (pod({"initContainers": [container(name="i", livenessProbe={"exec": {"command": ["x"]}})]}), [
        "spec.initContainers[0].livenessProbe: Forbidden: "
        "may not be set for init containers without restartPolicy=Always",
    ]),
    # ports
    (pod(ports=[{"containerPort": 0}]), [f"{C}.ports[0].containerPort: Required value"]),
    (pod(ports=[{"containerPort": 70000, "protocol": "X", "name": "a--b"}]), [
        f'{C}.ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens',
        f"{C}.ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        f'{C}.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
    ]),
    (pod(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]), [
        f'{C}.ports[1].name: Duplicate value: "a"',
    ]),
    (pod(ports=[{"containerPort": 80, "hostPort": 8}, {"containerPort": 81, "hostPort": 8}]), [
        f'{C}.ports[1].hostPort: Duplicate value: "TCP//8"',
    ]),
    (pod({"hostNetwork": True}, ports=[{"containerPort": 80, "hostPort": 81}]), [
        f"{C}.ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
    ]),
    # environment
    (pod(env=[{"name": ""}]), [f"{C}.env[0].name: Required value"]),
    (pod(env=[{"name": "A", "valueFrom": {}}]), [
        f'{C}.env[0].valueFrom: Invalid value: "": '
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
    ]),
    (pod(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), [
        f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ]),
    (pod(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]), [
        f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": '
        "error converting fieldPath: field label not supported: spec.foo",
    ]),
    (pod(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]), [
        f'{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: '
        '"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", '
        '"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
    ]),
    (pod(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}}]), [
        f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": '
        "only divisor's values 1m and 1 are supported with the cpu resource",
    ]),
    (pod(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}]), [
        f"{C}.env[0].valueFrom.secretKeyRef.key: Required value",
    ]),
    (pod(envFrom=[{}]), [f'{C}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`']),
    # resources
    (pod(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}), [
        f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ]),
    (pod(resources={"requests": {"memory": "-1"}}), [
        f'{C}.resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ]),
    (pod(resources={"requests": {"foo": "1"}}), [
        f'{C}.resources.requests[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        f'{C}.resources.requests[foo]: Invalid value: "foo": must be a standard resource for containers',
    ]),
    (pod(resources={"requests": {"example.com/x": "1"}}), [
        f"{C}.resources.limits: Required value: Limit must be set for non overcommitable resources",
    ]),
    (pod(resources={"limits": {"hugepages-2Mi": "3Mi"}}), [
        f'{C}.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": '
        "3Mi is not positive integer multiple of hugepages-2Mi",
        f'{C}.resources.requests[hugepages-2Mi]: Invalid value: "3Mi": '
        "3Mi is not positive integer multiple of hugepages-2Mi",
        f"{C}.resources: Forbidden: HugePages require cpu or memory",
    ]),
    # volumes
    (pod(volumeMounts=[{"name": "v", "mountPath": "/a"}]), [f'{C}.volumeMounts[0].name: Not found: "v"']),
    (pod({"volumes": [{"name": "v"}]}, volumeMounts=[{"name": "v", "mountPath": ""}]), [
        f"{C}.volumeMounts[0].mountPath: Required value",
    ]),
    (pod({"volumes": [{"name": "v"}]}, volumeMounts=[{"name": "v", "mountPath": "/a"}] * 2), [
        f'{C}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
    ]),
    (volumes({"name": "v"}, {"name": "v"}), ['spec.volumes[1].name: Duplicate value: "v"']),
    (volumes({"name": "v", "hostPath": {"path": "/x", "type": "Z"}}), [
        'spec.volumes[0].hostPath.type: Unsupported value: "Z": supported values: "", "BlockDevice", "CharDevice", '
        '"Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ]),
    (volumes({"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}), [
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ]),
    (volumes({"name": "v", "configMap": {}}), ["spec.volumes[0].configMap.name: Required value"]),
    (volumes({"name": "v", "secret": {"secretName": "s", "defaultMode": 512, "items": [UPWARDS]}}), [
        "spec.volumes[0].secret.defaultMode: Invalid value: 512: "
        "must be a number between 0 and 0777 (octal), both inclusive",
        'spec.volumes[0].secret.items[0].path: Invalid value: "../x": must not contain \'..\'',
    ]),
    # probes and hooks
    (pod(livenessProbe={}), [f"{C}.livenessProbe: Required value: must specify a handler type"]),
    (pod(livenessProbe={"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}), [
        f"{C}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ]),
    (pod(livenessProbe={"tcpSocket": {"port": 80}, "successThreshold": 2}), [
        f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ]),
    (pod(readinessProbe={"tcpSocket": {"port": 0}, "periodSeconds": -1}), [
        f"{C}.readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        f"{C}.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ]),
    (pod(lifecycle={"preStop": {"sleep": {"seconds": 31}}}), [
        f"{C}.lifecycle.preStop.sleep: Invalid value: 31: "
        "must be non-negative and less than terminationGracePeriodSeconds (30)",
    ]),
    # where it may go
    (pod({"tolerations": [{"operator": "Equal"}]}), [
        'spec.tolerations[0].operator: Invalid value: "Equal": '
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ]),
    (pod({"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]}), [
        'spec.tolerations[0].effect: Invalid value: "NoSchedule": '
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ]),
    (pod({"tolerations": [{"key": "a", "effect": "Z"}]}), [
        'spec.tolerations[0].effect: Unsupported value: "Z": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ]),
    (affinity(nodeAffinity={REQUIRED: {"nodeSelectorTerms": []}}), [
        f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms: "
        "Required value: must have at least one node selector term",
    ]),
    (affinity(nodeAffinity={PREFERRED: [{"weight": 0, "preference": {}}]}), [
        f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100",
    ]),
    (affinity(podAffinity={REQUIRED: [{"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}), [
        f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector.matchExpressions[0].values: "
        "Required value: must be specified when `operator` is 'In' or 'NotIn'",
        f"spec.affinity.podAffinity.{REQUIRED}[0].topologyKey: Required value: can not be empty",
        f'spec.affinity.podAffinity.{REQUIRED}[0].topologyKey: Invalid value: "": name part must be non-empty',
    ]),
    (pod({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "X"}]}), [
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": '
        'supported values: "DoNotSchedule", "ScheduleAnyway"',
    ]),
    # the rest
    (pod({"activeDeadlineSeconds": 0}), [
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ]),
    (pod({"hostname": "a.b"}), ['spec.hostname: Invalid value: "a.b": must not contain dots']),
    (pod(securityContext={"runAsUser": -1}), [
        f"{C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ]),
    (pod({"ephemeralContainers": [container(name="e")]}), [
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ]),
    (pod({"schedulingGates": [{"name": "a"}], "nodeName": "worker-1"}), [
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ]),
    (pod({"dnsPolicy": "None"}), [
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("obj", "words"), REFUSED, ids=lambda value: str(value)[-50:])
def test_what_may_not_be(obj: Json, words: list[str]) -> None:
    # Huge pages and the sixth or so port say more than one thing, but each of these is among what is said.
    found = complaints(obj)
    assert [word for word in words if word not in found] == []
    assert len(found) <= len(words) + 1


FINE: list[Json] = [
    pod(),
    pod({"volumes": [{"name": "v"}]}, volumeMounts=[{"name": "v", "mountPath": "/a", "subPath": "x"}]),
    pod(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]),
    pod(resources={"limits": {"example.com/gpu": "1", "cpu": "1"}}),
    pod({"initContainers": [container(name="side", restartPolicy="Always", livenessProbe={"tcpSocket": {"port": 1}})]}),
    pod({"tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 0}]}),
    pod({"hostNetwork": True}, ports=[{"containerPort": 80}]),
    pod({"nodeSelector": {"kubernetes.io/hostname": "worker-1"}, "priorityClassName": "system-node-critical"}),
]  # fmt: skip


@pytest.mark.parametrize("obj", FINE, ids=lambda value: str(value)[-50:])
def test_what_may_be(obj: Json) -> None:
    assert complaints(obj) == []


def test_a_token_needs_a_service_account() -> None:
    volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    assert complaints(pod({"volumes": [volume]})) == [
        "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: "
        "must not be specified when serviceAccountName is not set"
    ]
    assert complaints(pod({"volumes": [volume], "serviceAccountName": "default"})) == []

"""What an object of a kind is in Go before anything is set: the fields that are there even when they are empty.

A create is recorded as a change from that object. So ``f:spec`` of a Deployment has no dot of its own and a
PriorityClass of value 0 has no ``f:value``. Fields that are pointers, or left out when empty, are not in here.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

_TEMPLATE: Json = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}
_SPEC_AND_STATUS: Json = {"spec": {}, "status": {}}

_ZERO: dict[tuple[str, str], Json] = {
    ("", "Event"): {
        "involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
        "reportingComponent": "", "reportingInstance": "",
    },
    ("", "Namespace"): _SPEC_AND_STATUS,
    ("", "Node"): {
        "spec": {},
        "status": {
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": dict.fromkeys(
                (
                    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
                    "kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture",
                ),
                "",
            ),
        },
    },
    ("", "PersistentVolume"): _SPEC_AND_STATUS,
    ("", "PersistentVolumeClaim"): {"spec": {"resources": {}}, "status": {}},
    ("", "Pod"): {"spec": {"containers": None}, "status": {}},
    ("", "ReplicationController"): {"spec": {}, "status": {"replicas": 0}},
    ("", "ResourceQuota"): _SPEC_AND_STATUS,
    ("", "Service"): {"spec": {}, "status": {"loadBalancer": {}}},
    ("apps", "ControllerRevision"): {"revision": 0},
    ("apps", "DaemonSet"): {
        "spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}},
        "status": dict.fromkeys(
            ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
        ),
    },
    ("apps", "Deployment"): {"spec": {"selector": None, "template": _TEMPLATE, "strategy": {}}, "status": {}},
    ("apps", "ReplicaSet"): {"spec": {"selector": None, "template": _TEMPLATE}, "status": {"replicas": 0}},
    ("apps", "StatefulSet"): {
        "spec": {"selector": None, "template": _TEMPLATE, "serviceName": "", "updateStrategy": {}},
        "status": {"replicas": 0, "availableReplicas": 0},
    },
    ("autoscaling", "HorizontalPodAutoscaler"): {
        "spec": {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0},
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    },
    ("batch", "CronJob"): {
        "spec": {
            "schedule": "",
            "jobTemplate": {"metadata": {"creationTimestamp": None}, "spec": {"template": _TEMPLATE}},
        },
        "status": {},
    },
    ("batch", "Job"): {"spec": {"template": _TEMPLATE}, "status": {}},
    ("coordination.k8s.io", "Lease"): {"spec": {}},
    ("discovery.k8s.io", "EndpointSlice"): {"addressType": "", "endpoints": None, "ports": None},
    ("networking.k8s.io", "Ingress"): {"spec": {}, "status": {"loadBalancer": {}}},
    ("networking.k8s.io", "NetworkPolicy"): {"spec": {"podSelector": {}}},
    ("policy", "PodDisruptionBudget"): {
        "spec": {},
        "status": dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0),
    },
    ("rbac.authorization.k8s.io", "ClusterRole"): {"rules": None},
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): {"roleRef": {"apiGroup": "", "kind": "", "name": ""}},
    ("rbac.authorization.k8s.io", "Role"): {"rules": None},
    ("rbac.authorization.k8s.io", "RoleBinding"): {"roleRef": {"apiGroup": "", "kind": "", "name": ""}},
    ("scheduling.k8s.io", "PriorityClass"): {"value": 0},
}  # fmt: skip

_NOTHING: Json = {"metadata": {}}
_WHOLE = {key: {"metadata": {}, **value} for key, value in _ZERO.items()}


def zero(kind: Kind) -> Json:
    """The empty object of a kind, without apiVersion and kind."""
    return _WHOLE.get((kind.group, kind.kind), _NOTHING)

"""Objects that are fine, one of each kind, for the tests of schema, defaults and validation."""

from __future__ import annotations

import copy

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.defaults import set_defaults
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema.compile import checker

LABELS = {"app": "web"}


def metadata(name: str = "web", **more: object) -> Json:
    return {"name": name, "namespace": "default", **more}


def container(**more: object) -> Json:
    return {"name": "web", "image": "nginx:1.25", **more}


def pod_spec(**more: object) -> Json:
    return {"containers": [container()], **more}


def pod(spec: Json | None = None, **of_container: object) -> Json:
    """A pod of one container. ``spec`` and ``of_container`` go over what it says."""
    return {"metadata": metadata(), "spec": {"containers": [container(**of_container)], **(spec or {})}}


def template(spec: Json | None = None, labels: Json | None = None) -> Json:
    return {"metadata": {"labels": LABELS if labels is None else labels}, "spec": pod_spec(**(spec or {}))}


def workload(**spec: object) -> Json:
    """A Deployment, ReplicaSet or DaemonSet."""
    return {"metadata": metadata(), "spec": {"selector": {"matchLabels": LABELS}, "template": template(), **spec}}


def job(**spec: object) -> Json:
    """A Job as it is once the registry has tied it to its own pods."""
    mine = {"controller-uid": "u-1", "job-name": "web"}
    labels = {**mine, **{f"batch.kubernetes.io/{key}": value for key, value in mine.items()}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    return {
        "metadata": metadata(uid="u-1"),
        "spec": {"selector": selector, "template": template({"restartPolicy": "Never"}, labels), **spec},
    }


def service(**spec: object) -> Json:
    return {"metadata": metadata(), "spec": {"ports": [{"port": 80}], "selector": LABELS, **spec}}


def cluster_wide(**more: object) -> Json:
    return {"metadata": {"name": "web"}, **more}


FINE: dict[Kind, Json] = {
    kinds.PODS: pod(),
    kinds.DEPLOYMENTS: workload(),
    kinds.REPLICA_SETS: workload(),
    kinds.DAEMON_SETS: workload(),
    kinds.REPLICATION_CONTROLLERS: {"metadata": metadata(), "spec": {"template": template()}},
    kinds.JOBS: job(),
    kinds.CONTROLLER_REVISIONS: {"metadata": metadata(), "revision": 1, "data": {"spec": {}}},
    kinds.SERVICES: service(),
    kinds.ENDPOINTS: {
        "metadata": metadata(),
        "subsets": [{"addresses": [{"ip": "127.3.64.2", "nodeName": "worker-1"}], "ports": [{"port": 80}]}],
    },
    kinds.ENDPOINT_SLICES: {
        "metadata": metadata(),
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.3.64.2"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 80}],
    },
    kinds.CONFIG_MAPS: {"metadata": metadata(), "data": {"key": "value"}},
    kinds.SECRETS: {"metadata": metadata(), "data": {"key": "dmFsdWU="}},
    kinds.SERVICE_ACCOUNTS: {"metadata": metadata()},
    kinds.EVENTS: {"metadata": metadata(), "involvedObject": {"kind": "Pod", "namespace": "default"}},
    kinds.LEASES: {"metadata": metadata(), "spec": {"holderIdentity": "worker-1", "leaseDurationSeconds": 40}},
    kinds.POD_DISRUPTION_BUDGETS: {
        "metadata": metadata(),
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": LABELS}},
    },
    kinds.NAMESPACES: cluster_wide(),
    kinds.NODES: cluster_wide(status={"capacity": {"cpu": "2", "pods": "110"}}),
    kinds.PRIORITY_CLASSES: cluster_wide(value=1000),
}


def complete(kind: Kind, obj: Json) -> Json:
    """The object as validation sees it: checked, with its defaults."""
    return set_defaults(kind, checker(kind)(copy.deepcopy(obj)).obj)

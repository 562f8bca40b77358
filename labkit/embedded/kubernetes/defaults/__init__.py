"""What the API server fills in when a person leaves it out (``pkg/apis/*/v1/defaults.go``).

A kind's defaults are a function from an object to an object; :data:`DEFAULTS` is the table of them. They share what is
unchanged and give back the very object when it has all its defaults. They want an object that its checker has seen
(:mod:`~labkit.embedded.kubernetes.schema.compile`): there, an empty value of a field is as good as no field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.defaults import cluster, pods, services, workloads
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

DEFAULTS: Mapping[Kind, Callable[[Json], Json]] = {
    kinds.DAEMON_SETS: workloads.daemon_set,
    kinds.DEPLOYMENTS: workloads.deployment,
    kinds.ENDPOINTS: services.endpoints,
    kinds.ENDPOINT_SLICES: services.endpoint_slice,
    kinds.JOBS: workloads.job,
    kinds.NAMESPACES: cluster.namespace,
    kinds.NODES: cluster.node,
    kinds.PODS: pods.pod,
    kinds.PRIORITY_CLASSES: cluster.priority_class,
    kinds.REPLICATION_CONTROLLERS: workloads.replication_controller,
    kinds.REPLICA_SETS: workloads.replica_set,
    kinds.SECRETS: cluster.secret,
    kinds.SERVICES: services.service,
}


def set_defaults(kind: Kind, obj: Json) -> Json:
    """The object with its defaults; the very object if it has them all. What is unchanged is shared."""
    default = DEFAULTS.get(kind)
    return default(obj) if default else obj

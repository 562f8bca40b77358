"""Whether an object may be as it is (``pkg/apis/*/validation``): semantic rules beyond the schema's types.

:data:`RULES` is the table: what checks a new object of a kind, one that takes another's place, and one whose status
does. A rule adds what is wrong to a list, in the words of ``field.Error`` (:mod:`.fields`). Rules want an object that
its checker has seen and that has its defaults. Parts that a new object shares with the old one (the very same dict)
were checked when they came, and are not checked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Cause
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import (
    cluster,
    configuration,
    endpoints,
    jobs,
    jobstatus,
    pods,
    podupdates,
    services,
    workloads,
)

Check = Callable[[Json, list[Cause]], None]
Update = Callable[[Json, Json, list[Cause]], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is checked of a kind. ``parts`` are its sub-resources that are written as the object itself."""

    create: Check
    update: Update
    parts: Mapping[str, Update] = field(default_factory=dict)


RULES: Mapping[Kind, Rules] = {
    kinds.PODS: Rules(
        pods.pod,
        podupdates.pod_update,
        {"status": podupdates.pod_status_update, "ephemeralcontainers": podupdates.ephemeral_update},
    ),
    kinds.DEPLOYMENTS: Rules(
        workloads.deployment, workloads.deployment_update, {"status": workloads.deployment_status_update}
    ),
    kinds.REPLICA_SETS: Rules(
        workloads.replica_set, workloads.replica_set_update, {"status": workloads.replicas_status_update}
    ),
    kinds.REPLICATION_CONTROLLERS: Rules(
        workloads.replication_controller,
        workloads.replication_controller_update,
        {"status": workloads.replicas_status_update},
    ),
    kinds.DAEMON_SETS: Rules(
        workloads.daemon_set, workloads.daemon_set_update, {"status": workloads.daemon_set_status_update}
    ),
    kinds.CONTROLLER_REVISIONS: Rules(workloads.controller_revision, workloads.controller_revision_update),
    kinds.JOBS: Rules(jobs.job, jobs.job_update, {"status": jobstatus.job_status_update}),
    kinds.SERVICES: Rules(services.service, services.service_update, {"status": services.service_status_update}),
    kinds.ENDPOINTS: Rules(endpoints.endpoints, endpoints.endpoints_update),
    kinds.ENDPOINT_SLICES: Rules(endpoints.endpoint_slice, endpoints.endpoint_slice_update),
    kinds.CONFIG_MAPS: Rules(configuration.config_map, configuration.config_map_update),
    kinds.SECRETS: Rules(configuration.secret, configuration.secret_update),
    kinds.SERVICE_ACCOUNTS: Rules(configuration.service_account, configuration.service_account_update),
    kinds.NAMESPACES: Rules(
        cluster.namespace,
        cluster.namespace_update,
        {"status": cluster.namespace_status_update, "finalize": cluster.namespace_finalize_update},
    ),
    kinds.NODES: Rules(cluster.node, cluster.node_update, {"status": cluster.node_update}),
    kinds.LEASES: Rules(cluster.lease, cluster.lease_update),
    kinds.EVENTS: Rules(cluster.event, cluster.event_update),
    kinds.POD_DISRUPTION_BUDGETS: Rules(
        cluster.pod_disruption_budget,
        cluster.pod_disruption_budget_update,
        {"status": cluster.pod_disruption_budget_status_update},
    ),
    kinds.PRIORITY_CLASSES: Rules(cluster.priority_class, cluster.priority_class_update),
}


def validate(kind: Kind, obj: Json) -> list[Cause]:
    """What is wrong with a new object; empty if nothing is."""
    out: list[Cause] = []
    rules = RULES.get(kind)
    if rules is not None:
        rules.create(obj, out)
    return out


def validate_update(kind: Kind, new: Json, old: Json, subresource: str = "") -> list[Cause]:
    """What is wrong with an object that takes the place of ``old``; empty if nothing is."""
    out: list[Cause] = []
    rules = RULES.get(kind)
    if rules is not None:
        rules.parts.get(subresource, rules.update)(new, old, out)
    return out

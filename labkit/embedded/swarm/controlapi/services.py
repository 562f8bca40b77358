"""Creating, updating, rolling back, removing and counting services (``controlapi/service.go``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from labkit.embedded.swarm.errors import ApiError, Forbidden, RpcError
from labkit.embedded.swarm.leader.ports import check_port_conflicts, needs_ingress
from labkit.embedded.swarm.objects import Config, Json, Network, Object, Secret, Service, TaskState
from labkit.embedded.swarm.specs import check_service
from labkit.embedded.swarm.store import Reads, Tx

from .find import find

PREDEFINED = ("bridge", "host", "none", "nat", "default")


def resolve_networks(store: Reads, spec: Json, local_names: Iterable[str]) -> Json:
    """A spec whose network attachments name networks by id.

    Args:
        local_names: networks of the Docker host itself; ``bridge`` and the like cannot carry a service here.

    Raises:
        ApiError: 500 ``network x not found``. Forbidden: the network is not scoped to the swarm.
    """
    task = spec["TaskTemplate"]
    in_task = bool(task.get("Networks"))
    given = task["Networks"] if in_task else spec.get("Networks")
    if not given:
        return spec
    resolved = [{**item, "Target": _network_id(store, item.get("Target", ""), local_names)} for item in given]
    if in_task:
        return {**spec, "TaskTemplate": {**task, "Networks": resolved}}
    return {**spec, "Networks": resolved}


def _network_id(store: Reads, target: str, local_names: Iterable[str]) -> str:
    try:
        return find(store, Network, target).id
    except ApiError:
        if target in set(local_names):
            raise Forbidden(
                f"The network {target} cannot be used with services. Only networks scoped to the swarm can be used, "
                "such as those created with the overlay driver."
            ) from None
        raise


def create(tx: Tx, spec: Json, id: str) -> Service:
    """Store a new service. Raises RpcError: the spec is refused, a port or the name is taken."""
    check_service(spec)
    _check_networks(tx, spec)
    check_port_conflicts(spec, tx.all(Service))
    service = Service(id=id, spec=spec, endpoint=_ready_endpoint(spec))
    _check_ingress(tx, spec)
    _check_existence(tx, spec)
    tx.create(service)
    return service


def _ready_endpoint(spec: Json) -> Json:
    """The endpoint of a service that has nothing to be allocated, else none yet.

    Clients (docker-py first of all) create, read the version and update with it; an allocator that wrote such a service
    a millisecond later would make that "out of sequence". The real one is done before anybody can read.
    """
    endpoint = spec.get("EndpointSpec") or {}
    networks = (spec.get("TaskTemplate") or {}).get("Networks") or spec.get("Networks")
    return {} if endpoint.get("Ports") or networks else {"Spec": endpoint}


def update(tx: Tx, id: str, version: int, spec: Json, *, rollback: bool) -> Service:
    """Replace a service's spec, or take back the last one.

    Raises:
        RpcError: refused; ``OutOfSequence`` when ``version`` is not the stored one.
    """
    check_service(spec)
    _check_networks(tx, spec)
    service = tx.get(Service, id)
    if service is None:
        raise RpcError("NotFound", f"service {id} not found")
    if "EndpointSpec" in spec and spec["EndpointSpec"] != service.spec.get("EndpointSpec"):
        check_port_conflicts(spec, tx.all(Service), id)
    networks, old_networks = spec.get("Networks"), service.spec.get("Networks")
    same_in_task = spec["TaskTemplate"].get("Networks") == service.spec["TaskTemplate"].get("Networks")
    if (networks or old_networks) and networks != old_networks and same_in_task:
        raise RpcError("Unimplemented", "networks must be migrated to TaskSpec before being changed")
    _check_existence(tx, spec)
    if set(spec["Mode"]) != set(service.spec["Mode"]):
        raise RpcError("Unimplemented", "service mode change is not allowed")
    if spec["Name"] != service.spec["Name"]:
        raise RpcError("Unimplemented", "renaming services is not supported")
    if rollback:
        if service.previous_spec is None:
            raise RpcError("FailedPrecondition", f"service {id} does not have a previous spec")
        changed = replace(
            service,
            version=version,
            spec=service.previous_spec,
            spec_version=service.previous_spec_version,
            previous_spec=service.spec,
            previous_spec_version=service.spec_version,
            update_status={
                "State": "rollback_started",
                "StartedAt": tx.now,
                "Message": "manually requested rollback",
            },
        )
    else:
        changed = replace(
            service,
            version=version,
            spec=spec,
            spec_version=version,
            previous_spec=service.spec,
            previous_spec_version=service.spec_version,
            update_status=None,
        )
    _check_ingress(tx, changed.spec)
    tx.update(changed)
    return changed


def remove(tx: Tx, id: str) -> None:
    """Delete a service; the reaper sees to its tasks. Raises RpcError NotFound."""
    if tx.get(Service, id) is None:
        raise RpcError("NotFound", f"service {id} not found")
    tx.delete(Service, id)


def _check_ingress(store: Reads, spec: Json) -> None:
    if needs_ingress(spec) and not any(network.spec.get("Ingress") for network in store.all(Network)):
        raise RpcError("FailedPrecondition", "service needs ingress network, but no ingress network is present")


def _check_networks(store: Reads, spec: Json) -> None:
    for item in spec["TaskTemplate"].get("Networks") or ():
        network = store.get(Network, item.get("Target", ""))
        if network is not None and network.spec.get("Ingress"):
            words = f'Service cannot be explicitly attached to the ingress network "{network.name}"'
            raise RpcError("InvalidArgument", words)


def _check_existence(store: Reads, spec: Json) -> None:
    container = spec["TaskTemplate"]["ContainerSpec"]
    kinds: tuple[tuple[str, type[Object]], ...] = (("Secret", Secret), ("Config", Config))
    for kind, cls in kinds:
        missing = []
        for reference in container.get(f"{kind}s") or ():
            stored = store.get(cls, reference[f"{kind}ID"])
            if stored is None or stored.spec["Name"] != reference[f"{kind}Name"]:  # type: ignore[attr-defined]
                missing.append(reference[f"{kind}Name"])
        if missing:
            plural = "" if len(missing) == 1 else "s"
            raise RpcError("InvalidArgument", f"{kind.lower()}{plural} not found: {', '.join(missing)}")


def status(store: Reads, service: Service) -> Json:
    """``ServiceStatus``: how many tasks run, how many should, how many of a job are done."""
    tasks = store.tasks_of_service(service.id)
    running = sum(task.status.state == TaskState.RUNNING for task in tasks)
    if service.replicas is not None:
        desired = service.replicas
    else:
        desired = sum(task.desired_state == TaskState.RUNNING for task in tasks)
    return {"RunningTasks": running, "DesiredTasks": desired, "CompletedTasks": 0}

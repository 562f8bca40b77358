"""Swarm-scoped networks (``controlapi/network.go``)."""

from __future__ import annotations

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader.ports import needs_ingress
from labkit.embedded.swarm.objects import Json, Network, Service, Task, TaskState
from labkit.embedded.swarm.specs import check_network
from labkit.embedded.swarm.store import Reads, Tx


def create(tx: Tx, spec: Json, id: str) -> Network:
    """Store a new network; the allocator gives it a subnet. Raises RpcError."""
    check_network(spec)
    if spec.get("Ingress"):
        present = next((network for network in tx.all(Network) if network.spec.get("Ingress")), None)
        if present is not None:
            raise RpcError("AlreadyExists", f"ingress network ({present.id}) is already present")
    network = Network(id=id, spec=spec)
    tx.create(network)
    return network


def remove(tx: Tx, id: str) -> None:
    """Delete a network that nobody uses. Raises RpcError FailedPrecondition naming who does."""
    network = tx.get(Network, id)
    if network is None:
        raise RpcError("NotFound", f"network {id} not found")
    if network.spec.get("Ingress"):
        for service in tx.all(Service):
            if needs_ingress(service.spec):
                words = f"ingress network cannot be removed because service {service.id} depends on it"
                raise RpcError("FailedPrecondition", words)
    else:
        for service in tx.all(Service):
            if id in attached(service.spec):
                raise RpcError("FailedPrecondition", f"network {id} is in use by service {service.id}")
        for task in tx.all(Task):
            lives = task.desired_state <= TaskState.RUNNING and task.status.state <= TaskState.RUNNING
            if lives and id in _of_task(task):
                raise RpcError("FailedPrecondition", f"network {id} is in use by task {task.id}")
    tx.delete(Network, id)


def attached(spec: Json) -> set[str]:
    """The ids of the networks that a ServiceSpec names."""
    items = [*(spec["TaskTemplate"].get("Networks") or ()), *(spec.get("Networks") or ())]
    return {item.get("Target", "") for item in items}


def _of_task(task: Task) -> set[str]:
    return {network_id(attachment) for attachment in task.networks}


def network_id(attachment: Json) -> str:
    """The network of a task's attachment, which may hold its id or the object as the API shows it."""
    network = attachment.get("Network", "")
    return network if isinstance(network, str) else network.get("ID", "")


def ingress(store: Reads) -> Network | None:
    """The ingress network, if there is one."""
    return next((network for network in store.all(Network) if network.spec.get("Ingress")), None)

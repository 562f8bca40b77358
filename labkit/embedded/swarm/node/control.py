"""What managers do with node objects at the API's request, as functions on a transaction (SwarmKit ``controlapi``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.objects import Json, Node, Task, TaskState, TaskStatus
from labkit.embedded.swarm.raft.member import Member
from labkit.embedded.swarm.store import Tx


def _refuse(desc: str) -> RpcError:
    return RpcError("FailedPrecondition", desc)


def update_node(tx: Tx, member: Member, node_id: str, version: int, spec: Json) -> None:
    """Give a node a new spec. A demotion that would cost the swarm its quorum is refused (RpcError)."""
    node = tx.get(Node, node_id)
    if node is None:
        raise RpcError("NotFound", f"node {node_id} not found")
    if node.spec.get("Role") == "manager" and spec.get("Role") == "worker":
        managers = [other for other in tx.all(Node) if other.role == "manager"]
        if managers == [node]:
            raise _refuse("attempting to demote the last manager of the swarm")
        raft_id = member.id_of_node(node_id)
        if raft_id is None:
            raise RpcError("NotFound", "can't find manager in raft memberlist")
        if not member.can_remove(raft_id):
            raise _refuse("can't remove member from the raft: this would result in a loss of quorum")
    tx.update(replace(node, version=version, spec=spec))


def remove_node(tx: Tx, member: Member, node_id: str, force: bool) -> None:
    """Delete a node that is down, or any worker with ``force``. Its tasks are called orphaned."""
    node = tx.get(Node, node_id)
    if node is None:
        raise RpcError("NotFound", f"node {node_id} not found")
    if node.spec.get("Role") == "manager" and member.id_of_node(node_id) is not None:
        raise _refuse(
            f"node {node_id} is a cluster manager and is a member of the raft cluster. "
            "It must be demoted to worker before removal"
        )
    if not force and node.state == "ready":
        raise _refuse(f"node {node_id} is not down and can't be removed")
    for task in tx.tasks_of_node(node_id):
        if task.status.state < TaskState.COMPLETE:
            tx.update(orphaned(task, tx.now))
    tx.delete(Node, node_id)


def orphaned(task: Task, now: float) -> Task:
    """The task, given up with its node."""
    status = TaskStatus(
        state=TaskState.ORPHANED, timestamp=now, message="Task belonged to a node that has been deleted"
    )
    return replace(task, status=status)


def follow_membership(tx: Tx, members: Mapping[int, Any]) -> None:
    """Let the node objects say who is a member of the Raft group, and at which address."""
    by_node = {context[0]: (id, context[1]) for id, context in members.items()}
    for node in tx.all(Node):
        raft_id, address = by_node.get(node.id, (None, ""))
        if (node.raft_id, node.manager_addr) != (raft_id, address):
            tx.update(replace(node, raft_id=raft_id, manager_addr=address))


def stale(nodes: Iterable[Node], members: Mapping[int, Any]) -> bool:
    """Whether :func:`follow_membership` would change anything."""
    by_node = {context[0]: (id, context[1]) for id, context in members.items()}
    return any((node.raft_id, node.manager_addr) != by_node.get(node.id, (None, "")) for node in nodes)

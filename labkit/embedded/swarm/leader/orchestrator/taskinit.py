"""What a new leader does with the tasks that it finds, before its orchestrators run (SwarmKit ``taskinit``).

Its predecessor's timers and counters died with it. They are rebuilt from the tasks: a delayed start goes on from the
time of the task's status, and the restarts of each slot are counted again.
"""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.swarm.leader.orchestrator.restart import RestartSupervisor
from labkit.embedded.swarm.leader.orchestrator.tasks import by_slot, restart_policy, slot_key
from labkit.embedded.swarm.objects import Service, Task, TaskState
from labkit.embedded.swarm.store import Tx


def check_tasks(tx: Tx, is_related: Callable[[Service | None], bool], restarts: RestartSupervisor, now: float) -> None:
    """For the tasks of the services that one orchestrator cares for."""
    related: list[Task] = []
    for task in tx.all(Task):
        if not task.service_id:
            continue
        service = tx.get(Service, task.service_id)
        if service is None:
            # Deleted while nobody led. Nobody is going to shut the task down in good order any more.
            tx.delete(Task, task.id)
        elif is_related(service):
            related.append(task)
    for task in related:
        if task.desired_state == TaskState.READY and task.status.state <= TaskState.COMPLETE:
            policy = restart_policy(task.spec)
            left = min(task.status.timestamp + policy.delay - now, policy.delay)
            if left > 0:
                restarts.delay_start(None, task.id, left)
            else:
                restarts.start_now(tx, task.id)
    for slot in by_slot(related, slot_key).values():
        current = max(task.spec_version for task in slot)
        made = sorted((task for task in slot if task.spec_version == current), key=lambda task: task.created_at)
        for task in made[1:]:  # all but the first were restarts
            restarts.record(task, task.created_at)

"""What a cluster looks like that is at rest: everything is as it was asked for, and nothing is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from labkit.embedded.mesos.agent.records import Run

from .byhand import WorldByHand
from .watchdog import Watchdog
from .workloads import BY_APP

Json = dict[str, Any]
Found = Iterator[str]


def at_rest(world: WorldByHand, watchdog: Watchdog) -> list[str]:
    """What is wrong; nothing, when it is at rest."""
    if not world.assembly.is_ready(world.components):
        return list(_connected(world))
    return [wrong for look in LOOKS for wrong in look(world, watchdog)]


def _connected(world: WorldByHand) -> Found:
    """Why it is not ready."""
    parts, leader = world.assembly, world.assembly.leading_marathon()
    yield f"leading are {parts.leading_machine()} of the masters and {leader and leader.machine} of the Marathons"
    yield f"not registered: {[name for name, agent in parts.agents.items() if not agent.registered]}"
    if leader is not None and not leader.term.driver.connected:
        yield f"{leader.machine} has not subscribed"


def old_ones(world: WorldByHand) -> set[str]:
    """Apps that have instances of another configuration than theirs."""
    term = world.assembly.leading_marathon().term
    return {
        each.app_id
        for each in term.tracker.by_id.values()
        if each.app.config_version != term.groups.app(each.app_id).config_version
    }


def _running(world: WorldByHand) -> dict[str, Run]:
    """The tasks that really run, of whatever framework."""
    runs = [run for agent in world.assembly.agents.values() for run in agent.runs() if not run.ended]
    return {run.task_id: run for run in runs}


def _agents(world: WorldByHand, watchdog: Watchdog) -> Found:
    """The leading master has every agent, knows what runs there, and waits for no word about it."""
    lead = next(each.leading for each in world.assembly.masters.values() if each.leading is not None)
    for name, agent in world.assembly.agents.items():
        found = lead.agents.get(agent.id)
        if found is None or not found.active:
            yield f"{name} is not with the master"
            continue
        theirs = {task.id for tasks in found.tasks.values() for task in tasks.values() if not task.terminal}
        ours = {run.task_id for run in agent.runs() if not run.ended}
        if theirs != ours:
            yield f"the master has {sorted(theirs ^ ours)} of {name} wrong"
        if waiting := [run.task_id for run in agent.runs() if run.waiting]:
            yield f"nobody has acknowledged {waiting} of {name}"
        if dead := [run.task_id for run in agent.runs() if not run.ended and run.executor is None]:
            yield f"nothing runs behind {dead} of {name}"


def _apps(world: WorldByHand, watchdog: Watchdog) -> Found:
    """Marathon's apps have as many instances as they want, healthy, and where they may be."""
    term = world.assembly.leading_marathon().term
    if term.deployments.running:
        yield f"deployments go on: {[each.as_json()['currentActions'] for each in term.deployments.running.values()]}"
    runs = _running(world)
    for app in term.groups.root.all_apps.values():
        there = list(term.tracker.of_app(app.id))
        good = [each for each in there if each.running and each.considered_healthy]
        if len(there) != app.instances or len(good) != app.instances:
            shown = [(each.id, each.condition, each.healthy) for each in there]
            yield f"{app.id} has {len(good)} good ones of {app.instances}: {shown}"
        if missing := [each.task_id for each in good if each.task_id not in runs]:
            yield f"Marathon believes in {missing}, which no agent runs"
        rule = BY_APP[app.id].rule
        if rule is not None and good:
            new = [each for each in good if each.app.config_version == app.config_version]
            counts = Counter(watchdog.value(each, rule.attribute) for each in new)
            if not rule.always(counts):
                yield f"{app.id} is at {dict(counts)} in spite of {rule.body}"


def _tasks(world: WorldByHand, watchdog: Watchdog) -> Found:
    """No task runs that its framework does not know, and none has gone without a word."""
    marathon, batch = world.assembly.leading_marathon().term, world.assembly.batch
    known = {each.task_id for each in marathon.tracker.by_id.values()}
    known |= {task_id for job in batch.jobs.values() for task_id in job.running}
    runs = _running(world)
    if unknown := runs.keys() - known:
        yield f"{sorted(unknown)} run, and no framework knows"
    yield from watchdog.lost(set(runs))


def _jobs(world: WorldByHand, watchdog: Watchdog) -> Found:
    """Batch has come to the end of all its jobs."""
    if going := [job.id for job in world.assembly.batch.jobs.values() if not job.over]:
        yield f"{going} are not over"


def _deployments(world: WorldByHand, watchdog: Watchdog) -> Found:
    """Marathon has said of each deployment how it ended."""
    if untold := watchdog.begun - watchdog.over:
        yield f"nobody was told how {sorted(untold)} ended"


LOOKS = (_agents, _apps, _tasks, _jobs, _deployments)

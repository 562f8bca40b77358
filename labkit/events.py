"""What happened between two snapshots, in sentences for the event log.

Pure: ``describe(old, new, diff, now)`` gives the events; :mod:`labkit.live` keeps them. When many tasks of a
workload do the same thing at once they are told as one event, so that scaling to 100 is a line and not a page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from .model import Diff, Event, Framework, Node, NodeState, Snapshot, State, Task, Workload

TOGETHER = 6  # tasks of a workload doing the same thing in one diff, from which on they are told in one line

AVAILABILITY = {
    "active": "takes tasks again",
    "pause": "is paused: it keeps its tasks and gets no new ones",
    "drain": "is drained: its tasks move to other nodes",
}

# state -> (level, what one task did, what many did); {on} is " on NODE", {why} ": message"
TASK = {
    State.RUNNING: ("info", "is running{on}", "tasks running"),
    State.COMPLETE: ("info", "completed{on}", "tasks completed"),
    State.STOPPED: ("info", "was stopped{on}", "tasks stopped"),
    State.FAILED: ("error", "failed{on}{why}", "tasks failed{why}"),
    State.LOST: ("warning", "was lost{on}", "tasks lost with their nodes"),
}


def describe(old: Snapshot | None, new: Snapshot, changes: Diff, now: float) -> list[Event]:
    """The events that lead from ``old`` to ``new``, in the order in which a reader wants them."""
    if old is None:
        if new.error:
            return [Event(now, "cluster", new.orchestrator, new.error, "error")]
        deployed = [w for w in new.workloads.values() if w.kind != "framework"]
        text = f"watching {new.orchestrator}: {_count(new.nodes, 'node')}, {_count(deployed, 'workload')}"
        return [Event(now, "cluster", new.orchestrator, text)]
    events: list[Event] = []
    if changes.error_changed:
        events.extend(_cluster(old, new, now))
    events.extend(_nodes(old, new, changes, now))
    events.extend(_workloads(old, new, changes, now))
    events.extend(_endpoints(old, new, changes, now))
    events.extend(_frameworks(old, new, changes, now))
    events.extend(_tasks(old, new, changes, now))
    return events


def why(task: Task) -> str:
    """A task's message without the orchestrator's own prefix; its exit code when it says nothing."""
    message = re.sub(r"^(task|starting container failed): ", "", task.message.strip())
    if not message and task.exit_code not in (None, 0):
        return f"exit code {task.exit_code}"
    return message


def reasons(message: str) -> list[str]:
    """A scheduler's explanation as a list: the sentence, then each ground of refusal with its count.

    >>> reasons("no suitable node (scheduling constraints not satisfied on 3 nodes; 2 nodes not available)")
    ['no suitable node', 'scheduling constraints not satisfied on 3 nodes', '2 nodes not available']
    """
    message = message.strip()
    found = re.fullmatch(r"(.*?)\s*\((.+)\)\.?", message, re.DOTALL)
    if not found:
        return [message] if message else []
    return [found[1], *(part.strip() for part in found[2].split(";") if part.strip())]


def _cluster(old: Snapshot, new: Snapshot, now: float) -> Iterator[Event]:
    if new.error:
        yield Event(now, "cluster", new.orchestrator, new.error, "error")
    elif old.error:
        yield Event(now, "cluster", new.orchestrator, "the cluster answers again")


def _nodes(old: Snapshot, new: Snapshot, changes: Diff, now: float) -> Iterator[Event]:
    for key in sorted(changes.nodes.added, key=lambda k: new.nodes[k].name):
        node = new.nodes[key]
        yield Event(now, "node", node.name, f"{node.name} joined as a {node.role}")
    for key in sorted(changes.nodes.removed):
        name = old.nodes[key].name
        yield Event(now, "node", name, f"{name} left the cluster", "warning")
    for key in sorted(changes.nodes.changed, key=lambda k: new.nodes[k].name):
        was, node = old.nodes[key], new.nodes[key]
        for text, level in _node_changes(was, node):
            yield Event(now, "node", node.name, f"{node.name} {text}", level)


def _node_changes(was: Node, node: Node) -> Iterator[tuple[str, str]]:
    if was.state != node.state:
        if node.state is NodeState.DOWN:
            yield "is down" + (f": {node.message}" if node.message else ""), "error"
        elif node.state is NodeState.UNKNOWN:
            yield "does not answer", "warning"
        else:
            yield "is up", "info"
    if was.reachable != node.reachable and node.reachable is not None:
        others = "masters" if node.role == "master" else "managers"
        yield (
            ("is reachable again", "info") if node.reachable else (f"is unreachable for the other {others}", "warning")
        )
    if node.leader and not was.leader:
        yield "is leader", "info"
    if was.role != node.role:
        yield f"is now a {node.role}", "info"
    if was.availability != node.availability:
        yield AVAILABILITY.get(node.availability, f"is set to {node.availability}"), "info"


def _workloads(old: Snapshot, new: Snapshot, changes: Diff, now: float) -> Iterator[Event]:
    for key in sorted(changes.workloads.added, key=lambda k: new.workloads[k].name):
        w = new.workloads[key]
        if w.kind == "framework":
            continue  # that it registered is told of the framework itself
        if key in old.tasks:  # a lone pod is its own workload, with the pod's id: it has lost its owner
            yield Event(now, "workload", w.name, f"{w.name} belongs to nobody now")
            continue
        wanted = f"{w.desired} × " if w.mode.startswith("replicated") else f"{w.mode}, "
        yield Event(now, "workload", w.name, f"{w.name} created: {wanted}{w.image or w.kind}")
    for key in sorted(changes.workloads.removed):
        name = old.workloads[key].name
        if (owner := _owner(new, key)) is not None:
            yield Event(now, "workload", name, f"{name} belongs to {owner.name} now")
        elif old.workloads[key].kind != "framework":
            yield Event(now, "workload", name, f"{name} removed")
    for key in sorted(changes.workloads.changed, key=lambda k: new.workloads[k].name):
        was, w = old.workloads[key], new.workloads[key]
        if w.kind == "framework":
            continue  # nobody scales it: it runs what it likes
        for text, level in _workload_changes(was, w):
            yield Event(now, "workload", w.name, text, level)


def _owner(new: Snapshot, key: str) -> Workload | None:
    """Who has adopted the lone pod that was a workload of its own."""
    return new.workloads.get(new.tasks[key].workload) if key in new.tasks else None


def _workload_changes(was: Workload, w: Workload) -> Iterator[tuple[str, str]]:
    if was.desired != w.desired:
        yield f"{w.name} scaled {was.desired} → {w.desired}", "info"
    if was.image != w.image:
        yield f"{w.name} updated: {was.image} → {w.image}", "info"
    if was.update != w.update and w.update:
        bad = any(word in w.update for word in ("paused", "rollback"))
        yield f"{w.name}: {w.update}", "warning" if bad else "info"
    if was.running != w.running and w.running == w.desired and w.desired:
        yield (
            f"{w.name} has all its {w.desired} tasks running" if w.desired > 1 else f"{w.name} has its task running",
            "info",
        )


def _endpoints(old: Snapshot, new: Snapshot, changes: Diff, now: float) -> Iterator[Event]:
    for keys, book, text in (
        (changes.endpoints.added, new, "{name} is published on port {port}"),
        (changes.endpoints.removed, old, "{name} is no longer published on port {port}"),
    ):
        for key in sorted(keys):
            endpoint = book.endpoints[key]
            workload = book.workloads.get(endpoint.workload)
            if endpoint.port and workload:
                yield Event(now, "endpoint", workload.name, text.format(name=workload.name, port=endpoint.port))


def _frameworks(old: Snapshot, new: Snapshot, changes: Diff, now: float) -> Iterator[Event]:
    """Offers come and go every second: the graph shows them, and nobody wants to read of each."""
    for key in sorted(changes.frameworks.added):
        framework = new.frameworks[key]
        yield Event(now, "cluster", framework.name, f"the framework {framework.name} registered")
    for key in sorted(changes.frameworks.removed):
        name = old.frameworks[key].name
        yield Event(now, "cluster", name, f"the framework {name} is gone")
    for key in sorted(changes.frameworks.changed):
        was, framework = old.frameworks[key], new.frameworks[key]
        if _gets_offers(was) != _gets_offers(framework):
            text, level = ("registered again", "info") if _gets_offers(framework) else ("gets no offers", "warning")
            if not framework.connected:
                text = "has lost its scheduler"
            yield Event(now, "cluster", framework.name, f"the framework {framework.name} {text}", level)


def _gets_offers(framework: Framework) -> bool:
    return framework.active and framework.connected


def _tasks(old: Snapshot, new: Snapshot, changes: Diff, now: float) -> Iterator[Event]:
    together: dict[tuple[str, State], list[Task]] = defaultdict(list)
    for key in changes.tasks.added | changes.tasks.changed:
        task, was = new.tasks[key], old.tasks.get(key)
        if task.state in TASK and (was is None or was.state != task.state):
            # A dead task that was never seen alive (history read anew) is no news.
            if was is not None or task.state.alive or task.state is State.FAILED:
                together[task.workload, task.state].append(task)
        elif task.state is State.PENDING and task.message and (was is None or was.message != task.message):
            together[task.workload, task.state].append(task)
    for (workload, state), tasks in sorted(together.items()):
        tasks.sort(key=lambda t: (t.slot, t.name))
        if state is State.PENDING:
            yield from _waiting(tasks, now)
        elif len(tasks) < TOGETHER:
            yield from (_one(task, new, now) for task in tasks)
        else:
            level, _, many = TASK[state]
            name = new.workloads[workload].name if workload in new.workloads else workload
            text = f"{name}: {len(tasks)} {many.format(why=_colon(why(tasks[0])))}"
            yield Event(now, "task", name, text, level)


def _one(task: Task, new: Snapshot, now: float) -> Event:
    level, text, _ = TASK[task.state]
    node = new.nodes.get(task.node)
    on = f" on {node.name}" if node else ""
    return Event(now, "task", task.name, f"{task.name} {text.format(on=on, why=_colon(why(task)))}", level)


def _waiting(tasks: list[Task], now: float) -> Iterator[Event]:
    by_reason: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        by_reason[task.message].append(task)
    for message, alike in by_reason.items():
        names = alike[0].name if len(alike) == 1 else f"{alike[0].name} and {len(alike) - 1} more"
        verb = "waits" if len(alike) == 1 else "wait"
        yield Event(now, "task", alike[0].name, f"{names} {verb}: {message}", "warning")


def _colon(text: str) -> str:
    return f": {text}" if text else ""


def _count(things: Iterable[object], word: str) -> str:
    n = sum(1 for _ in things)
    return f"{n} {word}" if n == 1 else f"{n} {word}s"

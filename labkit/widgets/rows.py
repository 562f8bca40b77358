"""What the panels beside the graph show, as plain JSON data made from a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from labkit.events import reasons, why
from labkit.model import Event, Node, Resources, Snapshot, Task, Workload
from labkit.topology import style, words
from labkit.topology.tally import Tally

Row = dict[str, Any]

MOST_ROWS = 40  # of a list; the rest is told as a number
MOST_EVENTS = 80


def workloads(snapshot: Snapshot, cards: Mapping[str, int]) -> list[Row]:
    """A row a workload; ``cards`` gives the colours that the graph uses."""
    ports: dict[str, list[Any]] = {}
    for endpoint in snapshot.endpoints.values():
        ports.setdefault(endpoint.workload, []).append(endpoint)
    found = sorted(snapshot.workloads.values(), key=lambda w: (cards.get(w.id, 1 << 30), w.name))
    return [_workload(w, words.ports(ports.get(w.id, [])), cards.get(w.id, len(style.WORKLOADS) - 1)) for w in found]


def _workload(w: Workload, ports: str, colour: int) -> Row:
    return {
        "id": w.id,
        "name": w.name,
        "image": words.image(w.image),
        "desired": w.desired,
        "running": w.running,
        "scalable": w.mode == "replicated",
        "mode": w.mode,
        "ports": ports,
        "colour": style.WORKLOADS[colour % len(style.WORKLOADS)],
        "update": w.update,
    }


def nodes(snapshot: Snapshot, tally: Tally, cells: Mapping[str, int], plugs: Mapping[str, str]) -> list[Row]:
    """A row a node, in the order in which the graph has them."""
    found = sorted(snapshot.nodes.values(), key=lambda n: (cells.get(n.id, 1 << 30), n.name))
    return [_node(n, tally, plugs) for n in found]


def _node(node: Node, tally: Tally, plugs: Mapping[str, str]) -> Row:
    key = style.condition(node)
    look = style.NODES[key]
    return {
        "id": node.id,
        "name": node.name,
        "role": words.node_role(node),
        "condition": key,
        "word": look.word,
        "note": _node_note(node, look.word, plugs.get(node.name, "")),
        "meaning": look.meaning,
        "sign": "★" if node.leader else look.sign,
        "availability": node.availability,
        "plug": plugs.get(node.name, ""),
        "tasks": tally.living.get(node.id, 0),
    }


def _node_note(node: Node, word: str, plug: str) -> str:
    told = [word] if word != "ready" else []
    if plug in style.PLUGS:  # the cluster itself notices only some heartbeats later
        told.append(style.PLUGS[plug])
    return " · ".join(told) or words.node_role(node)


def loose_machines(snapshot: Snapshot, plugs: Mapping[str, str]) -> list[Row]:
    """Machines that are no node (yet): their plugs can be pulled all the same."""
    known = {n.name for n in snapshot.nodes.values()}
    return [
        {"id": "", "name": name, "role": "machine", "condition": "ready", "word": state, "note": "in no cluster",
         "meaning": "",
         "sign": "", "availability": "", "plug": state, "tasks": 0}
        for name, state in plugs.items() if name not in known
    ]  # fmt: skip


def events(found: Iterable[Event]) -> list[Row]:
    """The newest events, newest first."""
    newest = list(found)[-MOST_EVENTS:]
    return [
        {"time": clock(e.at), "level": e.level, "text": e.text, "kind": e.kind, "key": f"{e.at}{e.text}"}
        for e in reversed(newest)
    ]


def detail(snapshot: Snapshot, selected: tuple[str, str], tally: Tally, plugs: Mapping[str, str]) -> Row:
    """The side panel for what was clicked: ("task" | "node" | "workload", id). Empty when it is gone."""
    kind, key = selected
    if kind == "task" and key in snapshot.tasks:
        return _task_detail(snapshot, snapshot.tasks[key])
    if kind == "node" and key in snapshot.nodes:
        return _node_detail(snapshot.nodes[key], tally, plugs)
    if kind == "workload" and key in snapshot.workloads:
        return _workload_detail(snapshot, snapshot.workloads[key])
    return {}


def _task_detail(snapshot: Snapshot, task: Task) -> Row:
    node = snapshot.nodes.get(task.node)
    workload = snapshot.workloads.get(task.workload)
    fields = [
        ("state", task.detail or style.TASKS[task.state].word),
        ("wanted", "yes, it is meant to run" if task.wanted else "no"),
        ("node", node.name if node else "none yet" if task.state.alive else "—"),
        ("workload", workload.name if workload else ""),
        ("image", words.image(task.image)),
        ("exit code", "" if task.exit_code is None else str(task.exit_code)),
        ("address", task.address),
        ("reserved", _reserved(task.reserved)),
        ("container", task.container[:12]),
        ("task", task.id),
        ("since", clock(task.updated) if task.updated else ""),
    ]
    waiting = not task.node and task.state.alive
    return {
        "kind": "task",
        "id": task.id,
        "title": words.task_name(task),
        "sign": style.TASKS[task.state].word,
        "fill": style.TASKS[task.state].fill,
        "fields": [[name, value] for name, value in fields if value],
        "heading": "Why it waits" if waiting else "What it says",
        "reasons": reasons(task.message) if waiting else [text] if (text := why(task)) else [],
        "actions": ["kill"] if task.state.alive and task.container else [],
    }


def _node_detail(node: Node, tally: Tally, plugs: Mapping[str, str]) -> Row:
    look = style.NODES[style.condition(node)]
    reserved = tally.reserved.get(node.id, Resources())
    cpu, memory = words.capacity(reserved, node.capacity)
    fields = [
        ("state", f"{look.word}: {look.meaning}"),
        ("role", words.node_role(node)),
        ("availability", node.availability),
        ("machine", plugs.get(node.name, "")),
        ("address", node.address),
        ("reserved", f"{cpu.removeprefix('cpu ')} CPUs, {memory.removeprefix('mem ')} memory"),
        ("tasks", str(tally.living.get(node.id, 0))),
        ("engine", node.version),
        ("labels", ", ".join(f"{k}={v}" for k, v in sorted(node.labels.items()))),
        ("node", node.id),
    ]
    activate = ["activate"] if node.availability != "active" else ["drain", "pause"]
    return {
        "kind": "node",
        "id": node.id,
        "title": node.name,
        "sign": look.word,
        "fill": "",
        "fields": [[name, value] for name, value in fields if value],
        "heading": "What it says",
        "reasons": [node.message] if node.message else [],
        "actions": [*activate, *_plug_actions(plugs.get(node.name, ""))],
        "machine": node.name,
    }


def _plug_actions(state: str) -> list[str]:
    """What may be done to a machine's plug; nothing where the sandbox has none."""
    if not state or state == "unknown":
        return []
    return ["fail", "freeze", "partition"] if state in ("up", "slow") else ["heal"]


def _workload_detail(snapshot: Snapshot, w: Workload) -> Row:
    fields = [
        ("running", f"{words.desired(w)} ({w.mode})"),
        ("image", words.image(w.image)),
        ("ports", words.ports([e for e in snapshot.endpoints.values() if e.workload == w.id])),
        ("address", ", ".join(e.address for e in snapshot.endpoints.values() if e.workload == w.id and e.address)),
        ("update", w.update),
        ("labels", ", ".join(f"{k}={v}" for k, v in sorted(w.labels.items()))),
        (w.kind, w.id),
    ]
    waiting = [t for t in snapshot.tasks.values() if t.workload == w.id and t.state.alive and not t.node and t.message]
    return {
        "kind": "workload",
        "id": w.id,
        "title": w.name,
        "sign": w.kind,
        "fill": "",
        "fields": [[name, value] for name, value in fields if value],
        "heading": f"Why {words.plural(len(waiting), 'task')} wait" + ("s" if len(waiting) == 1 else ""),
        "reasons": reasons(waiting[0].message) if waiting else [],
        "actions": ["remove"],
    }


def _reserved(resources: Resources) -> str:
    parts = []
    if resources.cpus:
        parts.append(f"{words.number(resources.cpus)} CPU")
    if resources.memory:
        parts.append(words.memory(resources.memory))
    return ", ".join(parts)


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"

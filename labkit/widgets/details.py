"""What the panel beside the graph tells of one thing in detail: a task, a workload, a node. Plain JSON data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labkit.events import reasons, why
from labkit.model import Framework, Node, Resources, Snapshot, Task, Workload
from labkit.placement import SIGNS, Place, Why
from labkit.topology import style, words
from labkit.topology.families import Families, Service
from labkit.topology.scene import Scene
from labkit.topology.tally import Tally

from .protocol import ComponentLike
from .rows import MOST_ROWS, Row, clock, drains


def detail(
    snapshot: Snapshot,
    selected: tuple[str, str],
    scene: Scene,
    plugs: Mapping[str, str],
    components: Sequence[ComponentLike] = (),
    why: Why | None = None,
) -> Row:
    """The side panel for what was clicked; empty when it is gone.

    ``selected`` is ("task" | "node" | "workload" | "service" | "framework", id).

    ``why`` is what its scheduler says of the task that was clicked.
    """
    kind, key = selected
    if kind == "task" and key in snapshot.tasks:
        return {**_task_detail(snapshot, snapshot.tasks[key], scene.services), "places": _places(why)}
    if kind == "node" and key in snapshot.nodes:
        return _node_detail(snapshot, snapshot.nodes[key], scene.tally, plugs, components)
    if kind == "framework" and key in snapshot.frameworks:
        return _framework_detail(snapshot, snapshot.frameworks[key])
    if kind == "service" and key in scene.services:
        return _service_detail(snapshot, scene.services[key])
    if kind == "workload" and key in snapshot.workloads:
        return {**_workload_detail(snapshot, snapshot.workloads[key], scene.families), "places": _places(why)}
    return {}


def _task_detail(snapshot: Snapshot, task: Task, services: Mapping[str, Service]) -> Row:
    node = snapshot.nodes.get(task.node)
    pod = snapshot.orchestrator == "kubernetes"
    behind = [s.name for s in services.values() if task.id in s.tasks]
    selected = [f"{s.name} (not ready)" for s in services.values() if task.id in s.unready]
    fields = [
        ("state", task.detail or style.TASKS[task.state].word),
        ("wanted", "yes, it is meant to run" if task.wanted else "no"),
        ("node", node.name if node else "none yet" if task.state.alive else "—"),
        ("namespace", task.namespace),
        ("owners" if pod else "workload", _owners(snapshot, task)),
        ("labels", _labels(task.labels)),
        ("services", ", ".join([*behind, *selected]) or ("none selects it" if services else "")),
        ("ready", task.ready),
        ("restarts", str(task.restarts) if task.ready else ""),
        (_what(task.image), words.image(task.image).removeprefix("$ ")),
        ("exit code", "" if task.exit_code is None else str(task.exit_code)),
        ("address", task.address),
        ("reserved", _reserved(task.reserved)),
        ("container", task.container[:12]),
        (words.unit(snapshot.orchestrator), task.id),
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
        "actions": _task_actions(snapshot, task),
        "relabel": pod and task.state.alive,
    }


def _task_actions(snapshot: Snapshot, task: Task) -> list[str]:
    if not task.state.alive:
        return []
    if snapshot.orchestrator == "marathon":
        workload = snapshot.workloads.get(task.workload)
        mine = task.node and workload is not None and workload.kind == "app"  # only a framework may kill its own
        return ["kill", "kill_and_scale"] if mine else []
    return ["kill"] if snapshot.orchestrator == "kubernetes" or task.container else []


def _places(why: Why | None) -> Row:
    """Node by node, why it is there and not elsewhere; empty when nobody can say."""
    if why is None or not why.places:
        return {}
    return {
        "heading": "Why here" if why.node else "Why nowhere",
        "source": why.source,
        "rows": [
            {
                "node": place.node,
                "sign": SIGNS[place.verdict],
                "verdict": place.verdict,
                "score": "" if place.score is None else str(place.score),
                "words": place.words or ("it would have done as well" if place.verdict == "fits" else ""),
                "filter": place.filter,
            }
            for place in sorted(why.places, key=_interest)[:MOST_ROWS]
        ],
    }


def _interest(place: Place) -> tuple[int, int, str]:
    """Where it is, then where it could have been, the best first; then the others."""
    return list(SIGNS).index(place.verdict), -(place.score or 0), place.node


def _owners(snapshot: Snapshot, task: Task) -> str:
    """ "Deployment web → ReplicaSet web-5d9", from the top down; a swarm's service by its name."""
    chain: list[str] = []
    at = snapshot.workloads.get(task.workload)
    while at is not None and at.id != task.id and len(chain) < 8:
        chain.append(f"{at.kind} {at.name}" if snapshot.orchestrator == "kubernetes" else at.name)
        at = snapshot.workloads.get(at.owner)
    return " → ".join(reversed(chain)) or ("nobody: it will not be made again" if task.ready else "")


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _service_detail(snapshot: Snapshot, service: Service) -> Row:
    def named(tasks: Iterable[str]) -> str:
        return ", ".join(sorted(snapshot.tasks[key].name for key in tasks if key in snapshot.tasks))

    first = service.endpoints[0]
    fields = [
        ("type", first.kind),
        ("address", first.address),
        ("ports", words.service_ports(service.endpoints)),
        ("namespace", service.namespace),
        ("selector", words.selector(first.selector)),
        ("sends to", named(service.tasks) or "nobody: connections are refused"),
        ("not ready", named(service.unready)),
    ]
    return {
        "kind": "service",
        "id": service.key,
        "title": service.name,
        "sign": "Service",
        "fill": "",
        "fields": [[name, value] for name, value in fields if value],
        "heading": "",
        "reasons": [],
        "actions": [],
    }


def _framework_detail(snapshot: Snapshot, f: Framework) -> Row:
    def on(key: str) -> str:
        node = snapshot.nodes.get(key)
        return node.name if node else key

    out = [snapshot.offers[key] for key in f.offers if key in snapshot.offers]
    fields = [
        ("role", f.role),
        ("weight", words.number(f.weight)),
        ("dominant share", words.share(f)),
        ("with its offers", f"{round(100 * f.held)}%" if f.offers else ""),
        ("uses", _reserved(f.used)),
        ("offered", "; ".join(f"{_reserved(offer.resources)} on {on(offer.node)}" for offer in out)),
        ("tasks", str(f.tasks)),
        ("state", "active" if f.active and f.connected else "gets no offers" if f.connected else "disconnected"),
        ("address", f.address),
        ("framework", f.id),
    ]
    return {
        "kind": "framework",
        "id": f.id,
        "title": f.name,
        "sign": "framework",
        "fill": "",
        "fields": [[name, value] for name, value in fields if value],
        "heading": "",
        "reasons": [],
        "actions": ["teardown"] if f.id in f.workloads else [],  # Marathon is not torn down by a click
    }


def _node_detail(
    snapshot: Snapshot, node: Node, tally: Tally, plugs: Mapping[str, str], components: Sequence[ComponentLike] = ()
) -> Row:
    look = style.NODES[style.condition(node)]
    reserved = tally.reserved.get(node.id, Resources())
    cpu, memory = words.capacity(reserved, node.capacity)
    workless = node.role in ("master", "zookeeper")
    fields = [
        ("state", f"{look.word}: {words.node_meaning(node)}"),
        ("role", words.node_role(node)),
        ("availability", node.availability if drains(node) else ""),
        ("ZooKeeper", f"{node.store} ({words.quorum_words(snapshot)})" if node.store else ""),
        ("offered", _reserved(_offered(snapshot, node))),
        ("machine", plugs.get(node.name, "")),
        ("address", node.address),
        (
            "reserved",
            "" if workless else f"{cpu.removeprefix('cpu ')} CPUs, {memory.removeprefix('mem ')} memory",
        ),
        ("tasks", "" if workless else str(tally.living.get(node.id, 0))),
        ("engine", node.version),
        ("labels", _labels(node.labels)),
        ("node", "" if workless else node.id),
    ]
    activate = [] if not drains(node) else ["activate"] if node.availability != "active" else ["drain", "pause"]
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
        "components": [{"name": c.name, "state": c.state} for c in components if c.machine == node.name],
    }


def _offered(snapshot: Snapshot, node: Node) -> Resources:
    """What of a node is out as offers."""
    return sum((offer.resources for offer in snapshot.offered_on(node.id)), Resources())


def _plug_actions(state: str) -> list[str]:
    """What may be done to a machine's plug; nothing where the sandbox has none."""
    if not state or state == "unknown":
        return []
    return ["fail", "freeze", "partition"] if state in ("up", "slow") else ["heal"]


def _what(image: str) -> str:
    """A process of Marathon's has a command where others have an image."""
    return "command" if image.startswith("$ ") else "image"


def _workload_detail(snapshot: Snapshot, w: Workload, families: Families) -> Row:
    mine = [e for e in snapshot.endpoints.values() if e.workload == w.id and not e.name]
    fields = [
        ("running", words.desired(w) if w.kind in ("app", "framework") else f"{words.desired(w)} ({w.mode})"),
        (_what(w.image), words.image(w.image).removeprefix("$ ")),
        ("namespace", w.namespace),
        ("ports", words.ports(mine)),
        ("address", ", ".join(e.address for e in mine if e.address)),  # virtual IPs, names in the DNS
        ("selector", _labels(w.selector)),
        ("depends on", ", ".join(w.needs)),
        ("revisions", words.revisions(families.children(w.id, snapshot))),
        ("update", w.update),
        ("labels", _labels(w.labels)),
        (w.kind, w.id),
    ]
    unit = words.unit(snapshot.orchestrator)
    own = {w.id, *(child.id for child in families.children(w.id, snapshot))}
    waiting = [t for t in snapshot.tasks.values() if t.workload in own and t.state.alive and not t.node and t.message]
    return {
        "kind": "workload",
        "id": w.id,
        "title": w.name,
        "sign": w.kind,
        "fill": "",
        "fields": [[name, value] for name, value in fields if value],
        "heading": f"Why {words.plural(len(waiting), unit)} wait" + ("s" if len(waiting) == 1 else ""),
        "reasons": reasons(waiting[0].message) if waiting else [],
        "actions": [*_rollout_actions(w), "remove"],
    }


def _rollout_actions(w: Workload) -> list[str]:
    if w.kind == "app":
        return ["restart", "suspend"] if w.desired else ["restart"]
    if w.kind != "Deployment":
        return ["restart"] if w.kind == "DaemonSet" else []
    return ["restart", "roll_back", "resume_rollout" if w.update == "paused" else "pause_rollout"]


def _reserved(resources: Resources) -> str:
    parts = []
    if resources.cpus:
        parts.append(f"{words.number(resources.cpus)} CPU")
    if resources.memory:
        parts.append(words.memory(resources.memory))
    return ", ".join(parts)

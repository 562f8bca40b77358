"""What the panels beside the graph show, as plain JSON data made from a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from labkit.model import Event, Node, Snapshot, Workload
from labkit.topology import style, words
from labkit.topology.families import FRAMEWORK, Families, Service
from labkit.topology.tally import Tally

Row = dict[str, Any]

MOST_ROWS = 40  # of a list; the rest is told as a number
MOST_EVENTS = 80


def workloads(snapshot: Snapshot, families: Families, cards: Mapping[str, int]) -> list[Row]:
    """A row for each workload that nobody owns, with what it made in it; in the order and colours of the graph."""
    ports: dict[str, list[Any]] = {}
    for endpoint in snapshot.endpoints.values():
        if not endpoint.name:
            ports.setdefault(endpoint.workload, []).append(endpoint)
    found = sorted(families.tops(snapshot), key=lambda w: (cards.get(w.id, 1 << 30), w.name))
    return [_workload(w, words.ports(ports.get(w.id, [])), families, snapshot) for w in found]


def _workload(w: Workload, ports: str, families: Families, snapshot: Snapshot) -> Row:
    children = families.children(w.id, snapshot)
    return {
        "id": w.id,
        "name": w.name,
        "image": words.image(w.image),
        "desired": w.desired,
        "running": w.running,
        "scalable": w.mode == "replicated",
        "mode": w.mode,
        "kind": w.kind,
        "ports": ports,
        "colour": _colour(families, (children or [w])[0]),
        "update": w.update,
        "children": [
            {
                "id": child.id,
                "name": child.name,
                "revision": child.revision,
                "image": words.image(child.image),
                "count": words.desired(child),
                "colour": _colour(families, child),
            }
            for child in children
        ],
    }


def _colour(families: Families, w: Workload) -> str:
    return style.WORKLOADS[families.colour(w.id, len(style.WORKLOADS) - 1) % len(style.WORKLOADS)]


def services(found: Mapping[str, Service]) -> list[Row]:
    """A row for each Service that is a thing of its own."""
    return [
        {
            "id": service.key,
            "name": service.name,
            "count": f"{len(service.tasks)} / {len(service.tasks) + len(service.unready)}",
            "note": f"{words.selector(service.endpoints[0].selector)}  {words.service_ports(service.endpoints)}",
            "served": bool(service.tasks),
        }
        for service in sorted(found.values(), key=lambda s: s.name)
    ]


def frameworks(snapshot: Snapshot) -> list[Row]:
    """A bar for each framework: the share that Dominant Resource Fairness compares, the next to be offered first."""
    found = sorted(snapshot.frameworks.values(), key=lambda f: (f.held / (f.weight or 1.0), f.name, f.id))
    return [
        {
            "id": f.id,
            "card": FRAMEWORK + f.id,
            "name": f.name,
            "role": f.role,
            "share": f.share,
            "held": max(f.share, f.held),
            "words": f"{round(100 * f.share)}%",
            "note": " · ".join(
                part
                for part in (
                    f.resource,
                    "" if f.role == "*" else f"role {f.role}",
                    f"weight {words.number(f.weight)}",
                    words.offers(f),
                    "" if f.active and f.connected else "inactive",
                )
                if part
            ),
        }
        for f in found
    ]


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
        "meaning": words.node_meaning(node),
        "sign": "★" if node.leader else look.sign,
        "availability": node.availability,
        "plug": plugs.get(node.name, ""),
        "tasks": tally.living.get(node.id, 0),
        "drains": drains(node),
    }


def drains(node: Node) -> bool:
    """Whether a node can be drained and paused; Mesos leaves moving tasks to its frameworks."""
    return node.role not in ("master", "agent", "zookeeper")


def _node_note(node: Node, word: str, plug: str) -> str:
    told = [word] if word != "ready" else []
    if plug in style.PLUGS:  # the cluster itself notices only some heartbeats later
        told.append(style.PLUGS[plug])
    return " · ".join([*told, words.store(node)] if node.store else told) or words.node_role(node)


def loose_machines(snapshot: Snapshot, plugs: Mapping[str, str]) -> list[Row]:
    """Machines that are no node (yet): their plugs can be pulled all the same."""
    known = {n.name for n in snapshot.nodes.values()}
    return [
        {"id": "", "name": name, "role": "machine", "condition": "ready", "word": state, "note": "in no cluster",
         "meaning": "",
         "sign": "", "availability": "", "plug": state, "tasks": 0, "drains": False}
        for name, state in plugs.items() if name not in known
    ]  # fmt: skip


def events(found: Iterable[Event]) -> list[Row]:
    """The newest events, newest first."""
    newest = list(found)[-MOST_EVENTS:]
    return [
        {"time": clock(e.at), "level": e.level, "text": e.text, "kind": e.kind, "key": f"{e.at}{e.text}"}
        for e in reversed(newest)
    ]


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"

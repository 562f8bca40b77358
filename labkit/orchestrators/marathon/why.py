"""Why a Marathon task is on its agent, or why an app waits: agent by agent, from what its launch queue remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.model import Node, NodeState, Offer, Resources, Task
from labkit.orchestrators.marathon.apps import REASONS, app_of, why_waiting
from labkit.orchestrators.marathon.reading import MEBI
from labkit.placement import Place, Why

Json = Mapping[str, Any]

KEPT = "from Marathon's launch queue: the last offer of each agent that it did not use"
PLACED = "Marathon takes the first offer that fits, and keeps no list of those it did not look at"
_ASKED = "Marathon used other offers first"


def explain_waiting(
    name: str,
    item: Json,
    nodes: Iterable[Node],
    offers: Iterable[Offer],
    names: Mapping[str, str],
    free: Mapping[str, Resources],
) -> Why:
    """Of an app that waits.

    Args:
        item: its entry of ``/v2/queue?embed=lastUnusedOffers``.
        offers: all that are out, to any framework.
        names: of the frameworks by id.
        free: what each agent has left.
    """
    app = app_of(item)
    unused = _by_agent(item.get("lastUnusedOffers") or ())
    out: dict[str, list[Offer]] = {}
    for offer in offers:
        out.setdefault(offer.node, []).append(offer)
    places = []
    for node in nodes:
        if node.role != "agent":
            continue
        if node.id in unused:
            places.append(_refused(node, unused[node.id], app))
        else:
            places.append(_no_offer(node, app, out.get(node.id, []), names, free.get(node.id, Resources())))
    return Why(name, "", tuple(sorted(places, key=lambda place: place.node)), why_waiting(item), KEPT)


def explain_placed(task: Task, nodes: Iterable[Node], framework: str = "") -> Why:
    """Of a task that has its place; ``framework``: the name of the one that chose, if it is not Marathon."""
    here = next((node for node in nodes if node.id == task.node), None)
    places = [
        Place(node.name, "chosen", reason=f"an offer of this agent fitted: {_wants(task.reserved)}")
        if node.id == task.node
        else Place(node.name, "not asked")
        for node in nodes
        if node.role == "agent"
    ]
    source = f"{framework} chose among the offers that it had; only it knows why" if framework else PLACED
    return Why(task.name, here.name if here else task.node, tuple(sorted(places, key=lambda p: p.node)), source=source)


def _by_agent(unused: Iterable[Json]) -> dict[str, Json]:
    """The newest offer of each agent that was not used."""
    found: dict[str, Json] = {}
    for entry in unused:
        agent = str((entry.get("offer") or {}).get("agentId") or (entry.get("offer") or {}).get("slaveId") or "")
        if agent not in found or str(entry.get("timestamp", "")) >= str(found[agent].get("timestamp", "")):
            found[agent] = entry
    return found


def _refused(node: Node, entry: Json, app: Json) -> Place:
    reasons = [str(reason) for reason in entry.get("reason") or ()]
    if not reasons:
        return Place(node.name, "fits", reason="its last offer fitted, and was used or withdrawn")
    offered = entry.get("offer") or {}
    told = [_words(reason, app, offered, node) for reason in reasons]
    return Place(node.name, "refused", ", ".join(reasons), "; ".join(told))


# reason → the field of the app, the resource of the offer, the unit
_AMOUNTS = {
    "InsufficientCpus": ("cpus", "cpus", ""),
    "InsufficientMemory": ("mem", "mem", " MiB"),
    "InsufficientDisk": ("disk", "disk", " MiB"),
    "InsufficientGpus": ("gpus", "gpus", ""),
}


def _words(reason: str, app: Json, offered: Json, node: Node) -> str:
    if reason in _AMOUNTS:
        field, resource, unit = _AMOUNTS[reason]
        there = _scalar(offered.get("resources") or (), resource)
        return f"it wants {_number(float(app.get(field) or 0))} {resource}{unit}, {_number(there)} were offered"
    if reason == "UnfulfilledConstraint":
        constraints = app.get("constraints") or ()
        asked = ", ".join(" ".join(map(str, constraint)) for constraint in constraints)
        fields = [str(constraint[0]) for constraint in constraints if constraint]
        has = ", ".join(f"{key}={node.labels[key]}" for key in fields if key in node.labels)
        return f"constraint {asked}" + (f" (this agent has {has})" if has else "") if asked else REASONS[reason]
    return REASONS.get(reason, reason)


def _scalar(resources: Iterable[Json], name: str) -> float:
    """How much of a resource an offer has, in all its roles: Marathon writes a number, Mesos an object with it."""
    total = 0.0
    for row in resources:
        scalar = row.get("scalar") if row.get("name") == name else None
        total += float((scalar.get("value") if isinstance(scalar, Mapping) else scalar) or 0.0)
    return total


def _no_offer(node: Node, app: Json, out: list[Offer], names: Mapping[str, str], free: Resources) -> Place:
    """An agent of which no offer was refused: why none came."""
    if node.state is not NodeState.READY:
        return Place(node.name, "refused", "no offer", "the masters have lost this agent: it makes no offers")
    if out:
        holders = ", ".join(sorted({names.get(offer.framework, offer.framework) for offer in out}))
        return Place(node.name, "not asked", "offered", f"it is offered to {holders} just now")
    if free.cpus < float(app.get("cpus") or 0) or free.memory < float(app.get("mem") or 0) * MEBI:
        return Place(node.name, "refused", "no offer", f"only {_wants(free)} are free here")
    return Place(node.name, "not asked", "no offer", _ASKED)


def _wants(resources: Resources) -> str:
    return f"{_number(resources.cpus)} cpus and {_number(resources.memory / MEBI)} MiB of memory"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")

"""Why here, why not there, why not at all: a pod's nodes one by one. Pure; the same shape whoever runs the cluster.

A scheduler of ours keeps its table, which is taken as it is; a real one has forgotten how it decided, so its filters
are asked again (:mod:`.fitting`) on the cluster as it is now. Scores are known in the first case only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from labkit.orchestrators.kubernetes.fitting import Refusal, Surroundings, refusals
from labkit.placement import Place, Why

Json = Mapping[str, Any]

WORKED_OUT = "worked out from the cluster as it is now"


def explain(
    pod: Json, nodes: Iterable[Json], pods: Iterable[Json], events: Iterable[Json] = (), table: Json | None = None
) -> Why:
    """What is known about a pod's place.

    Args:
        events: about the pod; what the scheduler said of it last is taken from them if the pod itself does not tell.
        table: what :meth:`labkit.engines.embedded.EmbeddedEngine.explain` gave.
    """
    around = Surroundings.of(pod, nodes, pods)
    here = pod["spec"].get("nodeName") or ""
    against = {name: refusals(pod, node, around) for name, node in around.nodes.items()}
    if table is not None and table.get("nodes"):
        alone = _ALONE if all(map(_was_asked, table["nodes"])) else _NOMINATED
        places = [_from_table(row, here, against.get(row["name"], []), alone) for row in table["nodes"]]
        source = _source(table)
    else:
        places = [_from_objects(name, here, found) for name, found in against.items()]
        source = WORKED_OUT
    return Why(
        task=pod["metadata"]["name"],
        node=here,
        places=tuple(sorted(places, key=lambda place: place.node)),
        message="" if here else _message(pod, events),
        source=source,
    )


def _from_objects(name: str, here: str, against: list[Refusal]) -> Place:
    if name == here:
        return Place(name, "chosen", reason=_since(against))
    if against:
        return Place(name, "refused", against[0].filter, against[0].reason)
    return Place(name, "fits")


def _since(against: list[Refusal]) -> str:
    """A pod stays where it is, whatever is said of its node afterwards."""
    return f"it would not come here today: {against[0].reason}" if against else ""


_ALONE = "the only one that fits: there is nothing to compare"
_NOMINATED = "room had been made for it here, at the cost of others"


def _was_asked(row: Json) -> bool:
    return bool(row["feasible"]) or any(verdict["passed"] is False for verdict in row["filters"])


def _from_table(row: Json, here: str, against: list[Refusal], alone: str) -> Place:
    """``alone``: what it means when a node passed and yet has no score."""
    name = row["name"]
    if row["feasible"]:
        scores = {score["plugin"]: score["weighted"] for score in row["scores"]}
        verdict = "chosen" if name == here else "fits"
        reason = "" if row["total"] is not None else alone
        return Place(name, verdict, reason=reason, score=row["total"], scores=scores)
    refused = next((verdict for verdict in row["filters"] if verdict["passed"] is False), None)
    if name == here:
        return Place(name, "chosen", reason=_since(against))
    if refused is None:
        return Place(name, "not asked", reason="room had been made for it elsewhere")
    # Our own words say more, as long as they are about the same thing.
    more = next((one.reason for one in against if one.filter == refused["plugin"]), "")
    return Place(name, "refused", refused["plugin"], more or refused["message"])


def _source(table: Json) -> str:
    if table.get("asOf") != "decision":
        return "worked out by the scheduler from the cluster as it is now"
    decided = datetime.fromisoformat(str(table["decidedAt"]).replace("Z", "+00:00")).astimezone()
    totals = [row["total"] for row in table["nodes"] if row["total"] is not None]
    lot = "; the best were equal, so the lot decided" if totals and totals.count(max(totals)) > 1 else ""
    return f"as the scheduler decided at {decided:%H:%M:%S}{lot}"


def _message(pod: Json, events: Iterable[Json]) -> str:
    status = pod.get("status") or {}
    scheduled: Json = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
    told = str(scheduled.get("message") or "") or _last_failure(events)
    nominated = status.get("nominatedNodeName")
    if nominated:
        return f"room is being made for it on {nominated}, at the cost of others. {told}".strip()
    return told or "no scheduler has looked at it yet"


def _last_failure(events: Iterable[Json]) -> str:
    failed = [event for event in events if event.get("reason") == "FailedScheduling"]
    newest = max(failed, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""), default=None)
    return str(newest["message"]) if newest else ""

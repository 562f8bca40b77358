"""What the launch queue tells of the offers that an app was matched with.

``core/launchqueue/impl/OfferMatchStatistics.scala``, ``raml/QueueInfoConversion.scala``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from labkit.embedded.marathon.matching.reasons import FUNNEL, first_reason

Json = dict[str, Any]


class Statistics:
    """Of one app, from when it began to want instances until it has them all."""

    __slots__ = ("last_unused_at", "last_used_at", "processed", "summary", "unused", "unused_offers")

    def __init__(self) -> None:
        self.processed = 0
        self.unused = 0
        self.summary: Counter[str] = Counter()  # reason → offers that were refused first of all for it
        self.last_used_at: str | None = None
        self.last_unused_at: str | None = None
        self.unused_offers: dict[str, tuple[Json, tuple[str, ...], str]] = {}  # agent → its last unused offer

    def matched(self, now: str) -> None:
        """An offer was used. ``now``: as Marathon prints times."""
        self.processed += 1
        self.last_used_at = now

    def refused(self, offer: Json, reasons: Iterable[str], now: str) -> None:
        """An offer (v1 JSON) was not used."""
        why = tuple(reasons)
        self.processed += 1
        self.unused += 1
        self.last_unused_at = now
        first = first_reason(why)
        if first is not None:
            self.summary[first] += 1
        self.unused_offers[offer["agent_id"]["value"]] = (offer, why, now)

    def summary_json(self) -> Json:
        """``processedOffersSummary``."""
        of_agents: Counter[str] = Counter()
        for _, why, _ in self.unused_offers.values():
            first = first_reason(why)
            if first is not None:
                of_agents[first] += 1
        found: Json = {"processedOffersCount": self.processed, "unusedOffersCount": self.unused}
        if self.last_unused_at is not None:
            found["lastUnusedOfferAt"] = self.last_unused_at
        if self.last_used_at is not None:
            found["lastUsedOfferAt"] = self.last_used_at
        found["rejectSummaryLastOffers"] = _funnel(len(self.unused_offers), of_agents)
        found["rejectSummaryLaunchAttempt"] = _funnel(self.processed, self.summary)
        return found

    def unused_offers_json(self) -> list[Json]:
        """``lastUnusedOffers``, for ``embed=lastUnusedOffers``: one for each agent."""
        return [
            {"offer": offer_json(offer), "reason": list(why), "timestamp": when}
            for offer, why, when in self.unused_offers.values()
        ]


def _funnel(processed: int, summary: Counter[str]) -> list[Json]:
    """How many offers came as far as each reason, and how many went no further."""
    steps = []
    for reason in FUNNEL:
        steps.append({"reason": reason, "declined": summary[reason], "processed": processed})
        processed -= summary[reason]
    return steps


def offer_json(offer: Json) -> Json:
    """An offer as Marathon's API shows it (``raml/OfferConversion.scala``)."""
    found: Json = {
        "id": offer["id"]["value"],
        "hostname": offer["hostname"],
        "agentId": offer["agent_id"]["value"],
        "resources": [_resource_json(each) for each in offer.get("resources") or ()],
        "attributes": [_attribute_json(each) for each in offer.get("attributes") or ()],
    }
    return found


def _ranges_json(value: Json) -> list[Json]:
    return [{"begin": each["begin"], "end": each["end"]} for each in (value.get("ranges") or {}).get("range", ())]


def _resource_json(resource: Json) -> Json:
    reservations = resource.get("reservations")
    found: Json = {
        "name": resource["name"],
        "role": reservations[-1]["role"] if reservations else resource.get("role") or "*",
    }
    if "scalar" in resource:
        found["scalar"] = resource["scalar"]["value"]
    if "ranges" in resource:
        found["ranges"] = _ranges_json(resource)
    if "set" in resource:
        found["set"] = list(resource["set"].get("item", ()))
    return found


def _attribute_json(attribute: Json) -> Json:
    found: Json = {"name": attribute["name"]}
    if "text" in attribute:
        found["text"] = attribute["text"]["value"]
    if "scalar" in attribute:
        found["scalar"] = attribute["scalar"]["value"]
    if "ranges" in attribute:
        found["ranges"] = _ranges_json(attribute)
    if "set" in attribute:
        found["set"] = list(attribute["set"].get("item", ()))
    return found

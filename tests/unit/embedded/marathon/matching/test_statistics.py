"""What the queue tells of offers."""

from __future__ import annotations

from typing import Any

from labkit.embedded.marathon.matching import FUNNEL, Statistics


def offer(agent: str) -> dict[str, Any]:
    return {
        "id": {"value": "o"},
        "hostname": agent,
        "agent_id": {"value": agent},
        "resources": [
            {"name": "cpus", "scalar": {"value": 1.0}},
            {"name": "ports", "role": "dev", "ranges": {"range": [{"begin": 1, "end": 2}]}},
        ],
        "attributes": [{"name": "rack", "text": {"value": "a"}}],
    }


def test_before_any_offer() -> None:
    found = Statistics().summary_json()
    assert found["processedOffersCount"] == 0
    assert "lastUnusedOfferAt" not in found
    assert [each["reason"] for each in found["rejectSummaryLastOffers"]] == list(FUNNEL)


def test_the_funnel() -> None:
    statistics = Statistics()
    statistics.refused(offer("s1"), ["InsufficientCpus", "UnfulfilledRole"], "t1")
    statistics.refused(offer("s1"), ["InsufficientCpus", "InsufficientMemory"], "t2")
    statistics.refused(offer("s2"), ["UnfulfilledConstraint"], "t3")
    statistics.matched("t4")
    found = statistics.summary_json()
    assert (found["processedOffersCount"], found["unusedOffersCount"]) == (4, 3)
    assert (found["lastUnusedOfferAt"], found["lastUsedOfferAt"]) == ("t3", "t4")

    def steps(name: str) -> list[tuple[str, int, int]]:
        return [(each["reason"], each["declined"], each["processed"]) for each in found[name]]

    assert steps("rejectSummaryLaunchAttempt")[:5] == [
        ("UnfulfilledRole", 1, 4),
        ("UnfulfilledConstraint", 1, 3),
        ("NoCorrespondingReservationFound", 0, 2),
        ("AgentMaintenance", 0, 2),
        ("InsufficientCpus", 1, 2),
    ]
    # Only the last offer of each agent.
    assert steps("rejectSummaryLastOffers")[0] == ("UnfulfilledRole", 0, 2)
    assert steps("rejectSummaryLastOffers")[4] == ("InsufficientCpus", 1, 1)


def test_last_unused_offers() -> None:
    statistics = Statistics()
    statistics.refused(offer("s1"), ["InsufficientCpus"], "t1")
    assert statistics.unused_offers_json() == [
        {
            "offer": {
                "id": "o",
                "hostname": "s1",
                "agentId": "s1",
                "resources": [
                    {"name": "cpus", "role": "*", "scalar": 1.0},
                    {"name": "ports", "role": "dev", "ranges": [{"begin": 1, "end": 2}]},
                ],
                "attributes": [{"name": "rack", "text": "a"}],
            },
            "reason": ["InsufficientCpus"],
            "timestamp": "t1",
        }
    ]

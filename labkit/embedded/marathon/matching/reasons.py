"""Why an offer was not used (``mesos/NoOfferMatchReason.scala``)."""

from __future__ import annotations

from collections.abc import Iterable

UNFULFILLED_ROLE = "UnfulfilledRole"
UNFULFILLED_CONSTRAINT = "UnfulfilledConstraint"
NO_RESERVATION = "NoCorrespondingReservationFound"
AGENT_MAINTENANCE = "AgentMaintenance"
INSUFFICIENT_CPUS = "InsufficientCpus"
INSUFFICIENT_MEMORY = "InsufficientMemory"
INSUFFICIENT_DISK = "InsufficientDisk"
INSUFFICIENT_GPUS = "InsufficientGpus"
INSUFFICIENT_PORTS = "InsufficientPorts"
DECLINED_SCARCE_RESOURCES = "DeclinedScarceResources"

# An offer that fails for several reasons is counted for the first of these.
FUNNEL = (
    UNFULFILLED_ROLE,
    UNFULFILLED_CONSTRAINT,
    NO_RESERVATION,
    AGENT_MAINTENANCE,
    INSUFFICIENT_CPUS,
    INSUFFICIENT_MEMORY,
    INSUFFICIENT_DISK,
    INSUFFICIENT_GPUS,
    INSUFFICIENT_PORTS,
    DECLINED_SCARCE_RESOURCES,
)

OF_RESOURCE = {
    "cpus": INSUFFICIENT_CPUS,
    "mem": INSUFFICIENT_MEMORY,
    "disk": INSUFFICIENT_DISK,
    "gpus": INSUFFICIENT_GPUS,
    "ports": INSUFFICIENT_PORTS,
}

_RANK = {reason: rank for rank, reason in enumerate(FUNNEL)}


def first_reason(reasons: Iterable[str]) -> str | None:
    """The one that counts; None if there is none."""
    return min(reasons, key=_RANK.__getitem__, default=None)

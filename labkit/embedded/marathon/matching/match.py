"""Whether an offer will do for the next instance of an app (``mesos/ResourceMatcher.scala``)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon.constraints import REGION, ZONE, Placed, Placements
from labkit.embedded.marathon.matching import ports, reasons
from labkit.embedded.marathon.matching.context import Context
from labkit.embedded.marathon.matching.offers import Offered, Scalar
from labkit.embedded.marathon.matching.tasks import build_task
from labkit.embedded.marathon.specs.app import App

Json = dict[str, Any]

_SCALARS = ("cpus", "mem", "gpus", "disk")  # in the order in which they are found missing
_EPSILON = 0.0005  # Mesos counts in thousandths


@dataclass(frozen=True, slots=True)
class Match:
    """What is to be launched, and which ports of the agent it has (those that the app wanted, in its order)."""

    task_info: Json
    host_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Why not. Empty when the agent is only in another region."""

    reasons: tuple[str, ...]


def match(
    app: App,
    offer: Offered,
    placed: Placements | Iterable[Placed],
    task_id: str,
    context: Context,
    rng: random.Random,
    *,
    enforce_role: bool = False,
) -> Match | NoMatch:
    """Take what an instance needs from the offer, and build its task; or say why it will not do.

    ``placed``: all instances of the app that have a place, without those that are lost; or their ``Placements``, kept
    by the caller (who adds the new one). After a Match the offer has that much less left; else it is untouched.
    """
    roles = app.accepted_resource_roles or context.default_accepted_resource_roles
    failed: list[str] = []
    takings: list[tuple[Scalar, float]] = []
    needed = app.resources
    for name in _SCALARS:
        left = needed[name]
        if not left:
            continue
        for scalar in offer.scalars.get(name, ()):
            if left <= 0:
                break
            if scalar.role in roles and scalar.left > 0:
                amount = min(left, scalar.left)
                takings.append((scalar, amount))
                left = round(left - amount, 3)
        if left > _EPSILON:
            failed.append(reasons.OF_RESOURCE[name])
    if offer.roles.isdisjoint(roles):
        failed.append(reasons.UNFULFILLED_ROLE)
    if app.constraints and not _constraints_met(app, offer, placed):
        failed.append(reasons.UNFULFILLED_CONSTRAINT)
    if _wastes_gpus(app, offer, context):
        failed.append(reasons.DECLINED_SCARCE_RESOURCES)
    if failed or not _in_our_region(app, offer, context):
        return NoMatch(tuple(failed))
    chosen = ports.choose(app.ports, offer.ports, roles, rng)
    if chosen is None:
        return NoMatch((reasons.INSUFFICIENT_PORTS,))

    resources = [{**scalar.resource, "scalar": {"value": amount}} for scalar, amount in takings]
    taken = [each for each in chosen if each is not None]
    resources += ports.as_resources(taken)
    host_ports = [None if each is None else each[0] for each in chosen]
    task_info = build_task(app, offer.agent, resources, host_ports, task_id, context, rng, enforce_role=enforce_role)
    for scalar, amount in takings:
        scalar.left = round(scalar.left - amount, 3)
    for number, source in taken:
        offer.take_port(number, source.role)
    return Match(task_info, tuple(number for number, _ in taken))


def _constraints_met(app: App, offer: Offered, placed: Placements | Iterable[Placed]) -> bool:
    if not isinstance(placed, Placements):
        placed = Placements.of(app.constraints, app.config_version, placed)
    return all(each.met(offer.agent, placed, app.instances) for each in app.constraints)


def _in_our_region(app: App, offer: Offered, context: Context) -> bool:
    """Apps stay in Marathon's own region, unless they say something about regions or zones themselves."""
    region = offer.agent.region
    return (
        region is None
        or region == context.local_region
        or any(each.field in (REGION, ZONE) for each in app.constraints)
    )


def _wastes_gpus(app: App, offer: Offered, context: Context) -> bool:
    """Agents with GPUs are kept for those who need them."""
    if app.resources["gpus"] or not offer.scalars.get("gpus"):
        return False
    behavior = app.labels.get("GPU_SCHEDULING_BEHAVIOR")
    if behavior not in ("restricted", "unrestricted"):
        behavior = context.gpu_scheduling_behavior
    return behavior == "restricted" and offer.total("gpus") > 0

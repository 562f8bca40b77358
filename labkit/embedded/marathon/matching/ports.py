"""Which ports of an offer an instance gets (``tasks/PortsMatcher.scala``)."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from labkit.embedded.marathon.matching.offers import PortRange
from labkit.embedded.marathon.specs.app import Port

Json = dict[str, Any]
Taken = tuple[int, PortRange]  # a port, and where it comes from


def _any(ranges: Sequence[PortRange], rng: random.Random) -> Iterator[Taken]:
    """All ports of the ranges, from a random one on.

    Random, so that a port that has just become free is hardly ever given out again at once: load balancers may still
    send its former owner's traffic there. Consecutive, so that what is left does not fall to pieces.
    """
    total = sum(each.end - each.begin + 1 for each in ranges)
    if not total:
        return
    shuffled = list(ranges)
    if len(shuffled) > 1:
        rng.shuffle(shuffled)
    start = int(rng.random() * total)
    index = 0
    while start > shuffled[index].end - shuffled[index].begin:
        start -= shuffled[index].end - shuffled[index].begin + 1
        index += 1
    first = shuffled[index]
    for port in range(first.begin + start, first.end + 1):
        yield port, first
    for each in (*shuffled[index + 1 :], *shuffled[:index]):
        for port in range(each.begin, each.end + 1):
            yield port, each
    for port in range(first.begin, first.begin + start):
        yield port, first


def choose(
    wanted: Sequence[Port], ranges: Sequence[PortRange], roles: Collection[str], rng: random.Random
) -> list[Taken | None] | None:
    """A port for each that is wanted; None for those that want none of the agent. None at all: they are not there."""
    if not wanted:
        return []
    offered = [each for each in ranges if each.role in roles]
    fixed = {port.host for port in wanted if port.host}
    dynamic = _any(offered, rng)
    found: list[Taken | None] = []
    for port in wanted:
        if port.host is None:
            found.append(None)
        elif port.host == 0:
            taken = next((each for each in dynamic if each[0] not in fixed), None)
            if taken is None:
                return None
            found.append(taken)
        else:
            source = next((each for each in offered if each.begin <= port.host <= each.end), None)
            if source is None:
                return None
            found.append((port.host, source))
    return found


def as_resources(taken: Sequence[Taken]) -> list[Json]:
    """As resources of a task: neighbours become one range, neighbours of one role become one resource."""
    found: list[Json] = []
    last: PortRange | None = None
    for port, source in taken:
        if last is None or last.role != source.role:
            template = source.resource
            found.append({**template, "ranges": {"range": [{"begin": port, "end": port}]}})
        else:
            ranges = found[-1]["ranges"]["range"]
            if ranges[-1]["end"] == port - 1:
                ranges[-1]["end"] = port
            else:
                ranges.append({"begin": port, "end": port})
        last = source
    return found

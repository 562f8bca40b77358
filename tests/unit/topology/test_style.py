"""Every state is told three times: by colour, by shape and by a word or sign."""

from __future__ import annotations

from itertools import combinations

import pytest

from labkit.model import Node, NodeState, State
from labkit.topology import style


def test_every_state_has_its_own_look() -> None:
    assert set(style.TASKS) == set(State)
    for field in ("word", "fill", "symbol", "code", "sign"):
        values = [getattr(look, field) for look in style.TASKS.values()]
        assert len(set(values)) == len(values), field


def test_colours_are_okabe_ito() -> None:
    used = {look.fill for look in style.TASKS.values()} | set(style.WORKLOADS)
    assert used - {style.GREY, style.DARK_GREY, style.PALE} <= style.OKABE_ITO


@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_fills_differ_to_the_colour_blind(kind: str) -> None:
    """By Viénot's simulation of the two common forms, every pair of fills stays apart."""
    matrix = {
        "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
        "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    }[kind]

    def seen(colour: str) -> tuple[float, ...]:
        rgb = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
        return tuple(max(0.0, sum(m * c for m, c in zip(row, rgb, strict=True))) ** (1 / 2.2) for row in matrix)

    for a, b in combinations([look.fill for look in style.TASKS.values()], 2):
        assert sum(abs(x - y) for x, y in zip(seen(a), seen(b), strict=True)) > 0.12, (a, b)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (Node("1", "a", "worker", NodeState.READY), "ready"),
        (Node("1", "a", "manager", NodeState.READY, leader=True), "leader"),
        (Node("1", "a", "worker", NodeState.DOWN, availability="drain"), "down"),
        (Node("1", "a", "worker", NodeState.READY, availability="drain"), "drained"),
        (Node("1", "a", "worker", NodeState.READY, availability="pause"), "paused"),
        (Node("1", "a", "worker", NodeState.UNKNOWN), "unknown"),
        (Node("1", "a", "manager", NodeState.UNKNOWN, reachable=False), "unreachable"),
    ],
)
def test_the_worst_condition_is_told(node: Node, expected: str) -> None:
    assert style.condition(node) == expected


def test_bad_conditions_are_hatched_signed_and_named() -> None:
    for name in ("paused", "drained", "unknown", "unreachable", "down"):
        look = style.NODES[name]
        assert look.hatch
        assert look.sign
        assert look.word
        assert look.meaning


def test_codes_hit_the_scale_exactly() -> None:
    colours = style.colours(tasks=True)
    assert len(colours) == style.HIDDEN + 1
    assert [c for _, c in style.scale(colours)] == colours
    assert len(style.colours(tasks=False)) == style.NO_WORKLOAD + 1

"""What a picture is made of besides the slots: blocks with texts and bars, and links. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from .grid import Rect

Line = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    role: str  # "title" | "note" | "right" | "strong" (right-aligned title) | "alert" (right-aligned, bad news)


@dataclass(frozen=True, slots=True)
class Bar:
    """A thin bar: how much of something is taken."""

    x: float
    y: float  # its middle
    w: float
    part: float  # 0..1
    code: int  # index of style.BARS


@dataclass(frozen=True, slots=True)
class Swatch:
    """A colour at the left of a card: that of a workload, as high as its part of the whole."""

    colour: int  # index of style.WORKLOADS
    part: float = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """A box, card or tray with what stands in it."""

    id: str
    rect: Rect
    look: str  # key of style.NODES
    texts: tuple[Text, ...] = ()
    bars: tuple[Bar, ...] = ()
    swatches: tuple[Swatch, ...] = ()  # a card's colours, from the top down


SWATCH_X, SWATCH_Y, SWATCH_WIDTH = 6.0, 8.0, 5.0  # of a swatch in its card


def swatch_rects(block: Block) -> list[tuple[Rect, int]]:
    """Where a block's swatches are, and their colours."""
    height = block.rect.h - 2 * SWATCH_Y
    y, found = block.rect.y + SWATCH_Y, []
    for swatch in block.swatches:
        found.append((Rect(block.rect.x + SWATCH_X, y, SWATCH_WIDTH, height * swatch.part), swatch.colour))
        y += height * swatch.part
    return found


@dataclass(frozen=True, slots=True)
class Links:
    """Polylines between the leader and the nodes: those that work and those that do not; from Services to tasks; from
    the leading master to frameworks that it offers something, and to those that it did a moment ago."""

    whole: tuple[Line, ...] = ()
    broken: tuple[Line, ...] = ()
    served: tuple[Line, ...] = ()
    offered: tuple[Line, ...] = ()
    answered: tuple[Line, ...] = ()

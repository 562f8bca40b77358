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
class Block:
    """A box, card or tray with what stands in it."""

    id: str
    rect: Rect
    look: str  # key of style.NODES
    texts: tuple[Text, ...] = ()
    bars: tuple[Bar, ...] = ()
    swatch: int = -1  # a card's workload colour


@dataclass(frozen=True, slots=True)
class Links:
    """Polylines between the leader and the nodes: those that work and those that do not."""

    whole: tuple[Line, ...] = ()
    broken: tuple[Line, ...] = ()

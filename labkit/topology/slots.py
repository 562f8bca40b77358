"""What is drawn in the slots, in arrays with one entry a *slot*, not one a task.

A slot has its position for good, and what happens in it is a byte: that is all a renderer has to send.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from labkit.model import State

from . import style

LABELS_UP_TO = 320  # slots; more labels would cost more bytes than all the rest

Points = npt.NDArray[np.uint8]


class Slots:
    """The looks of all slots; what each number means stands in :mod:`style`."""

    def __init__(self) -> None:
        self.state: Points = np.zeros(0, np.uint8)
        self.border: Points = np.zeros(0, np.uint8)
        self.symbol: Points = np.zeros(0, np.uint8)
        self.labels: list[str] = []
        self.hover: list[str] = []
        self.occupant: list[str] = []  # the key of what is drawn there; empty for an empty slot
        self.with_labels = True

    def grow(self, count: int, labelled: bool) -> None:
        """There are ``count`` slots now; ``labelled`` if they are wide enough for words."""
        more = count - len(self.state)
        self.state = np.concatenate([self.state, np.full(more, style.HIDDEN, np.uint8)])
        self.border = np.concatenate([self.border, np.full(more, style.NO_WORKLOAD, np.uint8)])
        self.symbol = np.concatenate([self.symbol, np.zeros(more, np.uint8)])
        for texts in (self.labels, self.hover, self.occupant):
            texts.extend([""] * more)
        self.with_labels = labelled and len(self.state) <= LABELS_UP_TO

    def clear(self, point: int) -> None:
        self.state[point], self.border[point] = style.HIDDEN, style.NO_WORKLOAD
        self.labels[point] = self.hover[point] = self.occupant[point] = ""

    def fill(self, point: int, key: str, state: State, workload: int, faded: bool, label: str, hover: str) -> None:
        """Draw something in a slot; ``workload`` is the number of its workload's colour."""
        colour = workload % len(style.WORKLOADS)
        self.state[point] = state + style.FADED if faded else state
        self.border[point] = colour + len(style.WORKLOADS) if faded else colour
        self.symbol[point] = style.TASKS[state].code
        self.labels[point] = label if self.with_labels else ""
        self.hover[point] = hover
        self.occupant[point] = key

    def copy(self) -> Slots:
        """How they look now, for :meth:`changed`."""
        was = Slots()
        was.state, was.border, was.symbol = self.state.copy(), self.border.copy(), self.symbol.copy()
        was.labels, was.hover = list(self.labels), list(self.hover)
        return was

    def changed(self, was: Slots) -> set[str]:
        """The parts that look otherwise than in this copy."""
        pairs = {
            "state": (was.state, self.state),
            "border": (was.border, self.border),
            "symbol": (was.symbol, self.symbol),
        }
        dirty = {name for name, (old, new) in pairs.items() if not np.array_equal(old, new)}
        if self.with_labels and was.labels != self.labels:
            dirty.add("labels")
        if was.hover != self.hover:
            dirty.add("hover")
        return dirty

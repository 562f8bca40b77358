"""The arrays of slots: what a slot says, and which parts of them are told to have changed."""

from __future__ import annotations

from labkit.model import State
from labkit.topology import style
from labkit.topology.slots import LABELS_UP_TO, Slots


def test_a_slot_is_hidden_until_it_is_filled_and_after_it_is_cleared() -> None:
    slots = Slots()
    slots.grow(2, labelled=True)
    assert list(slots.state) == [style.HIDDEN, style.HIDDEN]
    slots.fill(1, "t", State.FAILED, 0, True, "web.1", "web.1: failed")
    assert list(slots.state) == [style.HIDDEN, State.FAILED + style.FADED]
    assert slots.border[1] == len(style.WORKLOADS)
    assert (slots.occupant, slots.labels) == (["", "t"], ["", "web.1"])
    slots.clear(1)
    assert list(slots.state) == [style.HIDDEN, style.HIDDEN]
    assert (slots.occupant, slots.labels, slots.hover) == (["", ""], ["", ""], ["", ""])


def test_only_the_parts_that_look_otherwise_have_changed() -> None:
    slots = Slots()
    slots.grow(1, labelled=True)
    slots.fill(0, "t", State.RUNNING, 3, False, "web.1", "web.1: running")
    was = slots.copy()
    assert slots.changed(was) == set()
    slots.fill(0, "t", State.RUNNING, 3, False, "web.1", "web.1: running, healthy")
    assert slots.changed(was) == {"hover"}
    slots.fill(0, "t", State.RUNNING, 4, False, "web.2", "web.1: running, healthy")
    assert slots.changed(was) == {"border", "labels", "hover"}


def test_many_slots_have_no_labels() -> None:
    slots = Slots()
    slots.grow(LABELS_UP_TO, labelled=True)
    assert slots.with_labels
    slots.grow(LABELS_UP_TO + 1, labelled=True)
    assert not slots.with_labels
    slots.fill(0, "t", State.RUNNING, 0, False, "web.1", "")
    assert slots.labels[0] == ""

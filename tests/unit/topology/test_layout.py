"""Positions come from identity: nothing moves for another object's sake."""

from __future__ import annotations

import random

import pytest

from labkit.topology.grid import LEVELS, TRAY, WIDTH
from labkit.topology.layout import Layout


def nodes(managers: int, workers: int) -> list[tuple[str, bool]]:
    return [(f"m{i}", True) for i in range(managers)] + [(f"w{i}", False) for i in range(workers)]


def places(layout: Layout) -> dict[str, tuple[int, int]]:
    return {task: (int(layout.x[s.point]), int(layout.y[s.point])) for task, s in layout.occupants()}


@pytest.fixture
def layout() -> Layout:
    made = Layout()
    made.set_nodes(nodes(3, 2))
    return made


def test_managers_stand_above_workers(layout: Layout) -> None:
    assert max(layout.box(f"m{i}").bottom for i in range(3)) < min(layout.box(f"w{i}").y for i in range(2))


def test_boxes_keep_apart_and_on_the_canvas() -> None:
    for managers, workers in ((1, 0), (0, 5), (3, 2), (3, 60), (5, 300), (3, 1000)):
        layout = Layout()
        layout.set_nodes(nodes(managers, workers))
        rects = [layout.box(n) for n in layout.nodes]
        assert len({(r.x, r.y) for r in rects}) == managers + workers
        assert all(r.x >= 0 and r.right <= WIDTH and r.bottom < layout.height for r in rects)


def test_tasks_hold_still_while_others_come_and_go(layout: Layout) -> None:
    chance = random.Random(7)
    alive: set[str] = set()
    for turn in range(400):
        before, version = places(layout), layout.version
        if alive and chance.random() < 0.4:
            gone = chance.choice(sorted(alive))
            alive.discard(gone)
            layout.remove(gone)
        else:
            task = f"t{turn}"
            alive.add(task)
            layout.put(task, layout.nodes[f"w{chance.randrange(2)}"])
        layout.fit()
        if layout.version == version:
            after = places(layout)
            assert all(after[t] == place for t, place in before.items() if t in after)
        assert len(set(places(layout).values())) == len(places(layout)), "two tasks in one slot"
        assert set(places(layout)) == alive
    assert layout.version < 15, "the whole is drawn anew only when slots become smaller or larger"


def test_a_task_that_comes_back_gets_its_slot_again(layout: Layout) -> None:
    cell = layout.nodes["w0"]
    for task in ("a", "b", "c"):
        layout.put(task, cell)
    was = places(layout)
    layout.remove("b")
    layout.put("x", cell)
    assert places(layout)["x"] == was["b"], "the lowest free slot is taken first"
    layout.remove("x")
    layout.put("b", cell)
    assert places(layout) == was


def test_nodes_keep_their_boxes(layout: Layout) -> None:
    before = {n: layout.box(n) for n in layout.nodes}
    version = layout.version
    layout.set_nodes([*nodes(3, 2), ("w9", False)])
    assert {n: layout.box(n) for n in before} == before
    assert layout.version == version, "there was a free place in the last row"
    layout.set_nodes([*nodes(3, 1), ("w9", False)])
    layout.set_nodes([*nodes(3, 1), ("w9", False), ("w10", False)])
    assert layout.box("w10") == before["w1"], "the free place is taken"
    assert layout.box("w9") != before["w1"]


def test_a_new_row_moves_no_box(layout: Layout) -> None:
    before = {n: layout.box(n) for n in layout.nodes}
    height = layout.height
    layout.set_nodes(nodes(3, 9))
    assert {n: layout.box(n) for n in before} == before
    assert layout.height > height


def test_a_full_box_gets_smaller_slots_in_the_same_order(layout: Layout) -> None:
    cell = layout.nodes["w0"]
    for i in range(60):
        layout.put(f"t{i:02d}", cell)
    assert layout.without_room(cell) > 0
    box = layout.box("w0")
    assert layout.fit()
    assert layout.level is not LEVELS[0]
    assert layout.box("w0") == box
    assert layout.without_room(cell) == 0
    order = sorted(places(layout), key=lambda t: (places(layout)[t][1], places(layout)[t][0]))
    assert order == sorted(order)
    for i in range(2, 60):
        layout.remove(f"t{i:02d}")
    assert layout.fit()
    assert layout.level is LEVELS[0]
    assert set(places(layout)) == {"t00", "t01"}


def test_slots_lie_in_their_box() -> None:
    for count in (5, 60, 300):
        layout = Layout()
        layout.set_nodes(nodes(3, 2))
        for i in range(count):
            layout.put(f"t{i}", layout.nodes["m1"])
        layout.fit()
        area = layout.area(layout.box("m1"))
        for x, y in places(layout).values():
            assert area.x <= x <= area.right
            assert area.y <= y <= area.bottom


def test_the_tray_is_never_more_than_full(layout: Layout) -> None:
    for i in range(500):
        layout.put(f"t{i}", TRAY)
    assert layout.load(TRAY) == 500
    assert 0 < 500 - layout.without_room(TRAY) == len(places(layout))
    assert not layout.fit(), "tasks that wait do not make the boxes' slots smaller"
    for i in range(490):
        layout.remove(f"t{i}")
    layout.admit()
    assert len(places(layout)) == min(10, layout.room(TRAY))


def test_growing_into_another_style_keeps_tasks_on_their_nodes(layout: Layout) -> None:
    for i in range(8):
        layout.put(f"t{i}", layout.nodes["w1"])
    layout.set_nodes(nodes(3, 40))
    layout.fit()
    assert layout.style.name == "compact"
    assert {layout.seat(f"t{i}").cell for i in range(8)} == {layout.nodes["w1"]}  # type: ignore[union-attr]


def test_a_dozen_tasks_in_a_box_have_names(layout: Layout) -> None:
    cell = layout.nodes["w0"]
    for i in range(12):
        layout.put(f"t{i:02d}", cell)
    layout.fit()
    assert layout.label_room() > 60
    assert layout.without_room(cell) == 0


def test_many_cards_stand_in_more_rows_not_in_narrower_columns() -> None:
    layout = Layout()
    layout.set_workloads([f"s{i}" for i in range(14)])
    cards = [layout.card(number) for number in layout.cards.values()]
    assert all(card is not None and card.w > 170 for card in cards)
    assert all(card.bottom < layout.tray().y for card in cards if card)


def test_workloads_keep_their_colours() -> None:
    layout = Layout()
    layout.set_workloads(["a", "b", "c"])
    layout.set_workloads(["a", "c"])
    assert layout.cards == {"a": 0, "c": 2}
    layout.set_workloads(["a", "c", "d"])
    assert layout.cards["d"] == 1
    layout.set_workloads([f"s{i}" for i in range(100)])
    assert sum(layout.card(n) is not None for n in layout.cards.values()) == 24

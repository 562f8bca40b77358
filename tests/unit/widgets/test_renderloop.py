"""One thread draws; marks are coalesced; a view that fails is told and tried again."""

from __future__ import annotations

import threading

from labkit.widgets.renderloop import AFTER_ERROR, RenderLoop


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class ByHand(RenderLoop):
    """Without its thread: a test draws what is due."""

    def add(self, view: object) -> None:
        with self._changed:
            self._due[view] = self._clock()  # type: ignore[index]


class Picture:
    gap = 0.25

    def __init__(self, again: float | None = None) -> None:
        self.frames: list[float] = []
        self.again = again
        self.errors: list[Exception] = []
        self.broken = False

    def render(self, now: float) -> float | None:
        if self.broken:
            raise RuntimeError("no pen")
        self.frames.append(now)
        return self.again

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


def test_many_marks_are_one_frame_and_frames_keep_their_distance() -> None:
    clock, picture = Clock(), Picture()
    loop = ByHand(clock)
    loop.add(picture)
    loop.draw_due()
    for _ in range(100):
        loop.mark(picture)
    assert loop.draw_due() == 0.25
    assert picture.frames == [0.0]
    clock.now = 0.25
    loop.draw_due()
    assert picture.frames == [0.0, 0.25]
    assert loop.draw_due() is None, "nothing is due until somebody marks"


def test_a_view_may_ask_for_another_frame() -> None:
    clock, picture = Clock(), Picture(again=2.0)
    loop = ByHand(clock)
    loop.add(picture)
    assert loop.draw_due() == 2.0
    clock.now = 1.0
    loop.mark(picture)
    loop.draw_due()
    assert picture.frames == [0.0, 1.0], "a mark comes before it"


def test_a_failing_view_is_told_and_tried_again_and_harms_no_other() -> None:
    clock, bad, good = Clock(), Picture(), Picture()
    bad.broken = True
    loop = ByHand(clock)
    loop.add(bad)
    loop.add(good)
    assert loop.draw_due() == AFTER_ERROR
    assert [str(e) for e in bad.errors] == ["no pen"]
    assert good.frames == [0.0]
    bad.broken = False
    clock.now = AFTER_ERROR
    loop.draw_due()
    assert bad.frames == [AFTER_ERROR]


def test_dropped_views_are_drawn_no_more() -> None:
    clock, picture = Clock(), Picture(again=1.0)
    loop = ByHand(clock)
    loop.add(picture)
    loop.draw_due()
    loop.drop(picture)
    clock.now = 10.0
    assert loop.draw_due() is None
    loop.mark(picture)
    assert picture.frames == [0.0]


def test_the_thread_draws_and_ends_with_its_last_view() -> None:
    drawn = threading.Event()

    class Once(Picture):
        def render(self, now: float) -> float | None:
            assert threading.current_thread().name == "labkit-render"
            drawn.set()
            return None

    loop, picture = RenderLoop(), Once()
    loop.add(picture)
    assert drawn.wait(5)
    thread = loop._thread
    assert thread is not None
    loop.drop(picture)
    thread.join(5)
    assert not thread.is_alive()

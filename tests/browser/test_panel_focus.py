"""A panel is drawn anew whenever its check has something new to say: who types an answer meanwhile is not disturbed."""

from __future__ import annotations

from collections.abc import Callable

from support.jupyter import LabPage, Server

SETUP = """
from types import SimpleNamespace
from labkit.guide import Ask, Hint, Lab, NotYet, Passed, Recap, Step, open_lab
from pathlib import Path
from labkit.guide.progress import Progress

world = SimpleNamespace(orchestrator="swarm", engine="embedded", seen="nothing yet")


def check(context):
    return Passed("it is 42") if context.answer == 42 else NotYet(world.seen, "Look again.")


step = Step(id="sum", title="Add", task="6 × 7", check=check, solution=lambda context: 42, why="so it is",
            ask=Ask("6 × 7?"), hints=(Hint("More than 41."),))
lab = open_lab(
    Lab(id="test/01-sums", title="Sums", goal="Add.", minutes=1, orchestrator="swarm", steps=(step,),
        recap=(Recap("Which?", ("x", "y", "z"), 1, "y it is"),), shows={}),
    world, Progress(Path("sums.json")),
)
"""
# As if the cluster had changed: no cell is run, so that nothing but the panel can take the focus.
BEHIND_THE_PANEL = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    kernel.requestExecute({ code: "world.seen = 'something new'" });
}"""
FOCUS = """() => {
    const { dataset, tagName } = document.activeElement;
    return dataset.control ?? dataset.step ?? tagName;
}"""


def test_the_focus_stays_where_it_was(jupyter: Server, lab: Callable[..., LabPage]) -> None:
    page = lab(jupyter.write("focus.ipynb", SETUP, 'lab.step("sum")', "lab.recap()"))
    for index in range(2):
        page.run(index)
    panel = page.panel("sum")
    panel.get_by_text("nothing yet").wait_for()
    box = panel.locator("input[type=number]")
    box.press("4")
    page.page.evaluate(BEHIND_THE_PANEL)
    panel.get_by_text("something new").wait_for()
    assert page.page.evaluate(FOCUS) == "number"
    page.page.keyboard.type("3")
    assert box.input_value() == "43"

    panel.get_by_role("button", name="Hint").press("Enter")
    panel.locator(".lk-hint").wait_for()
    assert page.page.evaluate(FOCUS) == "sum"  # no second hint, so the button rests: Tab goes on from the panel
    box.fill("42")
    box.press("Enter")
    page.wait_green("sum")
    assert page.page.evaluate(FOCUS) == "sum"

    page.run(2)
    recap = page.page.locator(".lk-recap")
    recap.locator("input").first.focus()
    page.page.keyboard.press("ArrowDown")
    recap.get_by_text("Right").wait_for()
    page.page.keyboard.press("ArrowDown")
    recap.get_by_text("Not quite").wait_for()
    assert not page.complaints

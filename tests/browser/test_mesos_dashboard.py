"""The dashboard of a Mesos cluster in JupyterLab: shares as bars, offers as lines, and its own buttons."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

from support.jupyter import LabPage, Server

from labkit.topology import style, svg

SETUP = """
from support.mesospicture import Still
from support.simulated import SimulatedSandbox
still = Still()
sandbox = SimulatedSandbox(still)
sandbox.orchestrator = "marathon"
"""
SHOW = "from labkit import widgets\nboard = widgets.dashboard(sandbox)\nboard"


LEGEND = """() => [...document.querySelectorAll('.labkit-graph .textpoint text')]
    .filter((text) => WORDS.includes(text.textContent.trim()))
    .map((text) => { const { left, right } = text.getBoundingClientRect(); return [left, right]; })
    .sort((one, other) => one[0] - other[0])"""

# plotly draws at a width of its own, and at the room's a moment later.
FITS = """limit => {
    const graph = document.querySelector('.labkit-graph'), drawn = graph.querySelector('.main-svg');
    return graph.clientWidth < limit && Math.abs(drawn.clientWidth - graph.clientWidth) < 2;
}"""


def test_a_narrow_window_has_room_for_the_legend(jupyter: Server, lab: Callable[..., LabPage]) -> None:
    """Half a screen: the words of the legend, with a mark before each, stand beside each other."""
    page = lab(jupyter.write("narrow.ipynb", SETUP, SHOW), width=900)
    page.run(0)
    page.run(1)
    page.page.wait_for_selector(".labkit-graph .main-svg .point", timeout=60_000)
    words = [style.TASKS[state].word for state in svg.LEGEND]
    page.page.wait_for_function(FITS, arg=760)
    places = page.page.evaluate(LEGEND.replace("WORDS", json.dumps(words)))
    assert len(places) == len(words)
    between = [after[0] - before[1] for before, after in pairwise(places)]
    assert min(between) > 12, between  # a mark is as wide
    # Names of tasks would run into marks: there they are told under the mouse.
    names = page.page.locator(".labkit-graph .textpoint text[style*='font-weight: 500']")
    assert names.count()
    assert not any(name.is_visible() for name in names.all())
    page.shot("dashboard-narrow", page.page.locator(".labkit-graph"))


def test_shares_offers_and_buttons(jupyter: Server, lab: Callable[..., LabPage]) -> None:
    page = lab(jupyter.write("mesos.ipynb", SETUP, SHOW, "still.answer()", "print(still.asked)"), theme="light")
    page.run(0)
    page.run(1)
    page.page.wait_for_selector(".labkit-graph .main-svg .point", timeout=60_000)
    rows = page.page.locator(".lk-framework")
    rows.filter(has_text="batch").get_by_text("17%").wait_for()
    rows.filter(has_text="batch").get_by_text("1 offer").wait_for()
    page.page.locator(".labkit-graph").get_by_text("quorum: 3 of 3").first.wait_for()
    page.at_rest()
    page.shot("dashboard-mesos", page.page.locator(".labkit-dashboard").first)
    page.run(2)
    rows.filter(has_text="batch").get_by_text("no offers").wait_for()
    page.page.get_by_role("button", name="web", exact=True).click()
    detail = page.page.locator(".lk-detail")
    detail.get_by_role("button", name="Suspend").click()
    page.page.locator(".lk-outcome").get_by_text("web is suspended").wait_for()
    rows.get_by_role("button", name="batch", exact=True).click()
    detail.get_by_role("button", name="Tear down").wait_for()
    assert page.page.get_by_role("button", name="Drain").count() == 0
    assert not page.complaints

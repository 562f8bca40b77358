"""The dashboard of a Mesos cluster in JupyterLab: shares as bars, offers as lines, and its own buttons."""

from __future__ import annotations

from collections.abc import Callable

from support.jupyter import LabPage, Server

SETUP = """
from support.mesospicture import Still
from support.simulated import SimulatedSandbox
still = Still()
sandbox = SimulatedSandbox(still)
sandbox.orchestrator = "marathon"
"""
SHOW = "from labkit import widgets\nboard = widgets.dashboard(sandbox)\nboard"


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

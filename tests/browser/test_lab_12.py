"""Lab 12 as a learner meets it: subscribe, serve tea by keyboard, decline, revive, and play a round of offers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.jupyter import LabPage, Server, start_lab_server, start_over

NOTEBOOK = "mesos/12-agents-and-offers.ipynb"
PLAN = {"agent-2": ("bread", "cake"), "agent-1": ("soup", "tea"), "agent-3": ("fish", "rice")}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At the speed of life: the round is against the clock."""
    yield from start_lab_server(tmp_path_factory.mktemp("labs"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_learner_is_the_framework(jupyter: Server, lab: Callable[..., LabPage], theme: str) -> None:
    start_over(jupyter)
    page = lab(NOTEBOOK, theme=theme, height=1700)
    page.run_with("labkit.up")
    page.run_with('lab.step("agents")')
    agents = page.panel("agents")
    agents.locator("input").first.fill("12")
    agents.locator("input").first.press("Enter")
    page.wait_green("agents")

    page.run_with("desk = widgets.offers")
    page.run_with('lab.step("subscribe")')
    desk = page.page.locator(".lk-desk").first

    def card(machine: str) -> Any:
        return desk.locator(f".lk-desk-card[data-machine='{machine}']")

    def order(name: str) -> Any:
        return desk.locator(f".lk-desk-orders li[data-order='{name}']")

    desk.get_by_text("Subscribe, and see what you are offered.").wait_for()
    desk.get_by_role("button", name="Subscribe").press("Enter")
    for machine in PLAN:
        card(machine).wait_for(timeout=20_000)
    page.wait_green("subscribe")
    page.shot(f"lab12-offers-{theme}", desk)

    # By keyboard alone: a box, and the button that it wakes up.
    page.run_with('lab.step("accept")')
    accept = card("agent-1").get_by_role("button", name="Accept")
    assert accept.is_disabled()
    card("agent-1").locator("input[value='tea']").press("Space")
    accept.press("Enter")
    order("tea").get_by_text("TASK_RUNNING on agent-1").wait_for()
    assert page.page.evaluate("!!document.activeElement.closest('.lk-desk-cards')")  # Tab goes on from here
    card("agent-1").get_by_text("3.5 cpus").wait_for()  # the rest is offered again
    page.wait_green("accept")

    # What is too big is refused in the master's words, and what is declined stays away until it is revived.
    card("agent-3").locator("input[value='feast']").check()
    card("agent-3").get_by_role("button", name="Accept").click()
    order("feast").get_by_text(re.compile("TASK_ERROR: .*is more than available")).wait_for()
    card("agent-3").locator("select").select_option("120")
    card("agent-3").get_by_role("button", name="Decline").press("Enter")
    card("agent-3").wait_for(state="detached")
    desk.get_by_role("button", name="Revive").click()
    card("agent-3").wait_for()

    # The round.
    desk.get_by_role("button", name="Start a round").click()
    timer = desk.locator(".lk-desk-timer")
    timer.get_by_text("0 of 6 served").wait_for()
    for machine, names in PLAN.items():
        card(machine).get_by_text("4 cpus").wait_for(timeout=20_000)
        for name in names:
            card(machine).locator(f"input[value='{name}']").check()
        if machine == "agent-3":
            page.shot(f"lab12-round-{theme}", desk)
        card(machine).get_by_role("button", name="Accept").click()
    timer.get_by_text(re.compile("✔ 6 of 6 served, in 0:")).wait_for(timeout=20_000)
    desk.locator("summary").click()
    desk.get_by_text(re.compile("→ ACCEPT agent-3: LAUNCH fish, rice")).first.wait_for()
    page.shot(f"lab12-won-{theme}", desk)

    desk.get_by_role("button", name="Tear down").click()
    desk.get_by_text("Subscribe, and see what you are offered.").wait_for()
    assert not page.complaints

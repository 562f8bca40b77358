"""Lab 08 as a learner meets it: a slider by keyboard, a rollout, and two ReplicaSets that cross in list and picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from support.jupyter import LabPage, Server, start_lab_server, start_over
from support.until import until

NOTEBOOK = "kubernetes/08-replication-controllers-to-deployments.ipynb"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Not too fast: one has to see the two cross."""
    yield from start_lab_server(tmp_path_factory.mktemp("labs"), speed=1.5)


def revisions(page: LabPage) -> list[int]:
    """How many pods each ReplicaSet of `web` has, as the dashboard's list says it."""
    rows = page.page.locator(".lk-workload").filter(has_text="web").locator(".lk-children > *").all_inner_texts()
    return [int(match[1]) for row in rows if (match := re.search(r"(\d+)\s*/", row))]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_learner_rolls_out(jupyter: Server, lab: Callable[..., LabPage], theme: str) -> None:
    start_over(jupyter)
    page = lab(NOTEBOOK, theme=theme, height=1700)
    page.run_with("labkit.up")
    page.run_with("kube.dashboard()")
    page.page.locator(".labkit-graph .textpoint").get_by_text("worker-1").first.wait_for(timeout=120_000)
    page.run_with("def template")  # it makes `classic` too, as a learner would have
    page.run_with("six = {")
    page.run_with('lab.step("deployment")')
    page.wait_green("deployment")

    # The slider by keyboard: from two to one, written into the Deployment at once.
    page.run_with("widgets.rollout")
    page.run_with('lab.step("limits")')
    handles = page.page.locator(".widget-slider .noUi-handle")
    handles.first.wait_for()
    handles.first.press("ArrowLeft")
    page.page.get_by_text("maxSurge: 1, maxUnavailable: 1").wait_for()
    # Both at nothing is refused, in the API server's words, and told.
    handles.nth(1).press("ArrowLeft")
    page.page.get_by_text("maxSurge: 1, maxUnavailable: 0").wait_for()
    handles.first.press("ArrowLeft")
    page.page.get_by_text(re.compile("refused: .*may not be 0 when `?maxSurge`? is 0")).wait_for()
    handles.first.press("ArrowRight")
    page.page.get_by_text("maxSurge: 1, maxUnavailable: 0").wait_for()
    limits = page.panel("limits")
    limits.locator("input").first.fill("7")
    limits.locator("input").first.press("Enter")
    page.wait_green("limits")
    page.shot(f"lab08-limits-{theme}", limits)

    # The rollout: both ReplicaSets have pods at the same time, in the list and in the picture.
    page.run_with('lab.step("rollout")')
    rollout = page.panel("rollout")
    rollout.get_by_label("It stays, with no pods").check()
    page.page.get_by_role("button", name="Roll out").click()
    board = page.page.locator(".labkit-dashboard").first
    board.scroll_into_view_if_needed()

    def crossing() -> bool:
        seen = revisions(page)
        assert sum(count >= 2 for count in seen) >= 2, seen
        return True

    until(crossing, 60, "the two cross")
    page.shot(f"lab08-crossing-{theme}", board)
    page.wait_green("rollout")
    rollout.get_by_text("You predicted it").wait_for()
    page.page.locator(".lk-workload .lk-count", has_text="6 / 6").wait_for(timeout=20_000)
    page.at_rest()
    page.shot(f"lab08-dashboard-{theme}", board)
    page.shot(f"lab08-passed-{theme}", rollout)
    page.shot(f"lab08-knobs-{theme}", page.cell(page.index_of("widgets.rollout")))
    assert not page.complaints

"""Lab 02 as a learner meets it: the real notebook in JupyterLab, on the embedded engine, by mouse and keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from support.jupyter import LabPage, Server, start_lab_server, start_over

NOTEBOOK = "swarm/02-services-and-tasks.ipynb"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start_lab_server(tmp_path_factory.mktemp("labs"), speed=4)


def drawn(page: LabPage) -> dict[str, int]:
    """What the picture says of the living tasks: the sentence that it carries for people who do not see it."""
    count = page.page.locator(".lk-workload .lk-count").first.inner_text()
    running, desired = (int(part) for part in re.findall(r"\d+", count))
    return {"running": running, "desired": desired}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_learner_works_through_the_first_steps(jupyter: Server, lab: Callable[..., LabPage], theme: str) -> None:
    start_over(jupyter)
    page = lab(NOTEBOOK, theme=theme, height=1500)
    page.run_with("labkit.up")
    page.run_with("swarm.dashboard()")
    page.page.locator(".labkit-graph .main-svg .point").first.wait_for(timeout=60_000)

    # The first step: open, then shown, solved by its own solution, and green without another click.
    page.run_with('lab.step("first-service")')
    first = page.panel("first-service")
    first.locator("text=there is no service").wait_for(timeout=20_000)
    page.shot(f"lab02-open-{theme}", first)
    first.get_by_role("button", name="Hint").click()
    first.locator(".lk-hint").first.wait_for()
    first.get_by_role("button", name="Show a solution").click()
    first.locator(".lk-solution").wait_for()
    first.get_by_role("button", name="Run the solution").click()
    page.wait_green("first-service")
    page.page.locator(".lk-workload .lk-count", has_text="3 / 3").wait_for(timeout=20_000)

    # Predict, kill a task by clicking it in the picture, see its slot refilled.
    page.run_with('lab.step("kill-a-task")')
    kill = page.panel("kill-a-task")
    kill.get_by_label("A new task appears in the same slot").check()
    board = page.page.locator(".labkit-dashboard").first
    board.scroll_into_view_if_needed()
    click_a_task(page)
    board.get_by_role("button", name=re.compile("^Kill task")).click()
    page.wait_green("kill-a-task")
    kill.get_by_text("You predicted it").wait_for()

    # Move the slider with the keyboard, as one would who has no mouse: five steps from 3 to 8.
    page.run_with('lab.step("scale-up")')
    slider = page.page.get_by_label("replicas of web")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    page.page.locator(".lk-workload .lk-count", has_text="8 / 8").wait_for(timeout=60_000)
    page.wait_green("scale-up")
    assert drawn(page) == {"running": 8, "desired": 8}

    page.at_rest()
    board.scroll_into_view_if_needed()
    page.shot(f"lab02-dashboard-{theme}", board)
    page.shot(f"lab02-passed-{theme}", kill)
    assert not page.complaints


def click_a_task(page: LabPage) -> None:
    """Click the mark of a running task: the picture says where it is."""
    page.page.wait_for_function(
        """() => {
            const plot = document.querySelector('.labkit-graph.js-plotly-plot, .labkit-graph .js-plotly-plot');
            const slots = plot?.data.find((trace) => trace.name === 'slots');
            return slots?.hovertext.some((text) => text.includes('running'));
        }"""
    )
    page.at_rest()
    where = page.page.evaluate(
        """() => {
            const plot = document.querySelector('.labkit-graph.js-plotly-plot, .labkit-graph .js-plotly-plot');
            const number = plot.data.findIndex((trace) => trace.name === 'slots');
            const box = plot.getBoundingClientRect();
            const layout = plot._fullLayout;
            const trace = plot._fullData[number];
            const index = plot.data[number].hovertext.findIndex((text) => text.includes('running'));
            return {
                x: box.left + layout.xaxis._offset + layout.xaxis.l2p(plot.data[number].x[index]),
                y: box.top + layout.yaxis._offset + layout.yaxis.l2p(plot.data[number].y[index]),
                names: plot.data.map((trace) => trace.name), found: number, index,
            };
        }"""
    )
    assert where["found"] >= 0, where
    page.page.mouse.click(where["x"], where["y"])

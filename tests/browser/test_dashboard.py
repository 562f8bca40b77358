"""The dashboard in JupyterLab, over a simulated cluster: it shows, acts, tells of errors and survives a reload."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from support.jupyter import LabPage, Server

SETUP = """
from dataclasses import replace
from support.simulated import SimulatedSandbox, SimulatedSwarm
swarm = SimulatedSwarm()
swarm.deploy("web", "traefik/whoami:v1.10", 5, {8080: 80}); swarm.settle()
swarm.deploy("redis", "redis:7", 2); swarm.settle()
sandbox = SimulatedSandbox(swarm)
"""
SHOW = "from labkit import widgets\nboard = widgets.dashboard(sandbox)\nboard"
TROUBLE = """
swarm.deploy("reports", "busybox:1.36", 1)
swarm.workloads["w-reports"] = replace(swarm.workloads["w-reports"], labels={"only": "gpu-1"})
swarm.step()
swarm.die(next(k for k, t in swarm.tasks.items() if t.name == "web.2"), "task: non-zero exit (137)", 137)
swarm.step(); sandbox.fail("worker-1"); swarm.step(); swarm.drain("manager-3"); swarm.step(); swarm.step()
"""


@pytest.fixture
def shown(jupyter: Server, lab: Callable[..., LabPage], request: pytest.FixtureRequest) -> LabPage:
    """The dashboard of a small healthy cluster; more cells are ready to run."""
    name = re.sub(r"\W", "-", request.node.name) + ".ipynb"
    later = getattr(request, "param", {})
    notebook = jupyter.write(name, SETUP, SHOW, *later.get("cells", (TROUBLE,)))
    page = lab(notebook, theme=later.get("theme", "light"))
    page.run(0)
    page.run(1)
    page.page.wait_for_selector(".labkit-graph .main-svg .point", timeout=60_000)
    return page


def board(page: LabPage) -> Any:
    return page.page.locator(".labkit-dashboard").first


@pytest.mark.parametrize("shown", [{"theme": "light"}, {"theme": "dark"}], indirect=True, ids=["light", "dark"])
def test_it_shows_a_cluster_in_trouble(shown: LabPage, request: pytest.FixtureRequest) -> None:
    theme = request.node.callspec.id
    shown.shot(f"dashboard-{theme}", board(shown))
    shown.run(2)
    graph = shown.page.locator(".labkit-graph")
    graph.get_by_text("✕ worker-1").wait_for()
    graph.get_by_text("drained").wait_for()
    shown.page.locator(".lk-nodes, .lk-node").filter(has_text="worker-1").get_by_role("button", name="Heal").wait_for()
    shown.page.get_by_role("button", name="worker-1", exact=True).click()
    shown.page.locator(".lk-detail").get_by_text("does not answer").wait_for()
    shown.at_rest()
    shown.shot(f"dashboard-trouble-{theme}", board(shown))
    assert not shown.complaints


def test_a_cell_that_is_run_again_shows_what_happens_from_then_on(shown: LabPage) -> None:
    """JupyterLab takes the cell's old output away: its picture is over, and the new one is the one that lives."""
    shown.run(1)
    shown.page.wait_for_selector(".labkit-graph .main-svg .point", timeout=60_000)
    shown.run(2)
    shown.page.locator(".labkit-graph").get_by_text("✕ worker-1").wait_for()
    shown.page.locator(".labkit-graph").get_by_text("drained").wait_for()
    assert not shown.complaints


def graph_data(page: LabPage, expression: str) -> Any:
    """Something of the plot's own data in the page; ``plot`` and ``slots`` are there."""
    return page.page.evaluate(
        "(() => { const plot = document.querySelector('.labkit-graph');"
        f" const slots = plot.data.find((t) => t.name === 'slots'); return {expression}; }})()"
    )


def test_every_label_is_drawn_and_the_figure_is_as_wide_as_its_place(shown: LabPage) -> None:
    shown.run(2)
    graph = shown.page.locator(".labkit-graph")
    for name in ("reports.1", "web.2", "web.5"):
        graph.locator(".textpoint").get_by_text(name).first.wait_for()
    shown.page.wait_for_function(
        "() => { const g = document.querySelector('.labkit-graph'); return g._fullLayout.width === g.clientWidth; }"
    )
    shown.page.set_viewport_size({"width": 1100, "height": 1000})
    shown.page.wait_for_function(
        "() => { const g = document.querySelector('.labkit-graph');"
        " return g.clientWidth < 1050 && g._fullLayout.width === g.clientWidth; }"
    )
    # A page that was busy while the figure was drawn: plotly holds the width of that moment for a wish.
    shown.page.evaluate(
        "() => { const g = document.querySelector('.labkit-graph'); g.layout.width = 700; g._fullLayout.width = 700;"
        " window.dispatchEvent(new Event('resize')); }"
    )
    shown.page.wait_for_function(
        "() => { const g = document.querySelector('.labkit-graph');"
        " return !g.layout.width && g._fullLayout.width === g.clientWidth; }"
    )


def test_the_slider_scales_and_nothing_else_moves(shown: LabPage) -> None:
    before = graph_data(shown, "[Array.from(slots.x), Array.from(slots.y)]")
    slider = shown.page.get_by_label("replicas of web")
    slider.focus()
    slider.press("ArrowRight")
    shown.page.locator(".lk-workload").filter(has_text="web").locator(".lk-count", has_text="/ 6").wait_for()
    shown.page.locator(".lk-outcome", has_text="web: 6 wanted").wait_for()
    shown.page.locator(".labkit-graph .textpoint").get_by_text("web.6").wait_for()
    after = graph_data(shown, "[Array.from(slots.x), Array.from(slots.y)]")
    assert [axis[: len(before[0])] for axis in after] == before


BROKEN = """
def refuse(*args, **kwargs):
    raise RuntimeError("rpc error: code = Unknown desc = update out of sequence")
swarm.drain = refuse
"""


@pytest.mark.parametrize("shown", [{"cells": [BROKEN]}], indirect=True)
def test_an_error_of_an_action_is_shown(shown: LabPage) -> None:
    shown.run(2)
    shown.page.get_by_role("button", name="Drain manager-2").click()
    shown.page.locator(".lk-outcome.lk-error", has_text="update out of sequence").wait_for()


@pytest.mark.parametrize("shown", [{"cells": ["swarm.scale('web', 9); swarm.settle()", "board"]}], indirect=True)
def test_a_reloaded_page_shows_the_present(shown: LabPage) -> None:
    shown.run(2)
    shown.page.locator(".lk-count", has_text="9 / 9").wait_for()
    shown.command("docmanager:save")
    shown.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    shown.reload()
    shown.page.locator(".labkit-graph .textpoint").get_by_text("web.9").wait_for(timeout=60_000)
    shown.page.locator(".lk-count", has_text="9 / 9").wait_for()


def test_history_by_keyboard(shown: LabPage) -> None:
    shown.run(2)
    shown.page.locator(".labkit-graph").get_by_text("✕ worker-1").wait_for()
    shown.page.get_by_label("history: moment that is shown").press("Home")
    shown.page.locator(".labkit-graph .textpoint").get_by_text("worker-1", exact=True).wait_for()
    shown.page.locator(".lk-past").first.wait_for()
    shown.page.get_by_role("button", name="Live").click()
    shown.page.locator(".labkit-graph").get_by_text("✕ worker-1").wait_for()


def test_a_dead_kernel_is_noticed(shown: LabPage) -> None:
    shown.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    shown.page.locator(".lk-state", has_text="kernel silent").wait_for(timeout=30_000)
    shown.page.locator(".lk-outcome", has_text="this picture is old").wait_for()


@pytest.mark.parametrize("shown", [{"cells": ["widgets.graph(sandbox)"]}], indirect=True)
def test_deploy_form_and_a_second_view_of_the_graph(shown: LabPage) -> None:
    shown.run(2)
    shown.page.locator(".labkit-graph .main-svg .point").first.wait_for()
    shown.page.get_by_text("Deploy another").click()
    form = shown.page.locator(".lk-deploy")
    form.get_by_label("image").fill("httpd:2.4")
    form.get_by_label("name").fill("site")
    form.get_by_label("port").fill("8081:80")
    form.get_by_role("button", name="Deploy").click()
    for graph in shown.page.locator(".labkit-graph").all():
        graph.locator(".textpoint").get_by_text("site", exact=True).wait_for()

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
    shown.page.wait_for_timeout(700)
    shown.shot(f"dashboard-trouble-{theme}", board(shown))
    assert not shown.complaints

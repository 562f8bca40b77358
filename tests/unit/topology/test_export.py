"""Pictures as files, and the graph as data."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support.simulated import SimulatedSwarm

import labkit.topology
from labkit.topology.export import CannotExport, save


@pytest.fixture
def swarm() -> SimulatedSwarm:
    made = SimulatedSwarm()
    made.deploy("web<b>", "traefik/whoami:v1.10", 5, {8080: 80})
    made.settle()
    made.down("worker-1")
    return made


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_svg_is_well_formed_and_says_what_it_shows(swarm: SimulatedSwarm, tmp_path: Path, theme: str) -> None:
    path = save(swarm.snapshot(None), tmp_path / "a.svg", theme)
    root = ElementTree.parse(path).getroot()
    text = " ".join(root.itertext())
    assert "worker-1 is down" in root.attrib["aria-label"]
    assert "manager-1" in text
    assert "web<b>" in text
    assert "http" not in path.read_text().replace("http://www.w3.org/2000/svg", ""), "nothing from elsewhere"


def test_html_has_the_tables_too(swarm: SimulatedSwarm, tmp_path: Path) -> None:
    text = save(swarm.snapshot(None), tmp_path / "a.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "web&lt;b&gt;" in text
    assert "<b>" not in text
    assert "<table>" in text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_png(swarm: SimulatedSwarm, tmp_path: Path, theme: str) -> None:
    try:
        data = save(swarm.snapshot(None), tmp_path / "a.PNG", theme).read_bytes()
    except CannotExport as error:
        pytest.skip(str(error))
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 2240


def test_what_cannot_be_written_says_what_can(swarm: SimulatedSwarm, tmp_path: Path) -> None:
    with pytest.raises(CannotExport, match=r"can be saved as \.svg, \.html, \.png"):
        save(swarm.snapshot(None), tmp_path / "a.pdf")
    with pytest.raises(CannotExport, match="there are light, dark, auto"):
        save(swarm.snapshot(None), tmp_path / "a.svg", "pink")
    assert not list(tmp_path.iterdir())


def test_the_graph_answers_questions(swarm: SimulatedSwarm) -> None:
    g = labkit.topology.graph(swarm.snapshot(None))
    running = [t for t in g.predecessors("n0") if g.nodes[t].get("kind") == "task"]
    assert running
    assert all(g.edges[t, "n0"]["relation"] == "placement" for t in running)
    assert g.edges["w-web<b>:8080", "w-web<b>"]["port"] == 8080
    assert g.nodes["n0"]["name"] == "manager-1"
    assert sum(d["relation"] == "membership" for _, _, d in g.edges(data=True)) == 5

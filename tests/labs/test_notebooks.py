"""Every notebook, executed as a learner would, on every engine that this machine has.

After each cell that shows a step, the step is proven: its check must say NotYet before (a check that passes before
the step is done checks nothing), then the solution runs, then the check must pass. A cell of the notebook that itself
does a step is tagged ``does:STEP``; there the proof stands before that cell.

A real cluster on a busy machine has its weather (a node whose heartbeat is late, an election): there a notebook that
fails is played a second time, on a new cluster, and the first failure is told among the warnings. The embedded engine
has one try.
"""

from __future__ import annotations

import builtins
import dis
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from support import present, workloads

import labkit
from labkit.guide import find_labs, load_lab
from labkit.guide.loader import labs_folder
from labkit.guide.source import solution_text

LABS = find_labs()

PROVE_BEFORE = """
from labkit.guide import NotYet as _NotYet, Passed as _Passed
_before = lab.check({step!r})
assert isinstance(_before, _NotYet), f"the check of {step} passes before it is done: {{_before}}"
"""
PROVE_AFTER = """
_after = lab.check({step!r}) if lab.passed({step!r}) else lab.{how}({step!r}, timeout={patience})
assert isinstance(_after, _Passed), f"{step} is not done: {{_after}}"
"""
SHOWS_STEP = re.compile(r'^lab\.step\("([\w-]+)"\)', re.MULTILINE)


def read(lab_id: str) -> nbformat.NotebookNode:
    return nbformat.read(labs_folder() / f"{lab_id}.ipynb", as_version=4)


def with_proofs(lab_id: str) -> tuple[nbformat.NotebookNode, list[str]]:
    """The notebook with the proofs put in, and the steps that it shows in order."""
    lab, notebook = load_lab(lab_id), read(lab_id)
    cells, shown, done_by_cell = [], [], set()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        for step in (tag.removeprefix("does:") for tag in tags if tag.startswith("does:")):
            done_by_cell.add(step)
            cells.append(nbformat.v4.new_code_cell(PROVE_BEFORE.format(step=step)))
        cells.append(cell)
        for step in SHOWS_STEP.findall(cell.source) if cell.cell_type == "code" else []:
            shown.append(step)
            code = "" if step in done_by_cell else PROVE_BEFORE.format(step=step)
            how = "wait" if step in done_by_cell else "solve"
            code += PROVE_AFTER.format(step=step, how=how, patience=2 * lab.step(step).patience)
            cells.append(nbformat.v4.new_code_cell(code))
    notebook.cells = cells
    return notebook, shown


@pytest.fixture(scope="module", params=["embedded", "docker"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    take_down()


def take_down(except_for: str = "") -> None:
    """One sandbox serves all labs of an orchestrator and engine, as with a learner who does one after the other."""
    for sandbox in labkit.sandboxes():
        if sandbox.orchestrator != except_for:
            sandbox.down()


# What an orchestrator's labs need of this machine to run on the real thing.
NEEDS = {"swarm": "docker", "kubernetes": "kind", "marathon": "docker"}
KUBERNETES_IMAGES = (workloads.WHOAMI, "traefik/whoami:v1.10.1", "busybox:1.36")


def real_engine(orchestrator: str) -> dict[str, str]:
    if orchestrator == "marathon" and not os.environ.get("MARATHON_IMAGE"):
        # None of its images could be pulled where this was made (infra/marathon/README.md).
        pytest.skip("to run it on real Mesos, name the images of infra/marathon/.env that you have: MARATHON_IMAGE=…")
    present.demand(NEEDS[orchestrator])
    if orchestrator == "marathon":
        return {}
    if orchestrator == "swarm":
        return {"LABKIT_SWARM_NODE_IMAGE": present.node_image()}
    for image in KUBERNETES_IMAGES:
        workloads.provide(image)
    return {"LABKIT_KIND_NODE_IMAGE": present.kind_image(), "LABKIT_KIND_IMAGES": " ".join(KUBERNETES_IMAGES)}


@pytest.mark.parametrize("lab_id", LABS)
def test_notebook(lab_id: str, engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    orchestrator = load_lab(lab_id).orchestrator
    take_down(except_for=orchestrator)
    monkeypatch.setenv("LABKIT_ENGINE", engine)
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    for name, value in (real_engine(orchestrator) if engine == "docker" else {"LABKIT_SPEED": "4"}).items():
        monkeypatch.setenv(name, value)
    _, shown = with_proofs(lab_id)
    assert shown == [step.id for step in load_lab(lab_id).steps], "the notebook shows every step once, in order"
    try:
        play(lab_id)
    except (CellExecutionError, CellTimeoutError) as error:
        if engine != "docker":
            raise
        warnings.warn(f"{lab_id} is played a second time, on a new cluster: {error}", stacklevel=1)
        take_down()
        monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "second-progress.json"))
        play(lab_id)


def play(lab_id: str) -> None:
    notebook, _ = with_proofs(lab_id)
    folder = (labs_folder() / f"{lab_id}.ipynb").parent
    NotebookClient(
        notebook, timeout=420, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


@pytest.mark.parametrize("lab_id", LABS)
def test_stored_without_outputs(lab_id: str) -> None:
    for cell in read(lab_id).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("lab_id", LABS)
def test_every_solution_can_be_typed_in_a_cell(lab_id: str) -> None:
    lab = load_lab(lab_id)
    for step in lab.steps:
        compile(solution_text(step.solution, lab.orchestrator), step.id, "exec")
        loaded = {i.argval for i in dis.get_instructions(step.solution) if i.opname == "LOAD_GLOBAL"}
        names = loaded - set(dir(builtins))
        assert not names, f"the solution of {step.id} leans on {names}, which a learner's cell does not have"


@pytest.mark.parametrize("lab_id", LABS)
def test_links_lead_somewhere(lab_id: str) -> None:
    folder = (labs_folder() / f"{lab_id}.ipynb").parent
    for cell in read(lab_id).cells:
        for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
            assert (folder / target).exists(), f"{lab_id} links to {target}, which is not there"


def test_the_course_keeps_its_promises() -> None:
    """Every statement about what is built is shown by some step; labs/course.toml is the list."""
    import tomllib

    course = tomllib.loads((labs_folder() / "course.toml").read_text())
    shown = {statement for lab_id in LABS for statement in load_lab(lab_id).shows}
    built = {statement for track in course["track"] if track["built"] for statement in track["statements"]}
    assert shown == built

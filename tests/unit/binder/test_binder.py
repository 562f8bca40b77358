"""binder/ as repo2docker itself reads it: which buildpack it chooses, what it would run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch):
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(ROOT)  # detection looks at the working folder
    app = Repo2Docker()
    for buildpack in app.buildpacks:
        candidate = buildpack(app.base_image)
        if candidate.detect():
            candidate.platform = "linux/amd64"
            return candidate
    raise AssertionError("repo2docker finds nothing to build")


def test_the_python_buildpack_reads_the_binder_folder(pack) -> None:
    assert type(pack).__name__ == "PythonBuildPack"
    assert pack.binder_dir == "binder"
    assert pack.python_version.startswith("3.12")


def test_it_installs_the_pins_the_docker_cli_and_the_package(pack) -> None:
    dockerfile = pack.render({})
    assert "pip install --no-cache-dir -r" in dockerfile
    assert "docker.io" in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile
    assert "binder/start" in dockerfile
    assert (ROOT / "binder/requirements.txt").read_text().strip() == "-r ../requirements.txt"


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_be_run(name: str) -> None:
    mode = os.stat(ROOT / "binder" / name).st_mode
    assert mode & stat.S_IXUSR


def test_everything_that_is_installed_is_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in line for line in pins)

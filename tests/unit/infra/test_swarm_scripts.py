"""infra/swarm/{up,down,status}: what they refuse and what they say, with a `docker` that only writes down its calls."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labkit.engines.hosts import infra

SCRIPTS = infra("swarm")

FAKE = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
{cases}
esac
exit 0
"""


@pytest.fixture
def run(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs a script with a docker whose answers are shell `case` branches; gives the process and docker's calls."""
    calls = tmp_path / "calls"

    def act(script: str, *arguments: str, cases: str = "", **environ: str):  # type: ignore[no-untyped-def]
        docker = tmp_path / "bin" / "docker"
        docker.parent.mkdir(exist_ok=True)
        docker.write_text(FAKE.replace("{cases}", cases or "*) ;;"))
        docker.chmod(0o755)
        calls.write_text("")
        env = {"PATH": f"{docker.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "CALLS": str(calls), **environ}
        done = subprocess.run(["bash", str(SCRIPTS / script), *arguments], env=env, capture_output=True, text=True)
        return done, calls.read_text().splitlines()

    return act


@pytest.mark.parametrize("script", ["up", "down", "status"])
def test_help_tells_how_to_call_it(run, script: str) -> None:
    done, calls = run(script, "--help")
    assert done.returncode == 0
    assert f"infra/swarm/{script} [--name NAME]" in done.stdout
    assert calls == []


@pytest.mark.parametrize("script", ["up", "down", "status"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "A b"], "lower-case letters"),
        (["--name", "x;rm"], "lower-case letters"),
        (["--name"], "--name needs a value"),
        (["--colour", "red"], "unknown option: --colour"),
    ],
)
def test_bad_arguments_are_refused_before_docker_is_asked(run, script: str, arguments: list[str], words: str) -> None:
    done, calls = run(script, *arguments)
    assert done.returncode != 0
    assert words in done.stderr
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--managers", "many"], "not a number: many"), (["--managers", "0"], "at least one manager")],
)
def test_up_refuses_sizes_that_make_no_sense(run, arguments: list[str], words: str) -> None:
    done, calls = run("up", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert calls == []


@pytest.mark.parametrize("script", ["up", "down", "status"])
def test_an_engine_that_does_not_answer(run, script: str) -> None:
    done, _ = run(script, cases="version*) echo 'Cannot connect to the Docker daemon.' >&2; exit 1 ;;")
    assert done.returncode == 1
    assert "error: the Docker engine does not answer" in done.stderr
    assert "Cannot connect to the Docker daemon." in done.stderr


def test_a_node_image_that_is_nowhere_is_said_with_the_variable_that_names_another(run) -> None:
    done, calls = run("up", cases="'image inspect'*|pull*) exit 1 ;;", LABKIT_SWARM_NODE_IMAGE="nowhere:1")
    assert done.returncode == 1
    assert "nowhere:1 is not here and cannot be pulled; LABKIT_SWARM_NODE_IMAGE names another one" in done.stderr
    assert "taking down what was made" in done.stderr
    assert not any(call.startswith(("create", "run", "network create")) for call in calls)


def test_down_removes_what_carries_the_label_and_nothing_else(run, tmp_path: Path) -> None:
    cases = "ps*) echo c1; echo c2 ;;\n'volume ls'*) echo v1 ;;\n'network ls'*) echo n1 ;;"
    done, calls = run("down", "--name", "demo", "--state", str(tmp_path / "state"), cases=cases)
    assert done.returncode == 0
    assert done.stdout == '{"name":"demo","containers":2,"volumes":1,"networks":1}\n'
    listing = [call for call in calls if call.startswith(("ps", "volume ls", "network ls"))]
    assert len(listing) == 3
    assert all("label=labkit.sandbox=demo" in call for call in listing)
    assert [call for call in calls if " rm" in f" {call}"] == ["rm -f -v c1 c2", "volume rm -f v1", "network rm n1"]


def test_down_of_nothing_is_no_error_and_removes_nothing(run) -> None:
    done, calls = run("down", "--name", "demo")
    assert done.returncode == 0
    assert '"containers":0' in done.stdout
    assert not any("rm" in call.split() for call in calls)


def test_status_of_a_sandbox_that_is_not_there(run) -> None:
    done, _ = run("status", "--name", "demo")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no sandbox of that name: demo" in done.stderr


def test_scripts_are_executable_and_strict() -> None:
    for script in ("up", "down", "status"):
        path = SCRIPTS / script
        assert os.access(path, os.X_OK)
        assert "set -euo pipefail" in path.read_text()

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from labkit import environment, jupyterlab
from labkit.engines.base import Record
from labkit.errors import LabkitError
from labkit.registry import Registry


def test_a_checkouts_own_labs_are_opened() -> None:
    assert jupyterlab.labs_folder() == Path(jupyterlab.__file__).resolve().parents[1] / "labs"


def test_a_wheels_labs_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "labkit"
    monkeypatch.setattr(jupyterlab, "_HERE", package)
    with pytest.raises(LabkitError, match="this labkit has no labs"):
        jupyterlab.labs_folder(tmp_path)
    (package / "_labs").mkdir(parents=True)
    (package / "_labs" / "00-start-here.ipynb").write_text("{}")
    mine = jupyterlab.labs_folder(tmp_path)
    (mine / "00-start-here.ipynb").write_text("my answers")
    assert jupyterlab.labs_folder(tmp_path) == tmp_path / "labs"
    assert (mine / "00-start-here.ipynb").read_text() == "my answers"


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / jupyterlab.FIRST_NOTEBOOK).write_text("{}")
    words = jupyterlab.command(tmp_path, port=9000, browser=False, arguments=["--debug"])
    assert words[:4] == [sys.executable, "-P", "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in words
    assert "--LabApp.default_url=/lab/tree/00-start-here.ipynb" in words
    assert "--ServerApp.port=9000" in words
    assert "--no-browser" in words
    assert words[-1] == "--debug"
    settings = next(word for word in words if "terminado" in word).partition("=")[2]
    assert json.loads(settings)["shell_command"]


def test_no_question_about_news() -> None:
    overrides = json.loads((Path(jupyterlab.__file__).parent / "jupyter_settings" / "overrides.json").read_text())
    assert overrides["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


@pytest.mark.parametrize(
    ("shell", "runs"),
    [("/bin/bash", "/bin/bash --rcfile"), ("/usr/bin/fish", "bash --rcfile"), ("", "bash --rcfile")],
)
def test_terminals_run_a_shell_that_has_the_hook(shell: str, runs: str) -> None:
    assert runs in " ".join(jupyterlab.shell_command({"SHELL": shell}))


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_a_terminal_follows_up_and_down(registry: Registry, tmp_path: Path) -> None:
    """What a person would see in a terminal that was open before `up`."""

    def record(host: str) -> Record:
        folders = str(registry.paths.state_of("swarm")), str(registry.paths.run_of("swarm"))
        return Record("swarm", "swarm", "embedded", 1.0, *folders, env={"DOCKER_HOST": host})

    (tmp_path / ".bashrc").write_text("PATH=/usr/bin:/bin\nPROMPT_COMMAND='MINE=$((MINE + 1))'\n")
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "dumb", "SHELL": "/bin/bash"}
    env = jupyterlab.environment(env, registry.paths)
    shell = subprocess.Popen(
        jupyterlab.shell_command(env),
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None

    def ask(command: str) -> str:
        shell.stdin.write("\n" + command + "\n")  # the empty line: a prompt after whatever happened outside
        return shell.stdout.readline().strip()

    show = 'echo "${DOCKER_HOST-none} $?"'
    assert ask(f"false; {show}") == "none 1"
    registry.save(record("unix:///one"))
    environment.publish(registry)
    assert ask(show) == "unix:///one 0"
    assert ask("export DOCKER_HOST=mine; true; echo done") == "done"
    assert ask(show) == "mine 0"
    registry.save(record("unix:///two"))
    environment.publish(registry)
    assert ask(show) == "unix:///two 0"
    registry.remove("swarm")
    environment.publish(registry)
    assert ask(show) == "none 0"
    assert ask("echo ${PATH%%:*}") == str(Path(sys.executable).parent)
    assert int(ask("echo $MINE")) > 3  # the person's own prompt command still runs
    shell.stdin.close()
    shell.wait(10)
    shell.stdout.close()


def test_a_kernel_of_its_makes_no_secret_for_the_neighbours(tmp_path: Path) -> None:
    """With the option that `./lab` passes, ipykernel itself has nothing to warn of."""
    said = tmp_path / "said"
    options = [option.removeprefix("--KernelManager.").partition("=") for option in jupyterlab.KERNELS]
    manager = KernelManager(**{name: value for name, _, value in options})
    with said.open("wb") as out:
        manager.start_kernel(stdout=out, stderr=out)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "encrypt" not in said.read_text()


@pytest.mark.parametrize(
    ("level", "text", "kept"),
    [
        (logging.WARNING, "Notebook marathon/17-discovery-and-haproxy.ipynb is not trusted", False),
        (logging.INFO, "Kernel started", False),
        (logging.WARNING, "the disk is nearly full", True),
    ],
)
def test_the_log_is_what_a_person_has_to_know(level: int, text: str, kept: bool) -> None:
    assert jupyterlab.Quiet().filter(logging.LogRecord("ServerApp", level, "", 0, text, None, None)) is kept

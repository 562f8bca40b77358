from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import labkit
from labkit import cli
from labkit.cli.output import ago
from labkit.orchestrators.base import ORCHESTRATORS


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(engine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["labkit", *words])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


def test_the_life_of_a_sandbox(run: Any) -> None:
    up = run("up", "swarm", "--managers", "1", "--workers", "1")
    assert up.code == 0
    assert "“swarm” is up on the embedded engine: 1 manager, 1 worker." in up.out
    assert 'eval "$(labkit env swarm)"' in up.out
    assert "manager-1   manager   up" in up.out
    listed = run("ls")
    assert listed.out.splitlines()[1].split()[:4] == ["swarm", "swarm", "embedded", "up"]
    down = run("down")
    assert (down.code, down.out, down.err) == (0, "", "Taking down “swarm”…\n")
    assert "There is no sandbox" in run("ls").out


def test_env_prints_lines_for_a_shell_and_nothing_else(run: Any) -> None:
    run("up", "swarm", "-q")
    lines = run("env", "swarm").out.splitlines()
    assert lines[0].startswith("export DOCKER_HOST=unix:///tmp/")
    assert lines[1:] == ["unset DOCKER_TLS_VERIFY", "unset DOCKER_CERT_PATH"]
    assert "worker-1.sock" in run("env", "--machine", "worker-1").out
    assert run("env", "--shell", "fish").out.startswith("set -gx DOCKER_HOST 'unix://")
    assert run("env", "--machine", "worker-9").code == 3


def test_env_takes_the_newest_and_refuses_a_stopped_one(run: Any, engine: Any) -> None:
    run("up", "swarm", "-q")
    run("up", "swarm", "-q", "--name", "two")
    assert "/two/" in run("env").out
    engine.running.clear()
    stopped = run("env", "two")
    assert (stopped.code, stopped.out) == (1, "")
    assert "“two” has stopped; `labkit up swarm --name two` brings it back" in stopped.err


def test_status_is_for_scripts_too(run: Any, engine: Any) -> None:
    run("up", "swarm", "-q", "--managers", "1")
    found = json.loads(run("status", "--json").out)
    assert (found["name"], found["state"], found["engine"]) == ("swarm", "up", "embedded")
    assert found["machines"][0]["docker_host"] == found["endpoints"]["docker"]
    assert json.loads(run("ls", "--json").out)[0]["state"] == "up"
    engine.running.clear()
    stopped = run("status")
    assert stopped.code == 1
    assert "`labkit up swarm` brings everything back" in stopped.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["status", "nope"], 3, "there is no sandbox “nope”"),
        (["down", "nope"], 3, "there is no sandbox “nope”"),
        (["down", "swarm", "--all"], 2, "either a NAME or --all"),
        (
            ["up", "mesos"],
            2,
            "there is no orchestrator 'mesos': Mesos alone runs nothing: 'marathon'",
        ),
        (["up", "marathon", "--workers", "3"], 2, "a marathon sandbox has no workers; it has masters, agents, speed"),
        (["up", "marathon", "--masters", "8"], 2, "masters must be a whole number from 1 to 7"),
        (["up", "kubernetes", "--managers", "3"], 2, "a kubernetes sandbox has no managers; it has workers, speed"),
        (["up", "swarm", "--managers", "0"], 2, "managers must be a whole number"),
        (["up"], 2, "Missing argument"),
        (["up", "swarm", "--what"], 2, "No such option"),
        (["attach", "swarm"], 2, "say where it is"),
        (["graph", "-o", "x.gif"], 2, "-o FILE.html, -o FILE.svg or -o FILE.png"),
        (["fail", "swarm"], 3, "there is no sandbox “swarm”"),
        (["speed", "nope", "2"], 3, "there is no sandbox “nope”"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Any, words: list[str], code: int, says: str) -> None:
    ran = run(*words)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_machines_of_the_only_sandbox_need_no_name(run: Any, engine: Any) -> None:
    run("up", "swarm", "-q")
    assert run("fail", "worker-1", "worker-2").code == 0
    assert run("heal", "swarm", "worker-1").code == 0
    assert run("slow", "worker-1", "--seconds", "0.1").code == 0
    assert run("partition", "worker-1", "manager-1").code == 0
    assert engine.log[1:] == [
        ("fail", "worker-1", {}),
        ("fail", "worker-2", {}),
        ("heal", "worker-1", {}),
        ("slow", "worker-1", {"seconds": 0.1}),
        ("partition", "worker-1", {"others": ["manager-1"]}),
    ]
    which = run("fail", "swarm")
    assert which.code == 2
    assert "which machine of “swarm”? It has manager-1," in which.err
    assert run("fail", "swarm", "worker-1", "worker-9").code == 3
    assert ("fail", "worker-1", {}) not in engine.log[6:]  # nothing is done if one of them is not there


def test_down_all(run: Any) -> None:
    run("up", "swarm", "-q")
    run("up", "swarm", "-q", "--name", "two")
    assert run("down").code == 2
    assert run("down", "--all", "-q").code == 0
    assert labkit.sandboxes() == []
    assert run("down", "--all").code == 0


def test_help_teaches_and_promises_nothing_that_is_not_there(run: Any) -> None:
    top = run("--help")
    assert 'eval "$(labkit env swarm)"' in top.out
    assert "Exit codes: 0 done" in top.out
    for command in ("up", "attach"):
        shown = run(command, "--help").out
        assert "labkit " in shown
        for orchestrator in ORCHESTRATORS:
            assert f"labkit {command} {orchestrator}" in shown


def test_the_version(run: Any) -> None:
    assert run("--version").out == f"labkit {labkit.__version__}\n"


def test_what_is_suggested_next_is_as_it_was_called(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_CALLED_AS", "./lab")
    assert 'eval "$(./lab env swarm)"' in run("up", "swarm").out


def test_ages() -> None:
    assert [ago(s) for s in (-1, 5, 600, 7200, 200_000)] == ["0 s", "5 s", "10 min", "2 h", "2 d"]


def test_components_are_named_when_they_are_stopped_not_while_they_start(capsys: pytest.CaptureFixture[str]) -> None:
    from labkit.cli.showing import show_machines

    machine = {"name": "worker-1", "role": "worker", "state": "up", "address": "127.2.0.11", "docker_host": ""}
    states = {"kubelet": "running", "kube-proxy": "starting", "kube-scheduler": "stopped"}
    components = [{"name": name, "machine": "worker-1", "state": state} for name, state in states.items()]
    show_machines({"machines": [machine], "components": components})
    assert [line for line in capsys.readouterr().out.splitlines() if " on " in line] == [
        "kube-scheduler on worker-1 is stopped"
    ]

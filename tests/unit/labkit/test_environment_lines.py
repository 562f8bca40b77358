from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from labkit import environment
from labkit.engines.base import Record
from labkit.errors import UsageError
from labkit.registry import Registry


def record(registry: Registry, host: str = "unix:///a b/'quoted'$x.sock", name: str = "swarm", **env: str) -> Record:
    folders = str(registry.paths.state_of(name)), str(registry.paths.run_of(name))
    return Record(name, "swarm", "embedded", 1.0, *folders, env={"DOCKER_HOST": host, **env})


def run_sh(text: str, **env: str) -> str:
    done = subprocess.run(["sh", "-c", text], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.strip()


def test_sh_gets_exactly_the_value_and_loses_what_is_not_used(registry: Registry) -> None:
    env = record(registry).env
    lines = environment.shell_lines(env)
    shown = run_sh(f'{lines}\necho "$DOCKER_HOST|${{DOCKER_TLS_VERIFY-unset}}"', DOCKER_TLS_VERIFY="1")
    assert shown == f"{env['DOCKER_HOST']}|unset"


def test_other_shells_quote_in_their_own_way() -> None:
    env = {"DOCKER_HOST": "unix:///it's"}
    assert environment.shell_lines(env, "fish").splitlines()[0] == r"set -gx DOCKER_HOST 'unix:///it\'s';"
    assert environment.shell_lines(env, "powershell").splitlines()[0] == "$Env:DOCKER_HOST = 'unix:///it''s'"
    with pytest.raises(UsageError, match="there is no shell 'tcsh'"):
        environment.shell_lines(env, "tcsh")


def test_the_process_points_at_it_and_back(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///mine")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    one, two = record(registry, "unix:///one"), record(registry, "tcp://two", DOCKER_CERT_PATH="/c")
    environment.point_at(one)
    assert os.environ["DOCKER_HOST"] == "unix:///one"
    assert "DOCKER_TLS_VERIFY" not in os.environ
    environment.point_at(two)
    assert os.environ["DOCKER_CERT_PATH"] == "/c"
    environment.leave(one)  # not where we point any more: nothing happens
    assert os.environ["DOCKER_HOST"] == "tcp://two"
    environment.leave(two)
    assert (os.environ["DOCKER_HOST"], os.environ["DOCKER_TLS_VERIFY"]) == ("unix:///mine", "1")
    assert "DOCKER_CERT_PATH" not in os.environ


def test_after_a_second_sandbox_the_first_is_pointed_at_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///mine")
    one, two = record(registry, "unix:///one", "one"), record(registry, "unix:///two", "two")
    environment.point_at(one)
    environment.point_at(two)
    environment.leave(two)
    assert os.environ["DOCKER_HOST"] == "unix:///one"
    environment.leave(one)
    assert os.environ["DOCKER_HOST"] == "unix:///mine"


def test_terminals_are_told_of_the_newest_and_of_the_end(registry: Registry) -> None:
    registry.save(record(registry, "unix:///old", "old"))
    registry.save(replace(record(registry, "unix:///new", "new"), created=2.0))
    environment.publish(registry)
    assert run_sh(f'. "{registry.paths.shell_env}"; echo $DOCKER_HOST') == "unix:///new"
    registry.remove("old")
    registry.remove("new")
    environment.publish(registry)
    assert not registry.paths.shell_env.exists()


def test_a_hand_made_choice_in_a_terminal_stays_until_the_next_up(registry: Registry) -> None:
    registry.save(record(registry, "unix:///new"))
    environment.publish(registry)
    file = registry.paths.shell_env
    assert run_sh(f'. "{file}"; DOCKER_HOST=mine; . "{file}"; echo $DOCKER_HOST') == "mine"
    first = file.read_text()
    environment.publish(registry)
    assert file.read_text() != first  # a new stamp: written again means read again


def kube(registry: Registry, where: str = "/s/kubeconfig") -> Record:
    return replace(record(registry, name="kube"), orchestrator="kubernetes", env={"KUBECONFIG": where}, created=2.0)


def test_a_swarm_and_a_cluster_are_pointed_at_side_by_side(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/mine")
    swarm, cluster = record(registry, "unix:///one"), kube(registry)
    environment.point_at(swarm)
    environment.point_at(cluster)
    assert (os.environ["DOCKER_HOST"], os.environ["KUBECONFIG"]) == ("unix:///one", "/s/kubeconfig")
    environment.leave(swarm)
    assert os.environ["KUBECONFIG"] == "/s/kubeconfig"
    assert "DOCKER_HOST" not in os.environ
    environment.leave(cluster)
    assert os.environ["KUBECONFIG"] == "/mine"


def test_lines_for_a_cluster_leave_docker_alone(registry: Registry) -> None:
    assert environment.shell_lines(kube(registry).env) == "export KUBECONFIG=/s/kubeconfig"


def test_terminals_get_both_and_lose_the_one_that_goes(registry: Registry) -> None:
    registry.save(record(registry, "unix:///one"))
    registry.save(kube(registry))
    environment.publish(registry)
    file, show = registry.paths.shell_env, 'echo "${DOCKER_HOST-none} ${KUBECONFIG-none} ${MINE-none}"'
    assert run_sh(f'. "{file}"; {show}') == "unix:///one /s/kubeconfig none"
    before = file.read_text()
    registry.remove("swarm")
    environment.publish(registry)
    assert run_sh(f'{before}\n. "{file}"; {show}', MINE="kept") == "none /s/kubeconfig kept"

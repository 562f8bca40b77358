"""labkit.engines.marathon_compose and infra/marathon without Docker: what they ask for, and what they make of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labkit.engines import hosts, marathon_compose, scripted
from labkit.engines.base import MachineInfo, Record, Request, engine_for
from labkit.engines.hosts import infra
from labkit.engines.marathon_compose import ComposeEngine
from labkit.errors import EngineFailed, NotFound, UsageError


def report(state: Path) -> dict[str, Any]:
    def machine(name: str, role: str, number: int, **ports: str) -> dict[str, Any]:
        published = {f"{port.removeprefix('p')}/tcp": f"127.0.0.1:{where}" for port, where in ports.items()}
        return {"name": name, "container": f"labkit-demo-{name}-1", "role": role, "state": "up",
                "address": f"172.30.5.{10 + number}", "ports": published}  # fmt: skip

    return {
        "name": "demo",
        "orchestrator": "marathon",
        "engine": "docker",
        "network": "labkit-demo-nodes",
        "credentials": str(state / "credentials.json"),
        "machines": [
            machine("master-1", "master", 1, p5050="1", p8080="2", p2181="3", p9090="4", p8123="5", p10000="6"),
            machine("master-2", "master", 2, p5050="7", p8080="8", p2181="9"),
            machine("agent-1", "agent", 3, p5051="10"),
        ],
        "components": [
            {"name": "zookeeper", "machine": "master-1", "container": "labkit-demo-zookeeper-master-1-1",
             "state": "running"},
            {"name": "marathon", "machine": "master-2", "container": "labkit-demo-marathon-master-2-1",
             "state": "stopped"},
        ],
        "notes": [],
    }  # fmt: skip


def request(tmp_path: Path, **options: object) -> Request:
    sizes = {"masters": 2, "agents": 1}
    return Request("demo", "marathon", sizes, 1.0, 10.0, tmp_path / "s", tmp_path / "r", options)


def record(tmp_path: Path) -> Record:
    machines = tuple(MachineInfo(name, "", "up", "172.30.5.1") for name in ("master-1", "master-2", "agent-1"))
    return Record("demo", "marathon", "docker", 1.0, str(tmp_path / "s"), str(tmp_path / "r"), machines=machines,
                  options={"client": {}, "network": "labkit-demo-nodes"})  # fmt: skip


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An infra/marathon whose scripts only say what they were asked."""
    folder, state = tmp_path / "infra", tmp_path / "s"
    folder.mkdir()
    state.mkdir()
    (state / "credentials.json").write_text('{"credentials":[{"principal":"labkit","secret":"pw"}]}')
    (folder / "report").write_text(json.dumps(report(state)) + "\n")
    (folder / "up").write_text(f'echo "$MARATHON_IMAGE $*" >&2; cat {folder}/report\n')
    (folder / "status").write_text(f"cat {folder}/report\n")
    (folder / "down").write_text("echo '{}'\n")
    monkeypatch.setattr(hosts, "infra", lambda name: folder)
    monkeypatch.setattr(scripted, "reachable", lambda client: True)
    return folder


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A docker that answers by `case` branches; calling it gives what was asked of it, questions left out."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    calls.write_text("")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def prepare(cases: str) -> None:
        program = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\ncase "$*" in\n{cases}\n*) ;;\nesac\n'
        (folder / "docker").write_text(program)
        (folder / "docker").chmod(0o755)

    def made() -> list[str]:
        return [call for call in calls.read_text().splitlines() if not call.startswith(("inspect", "ps"))]

    made.prepare = prepare  # type: ignore[attr-defined]
    prepare("")
    return made


def listed(*rows: str, health: str = "healthy") -> str:
    """The machine master-1 as `docker ps` shows it."""
    lines = " ".join(f"'{row}'" for row in rows)
    return f"""ps*) printf '%s\\n' {lines} ;;
*labkit.address*) echo 172.30.5.11 ;;
*State.Health*) echo {health} ;;
*'address show'*) printf '%s\n' '2: eth0    inet 172.29.0.2/16 brd 172.29.255.255' '9: eth2    inet 172.30.5.11/24' ;;
*NetworkSettings*) echo labkit-demo-api labkit-demo-nodes ;;"""


ZK, MACHINE = "labkit-demo-zookeeper-master-1-1", "labkit-demo-master-1-1"


def test_up_makes_a_record_that_leads_to_the_cluster(tmp_path: Path, scripts: Path) -> None:
    said: list[str] = []
    made = ComposeEngine().up(request(tmp_path, marathon="mine:1"), said.append)
    assert said == [f"mine:1 --name demo --state {tmp_path / 's'} --masters 2 --agents 1"]
    assert made.env == {
        "MARATHON_URL": "http://labkit:pw@127.0.0.1:2",
        "MESOS_URL": "http://labkit:pw@127.0.0.1:1",
        "ZOOKEEPER": "127.0.0.1:3,127.0.0.1:9",
        "MARATHON_LB_URL": "http://127.0.0.1:4",
        "MESOS_DNS_URL": "http://127.0.0.1:5",
    }
    assert made.endpoints == {
        "marathon": "http://127.0.0.1:2,http://127.0.0.1:8",
        "mesos": "http://127.0.0.1:1,http://127.0.0.1:7",
        "mesos-dns": "http://127.0.0.1:5",
        "lb": "http://127.0.0.1:4",
        "zookeeper": "127.0.0.1:3,127.0.0.1:9",
        "master-1:10000/tcp": "127.0.0.1:6",
    }
    second, agent = made.machine("master-2"), made.machine("agent-1")
    assert (second.role, second.address) == ("master", "172.30.5.12")
    assert second.env["MARATHON_URL"] == "http://labkit:pw@127.0.0.1:8"
    assert agent.env == made.env


def test_the_engine_is_found_and_knows_its_options(tmp_path: Path) -> None:
    assert isinstance(engine_for("docker", "marathon"), ComposeEngine)
    with pytest.raises(UsageError, match="no option 'colour'; it has zookeeper, mesos_master"):
        ComposeEngine().up(request(tmp_path, colour="red", client={}), print)


def test_components_are_containers(tmp_path: Path, scripts: Path, docker: Any) -> None:
    engine, there = ComposeEngine(), record(tmp_path)
    assert [(c.name, c.machine, c.state) for c in engine.components(there)] == [
        ("zookeeper", "master-1", "running"),
        ("marathon", "master-2", "stopped"),
    ]
    engine.component(there, "master-1", "zookeeper", "stop")
    engine.component(there, "master-1", "zookeeper", "start")  # it runs: nothing to do
    engine.component(there, "master-2", "marathon", "start")
    assert docker() == [f"kill {ZK}", "start labkit-demo-marathon-master-2-1"]
    with pytest.raises(NotFound, match="master-1 has no component 'kubelet'"):
        engine.component(there, "master-1", "kubelet", "stop")


def test_a_machine_fails_with_all_that_runs_on_it_and_comes_back_first(tmp_path: Path, docker: Any) -> None:
    engine, there = ComposeEngine(), record(tmp_path)
    docker.prepare(listed(f"{MACHINE} running", f"{ZK} paused"))
    engine.plug(there, "master-1", "fail")
    assert docker() == [f"unpause {ZK}", f"kill {ZK}", f"kill {MACHINE}"]
    docker.prepare(listed(f"{ZK} exited", f"{MACHINE} exited"))
    engine.plug(there, "master-1", "heal")
    assert docker()[3:] == [f"start {MACHINE}", f"start {ZK}"]


def test_what_runs_on_a_machine_waits_for_it(tmp_path: Path, docker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose network is another's does not start, and is not tried again, while that one restarts."""
    monkeypatch.setattr(marathon_compose, "_MACHINE_TIMEOUT", 0.5)
    docker.prepare(listed(f"{ZK} exited", f"{MACHINE} exited", health="starting"))
    with pytest.raises(EngineFailed, match=f"master-1 did not come up again: see `docker logs {MACHINE}`"):
        ComposeEngine().plug(record(tmp_path), "master-1", "heal")
    assert docker() == [f"start {MACHINE}"]


def test_freezing_and_cutting_off(tmp_path: Path, docker: Any) -> None:
    engine, there = ComposeEngine(), record(tmp_path)
    docker.prepare(listed(f"{MACHINE} running", f"{ZK} running"))
    engine.plug(there, "master-1", "pause")
    engine.plug(there, "master-1", "partition")
    engine.plug(there, "master-1", "slow", seconds=0.2)
    assert docker() == [
        f"pause {ZK}",
        f"pause {MACHINE}",
        f"network disconnect labkit-demo-nodes {MACHINE}",
        f"exec --privileged -u root {MACHINE} ip -o -4 address show",
        f"exec --privileged -u root {MACHINE} tc qdisc replace dev eth2 root netem delay 200ms",
    ]
    docker.prepare(listed(f"{MACHINE} exited"))
    with pytest.raises(UsageError, match="heal it first"):
        engine.plug(there, "master-1", "pause")


def test_scripts_that_fail_say_why(tmp_path: Path, scripts: Path) -> None:
    (scripts / "status").write_text("echo 'error: the Docker engine does not answer' >&2; exit 1\n")
    (scripts / "down").write_text("echo 'error: cannot' >&2; exit 1\n")
    engine, there = ComposeEngine(), record(tmp_path)
    assert {m.state for m in engine.machines(there)} == {"unknown"}
    assert engine.components(there) == []
    with pytest.raises(EngineFailed, match="cannot"):
        engine.down(there)


@pytest.mark.parametrize("script", ["up", "down", "status"])
def test_scripts_refuse_names_that_become_something_else(tmp_path: Path, script: str) -> None:
    done = subprocess.run(["bash", str(infra("marathon") / script), "--name", "a b"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "lower-case letters" in done.stderr


def test_up_says_what_is_missing(tmp_path: Path, docker: Any) -> None:
    docker.prepare("'compose version'*) exit 1 ;;")
    up = str(infra("marathon") / "up")
    done = subprocess.run(["bash", up, "--state", str(tmp_path / "x")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: Docker Compose is not installed" in done.stderr
    assert not (tmp_path / "x").exists()

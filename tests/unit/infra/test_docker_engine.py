"""labkit.engines.docker without a Docker engine: which engine it talks to, what it asks the script, what it says."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.engines import hosts, scripted
from labkit.engines.base import MachineInfo, Record, Request, engine_for
from labkit.engines.docker import DockerEngine
from labkit.engines.hosts import host_engine, last_words
from labkit.errors import EngineFailed, UsageError
from labkit.paths import Paths
from labkit.registry import Registry


def request(tmp_path: Path, **changes: object) -> Request:
    values = {
        "name": "demo",
        "orchestrator": "swarm",
        "sizes": {"managers": 3, "workers": 2, "plain": False},
        "speed": 1.0,
        "timeout": 10.0,
        "state": tmp_path / "state",
        "run": tmp_path / "run",
        "options": {},
    }
    return Request(**(values | changes))  # type: ignore[arg-type]


def record(tmp_path: Path, **changes: object) -> Record:
    env = {"DOCKER_HOST": "tcp://127.0.0.1:21000", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs/manager-1"}
    machine = MachineInfo("manager-1", "manager", "up", "172.30.0.11", env)
    worker = MachineInfo("worker-1", "worker", "up", "172.30.0.12", env)
    found = Record(
        name="demo",
        orchestrator="swarm",
        engine="docker",
        created=1.0,
        state=str(tmp_path / "state"),
        run=str(tmp_path / "run"),
        env=env,
        machines=(machine, worker),
        options={"client": {}, "network": "labkit-demo-nodes"},
    )
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(Paths(tmp_path / "home", tmp_path / "runtime"))
    registry.save(record(tmp_path, state=str(tmp_path / "home/sandboxes/demo")))
    return registry


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}),
        ({"DOCKER_CONTEXT": "desktop-linux", "PATH": "/bin"}, {"DOCKER_CONTEXT": "desktop-linux"}),
        # A sandbox of the registry, whatever else is set with it.
        ({"DOCKER_HOST": "tcp://127.0.0.1:21000", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/x"}, {}),
        ({"DOCKER_HOST": "unix://{runtime}/swarm/manager-1.sock"}, {}),
        # One that was ended by somebody else while this process still points at it.
        ({"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_CERT_PATH": "{state}/sandboxes/gone/certs/manager-1"}, {}),
    ],
)
def test_machines_are_not_started_inside_a_machine(registry, environ, expected) -> None:
    places = {"runtime": registry.paths.runtime, "state": registry.paths.state}
    filled = {key: value.format(**places) for key, value in environ.items()}
    assert host_engine(filled, registry) == expected


def test_the_script_is_asked_for_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"image": "dind:1", "images": ["a:1", "b:2"], "ports": [8080], "managers": 3, "notes": ["kept"]}
    asked = request(tmp_path, options=options, sizes={"managers": 3, "workers": 2, "plain": True})
    variables = '"$LABKIT_SWARM_NODE_IMAGE, $LABKIT_SWARM_IMAGES"'
    script(tmp_path, monkeypatch, up=f"echo {variables} >&2; echo $* >&2; echo '{REPORT}'")
    said: list[str] = []
    DockerEngine().up(asked, said.append)
    arguments = "--managers 3 --workers 2 --plain --port 8080"
    assert said == ["dind:1, a:1 b:2", f"--name demo --state {tmp_path / 'state'} {arguments}"]


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no option 'colour'; it has image, images, mirror, ports"):
        DockerEngine().up(request(tmp_path, options={"colour": "red", "client": {}}), print)


def test_another_orchestrator_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot run 'nomad' yet; it runs 'swarm', 'kubernetes' and 'marathon'"):
        engine_for("docker", "nomad")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["networks", "error: it broke"], "it broke"),
        (
            ["Error response from daemon: no", "error: it broke", "removing"],
            "it broke (Error response from daemon: no)",
        ),
        (["only this", ""], "only this"),
        ([], "docker failed without a word"),
    ],
)
def test_the_last_words_of_a_script(said: list[str], expected: str) -> None:
    assert last_words(said) == expected


def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **bodies: str) -> None:
    """Puts scripts of a few lines in the place of infra/swarm."""
    folder = tmp_path / "infra"
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    monkeypatch.setattr(hosts, "infra", lambda name: folder)
    monkeypatch.setattr(scripted, "reachable", lambda client: True)


REPORT = (
    '{"name":"demo","network":"labkit-demo-nodes","machines":[{"name":"manager-1","role":"manager","state":"up",'
    '"address":"172.30.0.11","docker_host":"tcp://127.0.0.1:21000","cert_path":"/c/manager-1",'
    '"ports":{"8080/tcp":"127.0.0.1:21001"}}],"notes":["no IPVS"]}'
)


def test_up_passes_the_progress_on_and_makes_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, monkeypatch, up=f"echo starting >&2; echo joined >&2; echo '{REPORT}'")
    said: list[str] = []
    engine = DockerEngine()
    made = engine.up(request(tmp_path), said.append)
    assert said == ["starting", "joined"]
    assert made.env == {
        "DOCKER_HOST": "tcp://127.0.0.1:21000",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/c/manager-1",
    }
    assert made.endpoints == {"docker": "tcp://127.0.0.1:21000", "manager-1:8080/tcp": "127.0.0.1:21001"}
    assert made.machines[0].address == "172.30.0.11"
    assert engine.describe(made)["notes"] == ["no IPVS"]
    assert Record.from_dict(made.as_dict()) == made


def test_a_start_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, monkeypatch, up="echo starting >&2; echo 'error: the disk is full' >&2; exit 1")
    with pytest.raises(EngineFailed, match=r"^the disk is full$"):
        DockerEngine().up(request(tmp_path), lambda line: None)


def test_a_start_that_takes_too_long_is_stopped_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "cleaned"
    body = f"trap 'touch {mark}; exit 1' TERM\necho pulling >&2\nsleep 60 & wait"
    script(tmp_path, monkeypatch, up=body)
    with pytest.raises(EngineFailed, match=r"not ready in 0 s; the last step was: pulling"):
        DockerEngine().up(request(tmp_path, timeout=0.3), lambda line: None)
    assert mark.exists()


def test_a_progress_that_raises_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "cleaned"
    script(tmp_path, monkeypatch, up=f"trap 'touch {mark}; exit 1' TERM\necho pulling >&2\nsleep 60 & wait")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DockerEngine().up(request(tmp_path), interrupt)
    assert mark.exists()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A docker command that answers by `case` branches; gives its calls so far."""
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = tmp_path / "calls"
    calls.write_text("")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def prepare(cases: str) -> None:
        (folder / "docker").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\ncase "$*" in\n{cases}\nesac\n')
        (folder / "docker").chmod(stat.S_IRWXU)

    def made() -> list[str]:
        return [call for call in calls.read_text().splitlines() if not call.startswith("inspect")]

    made.prepare = prepare  # type: ignore[attr-defined]
    return made


STATE = "*Paused*) echo {state} ;;\n*Networks*) echo labkit-demo-api; echo {network} ;;\n*address*) echo 172.30.0.12 ;;"


@pytest.mark.parametrize(
    ("verb", "state", "network", "expected"),
    [
        ("fail", "up", "labkit-demo-nodes", ["kill labkit-demo-worker-1"]),
        ("fail", "down", "labkit-demo-nodes", []),
        ("fail", "paused", "labkit-demo-nodes", ["unpause labkit-demo-worker-1", "kill labkit-demo-worker-1"]),
        ("pause", "up", "labkit-demo-nodes", ["pause labkit-demo-worker-1"]),
        ("pause", "paused", "labkit-demo-nodes", []),
        ("partition", "up", "labkit-demo-nodes", ["network disconnect labkit-demo-nodes labkit-demo-worker-1"]),
        ("partition", "up", "", []),
        ("heal", "up", "labkit-demo-nodes", []),
        ("heal", "down", "labkit-demo-nodes", ["start labkit-demo-worker-1"]),
        ("heal", "paused", "labkit-demo-nodes", ["unpause labkit-demo-worker-1"]),
        ("heal", "up", "", ["network connect --ip 172.30.0.12 labkit-demo-nodes labkit-demo-worker-1"]),
    ],
)
def test_the_plug(tmp_path: Path, docker, verb: str, state: str, network: str, expected: list[str]) -> None:
    docker.prepare(STATE.format(state=state, network=network))
    DockerEngine().plug(record(tmp_path), "worker-1", verb)
    assert docker() == expected


def test_a_machine_that_is_down_cannot_be_paused(tmp_path: Path, docker) -> None:
    docker.prepare(STATE.format(state="down", network="labkit-demo-nodes"))
    with pytest.raises(UsageError, match="worker-1 is down; heal it first"):
        DockerEngine().plug(record(tmp_path), "worker-1", "pause")


def test_slow_says_what_is_missing(tmp_path: Path, docker) -> None:
    inside = "*'ip -o'*) echo '2: eth1    inet 172.30.0.12/16 scope global eth1' ;;\n"
    cases = inside + "*' tc '*) echo 'Error: Specified qdisc kind is unknown.' >&2; exit 2 ;;\n"
    docker.prepare(cases + STATE.format(state="up", network="labkit-demo-nodes"))
    with pytest.raises(EngineFailed, match=r"needs tc in its image and sch_netem in the kernel.*qdisc kind is unknown"):
        DockerEngine().plug(record(tmp_path), "worker-1", "slow")


def test_slow_is_remembered_and_healed(tmp_path: Path, docker, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = "*'ip -o'*) echo '2: eth1    inet 172.30.0.12/16 scope global eth1' ;;\n"
    docker.prepare(inside + STATE.format(state="up", network="labkit-demo-nodes"))
    script(tmp_path, monkeypatch, status=f"echo '{REPORT.replace('manager-1', 'worker-1')}'")
    engine, sandbox = DockerEngine(), record(tmp_path)
    engine.plug(sandbox, "worker-1", "slow", seconds=0.3)
    delay = "tc qdisc replace dev eth1 root netem delay 300ms"
    assert any(delay in call for call in docker())
    assert [machine.state for machine in engine.machines(sandbox)] == ["slow"]
    engine.plug(sandbox, "worker-1", "heal")
    assert any("tc qdisc del dev eth1 root" in call for call in docker())
    assert [machine.state for machine in engine.machines(sandbox)] == ["up"]


def test_a_slow_machine_that_is_unplugged_comes_back_as_fast_as_it_was(tmp_path: Path, docker) -> None:
    inside = "*'ip -o'*) echo '2: eth1    inet 172.30.0.12/16 scope global eth1' ;;\n"
    docker.prepare(inside + STATE.format(state="up", network="labkit-demo-nodes"))
    engine, sandbox = DockerEngine(), record(tmp_path)
    engine.plug(sandbox, "worker-1", "slow", seconds=0.3)
    docker.prepare(STATE.format(state="up", network=""))  # the device has gone with the network, its delay with it
    before = len(docker())
    engine.plug(sandbox, "worker-1", "heal")
    assert docker()[before:] == ["network connect --ip 172.30.0.12 labkit-demo-nodes labkit-demo-worker-1"]
    assert not (tmp_path / "state/plugs/worker-1").exists()


def test_an_unknown_machine_or_verb(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a machine has no 'explode'"):
        DockerEngine().plug(record(tmp_path), "worker-1", "explode")


@pytest.mark.parametrize(("answer", "alive"), [("echo c1", True), ("true", False), ("exit 1", False)])
def test_alive(tmp_path: Path, docker, answer: str, alive: bool) -> None:
    docker.prepare(f"ps*) {answer} ;;")
    assert DockerEngine().alive(record(tmp_path)) is alive


def test_machines_of_an_engine_that_does_not_answer_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, status="exit 1")
    assert [machine.state for machine in DockerEngine().machines(record(tmp_path))] == ["unknown", "unknown"]


def test_machines_that_are_cut_off_together_still_reach_each_other(tmp_path: Path, docker) -> None:
    docker.prepare(STATE.format(state="up", network="labkit-demo-nodes"))
    sandbox = record(tmp_path)
    third = replace(sandbox.machines[1], name="worker-2")
    sandbox = replace(sandbox, machines=(*sandbox.machines, third))
    DockerEngine().plug(sandbox, "worker-1", "partition", others=["worker-2"])
    cut = [f"exec labkit-demo-{name} ip route replace blackhole 172.30.0.12" for name in ("worker-1", "worker-2")]
    assert docker() == cut


def test_those_cut_off_together_are_healed_one_by_one(tmp_path: Path, docker) -> None:
    docker.prepare(STATE.format(state="up", network="labkit-demo-nodes"))
    engine, sandbox = DockerEngine(), record(tmp_path)
    sandbox = replace(sandbox, machines=(*sandbox.machines, replace(sandbox.machines[1], name="worker-2")))
    engine.plug(sandbox, "worker-1", "partition", others=["worker-2"])
    engine.plug(sandbox, "worker-1", "heal")
    assert docker()[2:] == ["exec labkit-demo-worker-1 ip route del blackhole 172.30.0.12"]
    engine.plug(sandbox, "worker-1", "heal")
    assert len(docker()) == 3, "what is healed stays so"


def test_a_machine_that_is_cut_off_alone_is_unplugged(tmp_path: Path, docker) -> None:
    docker.prepare(STATE.format(state="up", network="labkit-demo-nodes"))
    DockerEngine().plug(record(tmp_path), "worker-1", "partition", others=[])
    assert docker() == ["network disconnect labkit-demo-nodes labkit-demo-worker-1"]

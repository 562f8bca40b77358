"""labkit.engines.kind and infra/kind without Docker or kind: what they ask for, and what they say when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.until import until

from labkit.engines import hosts, kind, scripted
from labkit.engines.base import MachineInfo, Record, Request, find_component
from labkit.engines.hosts import infra
from labkit.engines.kind import KindEngine
from labkit.errors import EngineFailed, NotFound, UsageError

REPORT = (
    '{"name":"demo","orchestrator":"kubernetes","engine":"docker","kubeconfig":"/s/kubeconfig",'
    '"server":"https://127.0.0.1:40000","machines":[{"name":"labkit-demo-control-plane","role":"control-plane",'
    '"state":"up","address":"172.18.0.2"},{"name":"labkit-demo-worker","role":"worker","state":"up",'
    '"address":"172.18.0.3"}],"notes":[]}'
)
CONTROL, WORKER = "labkit-demo-control-plane", "labkit-demo-worker"


def request(tmp_path: Path, **options: object) -> Request:
    return Request("demo", "kubernetes", {"workers": 1}, 1.0, 10.0, tmp_path / "s", tmp_path / "r", options)


def record(tmp_path: Path) -> Record:
    env = {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    machines = (
        MachineInfo(CONTROL, "control-plane", "up", "172.18.0.2", env),
        MachineInfo(WORKER, "worker", "up", "172.18.0.3", env),
        MachineInfo(f"{WORKER}2", "worker", "up", "172.18.0.4", env),
    )
    return Record("demo", "kubernetes", "docker", 1.0, str(tmp_path / "s"), str(tmp_path / "r"), env=env,
                  machines=machines, options={"client": {}})  # fmt: skip


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """docker and kind that answer by `case` branches; calling it gives what was asked of them so far."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    calls.write_text("")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def prepare(docker: str = "*) ;;", kind: str = "*) ;;") -> None:
        for name, cases in (("docker", docker), ("kind", kind)):
            program = f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {calls}\ncase "$*" in\n{cases}\nesac\n'
            (folder / name).write_text(program)
            (folder / name).chmod(0o755)

    def made() -> list[str]:
        found = [call.removeprefix("docker ") for call in calls.read_text().splitlines()]
        return [call for call in found if not call.startswith("inspect")]

    made.prepare = prepare  # type: ignore[attr-defined]
    prepare()
    return made


def state(word: str) -> str:
    return f"*Paused*) echo {word} ;;\n*IPAddress*{WORKER}2*) echo 172.18.0.4 ;;\n*IPAddress*) echo 172.18.0.2 ;;"


def test_up_makes_a_record_that_leads_to_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "infra"
    folder.mkdir()
    (folder / "up").write_text(f"echo Preparing nodes >&2; echo \"$LABKIT_KIND_NODE_IMAGE $*\" >&2; echo '{REPORT}'\n")
    monkeypatch.setattr(hosts, "infra", lambda name: folder)
    monkeypatch.setattr(scripted, "reachable", lambda client: True)
    said: list[str] = []
    made = KindEngine().up(request(tmp_path, image="kindest/node:v9"), said.append)
    assert said == ["Preparing nodes", f"kindest/node:v9 --name demo --state {tmp_path / 's'} --workers 1"]
    assert made.env == {"KUBECONFIG": "/s/kubeconfig"}
    assert made.endpoints == {"kubernetes": "https://127.0.0.1:40000"}
    assert [(m.name, m.role, m.address) for m in made.machines] == [
        (CONTROL, "control-plane", "172.18.0.2"),
        (WORKER, "worker", "172.18.0.3"),
    ]
    assert Record.from_dict(made.as_dict()) == made


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the docker engine has no option 'mirror'; it has image, images"):
        KindEngine().up(request(tmp_path, mirror="x"), print)


@pytest.mark.parametrize(
    ("verb", "now", "expected"),
    [
        ("fail", "up", [f"kill {WORKER}"]),
        ("fail", "down", []),
        ("fail", "paused", [f"unpause {WORKER}", f"kill {WORKER}"]),
        ("pause", "up", [f"pause {WORKER}"]),
        ("pause", "paused", []),
        ("heal", "up", []),
        ("heal", "down", [f"start {WORKER}"]),
        ("heal", "paused", [f"unpause {WORKER}"]),
    ],
)
def test_the_plug(tmp_path: Path, commands, verb: str, now: str, expected: list[str]) -> None:
    commands.prepare(state(now))
    KindEngine().plug(record(tmp_path), WORKER, verb)
    assert commands() == expected


def test_a_partition_sends_packets_nowhere_until_it_is_healed(tmp_path: Path, commands) -> None:
    commands.prepare(state("up"))
    engine, sandbox = KindEngine(), record(tmp_path)
    engine.plug(sandbox, WORKER, "partition")
    cut = f"exec {WORKER} ip route replace blackhole"
    assert commands() == [f"{cut} 172.18.0.2", f"{cut} 172.18.0.4"]
    engine.plug(sandbox, WORKER, "heal")
    mended = f"exec {WORKER} ip route del blackhole"
    assert commands()[2:] == [f"{mended} 172.18.0.2", f"{mended} 172.18.0.4"]


def test_those_cut_off_together_still_reach_each_other(tmp_path: Path, commands) -> None:
    commands.prepare(state("up"))
    KindEngine().plug(record(tmp_path), WORKER, "partition", others=[f"{WORKER}2"])
    assert commands() == [f"exec {node} ip route replace blackhole 172.18.0.2" for node in (WORKER, f"{WORKER}2")]


def test_a_partition_cuts_both_families_of_addresses(tmp_path: Path, commands) -> None:
    commands.prepare(docker='inspect*worker2) echo "172.18.0.4 fc00::4 " ;;\ninspect*) echo "172.18.0.2  " ;;')
    engine, sandbox = KindEngine(), record(tmp_path)
    engine.plug(sandbox, WORKER, "partition")
    cut = [call.rpartition(" ")[2] for call in commands()]
    assert cut == ["172.18.0.2", "172.18.0.4", "fc00::4"]


def test_a_partition_has_two_sides(tmp_path: Path, commands) -> None:
    with pytest.raises(UsageError, match="a partition has two sides"):
        KindEngine().plug(record(tmp_path), WORKER, "partition", others=[CONTROL, f"{WORKER}2"])


@pytest.mark.parametrize(
    ("name", "verb", "asked"),
    [
        ("kubelet", "stop", "systemctl stop kubelet"),
        ("kubelet", "start", "systemctl start kubelet"),
        ("kube-proxy", "stop", "pkill -STOP -x kube-proxy"),
        ("kube-proxy", "start", "pkill -CONT -x kube-proxy"),
    ],
)
def test_components_stop_where_they_really_are(tmp_path: Path, commands, name: str, verb: str, asked: str) -> None:
    KindEngine().component(record(tmp_path), CONTROL, name, verb)
    assert commands()[-1].endswith(asked)


@pytest.fixture
def node(tmp_path: Path, commands, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node whose commands are run right here, and whose kubelet the test is."""
    folders = {"_MANIFESTS": tmp_path / "manifests", "_PARKED": tmp_path / "parked"}
    for name, folder in folders.items():
        monkeypatch.setattr(kind, name, str(folder))
    node = Node(folders["_MANIFESTS"], folders["_PARKED"], tmp_path / "bin")
    node.manifests.mkdir()
    node.manifest.touch()
    node.kubelet(True)
    commands.prepare('exec*) shift 2; exec "$@" ;;')
    yield node
    node.end()


@dataclass
class Node:
    manifests: Path
    parked: Path
    tools: Path
    process: subprocess.Popen[bytes] | None = None

    # No component of Kubernetes: those of a real cluster on this machine are to be seen in its /proc.
    NAME = "labkit-test-component"

    @property
    def manifest(self) -> Path:
        return self.manifests / f"{self.NAME}.yaml"

    def kubelet(self, runs: bool) -> None:
        systemctl = self.tools / "systemctl"
        systemctl.write_text(f"#!/bin/sh\nexit {0 if runs else 3}\n")
        systemctl.chmod(0o755)

    def begin(self) -> None:
        program = self.tools / self.NAME
        program.write_bytes(Path("/bin/sleep").read_bytes())
        program.chmod(0o755)
        self.process = subprocess.Popen([program, "600"])

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def test_a_static_pod_is_stopped_when_its_process_has_gone(tmp_path: Path, node: Node) -> None:
    node.begin()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(KindEngine().component, record(tmp_path), CONTROL, node.NAME, "stop")
        until(lambda: not node.manifest.exists(), 20, "the manifest is taken away")
        with pytest.raises(TimeoutError):
            asked.result(timeout=1)
        node.end()
        asked.result(timeout=20)
    KindEngine().component(record(tmp_path), CONTROL, node.NAME, "stop")  # twice changes nothing
    assert (node.parked / node.manifest.name).exists()


def test_a_static_pod_is_started_when_its_process_is_there(tmp_path: Path, node: Node) -> None:
    KindEngine().component(record(tmp_path), CONTROL, node.NAME, "stop")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(KindEngine().component, record(tmp_path), CONTROL, node.NAME, "start")
        until(node.manifest.exists, 20, "the manifest is back")
        with pytest.raises(TimeoutError):
            asked.result(timeout=1)
        node.begin()
        asked.result(timeout=20)


def test_nobody_waits_for_minutes_for_a_kubelet_that_puts_a_start_off(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    KindEngine().component(record(tmp_path), CONTROL, node.NAME, "stop")
    monkeypatch.setitem(kind._SETTLE, "start", 1)
    KindEngine().component(record(tmp_path), CONTROL, node.NAME, "start")
    assert node.manifest.exists()


def test_without_its_kubelet_nobody_waits_for_a_static_pod(tmp_path: Path, node: Node) -> None:
    node.begin()
    node.kubelet(False)
    KindEngine().component(record(tmp_path), CONTROL, node.NAME, "stop")
    assert node.process
    assert node.process.poll() is None
    assert not node.manifest.exists()


def test_a_static_pod_that_a_node_has_not_is_told_of(tmp_path: Path, node: Node) -> None:
    node.manifest.unlink()
    with pytest.raises(EngineFailed, match="No such file or directory"):
        KindEngine().component(record(tmp_path), CONTROL, node.NAME, "stop")


def test_what_runs_is_asked_inside_the_nodes(tmp_path: Path, commands, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sandbox = KindEngine(), record(tmp_path)
    monkeypatch.setattr(KindEngine, "machines", lambda self, record: list(sandbox.machines[:2]))
    commands.prepare(f"exec*{CONTROL}*) printf 'etcd running\\nkube-scheduler stopped\\nkubelet running\\n' ;;")
    found = engine.components(sandbox)
    assert {(c.name, c.machine, c.state) for c in found} == {
        ("etcd", CONTROL, "running"),
        ("kube-scheduler", CONTROL, "stopped"),
        ("kubelet", CONTROL, "running"),
    }
    assert find_component(found, "etcd", None).machine == CONTROL
    with pytest.raises(NotFound, match="there is no component 'kube'; there are etcd, kube-scheduler, kubelet"):
        find_component(found, "kube", None)
    with pytest.raises(UsageError, match=r"runs on .*; not on worker-9$"):
        find_component(found, "etcd", "worker-9")


# -- the scripts


def run(script: str, *arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(infra("kind") / script), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


@pytest.mark.parametrize("script", ["up", "down", "status"])
def test_help_tells_how_to_call_it(tmp_path: Path, script: str) -> None:
    done = run(script, "--help", environ={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert done.returncode == 0
    assert f"infra/kind/{script} [--name NAME]" in done.stdout


@pytest.mark.parametrize("script", ["up", "down", "status"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "A b"], "lower-case letters"),
        (["--name"], "--name needs a value"),
        (["--colour", "red"], "unknown option: --colour"),
    ],
)
def test_bad_arguments_are_refused_before_anybody_is_asked(
    tmp_path: Path, script: str, arguments: list[str], words: str
) -> None:
    done = run(script, *arguments, environ={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert done.returncode != 0
    assert words in done.stderr


def test_a_cluster_that_kind_cannot_create_leaves_nothing(tmp_path: Path, commands) -> None:
    commands.prepare(
        kind="create*) echo ' ✗ Preparing nodes'; echo 'ERROR: failed to create cluster: no room'; exit 1 ;;"
    )
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = run("up", "--name", "demo", "--state", str(tmp_path / "s"), environ={"PATH": path, "HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "ERROR: failed to create cluster: no room" in done.stderr
    assert "error: kind could not create the cluster" in done.stderr
    assert not (tmp_path / "s").exists()


def test_status_of_what_is_not_there(tmp_path: Path, commands) -> None:
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = run("status", "--name", "demo", environ={"PATH": path, "HOME": str(tmp_path)})
    assert done.returncode == 3
    assert "no sandbox of that name: demo" in done.stderr


def test_without_kind_it_says_where_to_get_it(tmp_path: Path, commands, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin" / "kind").unlink()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(EngineFailed, match=r"kind is not installed: see https://kind\.sigs\.k8s\.io"):
        KindEngine().up(request(tmp_path), lambda line: None)

"""The whole process, as `labkit up` starts it: driven by docker-py, killed, restored, ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import docker
import pytest
from support.engineprocess import EngineProcess
from support.until import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

IMAGE = "traefik/whoami:v1.10"


class Sandbox(EngineProcess):
    """A swarm of its own."""

    orchestrator = "swarm"

    def client(self, machine: str) -> docker.DockerClient:
        return docker.DockerClient(base_url=f"unix://{self.folder}/run/{machine}.sock")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def running(service: Any) -> set[str]:
    return {task["ID"] for task in service.tasks() if task["Status"]["State"] == "running"}


def answers(address: str, port: int, times: int = 1) -> set[str]:
    names = set()
    for _ in range(times):
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=5) as page:
            names.add(page.read().decode().splitlines()[0])
    return names


def all_three_answer(address: str) -> bool:
    return len(answers(address, 18470, times=9)) == 3


def test_a_swarm_is_up_driven_killed_and_back(sandbox: Sandbox) -> None:
    status = sandbox.start()
    assert status["ready"] is True
    assert [(machine["name"], machine["role"], machine["state"]) for machine in status["machines"]] == [
        *((f"manager-{number}", "manager", "up") for number in (1, 2, 3)),
        *((f"worker-{number}", "worker", "up") for number in (1, 2)),
    ]
    assert (sandbox.folder / "run").stat().st_mode & 0o777 == 0o700
    for socket in (sandbox.folder / "run").iterdir():
        assert socket.stat().st_mode & 0o777 == 0o600

    client = sandbox.client("manager-2")
    assert {node.attrs["Status"]["State"] for node in client.nodes.list()} == {"ready"}
    spec = docker.types.EndpointSpec(ports={18470: 80})
    service = client.services.create(
        IMAGE, name="web", mode=docker.types.ServiceMode("replicated", 3), endpoint_spec=spec
    )
    tasks = until(lambda: len(running(service)) == 3 and running(service))
    addresses = [machine["address"] for machine in status["machines"][:3]]
    for address in addresses:
        until(partial(all_three_answer, address))

    sandbox.end(signal.SIGKILL)
    again = sandbox.start()
    assert [machine["address"] for machine in again["machines"]] == [m["address"] for m in status["machines"]]
    service = sandbox.client("manager-1").services.get("web")
    until(lambda: running(service) == tasks)
    for address in addresses:
        until(partial(all_three_answer, address))

    assert sandbox.end() == 0
    assert list((sandbox.folder / "run").iterdir()) == []
    assert "Traceback" not in sandbox.log()


def test_plugs_are_remembered_over_a_restart(sandbox: Sandbox) -> None:
    sandbox.start("--managers", "1", "--workers", "1", "--speed", "20")
    assert sandbox.control("/machines/worker-1/fail", {})["machines"][1]["state"] == "down"
    with pytest.raises(docker.errors.DockerException):
        sandbox.client("worker-1")
    assert sandbox.end() == 0

    status = sandbox.start("--managers", "3", "--speed", "20")
    assert [machine["state"] for machine in status["machines"]] == ["up", "down"]
    assert any("exists already with manager-1, worker-1" in note for note in status["notes"])
    sandbox.control("/machines/worker-1/heal", {})
    client = sandbox.client("manager-1")
    until(lambda: [node.attrs["Status"]["State"] for node in client.nodes.list()] == ["ready", "ready"])
    assert sandbox.client("worker-1").ping()
    sandbox.control("/shutdown", {})
    assert sandbox.process is not None
    assert sandbox.process.wait(timeout=10) == 0


def test_without_a_quorum_it_comes_back_soon_and_says_so(sandbox: Sandbox) -> None:
    sandbox.start("--workers", "0")
    for name in ("manager-2", "manager-3"):
        sandbox.control(f"/machines/{name}/fail", {})
    sandbox.end(signal.SIGKILL)
    status = sandbox.start("--workers", "0")
    assert [machine["state"] for machine in status["machines"]] == ["up", "down", "down"]
    assert any("no quorum" in note for note in status["notes"])
    with pytest.raises(docker.errors.APIError, match="The swarm does not have a leader"):
        sandbox.client("manager-1").nodes.list()


def test_sandbox_time_does_not_go_back(sandbox: Sandbox) -> None:
    sandbox.start("--managers", "1", "--workers", "0", "--speed", "1000")
    client = sandbox.client("manager-1")
    later = (datetime.now(UTC) + timedelta(minutes=20)).replace(tzinfo=None).isoformat()
    before = until(lambda: (now := client.info()["SystemTime"]) > later and now, 30)
    sandbox.end(signal.SIGKILL)
    sandbox.start("--managers", "1", "--workers", "0")
    assert sandbox.client("manager-1").info()["SystemTime"] > before


def test_a_paused_machine_takes_the_call_and_answers_later(sandbox: Sandbox) -> None:
    sandbox.start("--managers", "1", "--workers", "0")
    client = docker.DockerClient(base_url=f"unix://{sandbox.folder}/run/manager-1.sock", timeout=0.3)
    sandbox.control("/machines/manager-1/pause", {})
    with pytest.raises(Exception, match=r"[Tt]imed out"):
        client.ping()
    sandbox.control("/machines/manager-1/heal", {})
    assert client.ping()


def test_a_swarm_made_by_hand(sandbox: Sandbox) -> None:
    status = sandbox.start("--plain", "--managers", "1", "--workers", "1")
    assert [(machine["name"], machine["role"]) for machine in status["machines"]] == [
        ("node-1", "none"),
        ("node-2", "none"),
    ]
    first, second = sandbox.client("node-1"), sandbox.client("node-2")
    assert first.info()["Swarm"]["LocalNodeState"] == "inactive"
    first.swarm.init(advertise_addr=status["machines"][0]["address"])
    token = first.swarm.attrs["JoinTokens"]["Worker"]
    with pytest.raises(docker.errors.APIError, match="token"):
        second.swarm.join([f"{status['machines'][0]['address']}:2377"], token[:-3] + "xyz")
    assert second.swarm.join([f"{status['machines'][0]['address']}:2377"], token)
    sandbox.end()
    again = sandbox.start("--plain", "--managers", "1", "--workers", "1")
    assert [machine["role"] for machine in again["machines"]] == ["manager", "worker"]
    assert len(sandbox.client("node-1").nodes.list()) == 2


def test_one_process_a_folder(sandbox: Sandbox) -> None:
    sandbox.start("--managers", "1", "--workers", "0")
    first = sandbox.process
    assert first is not None
    answer = sandbox.attempt("--managers", "1", "--workers", "0")
    assert answer["error"].startswith(f"another process (pid {first.pid}) runs the sandbox in ")
    assert sandbox.process is not None
    assert sandbox.process.wait(timeout=10) == 1
    sandbox.process = first
    assert sandbox.client("manager-1").ping()


@pytest.mark.parametrize("options", [["--managers", "0"], ["--workers", "-1"], ["--managers", "x"], ["--speed", "x"]])
def test_wrong_arguments_are_one_line(options: list[str]) -> None:
    command = [sys.executable, "-m", "labkit.embedded", "swarm", "--state", "s", "--run", "r", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert options[0] in ended.stderr.splitlines()[-1]


def test_a_wrong_speed_is_explained(sandbox: Sandbox) -> None:
    answer = sandbox.attempt("--speed", "0")
    assert answer["error"] == "speed must be between 0.01 and 1000, not 0"

"""infra/swarm on a real Docker engine, by hand: one manager and one worker, from nothing to nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import present

from labkit.engines.hosts import client_environment, infra

pytestmark = pytest.mark.docker

NAME = f"hand-{os.getpid()}"
LABEL = f"label=labkit.sandbox={NAME}"


def docker(*arguments: str) -> list[str]:
    done = subprocess.run(["docker", *arguments], env=client_environment(), capture_output=True, text=True, check=True)
    return done.stdout.split()


def run(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = client_environment() | {"LABKIT_SWARM_MIRROR": "none", **environ}
    command = ["bash", str(infra("swarm") / script), "--name", NAME, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=180)


def left_over() -> list[str]:
    """What there is of the sandbox: containers, volumes, networks."""
    return (
        docker("ps", "-aq", "--filter", LABEL)
        + docker("volume", "ls", "-q", "--filter", LABEL)
        + docker("network", "ls", "-q", "--filter", LABEL)
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hand")


@pytest.fixture(scope="module")
def up(state: Path) -> Iterator[dict[str, Any]]:
    image = present.node_image()
    done = run("up", "--managers", "1", "--workers", "1", "--state", str(state), LABKIT_SWARM_NODE_IMAGE=image)
    assert done.returncode == 0, done.stderr
    assert "manager-1 started the swarm" in done.stderr
    assert "2 nodes are Ready" in done.stderr
    [line] = done.stdout.splitlines()
    yield json.loads(line)
    assert run("down", "--state", str(state)).returncode == 0
    assert left_over() == []
    assert list(state.rglob("*.pem")) == []


def test_its_last_line_names_every_endpoint(up: dict[str, Any]) -> None:
    assert (up["name"], up["orchestrator"], up["engine"]) == (NAME, "swarm", "docker")
    assert [(machine["name"], machine["role"], machine["state"]) for machine in up["machines"]] == [
        ("manager-1", "manager", "up"),
        ("worker-1", "worker", "up"),
    ]
    assert all(machine["docker_host"].startswith("tcp://127.0.0.1:") for machine in up["machines"])


def test_endpoints_are_on_loopback_behind_a_certificate(up: dict[str, Any]) -> None:
    for machine in up["machines"]:
        [container] = json.loads(
            subprocess.check_output(["docker", "inspect", machine["container"]], env=client_environment())
        )
        bindings = container["HostConfig"]["PortBindings"]
        assert {binding["HostIp"] for ports in bindings.values() for binding in ports} == {"127.0.0.1"}
        assert set(bindings) == {"2376/tcp"}
        files = list(Path(machine["cert_path"]).iterdir())
        assert {file.name for file in files} == {"ca.pem", "cert.pem", "key.pem"}
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)
        stranger = {"DOCKER_HOST": machine["docker_host"], "DOCKER_TLS": "", "DOCKER_CERT_PATH": "/nonexistent"}
        without = subprocess.run(
            ["docker", "info"], env=client_environment({}) | stranger, capture_output=True, text=True
        )
        assert "Swarm: active" not in without.stdout


def test_every_thing_it_made_carries_its_label(up: dict[str, Any]) -> None:
    assert len(docker("ps", "-q", "--filter", LABEL)) == 2
    assert sorted(docker("volume", "ls", "-q", "--filter", LABEL)) == [
        f"labkit-{NAME}-manager-1",
        f"labkit-{NAME}-worker-1",
    ]
    networks = docker("network", "ls", "--format", "{{.Name}}", "--filter", LABEL)
    assert sorted(networks) == [f"labkit-{NAME}-api", f"labkit-{NAME}-nodes"]


def test_run_again_it_changes_nothing(up: dict[str, Any], state: Path) -> None:
    before = docker("ps", "-q", "--no-trunc", "--filter", LABEL)
    image = present.node_image()
    done = run("up", "--managers", "1", "--workers", "1", "--state", str(state), LABKIT_SWARM_NODE_IMAGE=image)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["machines"] == up["machines"]
    assert docker("ps", "-q", "--no-trunc", "--filter", LABEL) == before


def test_status_says_the_same(up: dict[str, Any], state: Path) -> None:
    done = run("status", "--state", str(state))
    assert json.loads(done.stdout)["machines"] == up["machines"]


def test_a_machine_keeps_its_address_and_port_when_it_comes_back(up: dict[str, Any], state: Path) -> None:
    container = f"labkit-{NAME}-worker-1"
    docker("kill", container)
    assert [m["state"] for m in json.loads(run("status", "--state", str(state)).stdout)["machines"]] == ["up", "down"]
    docker("start", container)
    assert json.loads(run("status", "--state", str(state)).stdout)["machines"] == up["machines"]


def test_a_start_that_fails_leaves_nothing_and_says_why() -> None:
    name = f"{NAME}-x"
    env = client_environment() | {"LABKIT_SWARM_MIRROR": "none", "LABKIT_SWARM_NODE_IMAGE": "traefik/whoami:v1.10"}
    if subprocess.run(["docker", "image", "inspect", "traefik/whoami:v1.10"], env=env, capture_output=True).returncode:
        pytest.skip("no image here that is not a node: load traefik/whoami:v1.10")
    command = ["bash", str(infra("swarm") / "up"), "--name", name, "--managers", "1", "--workers", "0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "traefik/whoami:v1.10 is no docker-in-docker image" in done.stderr
    assert "error: not every engine came up" in done.stderr
    assert docker("ps", "-aq", "--filter", f"label=labkit.sandbox={name}") == []
    assert docker("network", "ls", "-q", "--filter", f"label=labkit.sandbox={name}") == []

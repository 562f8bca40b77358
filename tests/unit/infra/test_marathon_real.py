"""infra/marathon on a real Docker engine: the whole project, with stand-ins for the images that cannot be pulled.

Compose, the containers, their networks, ports, volumes and health checks are real, and so are ZooKeeper, HAProxy and
the agents' dockerds. Mesos, Marathon, Mesos-DNS and what configures HAProxy are labkit's own servers, a process each,
under the variables of the real images (tests/support/mesos_standin/README.md).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support import present
from support.until import until
from support.zookeepers import say

import labkit
from labkit.engines.hosts import client_environment
from labkit.sandbox import Sandbox

pytestmark = [pytest.mark.docker, pytest.mark.requires("compose"), pytest.mark.requires("mesos-standin")]

NAME = f"stand-{os.getpid()}"
LABEL = f"label=labkit.sandbox={NAME}"
SERVICE_PORT = 10001
APP = {
    "id": "/web",
    "cmd": "exec python3 -m http.server $PORT0",
    "cpus": 0.1,
    "mem": 32,
    "instances": 2,
    "constraints": [["hostname", "UNIQUE"]],
    "portDefinitions": [{"port": SERVICE_PORT}],
    "labels": {"HAPROXY_GROUP": "external"},
    "healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1}],
    "backoffSeconds": 1,
}


def docker(*arguments: str) -> list[str]:
    done = subprocess.run(["docker", *arguments], env=client_environment(), capture_output=True, text=True, check=True)
    return done.stdout.split()


def left_over() -> list[str]:
    kinds = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
    return [one for kind in kinds for one in docker(*kind, "--filter", LABEL)]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def sandbox(said: list[str]) -> Iterator[Sandbox]:
    """Three masters with all that runs on them, and two agents."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, image in present.mesos_standin().items():
            patch.setenv(variable, image)
        patch.setenv("LABKIT_MARATHON_IMAGES", "none")
        made = labkit.up("marathon", engine="docker", name=NAME, masters=3, agents=2, progress=said.append)
        try:
            yield made
        finally:
            made.down()
            assert left_over() == []


def app(sandbox: Sandbox) -> dict[str, Any]:
    answer = requests.get(f"{sandbox.env['MARATHON_URL']}/v2/apps//web", timeout=10)
    return dict(answer.json()["app"]) if answer.ok else {}


def tasks(sandbox: Sandbox) -> dict[str, str]:
    """By its id the agent of each healthy task, once there are two on two agents."""
    found = {one["id"]: one["host"] for one in app(sandbox).get("tasks", ()) if one.get("healthCheckResults")}
    assert app(sandbox).get("tasksHealthy") == 2
    assert len(set(found.values())) == 2
    return found


def leading(sandbox: Sandbox) -> str:
    """The machine of the master that leads."""
    elected = []
    for machine in sandbox.machines:
        if machine.role != "master":
            continue
        try:
            counts = requests.get(f"{machine.env['MESOS_URL']}/metrics/snapshot", timeout=5).json()
        except requests.ConnectionError:
            continue
        elected += [machine.name] if counts["master/elected"] else []
    assert len(elected) == 1
    return elected[0]


@pytest.fixture(scope="module")
def web(sandbox: Sandbox) -> dict[str, str]:
    """An app on both agents, behind HAProxy."""

    def accepted() -> bool:
        answer = requests.post(f"{sandbox.env['MARATHON_URL']}/v2/apps", json=APP, timeout=10)
        assert answer.status_code in (201, 503), answer.text  # 503: Marathon has no leader, after an election below it
        return answer.status_code == 201

    until(accepted, 60, "Marathon has a leader that takes an app")
    return until(lambda: tasks(sandbox), 90, "two healthy tasks")


def test_it_comes_up_and_tells_of_it(sandbox: Sandbox, said: list[str]) -> None:
    assert "starting 3 masters and 2 agents" in said
    for what in ("zookeeper-master-3-1", "mesos-master-master-1-1", "marathon-master-2-1", "mesos-agent-agent-2-1"):
        assert f"{what} answers" in said
    assert {(one.name, one.state) for one in sandbox.components} == {
        *((name, "running") for name in ("zookeeper", "mesos-master", "marathon", "mesos-agent")),
        *((name, "running") for name in ("mesos-dns", "marathon-lb")),
    }


def modes(sandbox: Sandbox) -> dict[str, str]:
    """By machine what its member is: "leader", "follower", or "" while it serves nobody."""
    found = {}
    for number, place in enumerate(sandbox.env["ZOOKEEPER"].split(","), 1):
        host, _, port = place.partition(":")
        lines = say((host, int(port)), "srvr").splitlines()
        found[f"master-{number}"] = next((line[6:] for line in lines if line.startswith("Mode: ")), "")
    return found


def test_zookeeper_is_the_real_one_and_needs_its_quorum(sandbox: Sandbox) -> None:
    before = modes(sandbox)
    assert sorted(before.values()) == ["follower", "follower", "leader"]
    led = next(machine for machine, mode in before.items() if mode == "leader")
    sandbox.partition(led)
    assert next(one.state for one in sandbox.machines if one.name == led) == "partitioned"
    until(lambda: modes(sandbox)[led] == "", 30, "the member that is alone serves nobody")
    until(lambda: sorted(modes(sandbox).values()) == ["", "follower", "leader"], 30, "the others elect")
    sandbox.heal(led)
    until(lambda: all(modes(sandbox).values()), 30, "three members that serve")


def test_everything_listens_on_loopback_only_and_wants_the_password(sandbox: Sandbox) -> None:
    containers = json.loads(
        subprocess.check_output(["docker", "inspect", *docker("ps", "-q", "--filter", LABEL)], env=client_environment())
    )
    bindings = [one["HostConfig"]["PortBindings"] or {} for one in containers]
    hosts = {place["HostIp"] for ports in bindings for places in ports.values() for place in places}
    assert hosts == {"127.0.0.1"}
    for what in ("marathon", "mesos"):
        for url in sandbox.record.endpoints[what].split(","):
            path = "/v2/apps" if what == "marathon" else "/state"
            assert requests.get(url + path, timeout=10, allow_redirects=False).status_code == 401


def test_an_app_runs_and_is_found_and_balanced(sandbox: Sandbox, web: dict[str, str]) -> None:
    balanced = f"http://{sandbox.record.endpoints[f'master-1:{SERVICE_PORT}/tcp']}/"

    def answered() -> bool:
        try:
            return requests.get(balanced, timeout=5).ok
        except requests.ConnectionError:
            return False

    until(answered, 30, "HAProxy has a server for the app")
    hosts = f"{sandbox.env['MESOS_DNS_URL']}/v1/hosts/web.marathon.mesos"
    found = until(lambda: [one["ip"] for one in requests.get(hosts, timeout=5).json() if one["ip"]], 30, "its name")
    assert sorted(found) == sorted(web.values())


def test_the_picture_shows_the_app(sandbox: Sandbox, web: dict[str, str]) -> None:
    snapshot = sandbox.snapshot()
    assert "web" in {one.name for one in snapshot.workloads.values()}
    attached = labkit.attach("marathon", url=sandbox.env["MARATHON_URL"], mesos=sandbox.env["MESOS_URL"], name="beside")
    try:
        assert "web" in {one.name for one in attached.snapshot().workloads.values()}
    finally:
        attached.down()


def test_tasks_outlive_the_master_that_leads(sandbox: Sandbox, web: dict[str, str]) -> None:
    before = leading(sandbox)
    sandbox.stop("mesos-master", machine=before)
    after = until(lambda: leading(sandbox), 90, "another master that leads")
    assert after != before
    assert set(tasks(sandbox)) == set(web)
    sandbox.start("mesos-master", machine=before)
    assert ("mesos-master", before, "running") in [(c.name, c.machine, c.state) for c in sandbox.components]


def test_a_machine_that_was_lost_comes_back_with_its_address(sandbox: Sandbox, web: dict[str, str]) -> None:
    agent = next(one for one in sandbox.machines if one.name == "agent-2")
    sandbox.fail("agent-2")
    assert next(one.state for one in sandbox.machines if one.name == "agent-2") == "down"
    sandbox.heal("agent-2")
    healed = next(one for one in sandbox.machines if one.name == "agent-2")
    assert (healed.state, healed.address) == ("up", agent.address)
    now = until(lambda: tasks(sandbox), 90, "two healthy tasks again")
    # What ran there ended with it, and Marathon has started another in its place.
    assert [one for one, host in now.items() if host != agent.address] == [
        one for one, host in web.items() if host != agent.address
    ]
    assert {one for one, host in now.items() if host == agent.address}.isdisjoint(web)

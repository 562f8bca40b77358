"""The whole process, as `labkit up marathon` starts it: driven over HTTP, hurt, killed, restored, ended."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.engineprocess import EngineProcess
from support.until import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's"),
]

Json = dict[str, Any]

IMAGE = {
    "id": "/web",
    "cpus": 0.1,
    "mem": 32,
    "instances": 2,
    "container": {
        "type": "DOCKER",
        "docker": {"image": "traefik/whoami:v1.10"},
        "portMappings": [{"containerPort": 80}],
    },
    "networks": [{"mode": "container/bridge"}],
    "labels": {"HAPROXY_GROUP": "external"},
}
COMMAND = {
    "id": "/plain",
    "cpus": 0.1,
    "mem": 32,
    "instances": 1,
    "cmd": "echo $PORT0 > port; exec sleep 1000",
    "portDefinitions": [{"port": 0}],
}


class Sandbox(EngineProcess):
    """A Mesos cluster of its own, through its front doors."""

    orchestrator = "marathon"

    def marathon(self, method: str, path: str, body: Any = None, machine: int = 0) -> Any:
        url = self.status["machines"][machine]["env"]["MARATHON_URL"]
        answer = requests.request(method, url + path, json=body, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def tasks(self, app: str, state: str = "TASK_RUNNING") -> list[Json]:
        try:
            found = self.marathon("GET", f"/v2/apps{app}/tasks")["tasks"]
        except requests.RequestException:  # nobody leads right now
            return []
        return [task for task in found if task["state"] == state]

    def leader(self) -> tuple[str, Json]:
        """The leading master's machine, and its state."""

        def find() -> tuple[str, Json] | None:
            for machine in self.status["machines"]:
                if machine["role"] != "master":
                    continue
                try:
                    answer = requests.get(f"{machine['env']['MESOS_URL']}/state", timeout=5, allow_redirects=False)
                except requests.RequestException:
                    continue
                if answer.status_code == 200:
                    return machine["name"], answer.json()
            return None

        found: tuple[str, Json] = until(find)
        return found

    def pids(self) -> list[psutil.Process]:
        """The processes of plain commands."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if str(process.info["cwd"] or "").startswith(str(self.folder)):
                found.append(process)
        return found


def answer_all(tasks: list[Json]) -> None:
    """Wait until each of them answers on its port."""
    for task in tasks:

        def answers(url: str = f"http://{task['host']}:{task['ports'][0]}/") -> bool:
            try:
                return requests.get(url, timeout=5).ok
            except requests.RequestException:
                return False

        until(answers)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """One that many tests only talk to."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.close()


def test_what_it_says_of_itself(running: Sandbox) -> None:
    status = running.control("/status")
    assert [(m["name"], m["role"]) for m in status["machines"]] == [
        *((f"master-{n}", "master") for n in (1, 2, 3)),
        *((f"agent-{n}", "agent") for n in (1, 2, 3)),
    ]
    assert {c["state"] for c in status["components"]} == {"running"}
    assert len(status["endpoints"]["mesos"]) == 3
    assert len(status["endpoints"]["marathon"]) == 2
    password = json.loads((running.folder / "state" / "credentials").read_text())["credentials"][0]["secret"]
    assert password in status["env"]["MARATHON_URL"]
    assert password not in json.dumps(status["endpoints"])
    assert (running.folder / "state" / "credentials").stat().st_mode & 0o777 == 0o600
    name, state = running.leader()
    assert name == "master-1"
    assert state["activated_slaves"] == 3
    assert {f["name"] for f in state["frameworks"]} == {"marathon", "batch"}
    racks = {slave["attributes"]["machine"]: slave["attributes"]["rack"] for slave in state["slaves"]}
    assert racks == {"agent-1": "rack-1", "agent-2": "rack-2", "agent-3": "rack-1"}


def test_nobody_gets_in_without_the_password(running: Sandbox) -> None:
    for url in (*running.status["endpoints"]["marathon"], *running.status["endpoints"]["mesos"]):
        path = "/v2/apps" if url.endswith(":8080") else "/state"
        assert requests.get(url + path, timeout=5).status_code == 401
        name, _, password = running.status["env"]["MARATHON_URL"].split("//")[1].split("@")[0].partition(":")
        user = (name, password)
        foreign = {"Origin": "http://evil.example.org"}
        assert requests.get(url + path, auth=user, headers=foreign, timeout=5).status_code == 403
        strange = {"Host": "evil.example.org"}
        assert requests.get(url + path, auth=user, headers=strange, timeout=5).status_code == 403
    agent = next(m for m in running.status["machines"] if m["role"] == "agent")
    assert requests.get(f"http://{agent['address']}:5051/state", timeout=5).status_code == 401


def test_zookeeper_answers_on_every_master(running: Sandbox) -> None:
    modes = []
    for place in running.status["endpoints"]["zookeeper"].split(","):
        host, _, port = place.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"srvr")
            text = connection.makefile().read()
        modes += [line.split(": ")[1] for line in text.splitlines() if line.startswith("Mode")]
    assert sorted(modes) == ["follower", "follower", "leader"]


def test_an_app_waits_and_says_why(running: Sandbox) -> None:
    body = {**COMMAND, "id": "/wide", "constraints": [["rack", "CLUSTER", "rack-9"]]}
    running.marathon("POST", "/v2/apps", body)
    try:
        told = until(lambda: _refused(running, "/wide"))
        reasons = {row["reason"]: row["declined"] for row in told["rejectSummaryLastOffers"]}
        assert reasons["UnfulfilledConstraint"] == 3
    finally:
        running.marathon("DELETE", "/v2/apps/wide?force=true")
    assert "message" in running.control("/explain/marathon/nothing")


def _refused(sandbox: Sandbox, app: str) -> Json | None:
    told = sandbox.control(f"/explain/marathon/{app.replace('/', '%2F')}")
    summary: Json = told.get("processedOffersSummary") or {}
    declined = sum(row["declined"] for row in summary.get("rejectSummaryLastOffers", ()))
    return summary if declined >= 3 else None


def test_an_image_and_a_command_and_how_they_are_found(running: Sandbox) -> None:
    running.marathon("POST", "/v2/apps", IMAGE)
    running.marathon("POST", "/v2/apps", COMMAND, machine=1)  # the Marathon that does not lead passes it on
    web = until(lambda: len(found := running.tasks("/web")) == 2 and found)
    (plain,) = until(lambda: running.tasks("/plain"))
    answer_all(web)
    (process,) = [one for one in running.pids() if "sleep" in one.cmdline()]
    assert (Path(process.cwd()) / "port").read_text().strip() == str(plain["ports"][0])
    dns = running.status["endpoints"]["mesos-dns"]
    until(lambda: len(requests.get(f"{dns}/v1/services/_web._tcp.marathon.mesos.", timeout=5).json()) == 2)
    host = running.status["machines"][0]["address"]
    port = running.marathon("GET", "/v2/apps/web")["app"]["container"]["portMappings"][0]["servicePort"]
    names = {until(lambda: _whoami(host, port)) for _ in range(8)}
    assert len(names) == 2
    for app in ("web", "plain"):
        running.marathon("DELETE", f"/v2/apps/{app}")
    until(lambda: not running.pids())


def _whoami(host: str, port: int) -> str | None:
    try:
        text = requests.get(f"http://{host}:{port}/", timeout=5).text
    except requests.RequestException:
        return None
    return next((line for line in text.splitlines() if line.startswith("Hostname")), None)


def test_the_batch_framework_works_when_it_is_asked(running: Sandbox) -> None:
    url = running.status["env"]["BATCH_URL"]
    made = requests.post(f"{url}/jobs", json={"name": "words", "maps": 3, "reduces": 1, "seconds": 0.1}, timeout=5)
    assert made.status_code == 201
    job = made.json()["id"]
    until(lambda: requests.get(f"{url}/jobs/{job}", timeout=5).json()["state"] == "SUCCEEDED")
    assert requests.get(f"{running.status['endpoints']['batch']}/jobs", timeout=5).status_code == 401


def test_components_are_stopped_and_started_by_name(running: Sandbox) -> None:
    assert running.component("stop", "mesos-dns", "master-1") == "stopped"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{running.status['endpoints']['mesos-dns']}/v1/version", timeout=5)
    assert running.component("start", "mesos-dns", "master-1") == "running"
    assert requests.get(f"{running.status['endpoints']['mesos-dns']}/v1/version", timeout=5).ok
    assert "no component 'kubelet'" in running.control("/components/agent-1/kubelet/stop", {})["message"]


def test_tasks_outlive_masters_marathons_and_agents(sandbox: Sandbox) -> None:
    sandbox.start("--speed", "5")
    sandbox.marathon("POST", "/v2/apps", COMMAND)
    (task,) = until(lambda: sandbox.tasks("/plain"))
    (process,) = [one for one in sandbox.pids() if "sleep" in one.cmdline()]
    agent = next(m["name"] for m in sandbox.status["machines"] if m["address"] == task["host"])

    sandbox.control("/machines/master-1/fail", {})  # with it go the leading master, Marathon and a ZooKeeper member
    assert sandbox.leader()[0] != "master-1"
    sandbox.status["machines"].pop(0)
    until(lambda: sandbox.tasks("/plain"))
    assert sandbox.tasks("/plain")[0]["id"] == task["id"]
    until(lambda: sandbox.leader()[1]["activated_slaves"] == 3)

    assert sandbox.component("stop", "mesos-agent", agent) == "stopped"
    assert process.is_running()
    assert sandbox.component("start", "mesos-agent", agent) == "running"
    until(lambda: sandbox.leader()[1]["activated_slaves"] == 3)
    assert [one["id"] for one in until(lambda: sandbox.tasks("/plain"))] == [task["id"]]
    assert process.is_running()

    sandbox.control("/machines/master-1/heal", {})
    until(lambda: {c["state"] for c in sandbox.control("/status")["components"]} == {"running"})
    sandbox.marathon("PUT", "/v2/apps/plain", {"instances": 3})
    until(lambda: len(sandbox.tasks("/plain")) == 3)
    sandbox.end()
    until(lambda: not process.is_running())


def test_a_kill_loses_nothing_and_leaves_no_process(sandbox: Sandbox) -> None:
    sandbox.start("--masters", "1", "--agents", "2")
    assert len(sandbox.status["endpoints"]["marathon"]) == 1
    sandbox.marathon("POST", "/v2/apps", IMAGE)
    sandbox.marathon("POST", "/v2/apps", COMMAND)
    until(lambda: len(sandbox.tasks("/web")) == 2 and sandbox.tasks("/plain"))
    framework = sandbox.marathon("GET", "/v2/info")["frameworkId"]
    sandbox.control("/components/master-1/marathon-lb/stop", {})
    before = sandbox.pids()
    assert before
    sandbox.end(signal.SIGKILL)
    until(lambda: not sandbox.pids())

    status = sandbox.start("--masters", "1", "--agents", "2")
    assert {c["name"] for c in status["components"] if c["state"] == "stopped"} == {"marathon-lb"}
    assert sandbox.marathon("GET", "/v2/info")["frameworkId"] == framework
    assert {app["id"] for app in sandbox.marathon("GET", "/v2/apps")["apps"]} == {"/web", "/plain"}
    tasks = until(lambda: len(sandbox.tasks("/web")) == 2 and sandbox.tasks("/plain") and sandbox.tasks("/web"))
    answer_all(tasks)
    until(lambda: sandbox.pids())
    assert sandbox.end() == 0
    until(lambda: not sandbox.pids())
    assert "Traceback" not in sandbox.log()


def test_it_moves_when_its_block_is_taken(sandbox: Sandbox) -> None:
    sandbox.start("--masters", "1", "--agents", "1")
    block = sandbox.status["block"]
    sandbox.marathon("POST", "/v2/apps", {**IMAGE, "instances": 1})
    until(lambda: sandbox.tasks("/web"))
    sandbox.end()
    with socket.socket() as claim:
        with contextlib.suppress(OSError):  # another sandbox of this computer has been quicker
            claim.bind((f"{block}.255.254", 20127))
        status = sandbox.start("--masters", "1", "--agents", "1")
    assert status["block"] != block
    assert "have moved" in status["notes"][0]
    (task,) = until(lambda: sandbox.tasks("/web"))
    assert task["host"].startswith(f"{status['block']}.")
    answer_all([task])


@pytest.mark.parametrize("words", [["--masters", "0"], ["--masters", "8"], ["--agents", "0"], ["--agents", "x"]])
def test_wrong_sizes(tmp_path: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "labkit.embedded", "marathon", "--state", str(tmp_path), "--run", str(tmp_path)]
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "must be between" in done.stderr or "invalid" in done.stderr

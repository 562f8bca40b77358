"""Who may start something: whoever has the credentials. No page of another origin, no other user of this computer."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.documents import holds
from support.marathon_cluster import Marathon
from support.mesos_cluster import MesosCluster, Scheduler
from support.until import until

import labkit

Json = dict[str, Any]

BASIC = "marathon/docs/docs/ssl-basic-access-authentication.md#enabling-basic-access-authentication"
SECURED = "marathon/docs/docs/rest-api/public/api/traits.raml#secured"
OURS = "labkit/embedded/marathon/FIDELITY.md#simplified"

PATHS = [
    "/", "/ui", "/metrics", "/v2/apps", "/v2/apps/x", "/v2/apps/x/restart", "/v2/apps/x/tasks", "/v2/apps/x/tasks/y",
    "/v2/apps/x/versions", "/v2/apps/x/versions/y", "/v2/deployments", "/v2/deployments/x", "/v2/events", "/v2/groups",
    "/v2/groups/x", "/v2/groups/x/versions", "/v2/info", "/v2/leader", "/v2/plugins", "/v2/pods", "/v2/pods/x",
    "/v2/queue", "/v2/queue/x/delay", "/v2/tasks", "/v2/tasks/delete", "/v2/none", "/none",
]  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@holds(BASIC, SECURED)
@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_in_without_credentials(marathon: Marathon, path: str) -> None:
    assert marathon.cluster.own
    for method in METHODS:
        answer = marathon.call(
            method, path, {"id": "/x", "cmd": "touch /tmp/x"} if method != "GET" else None, auth=None
        )
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    marathon.used = False


@holds(BASIC)
@pytest.mark.parametrize("auth", [("labkit", "wrong"), ("", ""), ("root", "labkit")])
def test_wrong_credentials(marathon: Marathon, auth: tuple[str, str]) -> None:
    assert marathon.cluster.own
    assert marathon.call("GET", "/v2/apps", auth=auth).status_code == 401


@holds(OURS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.org"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:8888"},
        {"Host": "evil.example.org"}, {"Host": "evil.example.org:8080"},
    ],
)  # fmt: skip
def test_pages_of_others_start_nothing(marathon: Marathon, headers: dict[str, str]) -> None:
    """Even with the password, as a browser would send it that has been told it once."""
    assert marathon.cluster.own
    answer = marathon.call("POST", "/v2/apps", marathon.body(), headers=headers)
    assert answer.status_code == 403
    assert marathon.call("GET", f"/v2/apps{marathon.id()}").status_code == 404
    assert "Access-Control-Allow-Origin" not in answer.headers


@holds(OURS)
def test_no_answer_lets_a_page_of_another_origin_read_it(marathon: Marathon) -> None:
    assert marathon.cluster.own
    answer = marathon.call("OPTIONS", "/v2/apps", headers={"Origin": "http://evil.example.org"}, auth=None)
    assert answer.status_code in (401, 403)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@holds(OURS)
def test_every_listener_of_the_sandbox_asks_or_starts_nothing(marathon: Marathon) -> None:
    """All ports that the engine's process listens on, found from outside: they let nobody in, or are only read."""
    sandbox = marathon.cluster.own
    readable = {"8123", "9090", "9091", "2181", "53", "8053", "80", "9080"}
    asked = []
    for connection in psutil.Process(_engine(sandbox)).net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN:
            continue
        host, port = connection.laddr
        assert host.startswith("127."), "nothing but loopback"
        if str(port) in readable or port >= 10000:
            continue
        answer = requests.post(f"http://{host}:{port}/", json={"type": "GET_HEALTH"}, timeout=5)
        assert answer.status_code == 401, f"{host}:{port}"
        asked.append(port)
    assert {8080, 5050, 5051} <= set(asked)


def _engine(sandbox: labkit.Sandbox) -> int:
    """The process of the sandbox's engine."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "labkit.embedded" in line and sandbox.name in line:
            return int(process.pid)
    raise AssertionError("no engine")


@holds(OURS)
@pytest.mark.parametrize("path", ["/v1/axfr", "/v1/enumerate", "/v1/version"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_names_are_only_read(marathon: Marathon, method: str, path: str) -> None:
    assert marathon.cluster.own
    answer = requests.request(method, marathon.cluster.own.env["MESOS_DNS_URL"] + path, timeout=5)
    assert answer.status_code in (403, 404, 405)


# -- another user of this computer


@holds(OURS)
def test_the_password_is_its_owners(marathon: Marathon) -> None:
    sandbox = marathon.cluster.own
    path = Path(sandbox.record.state) / "credentials"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    body = json.loads(path.read_text())["credentials"][0]
    assert marathon.cluster.marathon.auth == (body["principal"], body["secret"])
    assert len(body["secret"]) >= 32
    for folder in (Path(sandbox.record.state), Path(sandbox.record.run)):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0, f"{folder} is open to others"


@holds(OURS)
def test_files_and_sockets_are_out_of_reach(marathon: Marathon) -> None:
    """What others could read or write below the sandbox's folders stands behind a folder that they cannot enter."""
    sandbox = marathon.cluster.own
    marathon.create()
    sockets = [path for path in Path(sandbox.record.run).rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0 or _shut_above(path, Path(sandbox.record.run))


def _shut_above(path: Path, top: Path) -> bool:
    return any(
        stat.S_IMODE(each.stat().st_mode) & 0o011 == 0 for each in path.parents if each == top or top in each.parents
    )


@holds(OURS)
def test_the_password_is_in_nobodys_command_line(marathon: Marathon) -> None:
    secret = (marathon.cluster.marathon.auth or ("", "?"))[1]
    assert marathon.cluster.own
    marathon.create()
    for process in psutil.process_iter(["cmdline"]):
        assert not any(secret in word for word in process.info["cmdline"] or [])
    (task,) = marathon.tasks()
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"cmd": "env; echo ---; exec sleep 1000"})
    (task,) = marathon.tasks()
    text = until(lambda: "---" in (out := marathon.output(task)) and out) or ""
    assert secret not in text


@holds(OURS)
def test_zookeepers_wire_is_all_that_is_open_to_everybody(marathon: Marathon) -> None:
    """As a real ensemble without ACLs is: said so in FIDELITY.md; nothing of the password is in it."""
    host, _, port = marathon.cluster.own.env["ZOOKEEPER"].split(",")[0].partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"conf")
        text = connection.makefile().read()
    assert (marathon.cluster.marathon.auth or ("", "?"))[1] not in text


# -- nothing is left behind


@pytest.fixture
def short() -> Iterator[labkit.Sandbox]:
    """A small sandbox that is ended by the test."""
    sandbox = labkit.up("marathon", engine="embedded", name=f"conf-end-{os.getpid()}", masters=1, agents=1, speed=10.0)
    yield sandbox
    sandbox.down()


def _processes(folder: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cwd"]):
        if str(process.info["cwd"] or "").startswith(folder):
            found.append(process)
    return found


@pytest.mark.parametrize("end", ["down", "kill -9"])
@holds(OURS, "mesos/docs/sandbox.md#sandbox-lifecycle")
def test_no_process_outlives_the_sandbox(engine: str, short: labkit.Sandbox, end: str) -> None:
    if engine != "embedded":
        pytest.skip("an attached cluster is not the tests' to end")
    cluster = MesosCluster(short.env["MESOS_URL"], short.env["MARATHON_URL"], short, 10.0)
    stubborn = "trap '' TERM HUP INT; (trap '' TERM HUP INT; setsid sleep 1000) & while true; do sleep 0.05; done"
    marathon = Marathon(cluster, "/end")
    marathon.create(cmd=stubborn, instances=2)
    scheduler = Scheduler(cluster)
    scheduler.subscribe()
    scheduler.running("exec sleep 1000")
    folder = short.record.state
    assert len(until(lambda: len(_processes(folder)) >= 5 and _processes(folder)) or []) >= 5
    scheduler.stream.close()
    if end == "down":
        short.down()
    else:
        os.kill(_engine(short), signal.SIGKILL)
    until(lambda: not _processes(folder), what="all processes of tasks are gone")

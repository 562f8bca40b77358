"""Who may start something: whoever has the credentials. No page of another origin, no other user of this computer."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE
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
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example.org"}, {"Host": "evil.example.org:8123"}])
def test_pages_of_others_learn_no_names(marathon: Marathon, headers: dict[str, str]) -> None:
    url = marathon.cluster.own.env["MESOS_DNS_URL"] + "/v1/enumerate"
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(url, headers=headers, timeout=10).status_code == 403


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
        answer = requests.post(f"http://{host}:{port}/", json={"type": "GET_HEALTH"}, timeout=20)
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
    answer = requests.request(method, marathon.cluster.own.env["MESOS_DNS_URL"] + path, timeout=20)
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
def test_zookeepers_words_tell_no_password(marathon: Marathon) -> None:
    host, _, port = marathon.cluster.own.env["ZOOKEEPER"].split(",")[0].partition(":")
    secret = (marathon.cluster.marathon.auth or ("", "?"))[1]
    for word in (b"conf", b"envi", b"cons", b"dump", b"mntr"):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(word)
            assert secret not in connection.makefile().read()


@pytest.fixture
def connect(marathon: Marathon) -> Iterator[Callable[[str], KazooClient]]:
    """Clients of the sandbox's ZooKeeper with a ``user:password``, or none."""
    clients = []

    def one(secret: str) -> KazooClient:
        auth = [("digest", secret)] if secret else None
        client = KazooClient(marathon.cluster.own.env["ZOOKEEPER"], auth_data=auth)
        clients.append(client)
        client.start(timeout=20)
        return client

    yield one
    for client in clients:
        client.stop()
        client.close()


def _walk(client: KazooClient, path: str) -> Iterator[str]:
    yield path
    for name in client.get_children(path):
        yield from _walk(client, f"{path.rstrip('/')}/{name}")


@holds(OURS)
@pytest.mark.parametrize("secret", ["", "labkit:guess", "other:pw"])
def test_without_the_password_zookeeper_is_written_by_nobody(
    marathon: Marathon, connect: Callable[[str], KazooClient], secret: str
) -> None:
    """What stands there is run: an app that somebody writes below Marathon's state would be."""
    marathon.create()
    own = connect(":".join(marathon.cluster.marathon.auth or ()))
    stranger = connect(secret)
    paths = [path for path in _walk(own, "/") if not path.startswith("/zookeeper")]
    assert any(path.startswith("/marathon/state/") for path in paths)
    assert any(path.startswith("/mesos/json.info_") for path in paths)
    for path in paths:
        for write in (
            lambda path: stranger.create(f"{path.rstrip('/')}/mine", b"x"),
            lambda path: stranger.set(path, b"x"),
            lambda path: stranger.set_acls(path, OPEN_ACL_UNSAFE),
        ):
            with pytest.raises(NoAuthError):
                write(path)
    for path in (path for path in paths if not own.get_children(path)):
        with pytest.raises(NoAuthError):
            stranger.delete(path)
        change = stranger.transaction()
        change.set_data(path, b"x")
        (result,) = change.commit()
        assert isinstance(result, NoAuthError)


@holds(OURS)
def test_without_the_password_nobody_reads_the_apps(marathon: Marathon, connect: Callable[[str], KazooClient]) -> None:
    marathon.create(env={"SECRET": "in-the-app"})
    own, stranger = connect(":".join(marathon.cluster.marathon.auth or ())), connect("")
    assert any(b"in-the-app" in own.get(path)[0] for path in _walk(own, "/marathon"))
    for path in _walk(own, "/marathon"):
        with pytest.raises(NoAuthError):
            stranger.get(path)
        with pytest.raises(NoAuthError):
            stranger.get_children(path)
    (leader,) = sorted(name for name in stranger.get_children("/mesos") if name.startswith("json.info_"))[:1]
    assert b"address" in stranger.get(f"/mesos/{leader}")[0], "who leads is for every framework to find"


TRY = """
import encodings.idna, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
state, run, *places = sys.argv[1:]
got = []
for folder in (state, run):
    for path in (folder, folder + "/credentials", folder + "/control.sock", folder + "/lb/haproxy.sock"):
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).close()
            got.append(path)
        except (PermissionError, FileNotFoundError):
            pass
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            got.append("connected " + path)
        except OSError:
            pass
for place in places:
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(b"POST /v2/apps HTTP/1.1\\r\\nHost: %s\\r\\nContent-Length: 0\\r\\n\\r\\n" % place.encode())
        answer = wire.recv(4096).split(b" ", 2)[1].decode()
    if answer not in ("401", "403"):
        got.append(place + " " + answer)
print("got", got)
"""


@holds(OURS)
@pytest.mark.skipif(os.getuid() != 0, reason="to be somebody else one has to be root")
def test_another_user_gets_nothing(marathon: Marathon) -> None:
    """A process of ``nobody`` tries the files, the sockets and the ports that start something."""
    sandbox = marathon.cluster.own
    hosts = {place.partition(":")[0] for place in sandbox.env["ZOOKEEPER"].split(",")}
    places = [f"{host}:{port}" for host in hosts for port in (5050, 8080) if _open(host, port)]
    places += [f"{agent['hostname']}:5051" for agent in marathon.cluster.agents()]
    assert len(places) >= 3
    # Python itself stands where others may look; its folder of packages need not.
    command = [sys.executable, "-I", "-S", "-c", TRY, str(sandbox.record.state), str(sandbox.record.run), *places]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
    if "got" not in done.stdout and "Permission" in done.stderr:
        pytest.skip("nobody cannot run this Python")
    assert done.stdout == "got []\n", done.stdout + done.stderr


def _open(host: str, port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) == 0


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

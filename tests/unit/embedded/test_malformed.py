"""Nonsense at every endpoint: a clear answer, never a 5xx that the real engine would not give, nothing lost."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from labkit.embedded.swarm.api.app import all_routes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

BODIES: list[bytes | None] = [
    None,
    b"{",
    b"[]",
    b'"x"',
    b"3",
    b"null",
    b"\xff\xfe{}",
    b'{"Name":[]}',
    b'{"Name":"\\u0000","Image":1}',
    b'{"Container":3}',
    b'{"Image":"busybox","HostConfig":[]}',
    b'{"Image":"busybox","HostConfig":{"PortBindings":{"x":[{}]}}}',
    b'{"Image":"busybox","Cmd":[{}]}',
    b'{"Spec":3}',
    b'{"RemoteAddrs":[null,3]}',
    b'{"Labels":{"a":null}}',
    b'{"Name":"q","Driver":"overlay","IPAM":{"Config":[null,{"Subnet":"999.1.1.0/24"}]}}',
    b'{"Name":"y","TaskTemplate":{"ContainerSpec":{"Image":"a","Secrets":[null],"Configs":[{}],"Mounts":[null]},'
    b'"Networks":[null],"Placement":{"Preferences":[null]}}}',
]
QUERIES = [
    "",
    "version=1",
    "version=99999999999999999999999",
    "filters=x",
    'filters={"a":1}',
    'filters={"name":{"[":true},"id":[""],"label":["="],"until":["x"],"dangling":["x"]}',
    "limit=x&size=x&tail=x&since=x&stdout=1",
    "force=maybe&t=x&signal=FOO&stdout=1&condition=foo&h=x&w=-1",
    "name=\0 &fromImage=\0&repo=\0&tag=\xff",
    "status=x&insertDefaults=x&verbose=x&scope=x&type=x",
]
# What dockerd itself answers with 500: it passes on what has no code of its own.
REAL_500 = re.compile(
    r'^(strconv\.(Atoi|ParseInt|ParseUint): parsing "|Bad parameters: you must choose at least one stream'
    r'|Get "https://registry-1\.docker\.io/|rpc error: code = Unknown desc = update out of sequence|Invalid \S+ filter)'
)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


@pytest.fixture(scope="module")
def run() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="labkit-m-"))
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "labkit.embedded", "swarm", "--ready-fd", str(writer), "--managers", "1"]
    command += ["--workers", "1", "--state", str(folder / "s"), "--run", str(folder / "r")]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, pass_fds=[writer], stderr=log)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert json.loads(lines.readline())["ready"]
    yield folder / "r"
    process.terminate()
    assert process.wait(timeout=10) == 0
    logged = (folder / "log").read_text()
    shutil.rmtree(folder)
    assert "Traceback" not in logged, logged[-3000:]


def ask(sock: Path, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    connection = _Connection(str(sock))
    try:
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(4096).decode("utf-8", "replace")
    finally:
        connection.close()


def nodes_and_networks(run: Path) -> Any:
    return [
        sorted(item["ID" if "ID" in item else "Id"] for item in json.loads(ask(run / "manager-1.sock", "GET", path)[1]))
        for path in ("/nodes", "/networks", "/secrets")
    ]


@pytest.mark.parametrize("machine", ["manager-1", "worker-1"])
def test_nonsense_gets_a_clear_answer(run: Path, machine: str) -> None:
    before = nodes_and_networks(run)
    strange = []
    for method, pattern, _ in all_routes():
        if pattern == "/swarm/leave":  # would do what it says
            continue
        path = re.sub(r"\{\w+(:[^}]+)?\}", "nope", pattern)
        for query in QUERIES:
            asked = f"{path}?{quote(query, safe='=&')}" + ("&until=1" if path == "/events" else "")
            for body in BODIES if method != "GET" and query in ("", "version=1") else [None]:
                status, text = ask(run / f"{machine}.sock", method, asked, body)
                if status >= 500 and status not in (501, 503) and not REAL_500.match(json.loads(text)["message"]):
                    strange.append((method, asked, body, status, text))
                elif 400 <= status < 500 and method != "HEAD":
                    assert json.loads(text)["message"]
    assert strange == []
    assert nodes_and_networks(run) == before


def test_a_hundred_megabytes_are_refused_and_the_memory_stays(run: Path) -> None:
    import psutil

    pid = json.loads(ask(run / "control.sock", "GET", "/status")[1])["pid"]
    process = psutil.Process(pid)
    before = process.memory_info().rss
    size = 100 * 1024 * 1024
    head = b'{"Name":"big","TaskTemplate":{"ContainerSpec":{"Image":"a"}},"Labels":{"a":"'
    for path, start, status, words in (
        (
            "/services/create",
            head,
            500,
            "rpc error: code = ResourceExhausted desc = grpc: received message larger",
        ),
        ("/services/create", b"x", 400, "invalid JSON: invalid character 'x' looking for beginning of value"),
        ("/containers/create", head, 413, "request body too large"),
        ("/nope", b"", 404, "page not found"),
    ):
        sent = start + b"x" * (size - len(start))
        answer = ask(run / "manager-1.sock", "POST", path, sent)
        assert answer[0] == status, answer
        assert json.loads(answer[1])["message"].startswith(words)
        del sent
    assert process.memory_info().rss - before < 40 * 1024 * 1024

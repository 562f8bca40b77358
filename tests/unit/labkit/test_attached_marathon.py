"""Marathons that exist elsewhere: found by their URLs, asked who they are, and never shown with a password."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from labkit.engines.attached import attachment
from labkit.engines.attached_marathon import answers, plain
from labkit.errors import ClusterError, UsageError

INFO = {
    "frameworkId": "f-1",
    "marathon_config": {"master": "zk://a:2181/mesos", "mesos_leader_ui_url": "http://10.0.0.1:5050/"},
    "zookeeper_config": {"zk": "zk://me:secret@a:2181,b:2181/marathon"},
}


class Server:
    def __init__(self) -> None:
        self.pages: dict[str, Any] = {"/v2/info": INFO, "/ping": "pong", "/version": {"version": "1.11.0"}}
        self.wants = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                status = 200 if self.path in outer.pages else 404
                if outer.wants and given != "Basic " + base64.b64encode(outer.wants.encode()).decode():
                    status = 401
                body = json.dumps(outer.pages.get(self.path)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.http.server_port}"
        self.url = f"http://{self.place}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def attach(**arguments: Any) -> Any:
    return attachment("marathon", allow=(), **arguments)


def test_marathon_says_where_its_mesos_is(server: Server) -> None:
    found = attach(url=f"{server.url}/")
    assert found.env == {
        "MARATHON_URL": server.url,
        "MESOS_URL": "http://10.0.0.1:5050",
        "ZOOKEEPER": "a:2181,b:2181",
    }
    assert found.endpoints == {"marathon": server.url, "mesos": "http://10.0.0.1:5050"}
    assert found.suggested_name == "marathon"
    assert answers(found.machine)


def test_several_are_tried_and_passwords_are_not_shown(server: Server) -> None:
    server.wants = "me:pw"
    given = f"http://127.0.0.1:1,http://me:pw@{server.place}"
    found = attach(url=given, mesos=f"http://me:pw@{server.place}")
    assert found.env["MARATHON_URL"] == f"http://me:pw@{server.place}"  # the one that answers, for a shell
    assert found.machine.env["MARATHON_URL"] == f"http://me:pw@{server.place},http://127.0.0.1:1"
    assert answers(found.machine)
    assert found.env["MESOS_URL"] == f"http://me:pw@{server.place}"
    assert "pw" not in json.dumps([found.endpoints, dict(found.source), found.suggested_name])
    with pytest.raises(ClusterError, match="wants other credentials"):
        attach(url=f"http://me:wrong@{server.place}")


@pytest.mark.parametrize("url", [None, "", "marathon:8080", "ftp://x", "http://", "http://x:notaport", ","])
def test_what_is_no_url(url: str | None) -> None:
    with pytest.raises(UsageError, match=r"say where it is|is no URL|names no Marathon"):
        attach(url=url)


def test_who_is_not_there_or_is_something_else(server: Server) -> None:
    with pytest.raises(ClusterError, match=r"nobody answers at http://127\.0\.0\.1:1") as caught:
        attach(url="http://me:pw@127.0.0.1:1")
    assert "pw" not in str(caught.value)
    server.pages["/v2/info"] = {"name": "something"}
    with pytest.raises(ClusterError, match="is not Marathon"):
        attach(url=server.url)
    server.pages["/v2/info"] = "text"
    with pytest.raises(ClusterError, match="something else"):
        attach(url=server.url)
    server.pages = {"/v2/info": INFO}
    with pytest.raises(ClusterError, match=re.escape(f"{server.url}/version answers 404")):
        attach(url=server.url, mesos=server.url)


def test_arguments_of_others_are_refused(server: Server) -> None:
    with pytest.raises(UsageError, match="context= is for Swarm and Kubernetes; Marathon is attached by its URL"):
        attach(context="x")
    with pytest.raises(UsageError, match="url= is for Marathon; a swarm is attached by"):
        attachment("swarm", url=server.url, allow=())
    assert plain("https://u:p@h:1/x?y=1#z") == "https://h:1/x?y=1"

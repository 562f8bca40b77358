"""What every client asks first: ping, version, info; and what the wire refuses before it looks at anything."""

from __future__ import annotations

import json
import re

import pytest
from support.cluster import Cluster
from support.present import requires

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping_carries_the_headers_that_clients_negotiate_with(swarm: Cluster, method: str) -> None:
    answer = swarm.manager.raw(method, "/_ping", version="")
    assert answer.status_code == 200
    assert answer.text == ("OK" if method == "GET" else "")
    headers = answer.headers
    assert re.fullmatch(r"1\.\d\d", headers["Api-Version"])
    assert headers["Ostype"] == "linux"
    assert headers["Docker-Experimental"] in ("true", "false")
    assert headers["Server"].startswith("Docker/")
    assert "no-cache" in headers["Cache-Control"]
    assert headers["Content-Type"].startswith("text/plain")


def test_version_names_engine_api_and_platform(swarm: Cluster) -> None:
    version = swarm.client.version()
    keys = {"Version", "ApiVersion", "MinAPIVersion", "GitCommit", "GoVersion", "Os", "Arch", "KernelVersion"}
    assert keys <= set(version)
    assert version["Os"] == "linux"
    engine = next(part for part in version["Components"] if part["Name"] == "Engine")
    assert engine["Version"] == version["Version"]
    assert engine["Details"]["ApiVersion"] == version["ApiVersion"]


@requires("docker-cli")
def test_the_cli_prints_the_servers_version(swarm: Cluster) -> None:
    printed = swarm.cli("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}").text.split()
    version = swarm.client.version()
    assert printed == [version["Version"], version["ApiVersion"]]
    assert "Server:" in swarm.cli("version").out


def test_info_of_a_manager(swarm: Cluster) -> None:
    found = swarm.manager.info()["Swarm"]
    assert found["LocalNodeState"] == "active"
    assert found["ControlAvailable"] is True
    assert found["Error"] == ""
    assert (found["Managers"], found["Nodes"]) == (len(swarm.managers), len(swarm.hosts))
    assert len(found["RemoteManagers"]) == len(swarm.managers)
    assert found["NodeID"] == swarm.node_id("manager-1")
    assert found["Cluster"]["ID"] == swarm.api.inspect_swarm()["ID"]
    assert "JoinTokens" not in found["Cluster"]


def test_info_of_a_worker(swarm: Cluster) -> None:
    found = swarm.workers[0].info()["Swarm"]
    assert found["LocalNodeState"] == "active"
    assert found["ControlAvailable"] is False
    assert "Cluster" not in found
    assert found["NodeID"] == swarm.node_id("worker-1")
    assert {manager["Addr"] for manager in found["RemoteManagers"]} == {
        node["ManagerStatus"]["Addr"] for node in swarm.nodes().values() if "ManagerStatus" in node
    }


@requires("docker-cli")
def test_the_cli_prints_info_of_a_manager(swarm: Cluster) -> None:
    printed = swarm.cli("info").out
    for line in (
        "Swarm: active",
        "Is Manager: true",
        f"Managers: {len(swarm.managers)}",
        f"Nodes: {len(swarm.hosts)}",
        "Task History Retention Limit: 5",
        "Heartbeat Period: 5 seconds",
        "Expiry Duration: 3 months",
    ):
        assert line in printed
    assert swarm.cli("info", "--format", "{{.Swarm.ControlAvailable}}").text == "true"


def test_an_unknown_path(swarm: Cluster) -> None:
    answer = swarm.manager.raw("GET", "/nosuch")
    assert (answer.status_code, answer.json()) == (404, {"message": "page not found"})


@pytest.mark.parametrize(("version", "key"), [("1.99", "client too new"), ("1.10", "client too old")])
def test_an_api_version_that_is_not_spoken(swarm: Cluster, same, version: str, key: str) -> None:
    answer = swarm.manager.raw("GET", "/info", version=version)
    assert answer.status_code == 400
    text = answer.json()["message"] if answer.text.startswith("{") else answer.text
    engine = swarm.client.version()
    same(text, key, version=version, maximum=engine["ApiVersion"], minimum=engine["MinAPIVersion"])


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("{bad", "malformed"),
        ("", "no body"),
        ("[]", "wrong kind of JSON"),
        ('{"Name": 5}', "wrong type in JSON"),
        ('{"Name":"x","EndpointSpec":{"Ports":[{"TargetPort":"abc"}]}}', "wrong type inside JSON"),
    ],
)
def test_malformed_json(swarm: Cluster, same, body: str, key: str) -> None:
    answer = swarm.manager.raw("POST", "/services/create", data=body, headers=JSON)
    assert answer.status_code == 400
    same(answer.json()["message"], key)


@pytest.mark.parametrize("path", ["/services", "/tasks", "/nodes", "/networks", "/containers/json", "/images/json"])
def test_an_unknown_filter(swarm: Cluster, same, path: str) -> None:
    answer = swarm.manager.raw("GET", path, params={"filters": json.dumps({"colour": ["red"]})})
    assert answer.status_code == 400
    same(answer.json()["message"], "unknown filter", name="colour")


def test_filters_that_are_no_json(swarm: Cluster, same) -> None:
    answer = swarm.manager.raw("GET", "/services", params={"filters": "zzz"})
    assert answer.status_code == 400
    same(answer.json()["message"], "malformed filters")


def test_a_body_of_100_mb_is_refused_and_nothing_is_lost(swarm: Cluster) -> None:
    before = {service["ID"] for service in swarm.api.services()}
    template = {"ContainerSpec": {"Image": "busybox:1.36"}}
    body = json.dumps({"Name": "big", "Labels": {"x": "x" * (100 << 20)}, "TaskTemplate": template})
    answer = swarm.manager.raw("POST", "/services/create", data=body.encode(), headers=JSON, timeout=60)
    # The real engine hands it to its managers, whose messages end at 4 MiB.
    assert answer.status_code == 500
    assert answer.json()["message"] == (
        f"rpc error: code = ResourceExhausted desc = grpc: received message larger than max "
        f"({_number(answer.json()['message'])} vs. 4194304)"
    )
    assert {service["ID"] for service in swarm.api.services()} == before


def _number(message: str) -> str:
    found = re.search(r"\((\d+) vs", message)
    assert found, message
    return found[1]


@pytest.mark.parametrize("host", ["a b", "x/y"])
def test_a_malformed_host_header(swarm: Cluster, host: str) -> None:
    answer = swarm.manager.raw("GET", "/info", headers={"Host": host})
    assert answer.status_code == 400
    assert "malformed Host header" in answer.reason + answer.text


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=str)
def test_web_pages_and_foreign_names_are_refused(swarm: Cluster, headers: dict[str, str]) -> None:
    if swarm.engine == "docker":
        pytest.skip("docker: dockerd looks at neither Host nor Origin; its TLS certificate is what keeps strangers out")
    answer = swarm.manager.raw("GET", "/info", headers=headers)
    assert answer.status_code == 403
    assert "Swarm" not in answer.text


def test_a_worker_asked_as_a_manager(swarm: Cluster, same) -> None:
    for path in ("/nodes", "/services", "/tasks", "/swarm"):
        answer = swarm.workers[0].raw("GET", path)
        assert answer.status_code == 503
        same(answer.json()["message"], "worker is no manager")


@requires("docker-cli")
def test_the_cli_on_a_worker_says_to_go_to_a_manager(swarm: Cluster, same) -> None:
    for command in (["node", "ls"], ["service", "ls"], ["service", "create", "-d", "busybox:1.36"]):
        done = swarm.workers[0].cli(*command, check=False)
        assert done.code == 1
        same(done.error, "worker is no manager")

"""Who is let in: whoever has the credentials, from this computer, and no page of another origin."""

from __future__ import annotations

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster

HTTP = "mesos/docs/authentication.md#master"
AGENTS = "mesos/docs/authentication.md#agent"
OURS = "labkit/embedded/marathon/FIDELITY.md#simplified"

OPEN = {"/health", "/redirect", "/version"}
MASTER = [
    "/", "/api/v1", "/api/v1/operator", "/api/v1/scheduler", "/files/browse", "/files/debug", "/files/download",
    "/files/read", "/flags", "/frameworks", "/health", "/metrics/snapshot", "/redirect", "/roles", "/slaves", "/state",
    "/state-summary", "/tasks", "/teardown", "/version", "/weights", "/create-volumes", "/destroy-volumes",
    "/machine/down", "/machine/up", "/maintenance/schedule", "/maintenance/status", "/quota", "/reserve", "/unreserve",
]  # fmt: skip
AGENT = [
    "/api/v1", "/containers", "/files/browse", "/files/debug", "/files/download", "/files/read", "/flags", "/health",
    "/metrics/snapshot", "/monitor/statistics", "/state", "/version",
]  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE")


@holds(HTTP, OURS)
@pytest.mark.parametrize("path", MASTER)
def test_a_master_asks_for_credentials(cluster: MesosCluster, path: str) -> None:
    assert cluster.own
    for form in (path, f"/master{path}", f"{path}/", f"{path}.json"):
        for method in METHODS:
            code = cluster.master(form, method, auth=None, json={"type": "GET_HEALTH"}).status_code
            if path in OPEN:
                assert code != 401 or form.endswith(".json"), f"{method} {form}"
            else:
                assert code == 401, f"{method} {form}: {code}"


@holds(AGENTS, OURS)
@pytest.mark.parametrize("path", AGENT)
def test_an_agent_asks_for_credentials(cluster: MesosCluster, path: str) -> None:
    assert cluster.own
    agent = cluster.agents()[0]
    for form in (path, f"/slave(1){path}", f"{path}/", f"{path}.json"):
        for method in METHODS:
            code = cluster.agent(agent, form, method, auth=None, json={"type": "GET_HEALTH"}).status_code
            if path in ("/health", "/version"):
                assert code != 401 or form.endswith(".json"), f"{method} {form}"
            else:
                assert code == 401, f"{method} {form}: {code}"


@holds(HTTP)
def test_the_challenge_names_the_realm(cluster: MesosCluster) -> None:
    assert cluster.own
    answer = cluster.master("/state", auth=None)
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="mesos-master-readonly"'
    answer = cluster.master("/api/v1/scheduler", "POST", auth=None)
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="mesos-master-scheduler"'


@holds(HTTP)
@pytest.mark.parametrize("auth", [("labkit", "wrong"), ("nobody", ""), ("", "")])
def test_wrong_credentials(cluster: MesosCluster, auth: tuple[str, str]) -> None:
    assert cluster.own
    assert cluster.master("/state", auth=auth).status_code == 401


@holds(OURS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.org"},
        {"Origin": "null"},
        {"Host": "evil.example.org"},
        {"Host": "evil.example.org:5050"},
    ],
)
def test_pages_of_others_and_rebound_names(cluster: MesosCluster, headers: dict[str, str]) -> None:
    assert cluster.own
    call = {"type": "GET_HEALTH"}
    assert cluster.master("/api/v1", "POST", json=call, headers=headers).status_code == 403
    assert cluster.master("/state", headers=headers).status_code == 403
    assert cluster.master("/health", auth=None, headers=headers).status_code == 403
    assert cluster.agent(cluster.agents()[0], "/state", headers=headers).status_code == 403

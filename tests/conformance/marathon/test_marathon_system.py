"""What Marathon says of itself, and how it answers what nobody should ask."""

from __future__ import annotations

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon

API = "marathon/docs/docs/rest-api/public/api"


@holds(f"{API}/general/ping.raml#get")
def test_ping(marathon: Marathon) -> None:
    answer = marathon.call("GET", "/ping")
    assert (answer.status_code, answer.text) == (200, "pong")


@holds(f"{API}/v2/info.raml#get", f"{API}/v2/types/info.raml#MarathonInfo")
def test_info(marathon: Marathon) -> None:
    info = marathon.get("/v2/info")
    assert info["name"] == "marathon"
    assert info["version"].split(".")[0] == "1"
    assert info["elected"] is True
    assert info["leader"] == marathon.get("/v2/leader")["leader"]
    frameworks = {one["id"]: one for one in marathon.cluster.show("/frameworks")["frameworks"]}
    assert frameworks[info["frameworkId"]]["active"] is True
    assert info["marathon_config"]["master"].startswith("zk://")
    assert info["zookeeper_config"]["zk"].endswith("/marathon")
    assert info["http_config"]["http_port"] == marathon.cluster.marathon.port


@holds(f"{API}/v2/types/info.raml#MarathonConfig")
@pytest.mark.parametrize(
    "key",
    [
        "checkpoint", "failover_timeout", "features", "framework_name", "ha", "hostname", "local_port_max",
        "local_port_min", "mesos_role", "reconciliation_interval", "scale_apps_interval", "task_launch_timeout",
        "task_lost_expunge_interval", "webui_url",
    ],
)  # fmt: skip
def test_its_configuration(marathon: Marathon, key: str) -> None:
    assert key in marathon.get("/v2/info")["marathon_config"]


@holds(f"{API}/general/metrics.raml#get")
def test_metrics(marathon: Marathon) -> None:
    metrics = marathon.get("/metrics")
    assert {"counters", "gauges", "histograms", "meters", "timers", "version"} <= set(metrics)
    assert metrics["gauges"]["marathon.apps.active.gauge"]["value"] >= 0


@holds(f"{API}/v2/plugins.raml#get")
def test_plugins(marathon: Marathon) -> None:
    assert isinstance(marathon.get("/v2/plugins")["plugins"], list)


@holds(f"{API}/v2/queue.raml#get", f"{API}/v2/deployments.raml#get", f"{API}/v2/tasks.raml#get")
@pytest.mark.parametrize(
    "path", ["/v2/queue", "/v2/deployments", "/v2/tasks", "/v2/apps", "/v2/groups", "/v2/info", "/v2/leader"]
)
def test_what_can_be_asked(marathon: Marathon, path: str) -> None:
    answer = marathon.call("GET", path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "no-cache" in answer.headers["Cache-Control"]
    assert answer.headers["X-Marathon-Leader"] == marathon.leader_url()
    assert marathon.call("GET", path + "/").status_code == 200
    head = marathon.call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")


@holds(f"{API}/api.raml#mediaType")
@pytest.mark.parametrize("path", ["/v2/none", "/v3/apps", "/v2/apps/../../etc"])
def test_what_there_is_not(marathon: Marathon, path: str) -> None:
    answer = marathon.call("GET", path)
    assert answer.status_code == 404
    assert "message" in answer.json() or answer.text


@holds(f"{API}/v2/info.raml#get", f"{API}/v2/tasks.raml#delete")
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v2/info"), ("PUT", "/v2/leader"), ("GET", "/v2/tasks/delete"), ("POST", "/v2/deployments")],
)
def test_verbs_that_nobody_offers(marathon: Marathon, method: str, path: str) -> None:
    assert marathon.call(method, path, {} if method != "GET" else None).status_code in (404, 405)


@holds("labkit/embedded/marathon/FIDELITY.md#not-there")
def test_pods_are_not_there_and_say_so(marathon: Marathon) -> None:
    assert marathon.cluster.own
    answer = marathon.call("POST", "/v2/pods", {"id": marathon.id("pod"), "containers": []})
    assert answer.status_code == 501
    assert "not implemented" in answer.json()["message"]
    assert marathon.get("/v2/pods") == []

"""The old endpoints of masters and agents, in all the forms in which clients ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster, Scheduler
from support.until import until

Json = dict[str, Any]

PAGES = "mesos/docs/endpoints/master"

READ = ["state", "slaves", "frameworks", "tasks", "roles", "state-summary", "flags"]
FORMS = [form.format(path) for path in READ for form in ("/{}", "/master/{}", "/{}/", "/master/{}/")]
OF_THE_PROCESS = ["/version", "/metrics/snapshot", "/metrics/snapshot/"]


@holds("mesos/docs/endpoints/index.md#master-endpoints")
@pytest.mark.parametrize("path", [*FORMS, *OF_THE_PROCESS])
def test_a_path_has_many_forms(cluster: MesosCluster, path: str) -> None:
    assert isinstance(cluster.show(path), dict)


@holds("mesos/docs/endpoints/index.md#master-endpoints", f"{PAGES}/state.md#description")
@pytest.mark.parametrize(
    "path", ["/state.json", "/master/state.json", "/tasks.json", "/roles.json", "/master/roles.json"]
)
def test_the_form_of_long_ago(cluster: MesosCluster, path: str) -> None:
    assert isinstance(cluster.show(path), dict)


@holds(f"{PAGES}/state.md#description")
def test_the_state(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    state = cluster.show("/master/state")
    assert state["version"].startswith("1.")
    assert state["pid"].startswith("master@")
    assert state["leader"] == state["pid"]
    assert state["activated_slaves"] == len(state["slaves"]) > 0
    assert {"id", "start_time", "elected_time", "hostname", "flags", "completed_frameworks"} <= set(state)
    mine = next(one for one in state["frameworks"] if one["id"] == scheduler.id)
    assert [one["id"] for one in mine["tasks"]] == [task["task_id"]["value"]]
    assert mine["used_resources"]["cpus"] == pytest.approx(0.1)


@holds(f"{PAGES}/state-summary.md#description")
def test_the_summary(cluster: MesosCluster, scheduler: Scheduler) -> None:
    scheduler.running()
    summary = cluster.show("/master/state-summary")
    mine = next(one for one in summary["frameworks"] if one["id"] == scheduler.id)
    assert mine["TASK_RUNNING"] == 1
    assert "tasks" not in mine


@holds(f"{PAGES}/slaves.md#description")
def test_slaves(cluster: MesosCluster) -> None:
    for agent in cluster.agents():
        assert agent["pid"].startswith("slave(1)@")
        assert agent["active"] is True
        for kind in ("resources", "used_resources", "offered_resources", "unreserved_resources"):
            assert {"cpus", "mem", "disk"} <= set(agent[kind])
        assert agent["resources"]["ports"].startswith("[")
    one = cluster.agents()[0]
    assert [found["id"] for found in cluster.show("/slaves", slave_id=one["id"])["slaves"]] == [one["id"]]


@holds(f"{PAGES}/frameworks.md#description")
def test_one_framework_of_all(cluster: MesosCluster, scheduler: Scheduler) -> None:
    found = cluster.show("/frameworks", framework_id=scheduler.id)
    assert [one["id"] for one in found["frameworks"]] == [scheduler.id]


@holds(f"{PAGES}/tasks.md#description")
def test_tasks_page_by_page(cluster: MesosCluster, scheduler: Scheduler) -> None:
    ids = [scheduler.running()["task_id"]["value"] for _ in range(3)]
    mine = {"framework_id": scheduler.id}
    assert [one["id"] for one in cluster.show("/tasks", **mine, order="asc")["tasks"]] == ids
    assert [one["id"] for one in cluster.show("/tasks", **mine)["tasks"]] == ids[::-1]
    assert [one["id"] for one in cluster.show("/tasks", **mine, order="asc", limit="2")["tasks"]] == ids[:2]
    assert [one["id"] for one in cluster.show("/tasks", **mine, order="asc", offset="2")["tasks"]] == ids[2:]
    assert [one["id"] for one in cluster.show("/tasks", **mine, task_id=ids[1])["tasks"]] == [ids[1]]


@holds(f"{PAGES}/roles.md#description")
def test_roles(cluster: MesosCluster, scheduler: Scheduler) -> None:
    role = next(one for one in cluster.show("/roles")["roles"] if one["name"] == "*")
    assert scheduler.id in role["frameworks"]
    assert role["weight"] == 1.0
    assert {"cpus", "mem"} <= set(role["resources"])


@holds(
    f"{PAGES}/health.md#description", f"{PAGES}/redirect.md#description", "mesos/docs/endpoints/version.md#description"
)
def test_what_needs_no_credentials(cluster: MesosCluster) -> None:
    health = cluster.master("/health", auth=None)
    assert (health.status_code, health.text) == (200, "")
    redirect = cluster.master("/master/redirect", auth=None)
    assert redirect.status_code == 307
    assert redirect.headers["Location"].startswith("//")
    assert cluster.master("/version", auth=None).json()["version"].startswith("1.")


@holds(f"{PAGES}/teardown.md#description")
def test_teardown(cluster: MesosCluster, scheduler: Scheduler) -> None:
    assert cluster.master("/teardown").status_code == 405
    answer = cluster.master("/teardown", "POST", data={})
    assert (answer.status_code, answer.text) == (400, "Missing 'frameworkId' query parameter in the request body")
    assert cluster.master("/teardown", "POST", data={"frameworkId": "none"}).status_code == 400
    assert cluster.master("/master/teardown", "POST", data={"frameworkId": scheduler.id}).status_code == 200
    assert scheduler.stream.ended.wait(10)


@holds("mesos/docs/endpoints/metrics/snapshot.md#description", "mesos/docs/monitoring.md#master-nodes")
def test_metrics_count(cluster: MesosCluster, scheduler: Scheduler) -> None:
    before = cluster.show("/metrics/snapshot")
    task = scheduler.running()
    running = cluster.show("/metrics/snapshot")
    assert running["master/tasks_running"] == before["master/tasks_running"] + 1
    assert running["master/cpus_used"] > before["master/cpus_used"]
    scheduler.told("KILL", task_id=task["task_id"])
    scheduler.status(task, "TASK_KILLED")
    until(lambda: cluster.show("/metrics/snapshot")["master/tasks_killed"] > before["master/tasks_killed"])


@holds(f"{PAGES}/state.md#description")
def test_jsonp(cluster: MesosCluster) -> None:
    answer = cluster.master("/version?jsonp=got")
    assert answer.text.startswith("got(")
    assert json.loads(answer.text[len("got(") :].rstrip(");"))["version"]


@holds("mesos/docs/endpoints/index.md#master-endpoints")
def test_what_there_is_not(cluster: MesosCluster) -> None:
    assert cluster.master("/no/such/thing").status_code == 404
    answer = cluster.master("/flags", "DELETE")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


@holds(
    "mesos/docs/endpoints/master/maintenance/schedule.md#description",
    "mesos/docs/endpoints/master/quota.md#description",
)
@pytest.mark.parametrize("path", ["/maintenance/schedule", "/maintenance/status", "/quota"])
def test_no_maintenance_and_no_quota_is_planned(cluster: MesosCluster, path: str) -> None:
    assert cluster.master(path).json() in ({}, {"infos": []})


# -- as avmesos-cli asks


@holds(f"{PAGES}/slaves.md#description", f"{PAGES}/frameworks.md#description")
def test_avmesos_cli_lists_agents_and_frameworks(cluster: MesosCluster, scheduler: Scheduler) -> None:
    """`mesos-cli agent list`: id, hostname, active; `framework list`: GET master/frameworks/."""
    assert all({"id", "hostname", "active", "pid"} <= set(agent) for agent in cluster.show("/slaves")["slaves"])
    found = cluster.show("/master/frameworks/")["frameworks"]
    mine = next(one for one in found if one["id"] == scheduler.id)
    assert {"id", "name", "active", "hostname", "webui_url"} <= set(mine)


@holds(f"{PAGES}/tasks.md#description")
def test_avmesos_cli_lists_tasks(cluster: MesosCluster, scheduler: Scheduler) -> None:
    """`mesos-cli task list`: GET tasks?order=asc&limit=-1, where -1 means all of them."""
    task = scheduler.running()
    found = cluster.show("/tasks", order="asc", limit="-1")["tasks"]
    mine = next(one for one in found if one["id"] == task["task_id"]["value"])
    assert mine["statuses"][-1]["state"] == "TASK_RUNNING"
    assert {"framework_id", "executor_id", "slave_id"} <= set(mine)
    container = mine["statuses"][0]["container_status"]["container_id"]["value"]
    agent = next(one for one in cluster.agents() if one["id"] == mine["slave_id"])
    assert container in [one["container_id"] for one in cluster.agent(agent, "/containers").json()]


# -- agents


AGENT = "mesos/docs/endpoints/slave"


@holds("mesos/docs/endpoints/index.md#agent-endpoints")
@pytest.mark.parametrize("path", ["state", "flags", "version", "metrics/snapshot", "containers", "monitor/statistics"])
def test_an_agent_has_two_forms(cluster: MesosCluster, path: str) -> None:
    one = cluster.agents()[0]
    forms = [f"/{path}"] if path.startswith("metrics") or path == "version" else [f"/{path}", f"/slave(1)/{path}"]
    for form in forms:
        answer = cluster.agent(one, form)
        assert answer.status_code == 200, f"{form}: {answer.text}"
        assert isinstance(answer.json(), dict | list)


@holds(f"{AGENT}/state.md#description")
def test_the_state_of_an_agent(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    state = cluster.agent(agent, "/state").json()
    assert state["id"] == agent["id"]
    assert state["attributes"] == agent["attributes"]
    assert state["master_hostname"]
    mine = next(one for one in state["frameworks"] if one["id"] == scheduler.id)
    (executor,) = mine["executors"]
    assert [one["id"] for one in executor["tasks"]] == [task["task_id"]["value"]]
    assert executor["directory"].endswith(executor["container"])


@holds(f"{AGENT}/health.md#description")
def test_the_health_of_an_agent(cluster: MesosCluster) -> None:
    for agent in cluster.agents():
        assert cluster.agent(agent, "/health", auth=None).status_code == 200


@holds(f"{AGENT}/containers.md#description", f"{AGENT}/monitor/statistics.md#description")
def test_containers_of_an_agent(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    (mine,) = [one for one in cluster.agent(agent, "/containers").json() if one["framework_id"] == scheduler.id]
    assert mine["executor_id"] == task["task_id"]["value"]
    assert mine["container_id"]
    assert mine["statistics"]["mem_limit_bytes"] > 0
    (measured,) = [
        one for one in cluster.agent(agent, "/monitor/statistics").json() if one["framework_id"] == scheduler.id
    ]
    assert measured["statistics"]["cpus_limit"] > 0


CALLS = "mesos/docs/operator-http-api.md#calls-to-agent-and-responses"


@holds(CALLS, "mesos/include/mesos/v1/agent/agent.proto#Call")
@pytest.mark.parametrize(
    "kind",
    [
        "GET_HEALTH", "GET_FLAGS", "GET_VERSION", "GET_METRICS", "GET_LOGGING_LEVEL", "GET_STATE", "GET_TASKS",
        "GET_EXECUTORS", "GET_FRAMEWORKS", "GET_CONTAINERS", "GET_AGENT",
    ],
)  # fmt: skip
def test_calls_to_an_agent(cluster: MesosCluster, kind: str) -> None:
    body = {"type": kind, "get_metrics": {}} if kind == "GET_METRICS" else {"type": kind}
    answer = cluster.agent(cluster.agents()[0], "/api/v1", "POST", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["type"] == kind
    assert kind.lower() in told


@holds("mesos/docs/operator-http-api.md#get_containers")
def test_the_containers_by_a_call(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    answer = cluster.agent(agent, "/slave(1)/api/v1", "POST", json={"type": "GET_CONTAINERS"}).json()
    (mine,) = [one for one in answer["get_containers"]["containers"] if one["framework_id"]["value"] == scheduler.id]
    assert mine["executor_id"] == task["task_id"]
    assert mine["container_status"]["container_id"] == mine["container_id"]


@holds(CALLS)
@pytest.mark.parametrize("body", ["{}", '{"type": "NONSENSE"}', '{"type": ', "[]"])
def test_calls_that_an_agent_does_not_understand(cluster: MesosCluster, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert cluster.agent(cluster.agents()[0], "/api/v1", "POST", data=body, headers=headers).status_code == 400


# -- sandboxes over HTTP

FILES = "mesos/docs/sandbox.md#via-the-files-endpoint"


@pytest.fixture
def written(cluster: MesosCluster, scheduler: Scheduler) -> tuple[Json, str]:
    """An agent, and the path of a sandbox there, of a task that has written into it."""
    task = scheduler.launch("echo hello; mkdir sub; printf 0123456789 > sub/digits")
    scheduler.status(task, "TASK_FINISHED")
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    return agent, f"/frameworks/{scheduler.id}/executors/{task['task_id']['value']}/runs/latest"


@holds(FILES, "mesos/docs/endpoints/files/browse.md#description", "mesos/docs/sandbox.md#sandbox-files")
def test_a_folder_is_listed(cluster: MesosCluster, written: tuple[Json, str]) -> None:
    agent, path = written
    found = {
        one["path"].rpartition("/")[2]: one
        for one in cluster.agent(agent, "/files/browse", params={"path": path}).json()
    }
    assert set(found) >= {"stdout", "stderr", "sub"}
    assert found["sub"]["mode"].startswith("d")
    assert {"gid", "uid", "mtime", "nlink", "size"} <= set(found["stdout"])


@holds(FILES, "mesos/docs/endpoints/files/read.md#description")
@pytest.mark.parametrize(
    ("query", "data", "offset"),
    [
        ({"offset": "0"}, "0123456789", 0),
        ({"offset": "3", "length": "4"}, "3456", 3),
        ({"offset": "8", "length": "100"}, "89", 8),
        ({"offset": "0", "length": "-1"}, "0123456789", 0),
        ({"offset": "-1"}, "", 10),
        ({}, "", 10),
        ({"offset": "10"}, "", 10),
    ],
)
def test_a_file_is_read_piece_by_piece(
    cluster: MesosCluster, written: tuple[Json, str], query: Json, data: str, offset: int
) -> None:
    agent, path = written
    answer = cluster.agent(agent, "/files/read", params={"path": f"{path}/sub/digits", **query})
    assert answer.json() == {"data": data, "offset": offset}


@holds(FILES, "mesos/docs/endpoints/files/download.md#description")
def test_a_file_is_downloaded(cluster: MesosCluster, written: tuple[Json, str]) -> None:
    agent, path = written
    answer = cluster.agent(agent, "/files/download", params={"path": f"{path}/sub/digits"})
    assert answer.content == b"0123456789"
    assert "digits" in answer.headers["Content-Disposition"]


@holds("mesos/docs/operator-http-api.md#list_files", "mesos/docs/operator-http-api.md#read_file")
def test_files_by_calls(cluster: MesosCluster, written: tuple[Json, str]) -> None:
    agent, path = written
    body: Json = {"type": "LIST_FILES", "list_files": {"path": path}}
    infos = cluster.agent(agent, "/api/v1", "POST", json=body).json()["list_files"]["file_infos"]
    assert {one["path"].rpartition("/")[2] for one in infos} >= {"stdout", "stderr", "sub"}
    body = {"type": "READ_FILE", "read_file": {"path": f"{path}/sub/digits", "offset": 2, "length": 3}}
    assert cluster.agent(agent, "/api/v1", "POST", json=body).json()["read_file"] == {"data": "MjM0", "size": 10}


@holds("mesos/docs/endpoints/files/read.md#description")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"path": "{}/none"}, 404),
        ({"path": "{}/sub"}, 400),
        ({"path": "{}/sub/digits", "offset": "x"}, 400),
        ({"path": "{}/sub/digits", "offset": "-2"}, 400),
        ({"path": "{}/sub/digits", "offset": "0", "length": "-2"}, 400),
        ({"path": "{}/../../../../../../../../../etc/passwd", "offset": "0"}, 404),
        ({"path": "/etc/passwd", "offset": "0"}, 404),
    ],
)
def test_what_is_not_read(cluster: MesosCluster, written: tuple[Json, str], query: dict[str, str], status: int) -> None:
    agent, path = written
    answer = cluster.agent(agent, "/files/read", params={name: value.format(path) for name, value in query.items()})
    assert answer.status_code == status, answer.text


@holds("mesos/docs/endpoints/index.md#agent-endpoints", "mesos/docs/operator-http-api.md#agent-api")
def test_what_an_agent_does_not_take(cluster: MesosCluster) -> None:
    agent = cluster.agents()[0]
    refused = cluster.agent(agent, "/flags", "DELETE")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
    assert refused.text == "405 Method Not Allowed. Expecting one of { 'GET' }, but received 'DELETE'."
    call = cluster.agent(agent, "/api/v1", "POST", data=b"{}", headers={"Content-Type": None})
    assert (call.status_code, call.text) == (400, "Expecting 'Content-Type' to be present")
    assert (
        cluster.agent(agent, "/api/v1", "POST", data=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    )

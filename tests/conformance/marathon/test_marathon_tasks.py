"""Tasks: how Marathon shows them, kills them, and what it gives them on the way."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import requests
from support.documents import holds
from support.marathon_cluster import WHOAMI, Marathon
from support.until import until

Json = dict[str, Any]

APPS = "marathon/docs/docs/rest-api/public/api/v2/apps.raml"
TASKS = "marathon/docs/docs/rest-api/public/api/v2/tasks.raml"
TASK = "marathon/docs/docs/rest-api/public/api/v2/types/task.raml#Task"
VARIABLES = "marathon/docs/docs/task-environment-vars.md"
NETWORKING = "marathon/docs/docs/networking.md"


@holds(TASK, f"{APPS}#tasks")
def test_what_a_task_is(marathon: Marathon) -> None:
    app = marathon.create()
    (task,) = marathon.tasks()
    assert task["appId"] == marathon.id()
    assert task["state"] == "TASK_RUNNING"
    assert task["version"] == app["version"]
    listed = next(one for one in marathon.get("/v2/tasks")["tasks"] if one["id"] == task["id"])
    assert listed["servicePorts"] == [one["port"] for one in app["portDefinitions"]]
    assert len(task["ports"]) == 1
    assert task["host"] == next(one for one in marathon.cluster.agents() if one["id"] == task["slaveId"])["hostname"]
    assert task["stagedAt"] <= task["startedAt"]
    assert task["ipAddresses"][0]["protocol"] == "IPv4"
    flat = marathon.id().strip("/").replace("/", "_")
    assert re.fullmatch(re.escape(flat) + r"\.(instance-)?[-0-9a-f]{36}(\._app\.\d+)?", task["id"])


@holds(f"{TASKS}#get")
def test_all_tasks(marathon: Marathon) -> None:
    marathon.create("one", instances=2)
    marathon.create("two")

    def mine(**query: str) -> list[str]:
        return sorted(
            t["appId"] for t in marathon.get("/v2/tasks", **query)["tasks"] if t["appId"].startswith(marathon.home)
        )

    assert mine() == [marathon.id("one")] * 2 + [marathon.id("two")]
    assert mine(status="running") == mine()
    assert mine(**{"status[]": "staging"}) == []


@holds(f"{TASKS}#get", f"{APPS}#tasks")
def test_tasks_as_text(marathon: Marathon) -> None:
    app = marathon.create(instances=2)
    port = app["portDefinitions"][0]["port"]
    places = sorted(f"{task['host']}:{task['ports'][0]}" for task in marathon.tasks())
    for path in ("/v2/tasks", f"/v2/apps{marathon.id()}/tasks"):
        answer = marathon.call("GET", path, headers={"Accept": "text/plain"})
        assert answer.headers["Content-Type"].startswith("text/plain")
        line = next(
            line.split() for line in answer.text.splitlines() if marathon.id().strip("/").replace("/", "_") in line
        )
        assert line[1] == str(port)
        assert sorted(line[2:]) == places


# -- killing


@holds(f"{APPS}#tasks")
def test_a_killed_task_is_replaced(marathon: Marathon) -> None:
    marathon.create(instances=2)
    task = marathon.tasks()[0]
    answer = marathon.call("DELETE", f"/v2/apps{marathon.id()}/tasks/{task['id']}")
    assert answer.status_code == 200
    assert answer.json()["task"]["id"] == task["id"]

    def replaced() -> bool:
        found = [one["id"] for one in marathon.tasks()]
        return len(found) == 2 and task["id"] not in found

    until(replaced)


@holds(f"{APPS}#tasks")
def test_kill_and_scale(marathon: Marathon) -> None:
    marathon.create(instances=2)
    task, other = marathon.tasks()
    marathon.done("DELETE", f"/v2/apps{marathon.id()}/tasks/{task['id']}", scale="true")
    assert marathon.app()["instances"] == 1
    assert [one["id"] for one in marathon.running(1)] == [other["id"]]


@holds(f"{APPS}#tasks")
def test_all_tasks_of_an_app_are_killed(marathon: Marathon) -> None:
    marathon.create(instances=2)
    before = {task["id"] for task in marathon.tasks()}
    answer = marathon.call("DELETE", f"/v2/apps{marathon.id()}/tasks")
    assert {task["id"] for task in answer.json()["tasks"]} == before
    until(lambda: len(now := {task["id"] for task in marathon.tasks()}) == 2 and not now & before)


@holds(f"{APPS}#tasks")
def test_all_tasks_on_a_host_are_killed(marathon: Marathon) -> None:
    marathon.create(instances=3, constraints=[["hostname", "UNIQUE"]])
    task = marathon.tasks()[0]
    answer = marathon.call("DELETE", f"/v2/apps{marathon.id()}/tasks", params={"host": task["host"]})
    assert [one["id"] for one in answer.json()["tasks"]] == [task["id"]]


@holds(f"{TASKS}#delete")
def test_tasks_of_several_apps_are_killed(marathon: Marathon) -> None:
    marathon.create("one")
    marathon.create("two")
    ids = [marathon.tasks("one")[0]["id"], marathon.tasks("two")[0]["id"]]
    answer = marathon.call("POST", "/v2/tasks/delete", {"ids": ids})
    assert sorted(task["id"] for task in answer.json()["tasks"]) == sorted(ids)
    until(lambda: not set(ids) & {task["id"] for name in ("one", "two") for task in marathon.tasks(name)})


@holds(f"{TASKS}#delete")
def test_and_scaled(marathon: Marathon) -> None:
    marathon.create("one", instances=2)
    marathon.create("two", instances=2)
    ids = [marathon.tasks("one")[0]["id"], marathon.tasks("two")[0]["id"]]
    marathon.done("POST", "/v2/tasks/delete", {"ids": ids}, scale="true")
    assert [marathon.app(name)["instances"] for name in ("one", "two")] == [1, 1]


@holds(f"{TASKS}#delete", "marathon/docs/docs/rest-api/public/api/v2/types/deleteTasks.raml#DeleteTasks")
def test_what_cannot_be_killed(marathon: Marathon) -> None:
    marathon.create()
    assert marathon.call("POST", "/v2/tasks/delete", {"ids": ["nonsense"]}).status_code == 400
    assert marathon.call("POST", "/v2/tasks/delete", {}).status_code == 422
    assert marathon.call("POST", "/v2/tasks/delete", b"{").status_code == 400
    answer = marathon.call("POST", "/v2/tasks/delete", {"ids": []}, params={"scale": "true", "wipe": "true"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "You cannot use scale and wipe at the same time."
    known = marathon.tasks()[0]["id"]
    unknown = re.sub(r"[0-9a-f]{12}", "0" * 12, known)
    answer = marathon.call("DELETE", f"/v2/apps{marathon.id()}/tasks/{unknown}")
    assert answer.status_code == 404


@holds("marathon/docs/docs/health-checks.md#taskkillgraceperiodseconds")
def test_a_task_has_time_to_go(marathon: Marathon) -> None:
    command = "trap 'echo going; sleep 0.1; exit 0' TERM; echo ready; while true; do sleep 0.02; done"
    marathon.create(cmd=command, taskKillGracePeriodSeconds=600)
    (task,) = marathon.tasks()
    until(lambda: "ready" in marathon.output(task))
    marathon.done("DELETE", f"/v2/apps{marathon.id()}")
    assert "going" in marathon.output(task)


@holds("marathon/docs/docs/health-checks.md#taskkillgraceperiodseconds")
def test_and_then_it_is_killed(marathon: Marathon) -> None:
    marathon.create(cmd="trap '' TERM; echo ready; while true; do sleep 0.02; done", taskKillGracePeriodSeconds=2)
    (task,) = marathon.tasks()
    until(lambda: "ready" in marathon.output(task))
    began = time.monotonic()
    marathon.done("DELETE", f"/v2/apps{marathon.id()}")
    assert time.monotonic() - began >= marathon.cluster.seconds(1.5)


# -- what a task finds when it starts


def _environment(marathon: Marathon, **fields: Any) -> tuple[Json, dict[str, str]]:
    marathon.create(cmd="env; echo ---; exec sleep 1000", **fields)
    (task,) = marathon.tasks()
    text = until(lambda: "---" in (out := marathon.output(task)) and out) or ""
    return task, dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@holds(
    f"{VARIABLES}#user-defined-data",
    f"{VARIABLES}#app-metadata",
    f"{VARIABLES}#task-metadata",
    f"{VARIABLES}#values-set-by-mesos",
)
def test_its_environment(marathon: Marathon) -> None:
    task, env = _environment(marathon, env={"COLOUR": "blue"}, labels={"tier": "front", "a-b": "c"}, disk=1)
    app = marathon.app()
    assert env["COLOUR"] == "blue"
    assert env["MARATHON_APP_ID"] == marathon.id()
    assert env["MARATHON_APP_VERSION"] == app["version"]
    assert env["MESOS_TASK_ID"] == task["id"]
    assert (float(env["MARATHON_APP_RESOURCE_CPUS"]), float(env["MARATHON_APP_RESOURCE_MEM"])) == (0.1, 16)
    assert float(env["MARATHON_APP_RESOURCE_DISK"]) == 1
    assert sorted(env["MARATHON_APP_LABELS"].split()) == ["A_B", "TIER"]
    assert (env["MARATHON_APP_LABEL_TIER"], env["MARATHON_APP_LABEL_A_B"]) == ("front", "c")
    assert env["MESOS_SANDBOX"]


@holds(f"{VARIABLES}#host-ports", "marathon/docs/docs/ports.md#environment-variables")
def test_its_ports(marathon: Marathon) -> None:
    definitions = [{"port": 0, "name": "web"}, {"port": 0, "name": "admin"}]
    task, env = _environment(marathon, portDefinitions=definitions)
    first, second = task["ports"]
    assert (env["PORT"], env["PORT0"], env["PORT1"]) == (str(first), str(first), str(second))
    assert env["PORTS"] == f"{first},{second}"
    assert (env["PORT_WEB"], env["PORT_ADMIN"]) == (str(first), str(second))
    assert env["HOST"] == task["host"]


@holds("marathon/docs/docs/ports.md#random-port-assignment", f"{NETWORKING}#port-definitions")
def test_service_ports_are_each_apps_own(marathon: Marathon) -> None:
    definitions = [{"port": 0}, {"port": 0}]
    ports = [
        one["port"]
        for name in ("a", "b")
        for one in marathon.create(name, instances=0, portDefinitions=definitions)["portDefinitions"]
    ]
    assert len(set(ports)) == 4
    assert all(10000 <= port <= 20000 for port in ports)


@holds(f"{NETWORKING}#specifying-ports", "marathon/docs/docs/ports.md#specifying-ports")
def test_required_ports(marathon: Marathon) -> None:
    agent = marathon.cluster.agents()[0]
    port = int(re.findall(r"\d+", agent["resources"]["ports"])[-1]) - 7
    marathon.create(requirePorts=True, portDefinitions=[{"port": port}])
    (task,) = marathon.tasks()
    assert task["ports"] == [port]


@holds(
    "marathon/docs/docs/ports.md#enabling-bridge-mode", "marathon/docs/docs/native-docker.md#bridged-networking-mode"
)
def test_an_image_behind_a_bridge(marathon: Marathon) -> None:
    marathon.create(
        cmd=None, networks=[{"mode": "container/bridge"}],
        container={"type": "DOCKER", "docker": {"image": WHOAMI}, "portMappings": [{"containerPort": 80}]},
    )  # fmt: skip
    (task,) = marathon.tasks()
    url = f"http://{task['host']}:{task['ports'][0]}/"
    text = until(lambda: _text(url))
    assert "Hostname:" in text


@holds(
    "marathon/docs/docs/native-docker.md#overview",
    "marathon/docs/docs/application-basics.md#a-simple-docker-based-application",
)
def test_an_image_on_the_hosts_network(marathon: Marathon) -> None:
    marathon.create(cmd=None, container={"type": "MESOS", "docker": {"image": WHOAMI}})
    (task,) = marathon.tasks()
    assert len(task["ports"]) == 1


def _text(url: str) -> str:
    try:
        return requests.get(url, timeout=20).text
    except requests.ConnectionError:
        return ""


@holds("marathon/docs/docs/application-basics.md#using-resources-in-applications")
def test_a_file_is_fetched_first(marathon: Marathon, tmp_path: Any) -> None:
    assert marathon.cluster.own
    (tmp_path / "greeting").write_text("fetched\n")
    marathon.create(
        cmd="cat greeting; exec sleep 1000", fetch=[{"uri": f"file://{tmp_path}/greeting", "extract": False}]
    )
    (task,) = marathon.tasks()
    until(lambda: "fetched" in marathon.output(task))


@holds(f"{APPS}#post", "marathon/docs/docs/native-docker.md#command-vs-args")
def test_arguments_without_a_shell(marathon: Marathon) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(cmd=None, args=["sleep", "1000"]))
    marathon.deployed(answer)
    assert marathon.app()["tasksRunning"] == 1


# -- what becomes of a task that ends


@holds(
    "marathon/docs/docs/backoff.md#how-do-i-find-out-if-my-service-is-being-delayed",
    "marathon/docs/docs/backoff.md#how-do-i-configure-the-backoff-delay",
)
def test_what_fails_is_delayed(marathon: Marathon) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(cmd="exit 1", backoffSeconds=600, maxLaunchDelaySeconds=6000))

    def delayed() -> Json | None:
        delay: Json = marathon.queued()["delay"]
        return delay if not delay["overdue"] else None

    delay = until(delayed)
    assert delay is not None
    assert 300 < delay["timeLeftSeconds"] <= 1200


@holds(
    "marathon/docs/docs/backoff.md#how-do-i-reset-the-delay",
    "marathon/docs/docs/rest-api/public/api/v2/queue.raml#delete",
)
def test_a_delay_is_taken_away(marathon: Marathon) -> None:
    with marathon.events("status_update_event") as events:

        def failed(event: Json) -> bool:
            return bool(event["appId"] == marathon.id() and event["taskStatus"] == "TASK_FAILED")

        marathon.call("POST", "/v2/apps", marathon.body(cmd="exit 1", backoffSeconds=6000))
        events.next("status_update_event", failed)
        until(lambda: not marathon.queued()["delay"]["overdue"])
        answer = marathon.call("DELETE", f"/v2/queue{marathon.id()}/delay")
        assert answer.status_code in (200, 204)
        events.next("status_update_event", failed)


@holds("marathon/docs/docs/rest-api/public/api/v2/queue.raml#delete")
def test_nothing_is_delayed(marathon: Marathon) -> None:
    answer = marathon.call("DELETE", f"/v2/queue{marathon.id('none')}/delay")
    assert answer.status_code == 404


@holds("marathon/docs/docs/backoff.md#when-is-the-delay-reset-to-default")
def test_another_configuration_has_no_delay(marathon: Marathon) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(cmd="exit 1", backoffSeconds=6000))
    until(lambda: not marathon.queued()["delay"]["overdue"])
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"cmd": "exec sleep 1000"}, force="true")
    assert marathon.app()["tasksRunning"] == 1


@holds("marathon/docs/docs/task-handling.md#terminal-states")
def test_a_task_that_ends_is_started_again(marathon: Marathon) -> None:
    marathon.create(cmd="sleep 0.2", backoffSeconds=0)
    first = marathon.running(1)[0]["id"]
    until(lambda: [task["id"] for task in marathon.tasks()] not in ([], [first]))


@holds("marathon/docs/docs/rest-api/public/api/v2/types/task.raml#TaskStatusCondition")
def test_staging_shows_as_staging(marathon: Marathon) -> None:
    """An app that nobody can run has no task at all, only an entry in the queue."""
    marathon.call("POST", "/v2/apps", marathon.body(cpus=1000))
    item = until(lambda: marathon.queued())
    assert item["count"] == 1
    assert marathon.tasks(state=None) == []


@holds("marathon/docs/docs/resource-limits.md#apps")
def test_limits_do_not_keep_an_app_from_running(marathon: Marathon) -> None:
    marathon.create(resourceLimits={"cpus": "unlimited", "mem": 64})
    assert marathon.app()["tasksRunning"] == 1


@pytest.mark.parametrize("path", ["/v2/tasks", "/v2/tasks/"])
@holds(f"{TASKS}#get")
def test_a_slash_makes_no_difference(marathon: Marathon, path: str) -> None:
    assert "tasks" in marathon.get(path)

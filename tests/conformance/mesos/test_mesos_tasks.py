"""Tasks: launched, run, checked, killed, told about, asked about."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster, Scheduler, of, resources, scalar
from support.until import until

Json = dict[str, Any]
Frameworks = Callable[..., Scheduler]

UPDATE = "mesos/docs/scheduler-http-api.md#update"
KILL = "mesos/docs/scheduler-http-api.md#kill"
LAUNCH = "mesos/docs/running-workloads.md#command-tasks"
HEALTH = "mesos/docs/health-checks.md#anatomy-of-a-health-check"


def _stdout(cluster: MesosCluster, task: Json, name: str = "stdout") -> str:
    """What the task has written, through its agent's files."""
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    found = next(one for one in cluster.show("/tasks", limit="1000")["tasks"] if one["id"] == task["task_id"]["value"])
    path = f"/frameworks/{found['framework_id']}/executors/{found['id']}/runs/latest/{name}"
    answer = cluster.agent(agent, "/files/read", params={"path": path, "offset": "0"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"])


# -- what becomes of a task


@holds(LAUNCH, UPDATE)
def test_a_task_starts_runs_and_ends(scheduler: Scheduler) -> None:
    task = scheduler.launch("exit 0")
    states: list[str] = []
    while not states or states[-1] != "TASK_FINISHED":
        status = scheduler.status(task)
        states.append(status["state"])
        assert (status["source"], status["agent_id"]) == ("SOURCE_EXECUTOR", task["agent_id"])
        assert len(base64.b64decode(status["uuid"])) == 16
    assert states in (["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], ["TASK_RUNNING", "TASK_FINISHED"])


@holds("mesos/include/mesos/v1/mesos.proto#TaskStatus", "mesos/include/mesos/v1/mesos.proto#ContainerStatus")
def test_a_status_says_where(scheduler: Scheduler) -> None:
    status = scheduler.status(scheduler.launch(), "TASK_RUNNING")
    assert status["executor_id"]
    assert status["timestamp"] > 0
    container = status["container_status"]
    assert container["container_id"]["value"]
    assert container["network_infos"][0]["ip_addresses"][0]["ip_address"]


@holds("mesos/docs/task-state-reasons.md#deprecated-reasons")
def test_a_command_that_fails(scheduler: Scheduler) -> None:
    status = scheduler.status(scheduler.launch("exit 3"), "TASK_FAILED")
    assert "reason" not in status  # the one that there was is deprecated
    assert status["message"] == "Command exited with status 3"


@holds("mesos/docs/task-state-reasons.md#for-state-task_failed")
def test_a_command_that_dies_of_a_signal(scheduler: Scheduler) -> None:
    status = scheduler.status(scheduler.launch("kill -9 $$"), "TASK_FAILED")
    assert status["message"] == "Command terminated with signal Killed"


@holds("mesos/include/mesos/v1/mesos.proto#CommandInfo")
def test_a_command_of_the_shell(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.launch({"value": "echo $((40 + 2)); echo oops >&2"})
    scheduler.status(task, "TASK_FINISHED")
    assert "42" in _stdout(cluster, task).splitlines()
    assert "oops" in _stdout(cluster, task, "stderr")


@holds("mesos/include/mesos/v1/mesos.proto#CommandInfo")
def test_a_command_without_a_shell(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.launch({"shell": False, "value": "echo", "arguments": ["echo", "$HOME", "*"]})
    scheduler.status(task, "TASK_FINISHED")
    assert "$HOME *" in _stdout(cluster, task).splitlines()


@holds("mesos/include/mesos/v1/mesos.proto#Environment", "mesos/docs/sandbox.md#where-is-the-sandbox")
def test_its_environment(cluster: MesosCluster, scheduler: Scheduler) -> None:
    variables = [{"name": "COLOUR", "value": "blue"}]
    command = {"value": "echo $COLOUR; pwd; echo $MESOS_SANDBOX", "environment": {"variables": variables}}
    task = scheduler.launch(command)
    scheduler.status(task, "TASK_FINISHED")
    lines = _stdout(cluster, task).splitlines()
    assert "blue" in lines
    at = lines.index("blue")
    assert lines[at + 1] == lines[at + 2] != ""
    assert f"/frameworks/{scheduler.id}/executors/{task['task_id']['value']}/runs/" in lines[at + 1]


@holds("mesos/docs/fetcher.md#executable-fetch-results", "mesos/include/mesos/v1/mesos.proto#CommandInfo")
def test_it_fetches_a_file_first(cluster: MesosCluster, scheduler: Scheduler, tmp_path: Path) -> None:
    assert cluster.own
    script = tmp_path / "greet.sh"
    script.write_text("#!/bin/sh\necho fetched\n")
    command = {"value": "./greet.sh; test -x greet.sh", "uris": [{"value": f"file://{script}", "executable": True}]}
    task = scheduler.launch(command)
    scheduler.status(task, "TASK_FINISHED")
    assert "fetched" in _stdout(cluster, task)


@holds("mesos/docs/fetcher.md#the-fetch-procedure", "mesos/docs/task-state-reasons.md#for-state-task_failed")
def test_what_cannot_be_fetched_fails_the_task(scheduler: Scheduler) -> None:
    task = scheduler.launch({"value": "true", "uris": [{"value": "file:///nowhere/at/all"}]})
    status = scheduler.status(task, "TASK_FAILED")
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"


@holds("mesos/docs/docker-containerizer.md#commandinfo-to-run-docker-images")
def test_an_image(cluster: MesosCluster, scheduler: Scheduler) -> None:
    container = {"type": "DOCKER", "docker": {"image": "traefik/whoami:v1.10", "network": "BRIDGE"}}
    task = scheduler.running({"shell": False}, container=container)
    shown = next(one for one in cluster.tasks(scheduler.id) if one["id"] == task["task_id"]["value"])
    assert shown["container"]["docker"]["image"] == "traefik/whoami:v1.10"
    scheduler.told("KILL", task_id=task["task_id"])
    scheduler.status(task, "TASK_KILLED")


@holds("mesos/docs/task-state-reasons.md#for-state-task_failed")
def test_an_image_that_there_is_not(scheduler: Scheduler) -> None:
    container = {"type": "DOCKER", "docker": {"image": "nobody/nothing:at-all"}}
    status = scheduler.status(scheduler.launch({"shell": False}, container=container), "TASK_FAILED", "TASK_ERROR")
    assert status["reason"] in ("REASON_CONTAINER_LAUNCH_FAILED", "REASON_IMAGE_NOT_FOUND")


@holds(LAUNCH)
def test_many_tasks_in_one_call(scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    tasks = [scheduler.task(offer, "true") for _ in range(3)]
    scheduler.accept(offer, *tasks)
    ended = {scheduler.status(task, "TASK_FINISHED")["task_id"]["value"] for task in tasks[-1:]}
    assert ended
    until(lambda: not any(one["used_resources"]["cpus"] for one in scheduler.cluster.agents()))


@holds("mesos/include/mesos/v1/mesos.proto#TaskInfo", "mesos/docs/endpoints/master/tasks.md#description")
def test_what_a_task_carries_is_shown(cluster: MesosCluster, scheduler: Scheduler) -> None:
    labels = {"labels": [{"key": "tier", "value": "front"}]}
    discovery = {
        "visibility": "CLUSTER",
        "name": "shown",
        "ports": {"ports": [{"number": 80, "name": "web", "protocol": "tcp"}]},
    }
    task = scheduler.running(name="a name", labels=labels, discovery=discovery, resources=resources(0.2, 24))
    (shown,) = cluster.tasks(scheduler.id)
    assert (shown["id"], shown["name"], shown["state"]) == (task["task_id"]["value"], "a name", "TASK_RUNNING")
    assert (shown["slave_id"], shown["framework_id"]) == (task["agent_id"]["value"], scheduler.id)
    assert (shown["resources"]["cpus"], shown["resources"]["mem"]) == (0.2, 24)
    assert shown["labels"] == [{"key": "tier", "value": "front"}]
    assert shown["discovery"]["name"] == "shown"
    assert [one["state"] for one in shown["statuses"]][-1] == "TASK_RUNNING"


@holds("mesos/include/mesos/v1/mesos.proto#TaskInfo")
def test_a_task_that_may_take_so_long(scheduler: Scheduler) -> None:
    task = scheduler.launch(max_completion_time={"nanoseconds": int(3e9)})
    status = scheduler.status(task, "TASK_FAILED")
    assert status["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"


# -- tasks that are refused


def _over(name: str) -> Callable[[Json, Json], None]:
    def change(task: Json, offer: Json) -> None:
        task["resources"] = [scalar(name, of(offer, name) + 1)]

    return change


def _set(**fields: Any) -> Callable[[Json, Json], None]:
    return lambda task, offer: task.update(fields)


@holds("mesos/docs/task-state-reasons.md#for-state-task_error")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_over("cpus"), "is more than available"),
        (_over("mem"), "is more than available"),
        (_set(resources=[]), "Task uses no resources"),
        (_set(task_id={"value": "a/b"}), "contains invalid characters"),
        (_set(task_id={"value": ".."}), "'..' is disallowed"),
        (_set(task_id={"value": ""}), "ID must not be empty"),
        (_set(task_id={"value": "x" * 256}), "must not be greater than 255"),
        (_set(agent_id={"value": "elsewhere"}), "Task uses invalid agent elsewhere"),
        (_set(executor={"executor_id": {"value": "e"}, "command": {"value": "true"}}), "(but not both)"),
        (_set(command=None), "at least one"),
        (_set(kill_policy={"grace_period": {"nanoseconds": -1}}), "'kill_policy.grace_period' must be non-negative"),
        (_set(max_completion_time={"nanoseconds": -1}), "`max_completion_time` must be non-negative"),
        (_set(health_check={}), "HealthCheck must specify 'type'"),
        (_set(health_check={"type": "HTTP"}), "Expecting 'http' to be set for HTTP health check"),
        (_set(health_check={"type": "HTTP", "http": {"port": 1, "path": "x"}}), "must start with '/'"),
        (_set(health_check={"type": "TCP", "tcp": {"port": 1}, "delay_seconds": -1}), "to be non-negative"),
        (_set(check={"type": "TCP"}), "Expecting 'tcp' to be set for TCP check"),
        (_set(container={"type": "DOCKER"}), "DockerInfo 'docker' is not set"),
        (_set(command={"value": "x", "environment": {"variables": [{"name": "A"}]}}), "must have a value set"),
    ],
)  # fmt: skip
def test_a_task_that_makes_no_sense(scheduler: Scheduler, change: Callable[[Json, Json], None], words: str) -> None:
    offer = scheduler.offer()
    task = scheduler.task(offer)
    change(task, offer)
    scheduler.accept(offer, {name: value for name, value in task.items() if value is not None})
    status = scheduler.status(task)
    assert (status["state"], status["source"]) == ("TASK_ERROR", "SOURCE_MASTER")
    assert status["reason"] == "REASON_TASK_INVALID"
    assert words in status["message"]
    assert "uuid" not in status


@holds("mesos/docs/task-state-reasons.md#for-state-task_error")
def test_an_id_is_used_once(scheduler: Scheduler) -> None:
    task = scheduler.running()
    offer = scheduler.offer()
    scheduler.accept(offer, scheduler.task(offer, task_id=task["task_id"]))
    status = scheduler.status(task, "TASK_ERROR")
    assert "Task has duplicate ID" in status["message"]


@holds("mesos/include/mesos/v1/mesos.proto#TaskInfo")
@pytest.mark.parametrize("missing", ["name", "task_id", "agent_id"])
def test_a_task_without_what_it_needs(scheduler: Scheduler, missing: str) -> None:
    offer = scheduler.offer()
    task = scheduler.task(offer)
    del task[missing]
    answer = scheduler.accept(offer, task)
    assert answer.status_code == 400
    assert missing in answer.text


# -- updates until they are acknowledged


@holds("mesos/docs/scheduler-http-api.md#acknowledge")
def test_an_update_comes_again_until_it_is_acknowledged(scheduler: Scheduler) -> None:
    task = scheduler.launch("true")
    first = scheduler.status(task, acknowledge=False)
    again = scheduler.status(task, acknowledge=False)
    assert again["uuid"] == first["uuid"]
    scheduler.acknowledge(first)
    assert scheduler.status(task, acknowledge=False)["uuid"] != first["uuid"]
    scheduler.acknowledge(again)
    scheduler.status(task, "TASK_FINISHED")


@holds("mesos/docs/scheduler-http-api.md#acknowledge")
def test_an_acknowledged_end_completes_the_task(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.launch("true")
    scheduler.status(task, "TASK_FINISHED")

    def completed() -> bool:
        shown = next(one for one in cluster.show("/frameworks")["frameworks"] if one["id"] == scheduler.id)
        return [one["id"] for one in shown["completed_tasks"]] == [task["task_id"]["value"]] and not shown["tasks"]

    until(completed)


@holds("mesos/docs/scheduler-http-api.md#acknowledge")
def test_an_acknowledgement_needs_a_uuid(scheduler: Scheduler) -> None:
    part = {"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": "bm8="}
    answer = scheduler.call("ACKNOWLEDGE", **part)
    assert answer.status_code == 400
    assert "Not a valid UUID" in answer.text


@holds("mesos/docs/high-availability-framework-guide.md#the-life-cycle-of-a-task")
def test_resources_are_free_at_the_end_of_the_task(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running("exec sleep 1000")
    agent = task["agent_id"]["value"]
    used = next(one for one in cluster.agents() if one["id"] == agent)["used_resources"]
    assert used["cpus"] == pytest.approx(0.1)
    scheduler.told("KILL", task_id=task["task_id"], agent_id=task["agent_id"])
    scheduler.status(task, "TASK_KILLED")
    until(cluster.idle)


# -- killing


@holds(KILL, "mesos/docs/task-state-reasons.md#for-state-task_killed")
def test_a_task_is_killed(scheduler: Scheduler) -> None:
    task = scheduler.running()
    scheduler.told("KILL", task_id=task["task_id"], agent_id=task["agent_id"])
    status = scheduler.status(task, "TASK_KILLED")
    assert status["source"] == "SOURCE_EXECUTOR"


@holds("mesos/include/mesos/v1/mesos.proto#FrameworkInfo")
def test_who_can_hear_it_hears_that_it_is_being_killed(frameworks: Frameworks) -> None:
    one = frameworks(capabilities=[{"type": "MULTI_ROLE"}, {"type": "TASK_KILLING_STATE"}])
    one.subscribe()
    task = one.running()
    one.told("KILL", task_id=task["task_id"])
    assert one.status(task)["state"] == "TASK_KILLING"
    assert one.status(task)["state"] == "TASK_KILLED"


@holds(KILL)
def test_a_task_that_nobody_knows_is_lost(scheduler: Scheduler) -> None:
    task = {"task_id": {"value": "unknown"}}
    scheduler.told("KILL", **task)
    status = scheduler.status(task)
    assert (status["state"], status["source"]) == ("TASK_LOST", "SOURCE_MASTER")
    assert status["reason"] == "REASON_RECONCILIATION"


@holds("mesos/include/mesos/v1/mesos.proto#KillPolicy")
def test_it_is_asked_first(cluster: MesosCluster, scheduler: Scheduler) -> None:
    command = "trap 'echo asked; exit 0' TERM; echo ready; while true; do sleep 0.02; done"
    task = scheduler.running(command, kill_policy={"grace_period": {"nanoseconds": int(600e9)}})
    until(lambda: "ready" in _stdout(cluster, task))
    scheduler.told("KILL", task_id=task["task_id"])
    scheduler.status(task, "TASK_KILLED", "TASK_FINISHED")
    assert "asked" in _stdout(cluster, task)


@holds("mesos/include/mesos/v1/mesos.proto#KillPolicy")
def test_and_then_it_is_forced(cluster: MesosCluster, scheduler: Scheduler) -> None:
    command = "trap '' TERM; echo ready; while true; do sleep 0.02; done"
    task = scheduler.running(command, kill_policy={"grace_period": {"nanoseconds": int(5e9)}})
    until(lambda: "ready" in _stdout(cluster, task))
    began = time.monotonic()
    scheduler.told("KILL", task_id=task["task_id"])
    scheduler.status(task, "TASK_KILLED")
    assert time.monotonic() - began >= cluster.seconds(4)


@holds("mesos/include/mesos/v1/scheduler/scheduler.proto#Kill")
def test_a_kill_may_bring_another_grace_period(cluster: MesosCluster, scheduler: Scheduler) -> None:
    command = "trap '' TERM; echo ready; while true; do sleep 0.02; done"
    task = scheduler.running(command, kill_policy={"grace_period": {"nanoseconds": int(36000e9)}})
    until(lambda: "ready" in _stdout(cluster, task))
    scheduler.told("KILL", task_id=task["task_id"], kill_policy={"grace_period": {"nanoseconds": 0}})
    scheduler.status(task, "TASK_KILLED")


# -- reconciliation


@holds("mesos/docs/reconciliation.md#how-to-reconcile", "mesos/docs/scheduler-http-api.md#reconcile")
def test_asking_for_all(scheduler: Scheduler) -> None:
    tasks = [scheduler.running(), scheduler.running()]
    scheduler.told("RECONCILE", tasks=[])
    for task in tasks:
        status = scheduler.status(task)
        assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_RECONCILIATION")
        assert "uuid" not in status


@holds("mesos/docs/reconciliation.md#how-to-reconcile")
def test_asking_for_one(scheduler: Scheduler) -> None:
    task, other = scheduler.running(), scheduler.running()
    scheduler.told("RECONCILE", tasks=[{"task_id": task["task_id"], "agent_id": task["agent_id"]}])
    status = scheduler.status(task)
    assert (status["state"], status["source"]) == ("TASK_RUNNING", "SOURCE_MASTER")
    assert scheduler.stream.quiet("UPDATE", 0.2, lambda e: e["update"]["status"]["task_id"] == other["task_id"])


@holds("mesos/docs/scheduler-http-api.md#reconcile")
def test_asking_for_a_task_that_is_unknown(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = {"task_id": {"value": "unknown"}, "agent_id": {"value": cluster.agents()[0]["id"]}}
    scheduler.told("RECONCILE", tasks=[task])
    status = scheduler.status(task)
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_RECONCILIATION")


@holds("mesos/docs/high-availability-framework-guide.md#dealing-with-partitioned-or-failed-agents")
def test_who_is_partition_aware_hears_more(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(capabilities=[{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}])
    one.subscribe()
    known = {"task_id": {"value": "a"}, "agent_id": {"value": cluster.agents()[0]["id"]}}
    nowhere = {"task_id": {"value": "b"}, "agent_id": {"value": "no-such-agent"}}
    one.told("RECONCILE", tasks=[known, nowhere])
    assert one.status(known)["state"] == "TASK_GONE"
    assert one.status(nowhere)["state"] == "TASK_UNKNOWN"


@holds("mesos/docs/scheduler-http-api.md#reconcile_operations")
def test_asking_for_an_operation(scheduler: Scheduler) -> None:
    answer = scheduler.call("RECONCILE_OPERATIONS", operations=[{"operation_id": {"value": "none"}}])
    assert answer.status_code == 202
    event = scheduler.stream.event("UPDATE_OPERATION_STATUS")
    assert event["update_operation_status"]["status"]["operation_id"] == {"value": "none"}


# -- calls that go to executors, and those of inverse offers


@holds("mesos/docs/scheduler-http-api.md#message", "mesos/docs/scheduler-http-api.md#shutdown")
def test_messages_and_shutdown_are_accepted(scheduler: Scheduler) -> None:
    task = scheduler.running()
    executor = {"agent_id": task["agent_id"], "executor_id": task["task_id"]}
    scheduler.told("MESSAGE", **executor, data=base64.b64encode(b"hello").decode())
    scheduler.told("SHUTDOWN", **executor)
    scheduler.status(task, "TASK_KILLED", "TASK_LOST", "TASK_FAILED")


@holds("mesos/include/mesos/v1/scheduler/scheduler.proto#Call")
@pytest.mark.parametrize("kind", ["ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"])
def test_inverse_offers_are_answered_for_politeness(scheduler: Scheduler, kind: str) -> None:
    scheduler.told(kind, inverse_offer_ids=[{"value": "none"}])


# -- health


def _check(**fields: Any) -> Json:
    return {
        "delay_seconds": 0.0, "interval_seconds": 1.0, "timeout_seconds": 10.0, "grace_period_seconds": 0.0,
        "consecutive_failures": 2, **fields,
    }  # fmt: skip


@holds(HEALTH, "mesos/docs/health-checks.md#command-health-checks")
def test_healthy_by_a_command(scheduler: Scheduler) -> None:
    task = scheduler.launch(health_check=_check(type="COMMAND", command={"value": "true"}))
    status = scheduler.status(task, "TASK_RUNNING")
    while "healthy" not in status:
        status = scheduler.status(task, "TASK_RUNNING")
    assert status["healthy"] is True
    assert status["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"


@holds(HEALTH, "mesos/docs/health-checks.md#under-the-hood")
def test_what_is_not_healthy_is_killed(scheduler: Scheduler) -> None:
    task = scheduler.launch(health_check=_check(type="COMMAND", command={"value": "false"}))
    seen = [scheduler.status(task)]
    while seen[-1]["state"] == "TASK_RUNNING" or seen[-1]["state"] == "TASK_STARTING":
        seen.append(scheduler.status(task))
    assert False in [status.get("healthy") for status in seen[:-1]]
    assert (seen[-1]["state"], seen[-1]["healthy"]) == ("TASK_KILLED", False)


@holds("mesos/docs/health-checks.md#tcp-health-checks")
def test_healthy_by_a_connection(scheduler: Scheduler) -> None:
    def fits(offer: Json) -> bool:
        return any(one["name"] == "ports" for one in offer["resources"])

    offer = scheduler.offer(fits)
    ports = next(one for one in offer["resources"] if one["name"] == "ports")
    port = ports["ranges"]["range"][0]["begin"]
    taken = {**ports, "ranges": {"range": [{"begin": port, "end": port}]}}
    task = scheduler.task(
        offer, f"exec python3 -m http.server {port}", resources=[*resources(), taken],
        health_check=_check(type="TCP", tcp={"port": port}, consecutive_failures=0, grace_period_seconds=600.0),
    )  # fmt: skip
    scheduler.accept(offer, task)
    status = scheduler.status(task, "TASK_RUNNING")
    while not status.get("healthy"):
        status = scheduler.status(task, "TASK_RUNNING")


@holds("mesos/docs/health-checks.md#https-health-checks")
def test_healthy_by_http(scheduler: Scheduler) -> None:
    container = {"type": "DOCKER", "docker": {"image": "traefik/whoami:v1.10", "network": "HOST"}}
    offer = scheduler.offer()
    task = scheduler.task(
        offer, {"shell": False}, container=container,
        health_check=_check(type="HTTP", http={"port": 80, "path": "/"}, consecutive_failures=0),
    )  # fmt: skip
    scheduler.accept(offer, task)
    status = scheduler.status(task, "TASK_RUNNING")
    while not status.get("healthy"):
        status = scheduler.status(task, "TASK_RUNNING")


@holds("mesos/docs/health-checks.md#anatomy-of-a-check")
def test_a_check_tells_and_kills_nobody(scheduler: Scheduler) -> None:
    check = {
        "type": "COMMAND",
        "command": {"command": {"value": "exit 7"}},
        "delay_seconds": 0.0,
        "interval_seconds": 1.0,
    }
    task = scheduler.launch(check=check)
    status = scheduler.status(task, "TASK_RUNNING")
    while "exit_code" not in status.get("check_status", {}).get("command", {}):
        status = scheduler.status(task, "TASK_RUNNING")
    assert status["check_status"]["command"]["exit_code"] == 7
    assert status["reason"] == "REASON_TASK_CHECK_STATUS_UPDATED"

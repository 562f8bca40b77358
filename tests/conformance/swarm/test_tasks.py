"""Tasks: their states and history, what is restarted and what is not."""

from __future__ import annotations

import ipaddress
import re
import time
from typing import Any

import docker
import pytest
from support.cluster import BUSYBOX, WHOAMI, Cluster
from support.present import requires
from support.until import until

SECOND = 1_000_000_000


def test_a_running_task(swarm: Cluster, web: str) -> None:
    task = swarm.running(web, 3)[0]
    assert task["ServiceID"] == swarm.client.services.get(web).id
    assert task["Slot"] == 1
    assert task["DesiredState"] == "running"
    status = task["Status"]
    assert (status["State"], status["Message"]) == ("running", "started")
    assert "Err" not in status
    container = status["ContainerStatus"]
    assert len(container["ContainerID"]) == 64
    assert container["PID"] > 0
    assert container["ExitCode"] == 0
    assert task["Spec"]["ContainerSpec"]["Image"] == WHOAMI
    assert task["NetworksAttachments"][0]["Network"]["Spec"]["Name"] == "ingress"
    assert ipaddress.ip_interface(task["NetworksAttachments"][0]["Addresses"][0]).network.prefixlen < 32
    assert swarm.api.inspect_task(task["ID"])["ID"] == task["ID"]


def test_a_task_that_is_not_there(swarm: Cluster) -> None:
    answer = swarm.manager.raw("GET", "/tasks/nosuch")
    assert (answer.status_code, answer.json()["message"]) == (404, "task nosuch not found")


def test_addresses_and_containers_of_tasks_differ(swarm: Cluster, web: str) -> None:
    tasks = swarm.running(web, 3)
    assert len({task["NetworksAttachments"][0]["Addresses"][0] for task in tasks}) == 3
    assert len({task["Status"]["ContainerStatus"]["ContainerID"] for task in tasks}) == 3


def kill(swarm: Cluster, task: dict[str, Any]) -> None:
    host, container = swarm.container_of(task)
    host.api.kill(container)


def test_a_killed_container_is_replaced_in_its_slot(swarm: Cluster) -> None:
    service = swarm.create(replicas=2, restart_policy=docker.types.RestartPolicy("any", delay=SECOND))
    tasks = swarm.running(service, 2)
    kill(swarm, tasks[0])
    [failed] = swarm.settled(service, "failed")
    assert failed["ID"] == tasks[0]["ID"]
    until(lambda: swarm.api.inspect_task(failed["ID"])["DesiredState"] == "shutdown")  # the node was quicker to tell
    assert failed["Status"]["Err"] == "task: non-zero exit (137)"
    assert failed["Status"]["Message"] == "started"
    assert failed["Status"]["ContainerStatus"]["ExitCode"] == 137
    after = swarm.running(service, 2)
    assert [task["Slot"] for task in after] == [1, 2]
    assert after[1]["ID"] == tasks[1]["ID"]
    assert after[0]["ID"] != tasks[0]["ID"]


def test_the_replacement_waits_ready_for_the_restart_delay(swarm: Cluster) -> None:
    service = swarm.create(replicas=1, restart_policy=docker.types.RestartPolicy("any", delay=300 * SECOND))
    [task] = swarm.running(service, 1)
    kill(swarm, task)
    waiting = until(lambda: [t for t in swarm.tasks(service) if t["DesiredState"] == "ready"])
    assert waiting[0]["Slot"] == 1
    [waiting] = swarm.settled(service, "ready")
    assert waiting["Status"]["Message"] == "prepared"
    assert "ContainerStatus" not in waiting["Status"] or waiting["Status"]["ContainerStatus"]["PID"] == 0


@pytest.mark.parametrize(
    ("condition", "command", "state", "runs"),
    [
        ("none", ["false"], "failed", 1),
        ("none", ["true"], "complete", 1),
        ("on-failure", ["true"], "complete", 1),
        ("on-failure", ["false"], "failed", 2),
        ("any", ["true"], "complete", 2),
    ],
)
def test_the_restart_condition(swarm: Cluster, condition: str, command: list[str], state: str, runs: int) -> None:
    policy = docker.types.RestartPolicy(condition, delay=SECOND // 10, max_attempts=1)
    service = swarm.create(BUSYBOX, command=command, restart_policy=policy)
    ended = swarm.settled(service, state, count=runs)
    assert len(ended) == runs
    assert {task["Status"]["ContainerStatus"]["ExitCode"] for task in ended} == {0 if state == "complete" else 1}
    # Nothing is wanted any more; a restart would be seen at once, as its delay is a tenth of a second.
    quiet = time.monotonic() + 0.5
    until(lambda: time.monotonic() > quiet, 5)
    until(lambda: [task["DesiredState"] for task in swarm.tasks(service)] == ["shutdown"] * runs)
    if state == "failed":
        assert ended[0]["Status"]["Err"] == "task: non-zero exit (1)"
    else:
        assert ended[0]["Status"]["Message"] == "finished"


def test_max_attempts_keeps_one_more_task_than_attempts(swarm: Cluster) -> None:
    policy = docker.types.RestartPolicy("any", delay=SECOND // 10, max_attempts=2)
    service = swarm.create(BUSYBOX, command=["sh", "-c", "exit 3"], restart_policy=policy)
    tasks = swarm.settled(service, "failed", count=3)
    assert len(tasks) == 3
    assert {task["Status"]["Err"] for task in tasks} == {"task: non-zero exit (3)"}


def test_history_keeps_four_dead_tasks_beside_the_live_one(swarm: Cluster) -> None:
    policy = docker.types.RestartPolicy("any", delay=SECOND // 10)
    service = swarm.create(BUSYBOX, command=["sh", "-c", "sleep 0.1; exit 1"], restart_policy=policy)
    seen: set[str] = set()

    def enough() -> bool:
        seen.update(task["ID"] for task in swarm.tasks(service))
        return len(seen) >= 8

    until(enough, 40, "eight tasks, one after the other")
    service.update(args=["sleep 1000"], command=["sh", "-c"])

    def kept() -> bool:
        tasks = swarm.tasks(service)
        assert [task["Status"]["State"] for task in tasks if task["DesiredState"] == "running"] == ["running"]
        return len(tasks) == 5

    until(kept, 30, "one live task and four dead ones")


def test_an_unknown_image_is_rejected_and_tried_again(swarm: Cluster) -> None:
    policy = docker.types.RestartPolicy("any", delay=SECOND // 10)
    service = swarm.create("nosuchimage:9", restart_policy=policy)
    tasks = swarm.settled(service, "rejected", count=2)
    assert tasks[0]["Status"]["Err"] == "No such image: nosuchimage:9"
    assert tasks[0]["Status"]["Message"] == "preparing"
    assert tasks[0]["DesiredState"] == "shutdown"


def test_a_command_that_is_not_there(swarm: Cluster) -> None:
    policy = docker.types.RestartPolicy("none")
    service = swarm.create(BUSYBOX, command=["nosuchcommand"], restart_policy=policy)
    found = until(lambda: [task for task in swarm.tasks(service) if task["Status"].get("Err")])
    assert found[0]["Status"]["State"] in ("failed", "rejected")
    assert "nosuchcommand" in found[0]["Status"]["Err"]
    assert "executable file not found in $PATH" in found[0]["Status"]["Err"]


@requires("docker-cli")
def test_ps_draws_the_history_of_a_slot(swarm: Cluster) -> None:
    service = swarm.create(replicas=1, restart_policy=docker.types.RestartPolicy("any", delay=SECOND // 10))
    [task] = swarm.running(service, 1)
    kill(swarm, task)
    until(lambda: swarm.running(service, 1)[0]["ID"] != task["ID"])
    header, live, dead = swarm.cli("service", "ps", service.name).lines
    assert header.split()[:5] == ["ID", "NAME", "IMAGE", "NODE", "DESIRED"]
    assert re.search(rf" {service.name}\.1 .* Running +Running .* ago", live)
    assert re.search(rf" \\_ {service.name}\.1 .* Shutdown +Failed .* ago +\"task: non-zero exit \(137\)\"", dead)


@requires("docker-cli")
def test_docker_inspect_finds_a_task(swarm: Cluster, web: str) -> None:
    task = swarm.running(web, 3)[0]
    assert swarm.cli("inspect", "--format", "{{.Status.State}}", task["ID"]).text == "running"
    assert swarm.cli("inspect", "--type", "service", "--format", "{{.Spec.Name}}", web).text == web


def test_a_container_that_is_removed_under_a_task(swarm: Cluster) -> None:
    service = swarm.create(replicas=1, restart_policy=docker.types.RestartPolicy("any", delay=SECOND // 10))
    [task] = swarm.running(service, 1)
    host, container = swarm.container_of(task)
    host.api.remove_container(container, force=True)
    assert until(lambda: swarm.running(service, 1)[0]["ID"] != task["ID"], 30)


def test_a_graceful_stop_lets_the_process_end_by_itself(swarm: Cluster) -> None:
    service = swarm.create(
        BUSYBOX, command=["sh", "-c", "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done"], replicas=1,
        stop_grace_period=10 * SECOND,
    )  # fmt: skip
    [task] = swarm.running(service, 1)
    host, container = swarm.container_of(task)
    node = swarm.host_of(task).name
    swarm.update_node(node, Availability="drain")
    [ended] = swarm.settled(service, "shutdown")
    assert ended["ID"] == task["ID"]
    assert host.client.containers.get(container).attrs["State"]["ExitCode"] == 0
    assert host.client.containers.get(container).logs() == b"bye\n"

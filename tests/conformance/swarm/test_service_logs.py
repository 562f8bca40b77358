"""`service logs`: every task's lines, each with the task and the node it came from."""

from __future__ import annotations

import re

import pytest
from docker.models.services import Service
from support.cluster import BUSYBOX, WHOAMI, Cluster
from support.present import requires
from support.until import until

pytestmark = requires("docker-cli")


@pytest.fixture
def talkers(swarm: Cluster) -> Service:
    service = swarm.create(BUSYBOX, command=["sh", "-c", "echo one; echo two >&2; sleep 1000"], replicas=2)
    swarm.running(service, 2)

    def said() -> bool:
        done = swarm.cli("service", "logs", "--raw", service.name)
        return (done.lines, done.err.splitlines()) == (["one"] * 2, ["two"] * 2)

    until(said, 60, "both have said both words")
    return service


def test_each_line_names_its_task_and_node(swarm: Cluster, talkers: Service) -> None:
    tasks = {task["Slot"]: task for task in swarm.running(talkers, 2)}
    done = swarm.cli("service", "logs", talkers.name)
    lines = [re.fullmatch(r"(\S+?)\.(\d)\.(\w+)@(\S+) +\| (\w+)", line) for line in done.lines]
    assert all(lines)
    assert sorted(line[2] for line in lines if line) == ["1", "2"]
    for line in lines:
        assert line is not None
        task = tasks[int(line[2])]
        assert line[1] == talkers.name
        assert task["ID"].startswith(line[3])
        assert len(line[3]) == 12
        assert line[4] == swarm.host_of(task).name
        assert line[5] == "one"
    assert [line.split("| ")[1] for line in done.err.splitlines()] == ["two", "two"]


@pytest.mark.parametrize(
    ("flags", "pattern"),
    [
        (["--no-trunc"], r"{name}\.\d\.\w{25}@\S+ +\| one"),
        (["--no-task-ids"], r"{name}\.\d@\S+ +\| one"),
        (["--raw"], r"one"),
        (["--no-resolve"], r"\w{12}@?\S* +\| one|{id}\S+ +\| one|\S+ +\| one"),
        (["-t"], r"\S+Z {name}\.\d\.\w{12}@\S+ +\| one"),
    ],
)
def test_flags(swarm: Cluster, talkers: Service, flags: list[str], pattern: str) -> None:
    done = swarm.cli("service", "logs", *flags, talkers.name)
    assert len(done.lines) == 2
    expected = pattern.replace("{name}", re.escape(talkers.name)).replace("{id}", talkers.id)
    assert all(re.fullmatch(expected, line) for line in done.lines), done.out


def test_tail_counts_for_each_task(swarm: Cluster, talkers: Service) -> None:
    done = swarm.cli("service", "logs", "--raw", "--tail", "1", talkers.name)
    assert len(done.lines) + len(done.err.splitlines()) == 2


def test_logs_of_one_task(swarm: Cluster, talkers: Service) -> None:
    task = swarm.running(talkers, 2)[1]
    done = swarm.cli("service", "logs", task["ID"])
    [line] = done.lines
    assert line.startswith(f"{talkers.name}.2.{task['ID'][:12]}@{swarm.host_of(task).name}")
    assert line.endswith("| one")


def test_logs_through_docker_py(swarm: Cluster, talkers: Service) -> None:
    assert b"".join(talkers.logs(stdout=True, stderr=False)) == b"one\none\n"
    detailed = b"".join(talkers.logs(stdout=True, details=True)).decode()
    task = swarm.running(talkers, 2)[0]
    expected = (
        f"com.docker.swarm.node.id={task['NodeID']},com.docker.swarm.service.id={talkers.id},"
        f"com.docker.swarm.task.id={task['ID']} one"
    )
    assert expected in detailed.splitlines()


def test_following_shows_a_task_that_comes_later(swarm: Cluster) -> None:
    service = swarm.create(BUSYBOX, command=["sh", "-c", "echo here $HOSTNAME; sleep 1000"], replicas=1)
    swarm.running(service, 1)
    stream = swarm.manager.start("service", "logs", "-f", "--raw", service.name)
    try:
        assert stream.stdout is not None
        assert stream.stdout.readline().startswith("here ")
        swarm.scale(service, 2)
        assert stream.stdout.readline().startswith("here ")
    finally:
        stream.terminate()
        stream.communicate()


def test_logs_of_a_service_that_is_not_there(swarm: Cluster) -> None:
    done = swarm.cli("service", "logs", "nosuch", check=False)
    assert done.code == 1
    assert "no such task or service: nosuch" in done.err


def test_logs_with_no_stream_chosen(swarm: Cluster, web: str, same) -> None:
    answer = swarm.manager.raw("GET", f"/services/{web}/logs")
    assert answer.status_code in (400, 500)
    same(answer.json()["message"], "no stream")


def test_a_service_that_says_nothing(swarm: Cluster) -> None:
    service = swarm.create(WHOAMI, replicas=0)
    assert swarm.cli("service", "logs", service.name).out == ""

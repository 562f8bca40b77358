"""Logs of services: many containers on several hosts, one stream."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.swarm.objects import Service, Task, TaskState, TaskStatus

SPEC = {"ContainerSpec": {"Image": "a"}}
Frame = tuple[int, bytes]


class Hosts:
    """Two hosts with a container each, the first a manager."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.fleet = host.world.fleet
        self.fleet.add(Machine(name="worker-1", address="127.0.0.2"))
        self.logs: dict[str, Log] = {}
        self.names = {"n1": "manager-1", "n2": "worker-1"}
        host.world.host_of_node = self.find

    def find(self, node_id: str) -> Any:
        name = self.names.get(node_id)
        containers = SimpleNamespace(of_task=lambda id: SimpleNamespace(log=self.logs[id]) if id in self.logs else None)
        return None if name is None else SimpleNamespace(name=name, containers=containers)


async def prepare(client: Any, clock: Any) -> Hosts:
    hosts = Hosts(client.host)

    def make(tx: Any) -> None:
        tx.create(Service(id="s", spec={"Name": "web", "TaskTemplate": SPEC, "Mode": {"Replicated": {"Replicas": 2}}}))
        for number in (1, 2):
            tx.create(task(number))

    await client.store.update(make)
    for id in ("t1", "t2"):
        hosts.logs[id] = Log(clock)
    return hosts


def task(number: int, node: str = "", state: TaskState = TaskState.RUNNING) -> Task:
    return Task(
        id=f"t{number}",
        service_id="s",
        service_name="web",
        slot=number,
        spec=SPEC,
        node_id=node or f"n{number}",
        status=TaskStatus(state=state),
        desired_state=TaskState.RUNNING,
    )


def frames(data: bytes) -> list[Frame]:
    found = []
    while data:
        stream, size = struct.unpack(">BxxxI", data[:8])
        found.append((stream, data[8 : 8 + size]))
        data = data[8 + size :]
    return found


async def read(client: Any, path: str) -> tuple[int, Any]:
    async with client.session.get(f"http://docker{path}") as answer:
        data = await answer.read()
        return answer.status, frames(data) if answer.content_type.startswith("application/vnd") else data


@pytest.fixture
async def hosts(client: Any, clock: Any) -> Hosts:
    return await prepare(client, clock)


async def test_lines_of_all_nodes_in_order_of_time(client: Any, clock: Any, hosts: Hosts) -> None:
    for id, text in (("t1", b"one\n"), ("t2", b"two\n"), ("t1", b"three\n")):
        hosts.logs[id].write("stderr" if text == b"two\n" else "stdout", text)
        await clock.advance(1)
    status, lines = await read(client, "/services/web/logs?stdout=1&stderr=1")
    assert (status, lines) == (200, [(1, b"one\n"), (2, b"two\n"), (1, b"three\n")])
    assert await read(client, "/services/web/logs?stdout=1&tail=1") == (200, [(1, b"three\n")])
    assert await read(client, "/tasks/t2/logs?stderr=1") == (200, [(2, b"two\n")])


async def test_details_and_timestamps_stand_before_the_line(client: Any, clock: Any, hosts: Hosts) -> None:
    hosts.logs["t1"].write("stdout", b"one\n")
    _, lines = await read(client, "/tasks/t1/logs?stdout=1&details=1&timestamps=1")
    moment, details, text = lines[0][1].split(b" ", 2)
    assert moment.endswith(b"Z")
    assert len(moment) == len(b"2026-11-22T15:23:38.909267375Z")
    assert details == b"com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s,com.docker.swarm.task.id=t1"
    assert text == b"one\n"


async def test_what_cannot_be_reached_is_named(client: Any, clock: Any, hosts: Hosts) -> None:
    hosts.logs["t1"].write("stdout", b"one\n")
    hosts.fleet.fail("worker-1")
    _, lines = await read(client, "/services/web/logs?stdout=1")
    assert lines[0] == (1, b"one\n")
    assert lines[1] == (
        3,
        b"Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. "
        b"some logs could not be retrieved for the following reasons: node n2 is not available\n",
    )


async def test_following_takes_up_tasks_that_come_later(client: Any, clock: Any, hosts: Hosts) -> None:
    hosts.logs["t1"].write("stdout", b"one\n")
    async with client.session.get("http://docker/services/web/logs?stdout=1&follow=1") as answer:
        assert frames(await answer.content.readexactly(8 + 4)) == [(1, b"one\n")]
        hosts.logs["t3"] = type(hosts.logs["t1"])(clock)
        await client.store.update(lambda tx: tx.create(task(3, "n2")))
        await asyncio.sleep(0)
        hosts.logs["t3"].write("stdout", b"late\n")
        assert frames(await answer.content.readexactly(8 + 5)) == [(1, b"late\n")]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/services/web/logs", 500, "Bad parameters: you must choose at least one stream"),
        ("/services/nope/logs?stdout=1", 404, "service nope not found"),
        ("/tasks/nope/logs?stdout=1", 404, "task nope not found"),
        ("/services/web/logs?stdout=1&tail=x", 500, 'tail value must be a positive integer or "all"'),
        ("/services/web/logs?stdout=1&tail=-1", 500, "negative tail values not supported"),
    ],
)
async def test_what_is_refused(client: Any, hosts: Hosts, path: str, status: int, words: str) -> None:
    assert await client.get(path) == (status, {"message": words})

"""Fake servers, and an adapter that looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from support.fakemarathon import FakeServer

from labkit.orchestrators.marathon import Marathon, MarathonClient, sources, zookeeper

from . import samples


@dataclass
class Machine:
    name: str
    role: str
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Stage:
    """Two masters (the first leads), one Marathon, HAProxy and Mesos-DNS on one server."""

    leader: FakeServer
    follower: FakeServer
    marathon: FakeServer
    members: dict[str, str]
    adapter: Marathon


@pytest.fixture
def server() -> Iterator[FakeServer]:
    made = FakeServer()
    yield made
    made.close()


@pytest.fixture
def client(server: FakeServer) -> Iterator[MarathonClient]:
    made = MarathonClient([server.url], [server.url], timeout=2.0)
    yield made
    made.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    leader, follower, marathon = FakeServer(), FakeServer(), FakeServer()
    follower.moved_to = leader.netloc
    for one in (leader, follower):
        one.put("/health", "")
    leader.put("/state", samples.state())
    leader.put("/roles", samples.ROLES)
    for path, found in (
        ("/v2/apps", samples.APPS), ("/v2/tasks", samples.TASKS), ("/v2/queue", samples.QUEUE),
        ("/v2/deployments", samples.DEPLOYMENTS), ("/v2/info", samples.INFO), ("/haproxy", samples.HAPROXY),
        ("/v1/enumerate", samples.DNS),
    ):  # fmt: skip
        marathon.put(path, found)
    members = {"127.9.0.11:2181": "follower", "127.9.0.12:2181": "leader"}
    monkeypatch.setattr(zookeeper, "ask", lambda member: members.get(member, "down"))
    monkeypatch.setattr(sources, "AGAIN", 0.0)
    shared = {
        "MARATHON_URL": marathon.url, "MARATHON_LB_URL": marathon.url, "MESOS_DNS_URL": marathon.url,
        "ZOOKEEPER": ",".join(members),
    }  # fmt: skip
    machines = [
        Machine("master-1", "master", {**shared, "MESOS_URL": leader.url}),
        Machine("master-2", "master", {**shared, "MESOS_URL": follower.url}),
        Machine("agent-1", "agent", {**shared, "MESOS_URL": leader.url}),
    ]
    adapter = Marathon(lambda: machines)
    yield Stage(leader, follower, marathon, members, adapter)
    adapter.close()
    for one in (leader, follower, marathon):
        one.close()

"""A Mesos cluster as a snapshot, for tests of what draws and controls one."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from labkit.model import (
    Endpoint,
    Framework,
    Node,
    NodeState,
    Offer,
    Resources,
    Snapshot,
    State,
    Task,
    Workload,
)

GIB = 2**30
ROOM = Resources(4.0, 4 * GIB)
SMALL = Resources(0.5, 128 * 2**20)


def cluster() -> Snapshot:
    """Three masters with a member each, three agents, Marathon with an app, a batch framework with an offer."""
    nodes = [
        Node(f"m{i}", f"master-{i}", "master", NodeState.READY, leader=i == 1, reachable=True, address=f"127.9.0.1{i}",
             store="leader" if i == 2 else "follower")
        for i in (1, 2, 3)
    ] + [
        Node(f"a{i}", f"agent-{i}", "agent", NodeState.READY, address=f"127.9.0.2{i}", capacity=ROOM,
             labels={"machine": f"agent-{i}", "rack": f"rack-{i}", "zone": "abc"[i - 1]})
        for i in (1, 2, 3)
    ]  # fmt: skip
    tasks = [
        Task(f"web-{i}", f"web.{i}f3c", "/web", State.RUNNING, f"a{i}", detail="TASK_RUNNING", reserved=SMALL)
        for i in (1, 2, 3)
    ]
    tasks += [
        Task(f"job-{i}", f"job {i}", "batch", State.RUNNING, f"a{1 + i % 3}", detail="TASK_RUNNING", reserved=SMALL)
        for i in range(4)
    ]
    tasks.append(
        Task("/db#1", "db #1", "/db", State.PENDING, slot=1,
             message="no offer fits (not enough cpus (3 of 3 offers))")
    )  # fmt: skip
    ids = tuple(task.id for task in tasks if task.workload == "/web")
    found = [
        Workload("/web", "web", "app", desired=3, running=3, image="traefik/whoami:v1.10"),
        Workload("/db", "db", "app", desired=1, running=0, image="redis:7", needs=("/web",)),
        Workload("batch", "batch", "framework", "framework", desired=4, running=4),
    ]
    frameworks = [
        Framework("marathon", "marathon", used=Resources(1.5, 384 * 2**20), share=0.125, held=0.125, resource="cpus",
                  tasks=3, workloads=("/web", "/db")),
        Framework("batch", "batch", role="batch", weight=2.0, used=Resources(2.0, GIB // 2), share=0.1667, held=0.4,
                  resource="cpus", offers=("o1",), tasks=4, workloads=("batch",)),
    ]  # fmt: skip
    return Snapshot(
        at=1_700_000_000.0,
        orchestrator="marathon",
        nodes={node.id: node for node in nodes},
        workloads={workload.id: workload for workload in found},
        tasks={task.id: task for task in tasks},
        endpoints={
            "haproxy:web_10000": Endpoint("haproxy:web_10000", "/web", "haproxy", 10000, name="web:10000", tasks=ids),
            "dns:web.marathon.mesos": Endpoint("dns:web.marathon.mesos", "/web", "dns", address="web.marathon.mesos"),
        },
        frameworks={framework.id: framework for framework in frameworks},
        offers={"o1": Offer("o1", "batch", "a3", Resources(3.0, 2 * GIB))},
    )


def answered(snapshot: Snapshot) -> Snapshot:
    """The batch framework has answered its offer."""
    batch = replace(snapshot.frameworks["batch"], offers=(), held=0.1667)
    return replace(snapshot, offers={}, frameworks={**snapshot.frameworks, "batch": batch})


class Still:
    """An adapter whose cluster stands still until :meth:`answer`; what was asked of it is kept."""

    name = "marathon"
    client: Any = None

    def __init__(self) -> None:
        self.now = cluster()
        self.nodes = dict(self.now.nodes)
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self._changed = threading.Event()

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        return self.now

    def answer(self) -> None:
        """The batch framework answers its offer."""
        self.now = answered(self.now)
        self._changed.set()

    def wait(self, timeout: float) -> None:
        if self._changed.wait(timeout):
            self._changed.clear()

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return lambda *arguments: self.asked.append((verb, arguments))

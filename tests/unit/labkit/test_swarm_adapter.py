from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_host import DockerHost

from labkit.engines.base import MachineInfo
from labkit.errors import ClusterError, UsageError
from labkit.model import State, diff
from labkit.orchestrators import swarm as adapter
from labkit.orchestrators.swarm import Swarm

NO_LEADER = (
    500,
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are "
    "online. Make sure more than half of the managers are online.",
)
NO_MANAGER = (503, 'This node is not a swarm manager. Use "docker swarm init" …')


def node(name: str, version: int = 1, state: str = "ready", **spec: Any) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Version": {"Index": version},
        "Spec": {"Role": "worker", "Availability": "active", **spec},
        "Description": {"Hostname": name, "Resources": {"NanoCPUs": 4_000_000_000, "MemoryBytes": 8}},
        "Status": {"State": state, "Addr": "127.9.0.10"},
    }


def service(name: str = "web", replicas: int = 2, version: int = 1) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Version": {"Index": version},
        "Spec": {
            "Name": name,
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": "nginx:1.26@sha256:0"}},
        },
        "Endpoint": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}]},
    }


def task(slot: int, version: int = 1, state: str = "running", on: str = "worker-1", **more: Any) -> dict[str, Any]:
    return {
        "ID": f"task-{slot}",
        "Version": {"Index": version},
        "ServiceID": "id-web",
        "Slot": slot,
        "NodeID": f"id-{on}" if on else "",
        "DesiredState": "running",
        "CreatedAt": "2026-01-02T03:04:05.123456789Z",
        "Spec": {"ContainerSpec": {"Image": "nginx:1.26"}},
        "Status": {"State": state, "ContainerStatus": {"ContainerID": f"c{slot}"}},
        **more,
    }


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, DockerHost]]:
    """Two managers and a worker; the first two agree."""
    monkeypatch.setattr(adapter, "_READ_TIMEOUT", 0.3)
    folder = Path(tempfile.mkdtemp(prefix="lkF-", dir="/tmp"))
    made = {name: DockerHost(folder / f"{name}.sock") for name in ("manager-1", "manager-2", "worker-1")}
    for name in ("manager-1", "manager-2"):
        made[name].answers |= {
            "GET /nodes": [node("manager-1", Role="manager"), node("worker-1")],
            "GET /services": [service()],
            "GET /tasks": [task(1), task(2)],
        }
    for call in ("nodes", "services", "tasks"):
        made["worker-1"].answers[f"GET /{call}"] = NO_MANAGER
    yield made
    for host in made.values():
        host.close()
    shutil.rmtree(folder)


@pytest.fixture
def swarm(hosts: dict[str, DockerHost]) -> Iterator[Swarm]:
    machines = [MachineInfo(n, n.partition("-")[0], "up", "", h.env) for n, h in hosts.items()]
    machines.sort(reverse=True, key=lambda m: m.role)  # the worker first: the adapter has to sort
    made = Swarm(lambda: machines)
    yield made
    made.close()


def answer(hosts: dict[str, DockerHost], call: str, value: Any) -> None:
    for name in ("manager-1", "manager-2"):
        hosts[name].answers[call] = value


def test_what_there_is(swarm: Swarm) -> None:
    seen = swarm.snapshot()
    assert seen.error == ""
    assert {n.name: n.role for n in seen.nodes.values()} == {"manager-1": "manager", "worker-1": "worker"}
    web = seen.workloads["id-web"]
    assert (web.name, web.desired, web.running, web.image) == ("web", 2, 2, "nginx:1.26")
    assert [t.name for t in seen.tasks_of("id-web")] == ["web.1", "web.2"]
    assert [(e.kind, e.port, e.target_port) for e in seen.endpoints.values()] == [("ingress", 8080, 80)]


def test_a_cluster_that_rests_gives_the_same_objects(swarm: Swarm) -> None:
    one, two = swarm.snapshot(), swarm.snapshot()
    assert not diff(one, two)
    assert two.tasks is one.tasks


def test_only_what_changed_is_made_anew(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    one = swarm.snapshot()
    answer(hosts, "GET /tasks", [task(1), task(2, version=2, state="failed"), task(3, state="pending", on="")])
    two = swarm.snapshot(one)
    assert two.tasks["task-1"] is one.tasks["task-1"]
    assert two.nodes is one.nodes
    assert two.endpoints is one.endpoints
    found = diff(one, two)
    assert (found.tasks.changed, found.tasks.added) == ({"task-2"}, {"task-3"})
    assert found.workloads.changed == {"id-web"}  # it runs one task less
    assert two.workloads["id-web"].running == 1


def test_tasks_of_a_node_that_went_down_are_lost_though_their_version_is_the_same(
    swarm: Swarm, hosts: dict[str, DockerHost]
) -> None:
    swarm.snapshot()
    answer(hosts, "GET /nodes", [node("manager-1", Role="manager"), node("worker-1", 2, "down")])
    seen = swarm.snapshot()
    assert {t.state for t in seen.tasks.values()} == {State.LOST}
    answer(hosts, "GET /nodes", [node("manager-1", Role="manager"), node("worker-1", 3, "ready")])
    assert {t.state for t in swarm.snapshot().tasks.values()} == {State.RUNNING}


def test_another_manager_is_asked_when_one_is_gone(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    assert swarm.snapshot().error == ""
    hosts["manager-1"].hang.set()  # paused: it accepts and says nothing
    begun = time.monotonic()
    assert swarm.snapshot().error == ""
    assert time.monotonic() - begun < 2.0
    begun = time.monotonic()
    assert swarm.snapshot().error == ""  # and it is not asked first the next time
    assert time.monotonic() - begun < 0.25
    hosts["manager-1"].hang.clear()


def test_no_quorum_keeps_the_picture_and_tells_in_the_engines_words(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    good = swarm.snapshot()
    answer(hosts, "GET /nodes", NO_LEADER)
    bad = swarm.snapshot(good)
    assert "The swarm does not have a leader" in bad.error
    assert bad.tasks is good.tasks
    assert bad.at == good.at
    answer(hosts, "GET /nodes", [node("manager-1", Role="manager")])
    assert swarm.snapshot(bad).error == ""


def test_when_all_managers_hang_one_is_waited_for_at_a_time(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    good = swarm.snapshot()
    for name in ("manager-1", "manager-2"):
        hosts[name].hang.set()
    assert "did not answer" in swarm.snapshot(good).error  # each was waited for once, and now is known to hang
    seen = []
    for _ in range(3):
        begun = time.monotonic()
        seen.append(swarm.snapshot(good).error.split()[0])
        assert time.monotonic() - begun < 0.5
    assert seen == ["manager-1", "manager-2", "manager-1"]


def test_nobody_there(tmp_path: Path) -> None:
    lonely = Swarm(
        lambda: [MachineInfo("manager-1", "manager", "up", "", {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})]
    )
    seen = lonely.snapshot()
    assert seen.error.startswith("Cannot connect to the Docker daemon at unix://")
    assert not seen.nodes
    lonely.close()


def test_scale_reads_changes_and_writes_the_whole_spec(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    answer(hosts, "GET /services/web", service(version=7))
    answer(hosts, "POST /services/id-web/update", {"Warnings": None})
    swarm.scale("web", 5)
    call, query, body = hosts["manager-1"].asked[-1]
    assert (call, query) == ("POST /services/id-web/update", {"version": ["7"]})
    assert body["Mode"] == {"Replicated": {"Replicas": 5}}
    assert body["TaskTemplate"] == service()["Spec"]["TaskTemplate"]


def test_a_change_in_between_is_tried_again(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    refusals = [(500, "rpc error: code = Unknown desc = update out of sequence")] * 2
    answer(hosts, "GET /nodes/worker-1", node("worker-1"))
    answer(hosts, "POST /nodes/id-worker-1/update", lambda _: refusals.pop() if refusals else {})
    swarm.drain("worker-1")
    assert hosts["manager-1"].asked[-1][2]["Availability"] == "drain"
    assert not refusals


@pytest.mark.parametrize("replicas", [-1, 1.5, True, "3"])
def test_replicas_must_make_sense(swarm: Swarm, replicas: Any) -> None:
    with pytest.raises(UsageError, match="replicas must be a whole number"):
        swarm.scale("web", replicas)


def test_refusals_keep_the_engines_words(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    answer(hosts, "GET /services/nope", (404, "service nope not found"))
    with pytest.raises(ClusterError, match="service nope not found"):
        swarm.scale("nope", 2)
    globally = service()
    globally["Spec"]["Mode"] = {"Global": {}}
    answer(hosts, "GET /services/web", globally)
    with pytest.raises(ClusterError, match="scale can only be used with replicated mode"):
        swarm.scale("web", 2)


def test_an_action_whose_answer_is_lost_is_not_done_twice(
    hosts: dict[str, DockerHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_ACT_TIMEOUT", 0.2)
    made = Swarm(lambda: [MachineInfo(n, "manager", "up", "", h.env) for n, h in hosts.items() if n != "worker-1"])
    made._actors[0]._client()  # connected before it froze
    hosts["manager-1"].hang.set()
    with pytest.raises(ClusterError, match=r"manager-1 did not answer within 0\.2 s"):
        made.remove("web")
    assert not any(call.startswith("DELETE") for call, _, _ in hosts["manager-2"].asked)
    made.close()


def test_kill_goes_to_the_machine_that_runs_it(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    hosts["worker-1"].answers["POST /containers/c2/kill"] = {}
    swarm.kill("web.2")
    assert hosts["worker-1"].asked[-1][0] == "POST /containers/c2/kill"
    with pytest.raises(ClusterError, match=r"no such task: web\.9"):
        swarm.kill("web.9")
    answer(hosts, "GET /tasks", [task(1, 2, on="elsewhere"), task(2, 2, "failed")])
    with pytest.raises(ClusterError, match=r"web\.2 has no running container \(failed\)"):
        swarm.kill("web.2")
    answer(hosts, "GET /nodes", [node("elsewhere")])
    with pytest.raises(ClusterError, match="the Docker engine of elsewhere cannot be reached from here"):
        swarm.kill("web.1")


def test_deploy_sends_what_was_said(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    answer(hosts, "POST /services/create", {"ID": "new"})
    assert swarm.deploy("api", "nginx:1.27", 3, {8081: 80}, env={"A": "b"}, reserve_cpus=0.5) == "new"
    assert hosts["manager-1"].asked[-1][2] == {
        "Name": "api",
        "TaskTemplate": {
            "ContainerSpec": {"Image": "nginx:1.27", "Env": ["A=b"]},
            "Resources": {"Reservations": {"NanoCPUs": 500_000_000}},
        },
        "Mode": {"Replicated": {"Replicas": 3}},
        "EndpointSpec": {
            "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress", "PublishedPort": 8081}]
        },
    }


def test_an_event_ends_the_wait(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    swarm.snapshot()
    swarm._waiting._changed_at -= 100  # it has been quiet for long
    hosts["manager-1"].events.set()
    begun = time.monotonic()
    swarm.wait(5.0)
    assert time.monotonic() - begun < 1.0


def test_a_thousand_tasks_cost_little_when_ten_change(swarm: Swarm, hosts: dict[str, DockerHost]) -> None:
    answer(hosts, "GET /tasks", [task(i) for i in range(1, 1001)])
    one = swarm.snapshot()
    answer(hosts, "GET /tasks", [task(i, 2 if i <= 10 else 1) for i in range(1, 1001)])
    two = swarm.snapshot(one)
    assert sum(two.tasks[key] is not value for key, value in one.tasks.items()) == 10

from __future__ import annotations

import time
from typing import Any

import pytest

from labkit.errors import UsageError
from labkit.model import NodeState, Resources, State
from labkit.orchestrators.swarm_deploy import service_spec
from labkit.orchestrators.swarm_reading import (
    read_endpoints,
    read_mode,
    read_node,
    read_task,
    read_workload,
    seconds,
    task_state,
)
from labkit.orchestrators.waiting import Waiting, pace


@pytest.mark.parametrize(
    ("state", "desired", "lost", "common"),
    [
        ("new", "running", False, State.PENDING),
        ("pending", "running", False, State.PENDING),
        ("pending", "shutdown", False, State.STOPPED),  # never placed: nothing is there to stop
        ("assigned", "running", False, State.STARTING),
        ("ready", "ready", False, State.STARTING),  # a replacement waits out the restart delay
        ("running", "running", False, State.RUNNING),
        ("running", "shutdown", False, State.STOPPING),
        ("starting", "remove", False, State.STOPPING),
        ("running", "running", True, State.LOST),
        ("running", "shutdown", True, State.LOST),
        ("pending", "running", True, State.PENDING),
        ("complete", "complete", False, State.COMPLETE),
        ("complete", "shutdown", True, State.COMPLETE),  # it ended before the node did
        ("shutdown", "shutdown", False, State.STOPPED),
        ("failed", "shutdown", False, State.FAILED),
        ("rejected", "shutdown", False, State.FAILED),
        ("remove", "remove", False, State.STOPPED),
        ("orphaned", "shutdown", True, State.LOST),
    ],
)
def test_states(state: str, desired: str, lost: bool, common: State) -> None:
    assert task_state(state, desired, lost) is common


def test_times() -> None:
    assert seconds("2026-01-02T03:04:05.5Z") == pytest.approx(1767323045.5)
    assert seconds("2026-01-02T03:04:05.123456789Z") == pytest.approx(1767323045.123456)
    assert seconds("0001-01-01T00:00:00Z") == 0.0
    assert seconds("") == 0.0
    assert seconds("soon") == 0.0


def test_a_manager_that_leads() -> None:
    node = read_node(
        {
            "ID": "n1",
            "Spec": {"Role": "manager", "Availability": "drain", "Labels": {"a": "b"}},
            "Description": {
                "Hostname": "manager-1",
                "Resources": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 7},
                "Engine": {"EngineVersion": "28.2.2"},
            },
            "Status": {"State": "down", "Message": "heartbeat failure", "Addr": "10.0.0.1"},
            "ManagerStatus": {"Leader": True, "Reachability": "unreachable", "Addr": "10.0.0.1:2377"},
        }
    )
    assert (node.name, node.role, node.state, node.availability) == ("manager-1", "manager", NodeState.DOWN, "drain")
    assert (node.leader, node.reachable, node.message) == (True, False, "heartbeat failure")
    assert node.capacity == Resources(1.5, 7)
    assert read_node({"ID": "n2", "Status": {"State": "unknown"}}).state is NodeState.UNKNOWN
    assert read_node({"ID": "n2"}).reachable is None


def test_a_task_says_why() -> None:
    data: dict[str, Any] = {
        "ID": "t1",
        "ServiceID": "s1",
        "Slot": 3,
        "NodeID": "n1",
        "DesiredState": "shutdown",
        "Spec": {
            "ContainerSpec": {"Image": "nginx:1@sha256:0"},
            "Resources": {"Reservations": {"NanoCPUs": 500_000_000, "MemoryBytes": 9}},
        },
        "Status": {
            "State": "failed",
            "Message": "started",
            "Err": "task: non-zero exit (3)",
            "ContainerStatus": {"ContainerID": "c1", "ExitCode": 3},
        },
        "NetworksAttachments": [
            {"Network": {"Spec": {"Ingress": True}}, "Addresses": ["10.0.0.5/24"]},
            {"Network": {"Spec": {}}, "Addresses": ["10.0.1.5/24"]},
        ],
    }
    task = read_task(data, "web", "worker-1", False)
    assert (task.name, task.image, task.message, task.exit_code) == ("web.3", "nginx:1", "task: non-zero exit (3)", 3)
    assert (task.address, task.reserved, task.wanted) == ("10.0.1.5", Resources(0.5, 9), False)
    running = read_task({**data, "Status": {"State": "running", "Message": "started"}}, "web", "worker-1", False)
    assert (running.message, running.exit_code) == ("", None)
    assert read_task({**data, "Slot": 0}, "agent", "worker-1", False).name == "agent.worker-1"


@pytest.mark.parametrize(
    ("mode", "read"),
    [
        ({"Replicated": {"Replicas": 0}}, ("replicated", 0)),
        ({"Replicated": {}}, ("replicated", 1)),  # the engine's own default
        ({"Global": {}}, ("global", None)),
        ({"ReplicatedJob": {"TotalCompletions": 4}}, ("replicated-job", 4)),
        ({"GlobalJob": {}}, ("global-job", None)),
    ],
)
def test_modes(mode: dict[str, Any], read: tuple[str, int | None]) -> None:
    assert read_mode({"Mode": mode}) == read


def test_an_update_is_told_while_it_is_under_way() -> None:
    def update(status: dict[str, str] | None) -> str:
        return read_workload({"ID": "s", "Spec": {"Mode": {"Global": {}}}, "UpdateStatus": status}, 5, 4).update

    assert update({"State": "updating", "Message": "update in progress"}) == "updating: update in progress"
    assert update({"State": "completed", "Message": "update completed"}) == ""
    assert update(None) == ""


def test_virtual_ips_and_ports_are_endpoints() -> None:
    found = read_endpoints(
        {
            "ID": "s",
            "Endpoint": {
                "Ports": [{"Protocol": "udp", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "host"}],
                "VirtualIPs": [{"NetworkID": "n", "Addr": "10.0.1.2/24"}, {"NetworkID": "m"}],
            },
        }
    )
    assert [(e.kind, e.port, e.address, e.protocol) for e in found] == [
        ("host", 5353, "", "udp"),
        ("vip", 0, "10.0.1.2", "tcp"),
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ports": ["x"]}, "'x' is no port"),
        ({"ports": "70000:80"}, "numbers go from 1 to 65535"),
        ({"ports": ["80:80/icmp"]}, "protocols are tcp, udp, sctp"),
        ({"replicas": -1}, "replicas must be"),
        ({"mode": "daemon"}, "mode must be"),
        ({"colour": "red"}, "deploy knows no 'colour'; there are args, env"),
        ({"ports": {80: 80}, "publish_mode": "x"}, "publish_mode must be"),
    ],
)
def test_a_deployment_that_makes_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        service_spec("web", "nginx", **options)


def test_a_deployment_may_leave_the_published_port_open() -> None:
    assert service_spec("web", "nginx", ports=["80"])["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}
    ]


def test_a_storm_of_events_does_not_make_one_look_all_the_time() -> None:
    waiting = Waiting(lambda: Silent(), clock=time.monotonic)
    waiting.looked(0.02, changed=True)  # it took 20 ms, so 80 ms are rest
    waiting.wake()
    begun = time.monotonic()
    waiting.wait(0.01)
    assert time.monotonic() - begun >= 0.01  # the caller's limit is kept, and the news as well
    waiting.wait(1.0)
    assert 0.07 < time.monotonic() - begun < 0.5
    waiting.close()


class Silent:
    name = "silent"

    def events(self) -> list[object]:
        raise OSError


def test_the_pace_follows_what_happens_and_what_it_costs() -> None:
    assert pace(0.0, 0.005) == 0.15
    assert pace(5.0, 0.005) == 0.5
    assert pace(60.0, 0.005) == 1.0
    assert pace(0.0, 0.2) == 2.0

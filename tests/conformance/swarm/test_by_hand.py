"""Init, join and leave by hand, on hosts that are in no swarm. The tests go on from one another."""

from __future__ import annotations

import re

import docker
import pytest
from support.cluster import Cluster
from support.present import requires
from support.until import until

pytestmark = requires("docker-cli")


def state(plain: Cluster, name: str) -> str:
    return str(plain.hosts[name].info()["Swarm"]["LocalNodeState"])


def address(plain: Cluster, name: str) -> str:
    """The address that the others reach it under."""
    host = plain.hosts[name]
    return host.address or host.name


@pytest.fixture(scope="module")
def told(plain: Cluster) -> dict[str, str]:
    """What init printed; the swarm lives as long as the module."""
    heartbeat = ["--dispatcher-heartbeat", "1s"]  # a node counts as down after three that are missed
    done = plain.hosts["node-1"].cli("swarm", "init", "--advertise-addr", address(plain, "node-1"), *heartbeat)
    tokens = {role: plain.hosts["node-1"].cli("swarm", "join-token", "-q", role).text for role in ("worker", "manager")}
    return {"init": done.out, "at": f"{address(plain, 'node-1')}:2377", **tokens}


def test_a_host_in_no_swarm_says_what_to_do(plain: Cluster, plain_same) -> None:
    host = plain.hosts["node-3"]
    assert state(plain, "node-3") == "inactive"
    done = host.cli("node", "ls", check=False)
    assert done.code == 1
    plain_same(done.error, "no swarm")
    answer = host.raw("GET", "/services")
    assert answer.status_code == 503
    plain_same(answer.json()["message"], "no swarm")
    done = host.cli("swarm", "leave", check=False)
    assert done.code == 1
    plain_same(done.error, "not in a swarm")


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        (["--advertise-addr", "nosuchif"], "bad advertise address"),
        (["--listen-addr", "1.2.3.4.5"], "bad listen address"),
    ],
)
def test_init_with_an_address_that_cannot_be(plain: Cluster, plain_same, flags: list[str], key: str) -> None:
    done = plain.hosts["node-3"].cli("swarm", "init", *flags, check=False)
    assert done.code == 1
    plain_same(done.error, key)
    assert state(plain, "node-3") == "inactive"


def test_init_tells_how_to_join(plain: Cluster, told: dict[str, str]) -> None:
    node_id = plain.hosts["node-1"].info()["Swarm"]["NodeID"]
    assert f"Swarm initialized: current node ({node_id}) is now a manager." in told["init"]
    assert f"docker swarm join --token {told['worker']} {told['at']}" in told["init"]
    assert "docker swarm join-token manager" in told["init"]
    assert state(plain, "node-1") == "active"
    assert len(plain.hosts["node-1"].api.nodes()) == 1


@pytest.mark.parametrize("token", ["SWMTKN-1-wrong", "nonsense"])
def test_join_with_a_token_that_is_none(plain: Cluster, told: dict[str, str], plain_same, token: str) -> None:
    done = plain.hosts["node-2"].cli("swarm", "join", "--token", token, told["at"], check=False)
    assert done.code == 1
    plain_same(done.error, "token is none")
    assert state(plain, "node-2") == "inactive"


def test_join_as_a_worker(plain: Cluster, told: dict[str, str]) -> None:
    done = plain.hosts["node-2"].cli("swarm", "join", "--token", told["worker"], told["at"])
    assert done.text == "This node joined a swarm as a worker."
    found = until(lambda: {n["Description"]["Hostname"]: n for n in plain.hosts["node-1"].api.nodes() if len(
        plain.hosts["node-1"].api.nodes()) == 2})  # fmt: skip
    until(lambda: all(n["Status"]["State"] == "ready" for n in plain.hosts["node-1"].api.nodes()))
    assert found["node-2"]["Spec"]["Role"] == "worker"


def test_join_as_a_manager(plain: Cluster, told: dict[str, str]) -> None:
    done = plain.hosts["node-3"].cli("swarm", "join", "--token", told["manager"], told["at"])
    assert done.text == "This node joined a swarm as a manager."
    until(lambda: sum("ManagerStatus" in node for node in plain.hosts["node-1"].api.nodes()) == 2)

    def knows_all() -> bool:
        try:
            return len(plain.hosts["node-3"].api.nodes()) == 3
        except docker.errors.APIError:  # it has not heard yet who leads
            return False

    until(knows_all, 60, "the new manager knows all nodes")


def test_a_worker_leaves_and_its_node_stays_down_until_it_is_removed(plain: Cluster, told: dict[str, str]) -> None:
    manager = plain.hosts["node-1"]
    node_id = plain.hosts["node-2"].info()["Swarm"]["NodeID"]
    assert plain.hosts["node-2"].cli("swarm", "leave").text == "Node left the swarm."
    assert state(plain, "node-2") == "inactive"
    until(lambda: manager.api.inspect_node(node_id)["Status"]["State"] == "down", 40)
    assert manager.cli("node", "rm", node_id).text == node_id
    assert node_id not in [node["ID"] for node in manager.api.nodes()]


def test_tokens_of_another_swarm_and_of_before_a_rotation_are_refused(plain: Cluster, told: dict[str, str]) -> None:
    manager, host = plain.hosts["node-1"], plain.hosts["node-2"]
    fresh = manager.cli("swarm", "join-token", "-q", "--rotate", "worker").text
    foreign = re.sub(r"-[0-9a-z]{50}-", "-" + "1" * 50 + "-", fresh)
    # The real engine asks again for ten seconds before it gives up.
    done = host.cli("swarm", "join", "--token", told["worker"], told["at"], check=False)
    assert done.code == 1
    assert "A valid join token is necessary to join this cluster" in done.err
    assert state(plain, "node-2") == "inactive"
    done = host.cli("swarm", "join", "--token", foreign, told["at"], check=False)
    assert done.code == 1
    assert "remote CA does not match fingerprint" in done.err
    assert state(plain, "node-2") == "inactive"
    host.cli("swarm", "join", "--token", fresh, told["at"])
    assert state(plain, "node-2") == "active"


def test_a_manager_is_demoted_and_leaves(plain: Cluster, told: dict[str, str]) -> None:
    plain.hosts["node-1"].cli("node", "demote", "node-3")
    until(lambda: not plain.hosts["node-3"].info()["Swarm"]["ControlAvailable"], 30)
    plain.hosts["node-3"].cli("swarm", "leave")
    assert state(plain, "node-3") == "inactive"


def test_the_last_manager_leaves_by_force_and_the_swarm_is_gone(
    plain: Cluster, told: dict[str, str], plain_same
) -> None:
    host = plain.hosts["node-1"]
    done = host.cli("swarm", "leave", check=False)
    assert done.code == 1
    plain_same(done.error, "last manager leaves")
    assert host.cli("swarm", "leave", "--force").text == "Node left the swarm."
    assert state(plain, "node-1") == "inactive"
    done = host.cli("service", "ls", check=False)
    plain_same(done.error, "no swarm")
    # It can start another one, with another identity.
    host.cli("swarm", "init", "--advertise-addr", address(plain, "node-1"))
    assert host.cli("swarm", "join-token", "-q", "worker").text != told["worker"]
    assert [node["Description"]["Hostname"] for node in host.api.nodes()] == ["node-1"]

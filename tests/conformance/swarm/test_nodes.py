"""Nodes: ls, inspect, update, label, promote, demote, ps, rm."""

from __future__ import annotations

import json

import docker
import pytest
from support.cluster import Cluster
from support.present import requires
from support.until import until


@requires("docker-cli")
def test_ls_shows_each_node_with_its_role(swarm: Cluster) -> None:
    form = "{{.Hostname}}|{{.Status}}|{{.Availability}}|{{.ManagerStatus}}|{{.Self}}"
    rows = {line.split("|")[0]: line.split("|")[1:] for line in swarm.cli("node", "ls", "--format", form).lines}
    assert set(rows) == set(swarm.hosts)
    assert all(row[:2] == ["Ready", "Active"] for row in rows.values())
    statuses = sorted(rows[host.name][2] for host in swarm.managers)
    assert statuses == ["Leader"] + ["Reachable"] * (len(swarm.managers) - 1)
    assert all(rows[host.name][2] == "" for host in swarm.workers)
    assert [name for name, row in rows.items() if row[3] == "true"] == ["manager-1"]
    header = swarm.cli("node", "ls").lines[0].split()
    assert header == ["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER", "STATUS", "ENGINE", "VERSION"]


@requires("docker-cli")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["role=manager"], ["manager-1", "manager-2", "manager-3"]),
        (["role=worker"], ["worker-1", "worker-2"]),
        (["name=worker-1"], ["worker-1"]),
        (["name=worker-1", "role=manager"], []),
        (["name=worker-1", "name=manager-2"], ["manager-2", "worker-1"]),
    ],
)
def test_ls_filters(swarm: Cluster, filters: list[str], expected: list[str]) -> None:
    flags = [part for one in filters for part in ("--filter", one)]
    assert sorted(swarm.cli("node", "ls", *flags, "--format", "{{.Hostname}}").lines) == expected
    # docker-py sends the same as lists, where the CLI sends maps.
    asked: dict[str, list[str]] = {}
    for one in filters:
        asked.setdefault(one.split("=")[0], []).append(one.split("=")[1])
    assert sorted(node["Description"]["Hostname"] for node in swarm.api.nodes(filters=asked)) == expected


def test_inspect_a_manager_and_a_worker(swarm: Cluster) -> None:
    manager = swarm.client.nodes.get(swarm.node_id("manager-1")).attrs
    assert manager["Spec"]["Role"] == "manager"
    assert manager["Status"]["State"] == "ready"
    assert manager["ManagerStatus"]["Reachability"] == "reachable"
    assert manager["ManagerStatus"]["Addr"].endswith(":2377")
    worker = swarm.client.nodes.get(swarm.node_id("worker-1")).attrs
    assert worker["Spec"] == {"Labels": {}, "Role": "worker", "Availability": "active"}
    assert "ManagerStatus" not in worker
    assert worker["Description"]["Platform"] == {"Architecture": "x86_64", "OS": "linux"}
    assert worker["Description"]["Resources"]["NanoCPUs"] % 1_000_000_000 == 0
    assert worker["Description"]["Resources"]["MemoryBytes"] > 0
    plugins = worker["Description"]["Engine"]["Plugins"]
    assert {"Type": "Network", "Name": "overlay"} in plugins
    assert plugins == sorted(plugins, key=lambda plugin: (plugin["Type"], plugin["Name"]))
    assert worker["Status"]["Addr"] == swarm.workers[0].info()["Swarm"]["NodeAddr"]


def test_one_leader(swarm: Cluster) -> None:
    leaders = [node for node in swarm.api.nodes() if node.get("ManagerStatus", {}).get("Leader")]
    assert len(leaders) == 1


@requires("docker-cli")
def test_inspect_self_by_name_and_by_the_start_of_an_id(swarm: Cluster) -> None:
    node_id = swarm.node_id("manager-1")
    form = ["--format", "{{.ID}}"]
    for name in ("self", "manager-1", node_id, node_id[:10]):
        assert swarm.cli("node", "inspect", name, *form).text == node_id
    pretty = swarm.cli("node", "inspect", "--pretty", "self").out
    for words in ("Hostname:", "State:Ready", "Availability:Active", "Manager Status:", "Engine Version:"):
        assert "".join(words.split()) in "".join(pretty.split())


@requires("docker-cli")
def test_inspect_a_node_that_is_not_there(swarm: Cluster, same) -> None:
    done = swarm.cli("node", "inspect", "nowhere", check=False)
    assert done.code == 1
    same(done.error, "no such node", name="nowhere")
    assert done.text == "[]"


@requires("docker-cli")
def test_labels_come_and_go(swarm: Cluster) -> None:
    swarm.cli("node", "update", "--label-add", "disk=ssd", "--label-add", "zone=a", "worker-1")
    assert swarm.nodes()["worker-1"]["Spec"]["Labels"] == {"disk": "ssd", "zone": "a"}
    assert swarm.cli("node", "ls", "--filter", "node.label=disk=ssd", "--format", "{{.Hostname}}").text == "worker-1"
    swarm.cli("node", "update", "--label-rm", "disk", "worker-1")
    assert swarm.nodes()["worker-1"]["Spec"]["Labels"] == {"zone": "a"}


@requires("docker-cli")
@pytest.mark.parametrize("availability", ["pause", "drain", "active"])
def test_availability_through_the_cli(swarm: Cluster, availability: str) -> None:
    assert swarm.cli("node", "update", "--availability", availability, "worker-2").text == "worker-2"
    assert swarm.nodes()["worker-2"]["Spec"]["Availability"] == availability


@pytest.mark.parametrize(
    ("change", "status", "key"),
    [
        ({"Availability": "asleep"}, 400, "bad availability"),
        ({"Role": "king"}, 400, "bad role"),
    ],
)
def test_an_update_that_makes_no_sense(swarm: Cluster, same, change: dict[str, str], status: int, key: str) -> None:
    node = swarm.nodes()["worker-1"]
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.api.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], **change})
    assert caught.value.status_code == status
    same(caught.value.explanation, key)


def test_an_update_of_an_older_version(swarm: Cluster, same) -> None:
    node = swarm.nodes()["worker-1"]
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.api.update_node(node["ID"], 1, node["Spec"])
    assert caught.value.status_code == 500
    same(caught.value.explanation, "out of sequence")


@requires("docker-cli")
def test_promote_and_demote(swarm: Cluster) -> None:
    assert "Node worker-1 promoted to a manager in the swarm." in swarm.cli("node", "promote", "worker-1").out
    worker = swarm.workers[0]
    until(lambda: worker.info()["Swarm"]["ControlAvailable"], 30, "worker-1 being a manager")
    status = until(lambda: swarm.nodes()["worker-1"].get("ManagerStatus"), what="worker-1 in the Raft group")
    assert status["Reachability"] in ("reachable", "unknown")

    def knows_all() -> bool:
        try:
            return len(worker.api.nodes()) == len(swarm.hosts)
        except docker.errors.APIError:  # it has not heard yet who leads
            return False

    until(knows_all, 60, "worker-1 knows all nodes")
    again = swarm.cli("node", "promote", "worker-1")
    assert "is already a manager." in again.out + again.err

    assert "Manager worker-1 demoted in the swarm." in swarm.cli("node", "demote", "worker-1").out
    until(lambda: not worker.info()["Swarm"]["ControlAvailable"], 30, "worker-1 being a worker again")
    until(lambda: "ManagerStatus" not in swarm.nodes()["worker-1"], what="worker-1 out of the Raft group")
    until(lambda: swarm.nodes()["worker-1"]["Status"]["State"] == "ready", 30)


@requires("docker-cli")
def test_ps_shows_the_tasks_of_a_node(swarm: Cluster) -> None:
    service = swarm.create(replicas=2, constraints=["node.hostname==worker-2"])
    tasks = swarm.running(service, 2)
    form = "{{.Name}}|{{.Image}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}"
    rows = [row for row in swarm.cli("node", "ps", "worker-2", "--format", form).lines if row.startswith(service.name)]
    assert len(rows) == 2
    assert rows[0].startswith(f"{service.name}.1|traefik/whoami:v1.10|worker-2|Running|Running ")
    quiet = swarm.cli("node", "ps", "-q", "--no-trunc", "--filter", f"name={service.name}", "worker-2").lines
    assert sorted(quiet) == sorted(task["ID"] for task in tasks)


@requires("docker-cli")
def test_a_node_that_is_up_is_not_removed(swarm: Cluster, same) -> None:
    done = swarm.cli("node", "rm", "worker-1", check=False)
    assert done.code == 1
    same(done.error, "node is not down", id=swarm.node_id("worker-1"))


@requires("docker-cli")
def test_a_manager_is_not_removed(swarm: Cluster, same) -> None:
    done = swarm.cli("node", "rm", "--force", "manager-2", check=False)
    assert done.code == 1
    same(done.error, "node is a manager", id=swarm.node_id("manager-2"))


@requires("docker-cli")
def test_format_json_gives_a_line_a_node(swarm: Cluster) -> None:
    rows = [json.loads(line) for line in swarm.cli("node", "ls", "--format", "json").lines]
    assert {row["Hostname"] for row in rows} == set(swarm.hosts)
    columns = {"ID", "Hostname", "Status", "Availability", "ManagerStatus", "Self", "EngineVersion", "TLSStatus"}
    assert columns <= set(rows[0])

"""Losing managers: what fails and what lives on. Runs last; the tests go on from one another, and heal at the end."""

from __future__ import annotations

import docker
import pytest
import requests
from support.cluster import Cluster, Host
from support.present import requires
from support.until import until


def leader(ask: Host) -> str:
    """The leader's name, as a manager sees it."""
    for node in ask.api.nodes():
        if node.get("ManagerStatus", {}).get("Leader"):
            return str(node["Description"]["Hostname"])
    raise LookupError("no leader")


@pytest.fixture(scope="module")
def kept(cluster: Cluster) -> str:
    """A service on the workers that has to live through all of it. Nothing removes it: the swarm ends after this."""
    service = cluster.create(
        name="kept", replicas=2, constraints=["node.role==worker"], labels={"conformance.keep": "yes"}
    )
    cluster.running(service, 2)
    return str(service.id)


def containers(swarm: Cluster) -> dict[str, str]:
    """The kept service's containers by worker, asked of the workers themselves."""
    found = {}
    for host in swarm.workers:
        for one in host.containers(label="com.docker.swarm.service.name=kept", status="running"):
            found[one["Id"]] = host.name
    return found


@pytest.fixture(scope="module")
def lost_one(cluster: Cluster, kept: str) -> tuple[str, list[Host]]:
    """The leader that was failed, and the managers that are left."""
    before = leader(cluster.manager)
    cluster.sandbox.fail(before)
    return before, [host for host in cluster.managers if host.name != before]


def test_another_manager_leads_when_the_leader_fails(lost_one: tuple[str, list[Host]]) -> None:
    before, others = lost_one

    def another() -> str | None:
        now = leader(others[0])
        return now if now != before else None

    after = until(lambda: _quiet(another), 60)
    assert after in [host.name for host in others]
    until(lambda: _quiet(lambda: _reachability(others[0], before) == "unreachable"), 60)
    # A write goes through with two of three.
    template = docker.types.TaskTemplate(docker.types.ContainerSpec("busybox:1.36", command=["sleep", "1000"]))
    others[0].api.create_service(template, name="written-by-two")
    others[0].api.remove_service("written-by-two")


def _quiet(look):  # type: ignore[no-untyped-def]
    """A look at a swarm that may not answer now."""
    try:
        return look()
    except (docker.errors.DockerException, requests.RequestException, LookupError):
        return None


def _reachability(ask: Host, name: str) -> str:
    for node in ask.api.nodes():
        if node["Description"]["Hostname"] == name and "ManagerStatus" in node:
            return str(node["ManagerStatus"]["Reachability"])
    raise LookupError(name)


@pytest.fixture(scope="module")
def survivor(cluster: Cluster, lost_one: tuple[str, list[Host]]) -> Host:
    """The one manager that is left of three."""
    _, (second, left) = lost_one
    cluster.sandbox.fail(second.name)

    def lost() -> bool:
        try:
            left.api.nodes()
        except docker.errors.APIError as error:
            return error.status_code in (500, 503)
        except requests.RequestException:
            return False
        return False

    until(lost, 60, "the quorum lost")
    return left


@requires("docker-cli")
@pytest.mark.parametrize("command", [["node", "ls"], ["service", "ls"], ["service", "rm", "kept"]])
def test_without_a_quorum_management_fails(survivor: Host, words, command: list[str]) -> None:
    import re

    done = survivor.cli(*command, check=False)
    assert done.code == 1
    assert re.search(words("no leader"), done.err), done.err


def test_without_a_quorum_nothing_is_written(survivor: Host, same) -> None:
    template = docker.types.TaskTemplate(docker.types.ContainerSpec("busybox:1.36"))
    with pytest.raises(docker.errors.APIError) as caught:
        survivor.api.create_service(template, name="never")
    same(caught.value.explanation, "no leader")


def test_without_a_quorum_info_still_answers(survivor: Host) -> None:
    found = survivor.info()["Swarm"]
    assert found["LocalNodeState"] == "active"
    assert found["ControlAvailable"] is True


def test_without_a_quorum_tasks_run_on(cluster: Cluster, survivor: Host) -> None:
    before = containers(cluster)
    assert sorted(before.values()) == ["worker-1", "worker-2"]
    host = cluster.workers[0]
    victim = next(container for container, name in before.items() if name == host.name)
    host.api.kill(victim)
    until(lambda: victim not in containers(cluster))
    # Nobody is there to replace it.
    assert len(containers(cluster)) == 1


def test_with_the_quorum_back_everything_is_as_it_was(cluster: Cluster, kept: str) -> None:
    for host in cluster.managers:
        cluster.sandbox.heal(host.name)
    # Real managers elect by timeouts of 10 to 20 s, and a call that meets no leader hangs for 20 s.
    until(lambda: _quiet(lambda: leader(cluster.manager)), 180, "a leader")
    assert until(lambda: _quiet(lambda: cluster.api.inspect_service(kept)))["Spec"]["Name"] == "kept"
    assert "never" not in [service["Spec"]["Name"] for service in cluster.api.services()]
    until(
        lambda: _quiet(lambda: all(_reachability(cluster.manager, h.name) == "reachable" for h in cluster.managers)), 60
    )
    until(lambda: len(containers(cluster)) == 2, 60, "the killed task replaced")

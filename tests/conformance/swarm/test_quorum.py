"""Losing managers: what fails and what lives on. Runs last, and puts every manager back."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
import requests
from support.cluster import Cluster, Host
from support.present import requires
from support.until import until


def leader(swarm: Cluster, ask: Host) -> str:
    """The leader's name, as a manager sees it."""
    for node in ask.api.nodes():
        if node.get("ManagerStatus", {}).get("Leader"):
            return str(node["Description"]["Hostname"])
    raise LookupError("no leader")


@pytest.fixture(scope="module")
def kept(cluster: Cluster) -> Iterator[str]:
    """A service on the workers that has to live through all of it."""
    service = cluster.create(
        name="kept", replicas=2, constraints=["node.role==worker"], labels={"conformance.keep": "yes"}
    )
    cluster.running(service, 2)
    yield str(service.id)
    for host in cluster.managers:
        cluster.sandbox.heal(host.name)
    until(lambda: _remove(cluster, "kept"), 60)


def _remove(cluster: Cluster, name: str) -> bool:
    try:
        cluster.api.remove_service(name)
    except docker.errors.NotFound:
        return True
    except (docker.errors.APIError, requests.RequestException):
        return False
    return True


def containers(swarm: Cluster) -> dict[str, str]:
    """The kept service's containers by worker, asked of the workers themselves."""
    found = {}
    for host in swarm.workers:
        for one in host.containers(label="com.docker.swarm.service.name=kept", status="running"):
            found[one["Id"]] = host.name
    return found


def test_another_manager_leads_when_the_leader_fails(cluster: Cluster, kept: str) -> None:
    before = leader(cluster, cluster.manager)
    others = [host for host in cluster.managers if host.name != before]
    cluster.sandbox.fail(before)
    try:
        after = until(
            lambda: _quiet(lambda: leader(cluster, others[0]) not in (before, None) and leader(cluster, others[0])), 40
        )
        assert after in [host.name for host in others]
        until(lambda: _reachability(others[0], before) == "unreachable", 30)
        # A write goes through with two of three.
        others[0].api.create_service(
            docker.types.TaskTemplate(docker.types.ContainerSpec("busybox:1.36", command=["sleep", "1000"])),
            name="written-by-two", mode=docker.types.ServiceMode("replicated", 1),
        )  # fmt: skip
        others[0].api.remove_service("written-by-two")
    finally:
        cluster.sandbox.heal(before)
    until(lambda: _quiet(lambda: _reachability(others[0], before) == "reachable"), 60)
    until(lambda: _quiet(lambda: len(cluster.hosts[before].api.nodes()) == len(cluster.hosts)), 60)


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
def survivor(cluster: Cluster, kept: str) -> Iterator[Host]:
    """The one manager that is left of three."""
    left = cluster.managers[-1]
    for host in cluster.managers[:-1]:
        cluster.sandbox.fail(host.name)

    def lost() -> bool:
        try:
            left.api.nodes()
        except docker.errors.APIError as error:
            return error.status_code in (500, 503)
        except requests.RequestException:
            return False
        return False

    until(lost, 60, "the quorum lost")
    yield left
    for host in cluster.managers[:-1]:
        cluster.sandbox.heal(host.name)
    until(lambda: _quiet(lambda: len(cluster.manager.api.nodes()) == len(cluster.hosts)), 90, "the quorum back")
    until(lambda: all(node["Status"]["State"] == "ready" for node in cluster.api.nodes()), 90, "every node ready")


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


def test_with_the_quorum_back_everything_is_as_it_was(cluster: Cluster, kept: str, words) -> None:
    for host in cluster.managers:
        cluster.sandbox.heal(host.name)
    until(lambda: _quiet(lambda: len(cluster.manager.api.nodes()) == len(cluster.hosts)), 90)
    assert _quiet(lambda: cluster.api.inspect_service(kept)["Spec"]["Name"]) == "kept"
    assert "never" not in [service["Spec"]["Name"] for service in cluster.api.services()]
    until(lambda: len(containers(cluster)) == 2, 60, "the killed task replaced")

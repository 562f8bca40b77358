"""The swarm itself: inspect, join tokens, settings, and joining twice."""

from __future__ import annotations

import re

import docker
import pytest
from support.cluster import Cluster
from support.present import requires

TOKEN = r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}"


def test_inspect_gives_the_defaults(swarm: Cluster) -> None:
    spec = swarm.api.inspect_swarm()["Spec"]
    assert spec["Name"] == "default"
    assert spec["Orchestration"] == {"TaskHistoryRetentionLimit": 5}
    assert spec["Dispatcher"] == {"HeartbeatPeriod": 5_000_000_000}
    assert spec["Raft"]["SnapshotInterval"] == 10000
    assert (spec["Raft"]["ElectionTick"], spec["Raft"]["HeartbeatTick"]) == (10, 1)
    assert spec["CAConfig"]["NodeCertExpiry"] == 90 * 24 * 3600 * 1_000_000_000
    assert spec["EncryptionConfig"] == {"AutoLockManagers": False}


def test_inspect_gives_tokens_and_pools(swarm: Cluster) -> None:
    found = swarm.api.inspect_swarm()
    assert re.fullmatch(TOKEN, found["JoinTokens"]["Worker"])
    assert re.fullmatch(TOKEN, found["JoinTokens"]["Manager"])
    assert found["JoinTokens"]["Worker"] != found["JoinTokens"]["Manager"]
    assert found["DefaultAddrPool"] == ["10.0.0.0/8"]
    assert (found["SubnetSize"], found["DataPathPort"]) == (24, 4789)
    assert found["RootRotationInProgress"] is False
    assert found["TLSInfo"]["TrustRoot"].startswith("-----BEGIN CERTIFICATE-----")


def test_every_manager_gives_the_same_swarm(swarm: Cluster) -> None:
    assert len({host.api.inspect_swarm()["ID"] for host in swarm.managers}) == 1
    assert len({host.api.inspect_swarm()["JoinTokens"]["Worker"] for host in swarm.managers}) == 1


@requires("docker-cli")
@pytest.mark.parametrize("role", ["worker", "manager"])
def test_join_token_prints_the_command_to_type(swarm: Cluster, role: str) -> None:
    token = swarm.api.inspect_swarm()["JoinTokens"][role.capitalize()]
    printed = swarm.cli("swarm", "join-token", role).out
    assert f"To add a {role} to this swarm, run the following command:" in printed
    address = swarm.manager.info()["Swarm"]["NodeAddr"]
    assert f"    docker swarm join --token {token} {address}:2377" in printed
    assert swarm.cli("swarm", "join-token", "-q", role).text == token


@requires("docker-cli")
def test_rotation_makes_another_token_of_the_same_root(swarm: Cluster) -> None:
    before = swarm.api.inspect_swarm()["JoinTokens"]
    printed = swarm.cli("swarm", "join-token", "--rotate", "worker").out
    assert "Successfully rotated worker join token." in printed
    after = swarm.api.inspect_swarm()["JoinTokens"]
    assert after["Manager"] == before["Manager"]
    assert after["Worker"] != before["Worker"]
    assert after["Worker"].rsplit("-", 1)[0] == before["Worker"].rsplit("-", 1)[0]


def test_update_through_docker_py_changes_what_it_names(swarm: Cluster) -> None:
    try:
        found = swarm.api.inspect_swarm()
        spec = {**found["Spec"], "Orchestration": {"TaskHistoryRetentionLimit": 3}}
        swarm.api.update_swarm(found["Version"]["Index"], spec)
        assert swarm.api.inspect_swarm()["Spec"]["Orchestration"] == {"TaskHistoryRetentionLimit": 3}
    finally:
        found = swarm.api.inspect_swarm()
        spec = {**found["Spec"], "Orchestration": {"TaskHistoryRetentionLimit": 5}}
        swarm.api.update_swarm(found["Version"]["Index"], spec)


@requires("docker-cli")
def test_update_through_the_cli(swarm: Cluster) -> None:
    try:
        assert swarm.cli("swarm", "update", "--task-history-limit", "4").text == "Swarm updated."
        assert swarm.api.inspect_swarm()["Spec"]["Orchestration"] == {"TaskHistoryRetentionLimit": 4}
    finally:
        swarm.cli("swarm", "update", "--task-history-limit", "5")


def test_an_update_of_an_older_version_is_out_of_sequence(swarm: Cluster, same) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.api.update_swarm(1, swarm.api.inspect_swarm()["Spec"])
    assert caught.value.status_code == 500
    same(caught.value.explanation, "out of sequence")


def test_init_where_there_is_a_swarm(swarm: Cluster, same) -> None:
    for host in (swarm.manager, swarm.workers[0]):
        answer = host.raw("POST", "/swarm/init", json={"ListenAddr": "0.0.0.0:2377"})
        assert answer.status_code == 503
        same(answer.json()["message"], "already in a swarm")


@requires("docker-cli")
def test_joining_twice(swarm: Cluster, same) -> None:
    token = swarm.api.inspect_swarm()["JoinTokens"]["Worker"]
    address = swarm.manager.info()["Swarm"]["NodeAddr"]
    done = swarm.workers[0].cli("swarm", "join", "--token", token, f"{address}:2377", check=False)
    assert done.code == 1
    same(done.error, "already in a swarm")


@requires("docker-cli")
def test_a_manager_does_not_leave_without_force(swarm: Cluster, same) -> None:
    done = swarm.cli("swarm", "leave", check=False)
    assert done.code == 1
    same(done.error, "leave needs force")
    assert swarm.manager.info()["Swarm"]["LocalNodeState"] == "active"


def test_the_unlock_key_is_empty_without_autolock(swarm: Cluster) -> None:
    assert swarm.manager.raw("GET", "/swarm/unlockkey").json() == {"UnlockKey": ""}


@requires("docker-cli")
def test_the_root_certificate(swarm: Cluster) -> None:
    assert swarm.cli("swarm", "ca").text == swarm.api.inspect_swarm()["TLSInfo"]["TrustRoot"].strip()

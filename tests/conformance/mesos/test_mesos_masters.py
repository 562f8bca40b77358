"""Several masters: who leads, what the others say, and what becomes of frameworks and tasks when the leader goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from kazoo.client import KazooClient
from support.documents import holds
from support.mesos_cluster import JSON, MesosCluster, Place, Scheduler, Stream, framework_info
from support.until import until

Json = dict[str, Any]

PAGE = "mesos/docs/high-availability.md"
DETECTION = "mesos/docs/scheduler-http-api.md#master-detection"


@pytest.fixture(scope="module")
def zk(lone: MesosCluster) -> Iterator[KazooClient]:
    client = KazooClient(lone.own.env["ZOOKEEPER"])
    client.start(timeout=30)
    yield client
    client.stop()
    client.close()


@pytest.fixture
def scheduler(lone: MesosCluster) -> Iterator[Scheduler]:
    one = Scheduler(lone, failover_timeout=36000.0, checkpoint=True)
    one.subscribe()
    yield one
    one.end()


def _others(cluster: MesosCluster) -> list[Place]:
    assert cluster.own
    leader = cluster.leader
    return [one for one in cluster.masters() if one.url != leader]


def _machine(cluster: MesosCluster, url: str) -> str:
    return next(one.name for one in cluster.own.machines if one.address == urlsplit(url).hostname)


def _info(zk: KazooClient) -> Json:
    """Of the leader: what the first of the contenders has written."""
    names = sorted(name for name in zk.get_children("/mesos") if name.startswith("json.info_"))
    found: Json = json.loads(zk.get(f"/mesos/{names[0]}")[0])
    return found


@holds(f"{PAGE}#implementation-details")
def test_the_leader_is_the_first_in_zookeeper(lone: MesosCluster, zk: KazooClient) -> None:
    names = [name for name in zk.get_children("/mesos") if name.startswith("json.info_")]
    assert len(names) == len(lone.masters())
    info = _info(zk)
    assert f"http://{info['address']['ip']}:{info['address']['port']}" == lone.leader
    assert info["pid"].startswith("master@")
    assert zk.get("/mesos/" + sorted(names)[0])[1].ephemeralOwner


@holds(DETECTION)
@pytest.mark.parametrize("path", ["/api/v1/scheduler", "/api/v1"])
def test_calls_are_redirected(lone: MesosCluster, path: str) -> None:
    for other in _others(lone):
        answer = lone.request("POST", other.url + path, json={"type": "GET_HEALTH"})
        assert answer.status_code == 307
        assert answer.headers["Location"].endswith(urlsplit(lone.leader).netloc + path)


@holds("mesos/docs/endpoints/master/state.md#description", "mesos/docs/endpoints/master/slaves.md#description")
@pytest.mark.parametrize(
    "path", ["/state", "/master/state", "/slaves", "/frameworks", "/tasks?limit=1", "/roles", "/state-summary"]
)
def test_questions_are_redirected(lone: MesosCluster, path: str) -> None:
    for other in _others(lone):
        answer = lone.request("GET", other.url + path)
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"//{urlsplit(lone.leader).netloc}{path}"


@holds("mesos/docs/endpoints/master/redirect.md#description")
def test_redirect_leads_to_the_leader_from_everywhere(lone: MesosCluster) -> None:
    for one in lone.masters():
        answer = lone.request("GET", f"{one.url}/redirect", auth=None)
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"//{urlsplit(lone.leader).netloc}"


@holds("mesos/docs/endpoints/master/health.md#description", "mesos/docs/monitoring.md#master-nodes")
def test_those_that_do_not_lead_are_well(lone: MesosCluster) -> None:
    for other in _others(lone):
        assert lone.request("GET", f"{other.url}/health", auth=None).status_code == 200
        assert lone.request("GET", f"{other.url}/metrics/snapshot").json()["master/elected"] == 0
        assert lone.request("GET", f"{other.url}/flags").status_code == 200


@holds(DETECTION)
def test_a_scheduler_finds_the_leader_by_the_redirect(lone: MesosCluster) -> None:
    other = _others(lone)[0]
    other.auth = lone.mesos.auth
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info()}}
    first = Stream(other, "/api/v1/scheduler", body)
    assert first.status == 307
    there = Place(f"http:{first.answer.headers['Location']}")
    there.auth = lone.mesos.auth
    second = Stream(there, "/api/v1/scheduler", body)
    framework = second.event("SUBSCRIBED")["subscribed"]["framework_id"]["value"]
    second.close()
    lone.master("/teardown", "POST", data={"frameworkId": framework})


@holds(
    f"{PAGE}#component-disconnection-handling",
    "mesos/docs/high-availability-framework-guide.md#dealing-with-partitioned-or-failed-masters",
)
def test_tasks_outlive_the_leader(lone: MesosCluster, scheduler: Scheduler, zk: KazooClient) -> None:
    """The leader goes: another leads, all agents and the framework come to it, the task runs on."""
    task = scheduler.running("exec sleep 1000")
    before = lone.leader
    agents = {agent["id"] for agent in lone.agents()}
    machine = _machine(lone, before)
    lone.own.stop("mesos-master", machine)
    try:
        assert scheduler.stream.ended.wait(20), "the stream breaks"
        after = until(lambda: (now := lone.leader) != before and now, what="another master leads")
        assert f"http://{(info := _info(zk))['address']['ip']}:{info['address']['port']}" == after
        until(lambda: {agent["id"] for agent in lone.agents()} == agents, what="all agents have come back")
        known = scheduler.id
        scheduler.subscribe()
        assert scheduler.id == known
        scheduler.told("RECONCILE", tasks=[{"task_id": task["task_id"]}])
        assert scheduler.status(task)["state"] == "TASK_RUNNING"
        assert [one["id"] for one in lone.tasks(scheduler.id)] == [task["task_id"]["value"]]
        scheduler.told("KILL", task_id=task["task_id"])
        scheduler.status(task, "TASK_KILLED")
    finally:
        lone.own.start("mesos-master", machine)
    until(lambda: lone.request("GET", f"{before}/health", auth=None).status_code == 200)
    until(lambda: len([n for n in zk.get_children("/mesos") if n.startswith("json.info_")]) == len(lone.masters()))


@holds("mesos/docs/reconciliation.md#when-to-reconcile", "mesos/docs/agent-recovery.md#agent-recovery")
def test_what_ended_meanwhile_is_told_after_the_failover(lone: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running("while [ ! -e go ]; do sleep 0.02; done; exit 4")
    agent = next(one for one in lone.agents() if one["id"] == task["agent_id"]["value"])
    state = lone.agent(agent, "/state").json()
    folder = next(one for one in state["frameworks"] if one["id"] == scheduler.id)["executors"][0]["directory"]
    before = lone.leader
    machine = _machine(lone, before)
    lone.own.stop("mesos-master", machine)
    try:
        with open(f"{folder}/go", "w"):
            pass
        until(lambda: lone.leader != before)
        scheduler.subscribe()
        status = scheduler.status(task, "TASK_FAILED")
        assert status["message"] == "Command exited with status 4"
    finally:
        lone.own.start("mesos-master", machine)


@holds(f"{PAGE}#component-disconnection-handling", "mesos/docs/endpoints/master/state.md#description")
def test_without_a_leader_they_say_so(lone: MesosCluster, scheduler: Scheduler) -> None:
    """No quorum of ZooKeeper, no leader; tasks run on, and all is as before when it is back."""
    task = scheduler.running("exec sleep 1000")
    masters = lone.masters()
    stopped = [machine.name for machine in lone.own.machines if machine.role == "master"][1:]
    for machine in stopped:
        lone.own.stop("zookeeper", machine)
    try:

        def unavailable() -> bool:
            codes = set()
            for one in masters:
                try:
                    codes.add(lone.request("GET", f"{one.url}/state").status_code)
                except requests.ConnectionError:
                    codes.add(0)  # it is being started again
            return 503 in codes and not codes - {503, 0}

        until(unavailable, 60.0, "no master leads")
        one = next(place for place in masters if _answers(lone, place))
        answer = lone.request("POST", f"{one.url}/api/v1", json={"type": "GET_HEALTH"})
        assert answer.status_code == 503
        assert "No leader elected" in answer.text
    finally:
        for machine in stopped:
            lone.own.start("zookeeper", machine)
    until(lambda: len(lone.agents()) == 3, 60.0, "all agents are back")
    scheduler.subscribe()
    scheduler.told("RECONCILE", tasks=[])
    assert scheduler.status(task)["state"] == "TASK_RUNNING"


def _answers(cluster: MesosCluster, place: Place) -> bool:
    try:
        return cluster.request("GET", f"{place.url}/health", auth=None).status_code == 200
    except requests.ConnectionError:
        return False


@holds(DETECTION)
def test_the_words_are_json(lone: MesosCluster) -> None:
    assert lone.show("/state")["pid"]
    assert lone.operator("GET_MASTER").headers["Content-Type"] == JSON

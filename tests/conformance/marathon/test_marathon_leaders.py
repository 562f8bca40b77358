"""Two Marathons: one leads, the other passes requests on, takes over, and finds all as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from kazoo.client import KazooClient
from support.documents import holds
from support.marathon_cluster import Marathon
from support.mesos_cluster import MesosCluster, Place
from support.until import until

Json = dict[str, Any]

PAGE = "marathon/docs/docs/high-availability.md"
LEADER = "marathon/docs/docs/rest-api/public/api/v2/leader.raml"


@pytest.fixture
def marathon(lone: MesosCluster) -> Iterator[Marathon]:
    assert lone.own
    one = Marathon(lone, f"/{lone.name()}")
    yield one
    until(lambda: _leader(lone))
    one.clear()


def _places(cluster: MesosCluster) -> list[Place]:
    """Both Marathons."""
    hosts = [m.address for m in cluster.own.machines if m.role == "master"][:2]
    return [Place(cluster.marathon.url.replace(cluster.marathon.host, host)) for host in hosts]


def _ask(cluster: MesosCluster, place: Place, path: str, method: str = "GET", **rest: Any) -> requests.Response:
    return cluster.request(method, place.url + path, auth=cluster.marathon.auth, **rest)


def _leader(cluster: MesosCluster) -> str | None:
    """Who leads, as everybody who answers says."""
    told = set()
    for place in _places(cluster):
        try:
            answer = _ask(cluster, place, "/v2/leader")
        except requests.ConnectionError:
            continue
        if answer.status_code != 200:
            return None
        told.add(answer.json()["leader"])
    return told.pop() if len(told) == 1 else None


def _other(cluster: MesosCluster) -> Place:
    leader = until(lambda: _leader(cluster))
    return next(place for place in _places(cluster) if place.url != f"http://{leader}")


@holds(f"{LEADER}#get", f"{PAGE}#introduction")
def test_everybody_knows_the_leader(lone: MesosCluster) -> None:
    leader = until(lambda: _leader(lone))
    assert lone.marathon.auth is not None  # what Marathon keeps in ZooKeeper is not everybody's to read
    zk = KazooClient(lone.own.env["ZOOKEEPER"], auth_data=[("digest", ":".join(lone.marathon.auth))])
    zk.start(timeout=30)
    try:
        members = sorted(zk.get_children("/marathon/leader"), key=lambda name: name[-10:])
        assert len(members) == 2
        data, stat = zk.get(f"/marathon/leader/{members[0]}")
        assert data.decode().rpartition("//")[2] == leader
        assert stat.ephemeralOwner
    finally:
        zk.stop()
        zk.close()


@holds(f"{PAGE}#proxying")
def test_who_does_not_lead_passes_requests_on(lone: MesosCluster, marathon: Marathon) -> None:
    other = _other(lone)
    body = marathon.body()
    marathon.used = True
    answer = _ask(lone, other, "/v2/apps", "POST", json=body)
    assert answer.status_code == 201
    assert answer.headers["X-Marathon-Leader"] == f"http://{_leader(lone)}"
    marathon.deployed(answer)
    assert _ask(lone, other, f"/v2/apps{marathon.id()}").json()["app"]["tasksRunning"] == 1
    assert _ask(lone, other, "/v2/apps/none").status_code == 404
    assert _ask(lone, other, "/ping").text == "pong"


@holds(f"{PAGE}#proxying")
def test_nobody_passes_on_in_circles(lone: MesosCluster) -> None:
    other = _other(lone)
    via = f"1.1 {other.host}:{other.port}"
    answer = _ask(lone, other, "/v2/info", headers={"X-Marathon-Via": via})
    assert answer.status_code == 502
    assert answer.json()["message"] == "Detected proxying loop"


@holds(f"{PAGE}#proxying", "marathon/docs/docs/event-bus.md#subscription-to-events-via-the-event-stream")
def test_events_come_from_the_leader(lone: MesosCluster) -> None:
    answer = _ask(lone, _other(lone), "/v2/events?event_type=x", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://{_leader(lone)}/v2/events?event_type=x"


@holds(f"{LEADER}#delete")
def test_a_leader_that_abdicates(lone: MesosCluster, marathon: Marathon) -> None:
    task = marathon.create()["tasks"][0]
    before = until(lambda: _leader(lone))
    framework = marathon.get("/v2/info")["frameworkId"]
    with marathon.events() as events:
        answer = marathon.call("DELETE", "/v2/leader")
        assert answer.json() == {"message": "Leadership abdicated"}
        assert events.ended.wait(20), "its event stream ends"
    after = until(lambda: (now := _leader(lone)) and now != before and now)
    assert after
    until(lambda: marathon.get("/v2/info").get("frameworkId") == framework)
    assert [one["id"] for one in until(marathon.tasks) or []] == [task["id"]]
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"instances": 2})
    assert task["id"] in [one["id"] for one in marathon.running(2)]


@holds(f"{PAGE}#introduction", "marathon/docs/docs/framework-id.md#framework-id-registration")
def test_the_other_one_takes_over(lone: MesosCluster, marathon: Marathon) -> None:
    """The leader's process ends while a deployment is under way: the deployment goes on."""
    marathon.create("done")
    waiting = marathon.body("waits", constraints=[["rack", "CLUSTER", "none"]])
    id = marathon.call("POST", "/v2/apps", waiting).headers["Marathon-Deployment-Id"]
    before = marathon.tasks("done")[0]["id"]
    leader = until(lambda: _leader(lone)) or ""
    machine = next(m.name for m in lone.own.machines if m.address == leader.partition(":")[0])
    marathon.url = _other(lone).url
    lone.own.stop("marathon", machine)
    try:
        until(lambda: (now := _leader(lone)) and now != leader, 40.0)
        until(lambda: marathon.call("GET", "/v2/info").status_code == 200)
        assert [one["id"] for one in marathon.deployments()] == [id]
        until(lambda: [task["id"] for task in marathon.tasks("done")] == [before])
        answer = marathon.call("PUT", f"/v2/apps{marathon.id('waits')}", {"constraints": []}, params={"force": "true"})
        marathon.deployed(answer)
        assert marathon.app("waits")["tasksRunning"] == 1
    finally:
        lone.own.start("marathon", machine)
    until(lambda: _leader(lone))


@holds(f"{PAGE}#proxying")
def test_without_a_leader(lone: MesosCluster) -> None:
    """No quorum in ZooKeeper: nobody leads, and all that can be said is that."""
    stopped = [machine.name for machine in lone.own.machines if machine.role == "master"][1:]
    for machine in stopped:
        lone.own.stop("zookeeper", machine)

    def unavailable() -> bool:
        answer = _ask(lone, _places(lone)[0], "/v2/apps")
        return answer.status_code == 503 and answer.json() == {"message": "Could not determine the current leader"}

    try:
        until(unavailable, 40.0)
        assert _ask(lone, _places(lone)[0], "/ping").text == "pong"
    finally:
        for machine in stopped:
            lone.own.start("zookeeper", machine)
    until(lambda: _leader(lone), 60.0)

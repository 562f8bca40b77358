"""The v1 operator API of the masters, and its event stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import JSON, MesosCluster, Place, Scheduler, Stream, framework_info
from support.until import until

Json = dict[str, Any]

PAGE = "mesos/docs/operator-http-api.md"


def _told(cluster: MesosCluster, kind: str, **part: Any) -> Json:
    answer = cluster.operator(kind, **part)
    assert answer.status_code == 200, f"{kind}: {answer.status_code} {answer.text}"
    body: Json = answer.json()
    assert body["type"] == kind
    found: Json = body[kind.lower()]
    return found


@pytest.fixture
def stream(cluster: MesosCluster) -> Iterator[Stream]:
    place = Place(cluster.leader)
    place.auth = cluster.mesos.auth
    one = Stream(place, "/api/v1", {"type": "SUBSCRIBE"})
    yield one
    one.close()


@holds(f"{PAGE}#get_health", f"{PAGE}#get_version", f"{PAGE}#get_logging_level")
def test_health_version_and_level(cluster: MesosCluster) -> None:
    assert _told(cluster, "GET_HEALTH") == {"healthy": True}
    assert _told(cluster, "GET_VERSION")["version_info"]["version"].startswith("1.")
    assert _told(cluster, "GET_LOGGING_LEVEL") == {"level": 0}


@holds(f"{PAGE}#get_flags")
def test_flags(cluster: MesosCluster) -> None:
    flags = {one["name"]: one.get("value") for one in _told(cluster, "GET_FLAGS")["flags"]}
    assert flags["port"] == "5050"
    assert flags["zk"].startswith("zk://")


@holds(f"{PAGE}#get_metrics", "mesos/docs/monitoring.md#master-nodes")
def test_metrics(cluster: MesosCluster) -> None:
    metrics = {
        one["name"]: one["value"]
        for one in _told(cluster, "GET_METRICS", timeout={"nanoseconds": 5000000000})["metrics"]
    }
    assert metrics["master/elected"] == 1
    assert metrics["master/slaves_active"] == len(cluster.agents())
    assert {"master/cpus_total", "master/tasks_running", "master/uptime_secs"} <= set(metrics)


@holds(f"{PAGE}#get_state")
def test_state_is_all_of_it(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    state = _told(cluster, "GET_STATE")
    assert {"get_tasks", "get_executors", "get_frameworks", "get_agents"} <= set(state)
    tasks = [one["task_id"] for one in state["get_tasks"]["tasks"]]
    assert task["task_id"] in tasks


@holds(f"{PAGE}#get_agents")
def test_agents(cluster: MesosCluster) -> None:
    agents = _told(cluster, "GET_AGENTS")["agents"]
    assert len(agents) == len(cluster.agents())
    for agent in agents:
        assert agent["active"] is True
        assert agent["agent_info"]["id"]["value"]
        assert agent["pid"].startswith("slave(1)@")
        assert agent["registered_time"]["nanoseconds"] > 0
        assert {one["name"] for one in agent["total_resources"]} >= {"cpus", "mem"}


@holds(f"{PAGE}#get_frameworks")
def test_frameworks(cluster: MesosCluster, scheduler: Scheduler) -> None:
    found = _told(cluster, "GET_FRAMEWORKS")["frameworks"]
    mine = next(one for one in found if one["framework_info"]["id"]["value"] == scheduler.id)
    assert (mine["active"], mine["connected"]) == (True, True)
    assert mine["framework_info"]["name"] == "conformance"


@holds(f"{PAGE}#get_tasks", f"{PAGE}#get_executors", f"{PAGE}#get_operations")
def test_tasks(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    found = _told(cluster, "GET_TASKS")
    mine = next(one for one in found["tasks"] if one["task_id"] == task["task_id"])
    assert (mine["state"], mine["agent_id"], mine["framework_id"]) == (
        "TASK_RUNNING", task["agent_id"], {"value": scheduler.id},
    )  # fmt: skip
    scheduler.told("KILL", task_id=task["task_id"])
    scheduler.status(task, "TASK_KILLED")
    until(lambda: task["task_id"] in [one["task_id"] for one in _told(cluster, "GET_TASKS")["completed_tasks"]])
    _told(cluster, "GET_EXECUTORS")
    assert not _told(cluster, "GET_OPERATIONS").get("operations")


@holds(f"{PAGE}#get_roles")
def test_roles(cluster: MesosCluster, scheduler: Scheduler) -> None:
    roles = {one["name"]: one for one in _told(cluster, "GET_ROLES")["roles"]}
    assert roles["*"]["weight"] == 1.0
    assert {"value": scheduler.id} in roles["*"]["frameworks"]


@holds(f"{PAGE}#get_weights", f"{PAGE}#update_weights")
def test_weights(cluster: MesosCluster) -> None:
    answer = cluster.operator("UPDATE_WEIGHTS", weight_infos=[{"role": "conf-w", "weight": 3.0}])
    assert answer.status_code == 200, answer.text
    assert {"role": "conf-w", "weight": 3.0} in _told(cluster, "GET_WEIGHTS")["weight_infos"]
    assert cluster.operator("UPDATE_WEIGHTS", weight_infos=[{"role": "conf-w", "weight": 0.0}]).status_code == 400


@holds(f"{PAGE}#get_master")
def test_the_master(cluster: MesosCluster) -> None:
    found = _told(cluster, "GET_MASTER")
    info = found["master_info"]
    assert f"{info['address']['ip']}:{info['port']}" in cluster.leader
    assert found["elected_time"] >= found["start_time"] > 0


@holds(f"{PAGE}#get_maintenance_status", f"{PAGE}#get_maintenance_schedule", f"{PAGE}#get_quota")
@pytest.mark.parametrize("kind", ["GET_MAINTENANCE_STATUS", "GET_MAINTENANCE_SCHEDULE", "GET_QUOTA"])
def test_what_is_empty(cluster: MesosCluster, kind: str) -> None:
    assert _told(cluster, kind) is not None


@holds(f"{PAGE}#list_files", f"{PAGE}#read_file")
@pytest.mark.parametrize("kind", ["LIST_FILES", "READ_FILE"])
def test_a_file_that_there_is_not(cluster: MesosCluster, kind: str) -> None:
    part: Json = {"path": "/no/such/file"}
    answer = cluster.operator(kind, **part, **({"offset": 0} if kind == "READ_FILE" else {}))
    assert answer.status_code == 404


@holds("mesos/docs/endpoints/master/teardown.md#description")
def test_teardown_by_the_operator(cluster: MesosCluster, scheduler: Scheduler) -> None:
    task = scheduler.running()
    answer = cluster.operator("TEARDOWN", framework_id={"value": scheduler.id})
    assert answer.status_code == 200, answer.text
    assert scheduler.stream.ended.wait(10)
    until(cluster.idle)
    assert task["task_id"]["value"] not in [
        one["id"] for one in cluster.show("/tasks")["tasks"] if one["state"] == "TASK_RUNNING"
    ]
    assert cluster.operator("TEARDOWN", framework_id={"value": "none"}).status_code == 400


@holds(f"{PAGE}#deactivate_agent", f"{PAGE}#reactivate_agent")
def test_an_agent_that_takes_no_more(cluster: MesosCluster, scheduler: Scheduler) -> None:
    agent = {"value": cluster.agents()[0]["id"]}
    try:
        assert cluster.operator("DEACTIVATE_AGENT", agent_id=agent).status_code == 200
        shown = next(one for one in cluster.agents() if one["id"] == agent["value"])
        assert shown["deactivated"] is True
        scheduler.told("DECLINE", offer_ids=[], filters={"refuse_seconds": 0.0})
    finally:
        assert cluster.operator("REACTIVATE_AGENT", agent_id=agent).status_code == 200
    assert scheduler.offer(lambda one: one["agent_id"] == agent)


# -- refusals


@holds(f"{PAGE}#overview", "mesos/include/mesos/v1/master/master.proto#Call")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{}", "Expecting 'type' to be present"),
        ('{"type": "GET_NONSENSE"}', "type"),
        ('{"type": ', "Failed to parse body into JSON"),
        ("[]", "JSON"),
        ('{"type": "GET_METRICS"}', "Expecting 'get_metrics' to be present"),
        ('{"type": "TEARDOWN"}', "Expecting 'teardown' to be present"),
        ('{"type": "MARK_AGENT_GONE"}', "Expecting 'mark_agent_gone' to be present"),
        ('{"type": "READ_FILE"}', "Expecting 'read_file' to be present"),
        ('{"type": "UPDATE_WEIGHTS"}', "Expecting 'update_weights' to be present"),
    ],
)
def test_calls_that_are_none(cluster: MesosCluster, body: str, words: str) -> None:
    answer = cluster.master("/api/v1", "POST", data=body, headers={"Content-Type": JSON})
    assert answer.status_code == 400
    assert words in answer.text


@holds(f"{PAGE}#overview")
def test_the_way_to_ask(cluster: MesosCluster) -> None:
    assert cluster.master("/api/v1").status_code == 405
    assert cluster.master("/api/v1", "POST", data="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    answer = cluster.master("/api/v1", "POST", json={"type": "GET_HEALTH"}, headers={"Accept": "text/html"})
    assert answer.status_code == 406


# -- the event stream


@holds(f"{PAGE}#subscribed", f"{PAGE}#heartbeat", f"{PAGE}#events")
def test_the_stream_begins_with_all_that_there_is(cluster: MesosCluster, stream: Stream) -> None:
    assert stream.status == 200
    told = stream.event("SUBSCRIBED")["subscribed"]
    assert stream.seen[0]["type"] == "SUBSCRIBED"
    assert told["heartbeat_interval_seconds"] == 15
    assert len(told["get_state"]["get_agents"]["agents"]) == len(cluster.agents())
    stream.event("HEARTBEAT")


@holds(f"{PAGE}#task_added", f"{PAGE}#task_updated")
def test_it_tells_of_tasks(stream: Stream, scheduler: Scheduler) -> None:
    task = scheduler.launch("true")
    added = stream.event("TASK_ADDED", lambda event: event["task_added"]["task"]["task_id"] == task["task_id"])
    assert added["task_added"]["task"]["state"] == "TASK_STAGING"
    scheduler.status(task, "TASK_FINISHED")

    def ended(event: Json) -> bool:
        updated = event["task_updated"]
        return bool(updated["status"]["task_id"] == task["task_id"] and updated["state"] == "TASK_FINISHED")

    updated = stream.event("TASK_UPDATED", ended)["task_updated"]
    assert updated["framework_id"] == {"value": scheduler.id}


@holds(f"{PAGE}#framework_added", f"{PAGE}#framework_updated", f"{PAGE}#framework_removed")
def test_it_tells_of_frameworks(stream: Stream, frameworks: Callable[..., Scheduler]) -> None:
    one = frameworks(name="watched", failover_timeout=3600.0)
    one.subscribe()

    def mine(part: str) -> Callable[[Json], bool]:
        def fits(event: Json) -> bool:
            inner = event[part]
            info = inner["framework"]["framework_info"] if "framework" in inner else inner["framework_info"]
            return bool(info["name"] == "watched")

        return fits

    stream.event("FRAMEWORK_ADDED", mine("framework_added"))
    one.stream.close()
    one.subscribe()
    stream.event("FRAMEWORK_UPDATED", mine("framework_updated"))
    one.told("TEARDOWN")
    stream.event("FRAMEWORK_REMOVED", mine("framework_removed"))


@holds("mesos/docs/operator-http-api.md#overview")
def test_the_name_that_pymesos_calls(cluster: MesosCluster) -> None:
    """pymesos' OperatorDaemonDriver posts to /api/v1; older ones to /api/v1/operator, which a sandbox answers, too."""
    assert cluster.own
    answer = cluster.master("/api/v1/operator", "POST", json={"type": "GET_HEALTH"})
    assert answer.json()["get_health"] == {"healthy": True}


@holds("labkit/embedded/marathon/FIDELITY.md#not-there")
@pytest.mark.parametrize(
    "kind", ["RESERVE_RESOURCES", "CREATE_VOLUMES", "START_MAINTENANCE", "UPDATE_QUOTA", "DRAIN_AGENT"]
)
def test_what_is_not_simulated_says_so(cluster: MesosCluster, kind: str) -> None:
    assert cluster.own
    answer = cluster.operator(kind, agent_id={"value": "x"}, framework_info=framework_info())
    assert answer.status_code == 501
    assert "is not simulated" in answer.text

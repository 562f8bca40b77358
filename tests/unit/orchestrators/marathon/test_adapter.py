"""The adapter as a whole: what it makes of the APIs, what it keeps when they fall silent, and what it asks for."""

from __future__ import annotations

import pytest
from support.until import until

from labkit.errors import ClusterError, UsageError
from labkit.model import NodeState, Snapshot, State, diff
from labkit.orchestrators.marathon import MarathonError

from . import samples
from .conftest import Stage
from .samples import BATCH, MARATHON, web


@pytest.fixture
def seen(stage: Stage) -> Snapshot:
    found = stage.adapter.snapshot()
    assert found.error == ""
    return found


def test_masters_agents_and_the_ensemble(seen: Snapshot) -> None:
    by_name = {node.name: node for node in seen.nodes.values()}
    assert [n for n, node in by_name.items() if node.role == "master"] == ["master-1", "master-2"]
    assert by_name["master-1"].leader
    assert not by_name["master-2"].leader
    assert all(by_name[f"master-{i}"].reachable for i in (1, 2))
    assert by_name["agent-1"].labels["rack"] == "rack-1"
    assert by_name["agent-1"].capacity.cpus == 4
    assert by_name["agent-1"].address == "127.9.0.21"


def test_members_on_machines_of_their_own_are_nodes(seen: Snapshot) -> None:
    # The masters of this stage listen on 127.0.0.1, the members elsewhere.
    assert {n.name: n.store for n in seen.nodes.values() if n.role == "zookeeper"} == {
        "127.9.0.11:2181": "follower",
        "127.9.0.12:2181": "leader",
    }


def test_apps(seen: Snapshot) -> None:
    web_app, db = seen.workloads["/prod/web"], seen.workloads["/prod/db"]
    assert (web_app.name, web_app.kind, web_app.namespace, web_app.desired) == ("prod/web", "app", "/prod", 4)
    assert (web_app.running, web_app.needs) == (1, ("/prod/db",))
    assert web_app.update == "deployment: scaling (step 1 of 2)"
    assert db.update == "deployment: step 1 of 2 is another app's"
    assert db.image == "$ sleep 1000"
    assert seen.workloads[BATCH].kind == "framework"
    assert MARATHON not in seen.workloads


def test_tasks_of_marathon_and_of_others(seen: Snapshot) -> None:
    good, bad = seen.tasks[web(1)], seen.tasks[web(2)]
    assert (good.state, good.workload, good.name, good.node) == (State.RUNNING, "/prod/web", "web.1b2f", "S1")
    assert (bad.state, bad.message) == (State.UNREADY, "503 (3 in a row)")
    assert (seen.tasks["job-1"].workload, seen.tasks["job-1"].name) == (BATCH, "job 1")
    ended = [t for t in seen.tasks.values() if t.state is State.FAILED]
    assert len(ended) == 25
    assert min(t.updated for t in ended) == 15.0  # the newest ones
    assert ended[0].message == "Command exited with status 1"
    assert {t.workload for t in ended} == {"/prod/web"}


def test_what_was_said_of_a_tasks_end_is_kept(stage: Stage) -> None:
    # The masters' /state has no messages: Marathon has that of an app's last failure, its events have the others.
    state = samples.state()
    for ended in state["frameworks"][0]["completed_tasks"]:
        ended["statuses"][0].pop("message")
    last, other = (state["frameworks"][0]["completed_tasks"][n]["id"] for n in (39, 38))
    stage.leader.put("/state", state)
    failure = {"taskId": last, "message": "Address already in use", "state": "TASK_FAILED"}
    web_app, db = samples.APPS["apps"]
    stage.marathon.put("/v2/apps", {"apps": [{**web_app, "lastTaskFailure": failure}, db]})
    now = stage.adapter.snapshot()
    assert (now.tasks[last].message, now.tasks[other].message) == ("Address already in use", "")
    stage.marathon.events = [{"eventType": "status_update_event", "taskId": other, "message": "exited with status 2"}]
    stage.adapter.wait(0.01)
    until(lambda: stage.adapter.snapshot().tasks[other].message == "exited with status 2")


def test_what_waits_says_why(seen: Snapshot) -> None:
    waiting = [t for t in seen.tasks.values() if t.state is State.PENDING]
    assert [t.id for t in waiting] == ["/prod/web#1", "/prod/web#2"]
    assert waiting[0].message == (
        "no offer fits (a constraint is not met (1 of 3 offers); not enough cpus (2 of 2 offers))"
    )


def test_frameworks_and_their_shares(seen: Snapshot) -> None:
    batch, marathon = seen.frameworks[BATCH], seen.frameworks[MARATHON]
    assert (batch.share, batch.resource, batch.weight, batch.held) == (0.25, "cpus", 2.0, 0.5)
    assert batch.offers == ("O1",)
    assert seen.offers["O1"].node == "S3"
    assert (marathon.share, marathon.weight, marathon.workloads) == (0.0833, 1.0, ("/prod/db", "/prod/web"))


def test_who_gets_traffic(seen: Snapshot) -> None:
    port = seen.endpoints["haproxy:prod_web_10000"]
    assert (port.workload, port.port, port.tasks, port.unready) == ("/prod/web", 10000, (web(1),), (web(2),))
    name = seen.endpoints["dns:web-prod.marathon.mesos"]
    assert (name.address, name.workload, name.tasks) == ("web-prod.marathon.mesos", "/prod/web", (web(1),))


def test_nothing_new_is_the_very_same(stage: Stage, seen: Snapshot) -> None:
    again = stage.adapter.snapshot(seen)
    assert not diff(seen, again)
    assert again.tasks is seen.tasks
    assert again.frameworks is seen.frameworks


def test_a_new_offer_touches_nothing_else(stage: Stage, seen: Snapshot) -> None:
    state = samples.state()
    state["frameworks"][1]["offers"] = []
    stage.leader.put("/state", state)
    changes = diff(seen, stage.adapter.snapshot(seen))
    assert changes.offers.removed == {"O1"}
    assert changes.frameworks.changed == {BATCH}
    assert not (changes.tasks)
    assert not (changes.workloads)
    assert not (changes.nodes)


def test_a_lost_agent_stays_in_the_picture_until_it_is_back(stage: Stage, seen: Snapshot) -> None:
    state = samples.state()
    state["slaves"].pop()
    lost = samples.task(web(3), MARATHON, "S3", "TASK_UNREACHABLE")
    state["frameworks"][0]["unreachable_tasks"] = [lost]
    stage.leader.put("/state", state)
    now = stage.adapter.snapshot(seen)
    assert now.nodes["S3"].state is NodeState.DOWN
    assert now.tasks[web(3)].state is State.LOST
    state["slaves"].append(samples.agent(3, id="S9"))  # as a new one, on the old one's machine
    stage.leader.put("/state", state)
    now = stage.adapter.snapshot(now)
    assert {n.name: n.id for n in now.nodes.values() if n.role == "agent"}["agent-3"] == "S9"
    assert "S3" not in now.nodes or now.nodes["S3"].name != "agent-3"


def test_an_unreachable_task_is_wanted_as_long_as_marathon_keeps_it(stage: Stage, seen: Snapshot) -> None:
    state = samples.state()
    lost = [samples.task(web(number), MARATHON, "S3", "TASK_UNREACHABLE") for number in (1, 9)]
    state["frameworks"][0]["tasks"] = []
    state["frameworks"][0]["unreachable_tasks"] = lost
    stage.leader.put("/state", state)
    tasks = stage.adapter.snapshot(seen).tasks
    assert (tasks[web(1)].wanted, tasks[web(1)].in_place) == (True, True)
    assert (tasks[web(9)].wanted, tasks[web(9)].in_place) == (False, False)  # expunged: it is not among Marathon's


def test_an_agent_that_nobody_saw_alive(stage: Stage) -> None:
    state = samples.state()
    state["frameworks"][0]["unreachable_tasks"] = [samples.task(web(3), MARATHON, "abc-S7", "TASK_UNREACHABLE")]
    state["slaves"][2]["active"] = False
    stage.leader.put("/state", state)
    nodes = stage.adapter.snapshot().nodes
    assert (nodes["abc-S7"].name, nodes["abc-S7"].state) == ("S7", NodeState.DOWN)
    assert nodes["S3"].state is NodeState.UNKNOWN


def test_an_agent_lost_before_we_looked_was_on_the_machine_that_is_left(stage: Stage) -> None:
    state = samples.state()
    state["slaves"] = [agent for agent in state["slaves"] if agent["id"] != "S1"]
    state["frameworks"][0]["unreachable_tasks"] = [samples.task(web(1), MARATHON, "S1", "TASK_UNREACHABLE")]
    stage.leader.put("/state", state)
    assert stage.adapter.snapshot().nodes["S1"].name == "agent-1"
    stage.leader.put("/state", samples.state())
    nodes = stage.adapter.snapshot().nodes
    assert [node.name for node in nodes.values()].count("agent-1") == 1


def test_without_a_leader_the_tasks_stay(stage: Stage, seen: Snapshot) -> None:
    stage.leader.close()
    stage.follower.moved_to = ""
    stage.follower.put("/state", "No leader elected", 503)
    stage.follower.put("/roles", "No leader elected", 503)
    stage.members["127.9.0.12:2181"] = "down"
    now = stage.adapter.snapshot(seen)
    assert now.error == "No leader elected; ZooKeeper has no quorum (1 of 2 members serve)"
    assert now.tasks is seen.tasks
    masters = {n.name: n for n in now.nodes.values() if n.role == "master"}
    assert masters["master-1"].state is NodeState.DOWN
    assert not any(n.leader for n in masters.values())


def test_without_marathon_the_rest_goes_on(stage: Stage, seen: Snapshot) -> None:
    stage.marathon.close()
    state = samples.state()
    state["frameworks"][1]["tasks"] = []
    stage.leader.put("/state", state)
    now = stage.adapter.snapshot(seen)
    assert "Marathon at http://127.0.0.1" in now.error
    assert "secret" not in now.error
    assert "job-1" not in now.tasks
    assert "/prod/web" in now.workloads


def test_acting(stage: Stage) -> None:
    put, client = stage.marathon.put, stage.adapter
    for path, method in (
        ("/v2/apps/prod/web", "PUT"), ("/v2/apps/prod/web/restart", "POST"), ("/v2/apps/prod/web", "DELETE"),
        ("/v2/tasks/delete", "POST"),
    ):  # fmt: skip
        put(path, {"deploymentId": "d"}, 200, method)
    put("/v2/apps/prod/web", {"app": samples.APPS["apps"][0]})
    put("/v2/apps", {"id": "/new"}, 201, "POST")
    stage.leader.put("/master/teardown", "", 200, "POST")
    client.scale("prod/web", 3)
    client.suspend("/prod/web")
    client.restart("prod/web")
    client.update("prod/web", "traefik/whoami:v1.10.1")
    client.kill("web.1b2f")
    client.kill_and_scale(web(2))
    assert client.deploy("new", "nginx:1.27", 2, {10001: 80}) == "/new"
    client.remove("prod/web")
    client.remove("batch")
    told = [(one.method, one.path, one.body) for one in stage.marathon.changes()]
    assert told[0] == ("PUT", "/v2/apps/prod/web", {"instances": 3})
    assert told[1][2] == {"instances": 0}
    assert told[3][2]["container"]["docker"]["image"] == "traefik/whoami:v1.10.1"
    assert [one.query for one in stage.marathon.changes() if one.path.endswith("delete")] == [{}, {"scale": ["true"]}]
    assert stage.leader.changes()[0].body == f"frameworkId={BATCH}"


def test_what_it_cannot_do_it_says(stage: Stage) -> None:
    adapter = stage.adapter
    for refused in (adapter.drain, adapter.pause, adapter.activate):
        with pytest.raises(UsageError, match="Mesos does not drain"):
            refused("agent-1")
    with pytest.raises(UsageError, match="decides itself"):
        adapter.scale("batch", 2)
    with pytest.raises(ClusterError, match="only a framework itself"):
        adapter.kill("job 1")
    with pytest.raises(ClusterError, match="has not started"):
        adapter.kill("/prod/web#1")
    with pytest.raises(ClusterError, match="has ended"):
        adapter.kill(next(t.id for t in adapter.snapshot().tasks.values() if t.state is State.FAILED))
    with pytest.raises(ClusterError, match="App '/nope' does not exist"):
        adapter.remove("nope")
    with pytest.raises(MarathonError):
        adapter.scale("/nope", 1)
    for bad in (-1, True, 1.5):
        with pytest.raises(UsageError, match="whole number"):
            adapter.scale("prod/web", bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", ["prod/web", "/prod/web#2"])
def test_why_an_app_waits(stage: Stage, asked: str) -> None:
    why = stage.adapter.why(asked)
    assert (why.node, why.message[:13]) == ("", "no offer fits")
    assert why.place("agent-1").words == "it wants 5 cpus, 3.5 were offered"
    assert why.place("agent-2").words == "constraint rack UNIQUE (this agent has rack=rack-2)"
    assert (why.place("agent-2").verdict, why.place("agent-2").filter) == ("refused", "UnfulfilledConstraint")
    assert why.place("agent-3").words == "it is offered to batch just now"
    assert "agent-1" in str(why)


def test_why_a_task_is_where_it_is(stage: Stage) -> None:
    why = stage.adapter.why(web(1))
    assert (why.node, why.place("agent-1").verdict, why.place("agent-2").verdict) == ("agent-1", "chosen", "not asked")
    assert "batch chose" in stage.adapter.why("job 1").source
    with pytest.raises(ClusterError, match="no task and no app is called 'nothing'"):
        stage.adapter.why("nothing")

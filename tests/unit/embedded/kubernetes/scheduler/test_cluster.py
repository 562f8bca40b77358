"""What the scheduler believes of the cluster, as nodes and pods come and go."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json

from .making import a_cluster, a_node, a_pod, apart, hosts, info, term


def bound(pod: Json, node: str) -> Json:
    return {**pod, "spec": {**pod["spec"], "nodeName": node}}


def test_assumed_confirmed_and_gone() -> None:
    cluster = a_cluster(hosts("a"))
    pod = a_pod("web", cpu="1")
    cluster.assume(info(pod), "a")
    state = cluster.state
    assert cluster.nodes["a"].used == {"cpu": 1000}
    cluster.put_pod(info(bound(pod, "a")))
    assert cluster.state == state  # nothing that a decision depends on has changed
    assert not cluster.assumed
    cluster.forget(("default", "web"))  # too late: it is really there
    assert cluster.pods
    cluster.remove_pod(("default", "web"))
    assert cluster.nodes["a"].used == {"cpu": 0}


def test_a_binding_that_came_to_nothing() -> None:
    cluster = a_cluster(hosts("a"))
    cluster.assume(info(a_pod("web", cpu="1")), "a")
    cluster.forget(("default", "web"))
    assert not cluster.pods
    assert not cluster.nodes["a"].pods


def test_somebody_else_bound_it_elsewhere() -> None:
    cluster = a_cluster(hosts("a", "b"))
    pod = a_pod("web", cpu="1")
    cluster.assume(info(pod), "a")
    cluster.put_pod(info(bound(pod, "b")))
    assert not cluster.nodes["a"].pods
    assert list(cluster.nodes["b"].pods) == [("default", "web")]


def test_pods_may_come_before_their_node_and_stay_after_it() -> None:
    cluster = a_cluster([], [a_pod("web", cpu="1", node="a", affinity=apart(term(app="web")))])
    assert list(cluster.sociable_nodes()) == []
    cluster.put_node(a_node("a"))
    assert cluster.nodes["a"].used == {"cpu": 1000}
    assert [node.name for node in cluster.sociable_nodes()] == ["a"]
    cluster.remove_node("a")
    assert not cluster.nodes
    cluster.put_node(a_node("a", cpu="8"))
    assert cluster.nodes["a"].used == {"cpu": 1000}
    assert cluster.nodes["a"].allocatable["cpu"] == 8000


def test_a_heartbeat_changes_nothing() -> None:
    cluster = a_cluster(hosts("a"))
    state = cluster.state
    node = a_node("a")
    node["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]
    before, after = cluster.put_node(node)
    assert before is after
    assert cluster.state == state


def test_on_the_way_out_it_holds_its_room_but_counts_no_more() -> None:
    pod = a_pod("web", cpu="1", node="a", labels={"app": "web"})
    cluster = a_cluster(hosts("a"), [pod])
    assert sum(cluster.nodes["a"].alive.values()) == 1
    cluster.put_pod(info({**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}))
    assert not cluster.nodes["a"].alive
    assert cluster.nodes["a"].used == {"cpu": 1000}


def test_images_are_counted_over_nodes() -> None:
    cluster = a_cluster([a_node("a", images={"nginx:1": 1}), a_node("b", images={"nginx:1": 1})])
    assert cluster.image_nodes["nginx:1"] == 2
    cluster.put_node(a_node("b"))
    cluster.remove_node("a")
    assert cluster.image_nodes["nginx:1"] == 0

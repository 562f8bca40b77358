"""Where pods go, and why some go nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.kube_cluster import BUSYBOX, WHOAMI, Json, KubeCluster, condition, deployment, going, pod
from support.until import until

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@pytest.fixture
def node(kube: KubeCluster, home: str) -> Iterator[Callable[..., None]]:
    """Labels and taints a worker (by its number), and waits until the scheduler knows it; all is taken away afterwards.

    The scheduler hears of nodes and of pods in ways of their own, so a pod may be there before the taint is that was
    there first. It cannot be asked what it knows: a pod knocks that goes where a new label is, whatever the taints.
    """
    touched: set[int] = set()
    labels: set[str] = {"seen"}

    def change(number: int, *, taints: list[Json] | None = None, cordoned: bool = False, **marks: str) -> None:
        touched.add(number)
        labels.update(marks)
        spec: Json = {"taints": taints, "unschedulable": cordoned or None}
        name = kube.name("knock")
        body = {"metadata": {"labels": {"seen": name, **marks}}, "spec": spec}
        kube.patch(kube.path("nodes", name=kube.workers[number]), body)
        kube.create(home, pod(name, WHOAMI, nodeSelector={"seen": name}, tolerations=[{"operator": "Exists"}]))
        assert scheduled(kube, home, name) == kube.workers[number]
        kube.delete(kube.path("pods", home, name), gracePeriodSeconds=0)

    yield change
    for number in touched:
        body: Json = {"metadata": {"labels": dict.fromkeys(labels)}, "spec": {"taints": None, "unschedulable": None}}
        kube.patch(kube.path("nodes", name=kube.workers[number]), body)


def scheduled(kube: KubeCluster, namespace: str, name: str) -> str:
    """The node that a pod gets."""
    found = kube.object(kube.path("pods", namespace, name), lambda p: p["spec"].get("nodeName"), 30)
    node: str = found["spec"]["nodeName"]
    return node


def pending(kube: KubeCluster, namespace: str, name: str) -> str:
    """Why a pod is left without a node."""
    found = kube.object(
        kube.path("pods", namespace, name), lambda p: condition(p, "PodScheduled").get("status") == "False", 30
    )
    told = condition(found, "PodScheduled")
    assert told["reason"] == "Unschedulable"
    assert found["status"]["phase"] == "Pending"
    message: str = told["message"]
    return message


def test_pods_go_to_workers(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI))
    assert scheduled(kube, home, name) in kube.workers


def test_a_node_selector(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    node(1, disk="fast")
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI, nodeSelector={"disk": "fast"}))
    assert scheduled(kube, home, name) == kube.workers[1]


def test_a_node_selector_that_nobody_fits_until_somebody_does(
    kube: KubeCluster, home: str, node: Callable[..., None], same: Callable[..., None]
) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI, nodeSelector={"disk": name}))
    same(pending(kube, home, name), "no node fits the selector")
    told = until(lambda: dict(kube.events(home, name)).get("FailedScheduling"), 30)
    assert told.startswith("0/3 nodes are available: ")
    node(0, disk=name)
    assert scheduled(kube, home, name) == kube.workers[0]


def test_a_node_name_asks_nobody(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    node(0, taints=[{"key": "lab", "effect": "NoSchedule"}])
    name = kube.name("p")
    found = kube.run(home, pod(name, WHOAMI, nodeName=kube.workers[0]))
    assert found["spec"]["nodeName"] == kube.workers[0]
    assert "Scheduled" not in dict(kube.events(home, name))


@pytest.mark.parametrize(
    ("operator", "values", "which"),
    [("In", ["b", "c"], {1}), ("NotIn", ["a"], {1}), ("Exists", [], {0, 1}), ("Gt", ["5"], set())],
)
def test_a_required_node_affinity(
    kube: KubeCluster, home: str, node: Callable[..., None], operator: str, values: list[str], which: set[int]
) -> None:
    node(0, zone="a")
    node(1, zone="b")
    wanted: list[Json] = [{"key": "zone", "operator": operator, **({"values": values} if values else {})}]
    if operator == "NotIn":
        wanted.append({"key": "zone", "operator": "Exists"})
    name = kube.name("p")
    terms = {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
    kube.create(home, pod(name, WHOAMI, affinity={"nodeAffinity": {REQUIRED: terms}}))
    if which:
        assert scheduled(kube, home, name) in {kube.workers[index] for index in which}
    else:
        assert "node affinity" in pending(kube, home, name)


def test_a_preferred_node_affinity(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    node(1, disk="fast")
    term = {"weight": 100, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}}
    names = [kube.name("p") for _ in range(3)]
    for name in names:
        kube.create(home, pod(name, WHOAMI, affinity={"nodeAffinity": {PREFERRED: [term]}}))
    assert {scheduled(kube, home, name) for name in names} == {kube.workers[1]}


def test_a_taint_and_who_tolerates_it(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    node(0, taints=[{"key": "lab", "value": "x", "effect": "NoSchedule"}], lab="x")
    shy, bold = kube.name("p"), kube.name("p")
    kube.create(home, pod(shy, WHOAMI))
    tolerations = [{"key": "lab", "operator": "Equal", "value": "x", "effect": "NoSchedule"}]
    kube.create(home, pod(bold, WHOAMI, tolerations=tolerations, nodeSelector={"lab": "x"}))
    assert scheduled(kube, home, shy) == kube.workers[1]
    assert scheduled(kube, home, bold) == kube.workers[0]


def test_no_execute_sends_pods_away(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    tolerates = {"key": "lab", "operator": "Exists", "effect": "NoExecute"}
    names: dict[str, list[Json]] = {"goes": [], "stays": [tolerates], "waits": [tolerates | {"tolerationSeconds": 3}]}
    for name, tolerations in names.items():
        body = pod(f"noexec-{name}", WHOAMI, nodeName=kube.workers[0], tolerations=tolerations)
        kube.create(home, body)
    for name in names:
        kube.object(kube.path("pods", home, f"noexec-{name}"), lambda p: p["status"].get("phase") == "Running", 30)
    left, gone = set(names), []
    # Who goes is seen in order: one that asks now and then may miss the three seconds.
    ours = f"app in ({', '.join(f'noexec-{name}' for name in names)})"
    with kube.watch(kube.path("pods", home), labelSelector=ours) as events:
        node(0, taints=[{"key": "lab", "effect": "NoExecute"}])
        while left != {"stays"}:
            kind, found = events.next()
            name = found["metadata"]["labels"]["app"].removeprefix("noexec-")
            if name in left and (kind == "DELETED" or going(found)):
                left.remove(name)
                gone.append(name)
    assert gone == ["goes", "waits"]
    told = ("TaintManagerEviction", f"Marking for deletion Pod {home}/noexec-goes")
    until(lambda: told in kube.events(home, "noexec-goes"), 20)


def test_taints_of_all_nodes_are_told(
    kube: KubeCluster, home: str, node: Callable[..., None], same: Callable[..., None]
) -> None:
    for number in (0, 1):
        node(number, taints=[{"key": "lab", "value": "x", "effect": "NoSchedule"}])
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI))
    same(pending(kube, home, name), "all nodes are tainted")


def test_pods_keep_apart(kube: KubeCluster, ns: str, same: Callable[..., None]) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    body = deployment("web", 3)
    body["spec"]["template"]["spec"]["affinity"] = {"podAntiAffinity": {REQUIRED: [term]}}
    kube.create(ns, body)

    def placed() -> list[Json]:
        pods = kube.pods(ns)
        assert sum(bool(p["spec"].get("nodeName")) for p in pods) == 2 < len(pods), pods
        return pods

    pods = until(placed, 40, "two of three have a node")
    assert sorted(p["spec"].get("nodeName", "") for p in pods) == ["", *sorted(kube.workers)]
    [left] = [p for p in pods if not p["spec"].get("nodeName")]
    same(pending(kube, ns, left["metadata"]["name"]), "pods keep apart")


def test_pods_keep_together(kube: KubeCluster, ns: str) -> None:
    kube.run(ns, pod("first", WHOAMI))
    where = scheduled(kube, ns, "first")
    term = {"labelSelector": {"matchLabels": {"app": "first"}}, "topologyKey": "kubernetes.io/hostname"}
    for name in ("a", "b", "c"):
        kube.create(ns, pod(name, WHOAMI, affinity={"podAffinity": {REQUIRED: [term]}}))
    assert {scheduled(kube, ns, name) for name in ("a", "b", "c")} == {where}


@pytest.mark.parametrize("when", ["DoNotSchedule", "ScheduleAnyway"])
def test_a_topology_spread(kube: KubeCluster, ns: str, when: str) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    # Two are on one node (for long enough for the scheduler); the others have to bring it back into balance.
    for name in ("x", "y"):
        body = pod(name, WHOAMI, nodeName=kube.workers[0])
        body["metadata"]["labels"] = {"app": "web"}
        kube.run(ns, body)
    for name in ("a", "b"):
        body = pod(name, WHOAMI, topologySpreadConstraints=[spread])
        body["metadata"]["labels"] = {"app": "web"}
        # The control plane counts as a place only for those who may go there.
        body["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": kube.workers}]}]}}}  # fmt: skip
        kube.create(ns, body)
        assert scheduled(kube, ns, name) == kube.workers[1]


def test_more_than_any_node_has(kube: KubeCluster, home: str, same: Callable[..., None]) -> None:
    name = kube.name("p")
    body = pod(name, WHOAMI)
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    kube.create(home, body)
    same(pending(kube, home, name), "too little cpu")


def test_what_is_asked_for_is_counted(kube: KubeCluster, ns: str) -> None:
    # Memory that fits once on a node and not twice.
    path = kube.path("nodes", name=kube.workers[0])
    amount = kube.get(path)["status"]["allocatable"]["memory"]
    kib = int(amount.removesuffix("Ki")) if amount.endswith("Ki") else int(amount) // 1024
    body = deployment("big", 3)
    box = body["spec"]["template"]["spec"]["containers"][0]
    box["resources"] = {"requests": {"memory": f"{kib * 6 // 10}Ki"}}
    kube.create(ns, body)

    def nodes() -> list[str]:
        found = kube.pods(ns)
        assert len(found) == 3
        assert any(condition(p, "PodScheduled").get("status") == "False" for p in found)
        assert sum(bool(p["spec"].get("nodeName")) for p in found) == 2  # a place that is found is written later
        return sorted(p["spec"].get("nodeName", "") for p in found)

    assert until(nodes, 30) == ["", *sorted(kube.workers)]
    text = kube.kubectl("describe", "node", kube.workers[0]).out
    assert "Allocated resources:" in text
    # When one goes, the one that waits has its place.
    [waiting] = [p["metadata"]["name"] for p in kube.pods(ns) if not p["spec"].get("nodeName")]
    kube.patch(kube.path("deployments", ns, "big"), {"spec": {"replicas": 2}})
    until(lambda: waiting not in [p["metadata"]["name"] for p in kube.pods(ns)], 20, "who waits goes first")


def test_a_host_port_is_there_once(kube: KubeCluster, ns: str, same: Callable[..., None]) -> None:
    names = ["a", "b", "c"]
    for name in names:
        body = pod(name, WHOAMI)
        body["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 18080}]
        kube.create(ns, body)
    until(lambda: len([p for p in kube.pods(ns) if p["spec"].get("nodeName")]) == 2, 30)
    [left] = [p["metadata"]["name"] for p in kube.pods(ns) if not p["spec"].get("nodeName")]
    same(pending(kube, ns, left), "host ports are taken")


def test_a_host_port_is_open_on_the_node(kube: KubeCluster, home: str) -> None:
    import requests

    name = kube.name("p")
    body = pod(name, WHOAMI)
    body["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 18081}]
    found = kube.run(home, body)
    address = kube.addresses[found["spec"]["nodeName"]]

    def answers() -> bool:
        try:
            return f"Hostname: {name}" in requests.get(f"http://{address}:18081/", timeout=3).text
        except requests.RequestException:
            return False

    until(answers, 20)


def test_a_cordoned_node_gets_nothing_new(kube: KubeCluster, home: str, node: Callable[..., None]) -> None:
    node(0, cordoned=True)
    names = [kube.name("p") for _ in range(3)]
    for name in names:
        kube.create(home, pod(name, WHOAMI))
    assert {scheduled(kube, home, name) for name in names} == {kube.workers[1]}
    assert "SchedulingDisabled" in kube.kubectl("get", "node", kube.workers[0]).out


def test_another_scheduler(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI, schedulerName="by-hand"))
    binding: Json = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": kube.workers[1]},
    }
    path = kube.path("pods", home, name)
    assert not condition(kube.get(path), "PodScheduled")
    answer = kube.raw("POST", f"{path}/binding", json=binding)
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    assert scheduled(kube, home, name) == kube.workers[1]
    status = kube.refusal("POST", f"{path}/binding", json=binding)
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert f"pod {name} is already assigned to node" in status["message"]


# -- priority --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classes(cluster: KubeCluster) -> Iterator[tuple[str, str]]:
    """Two priority classes, a low and a high one."""
    base = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    low, high = cluster.name("low"), cluster.name("high")
    cluster.create("", base | {"metadata": {"name": low}, "value": 10, "preemptionPolicy": "Never"})
    cluster.create("", base | {"metadata": {"name": high}, "value": 1000, "description": "first of all"})
    yield low, high
    for name in (low, high):
        cluster.delete(cluster.path("priorityclasses", name=name))


def test_a_priority_class_gives_a_number(kube: KubeCluster, home: str, classes: tuple[str, str]) -> None:
    low, high = classes
    for name, value, policy in ((low, 10, "Never"), (high, 1000, "PreemptLowerPriority")):
        made = kube.create(home, pod(kube.name("p"), schedulerName="nobody", priorityClassName=name))
        assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (value, policy)


def test_a_priority_class_that_is_none(kube: KubeCluster, home: str) -> None:
    body = pod(kube.name("p"), priorityClassName="nothing")
    status = kube.refusal("POST", kube.path("pods", home), json=body)
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"].endswith("no PriorityClass with name nothing was found")


def test_the_classes_of_the_system(kube: KubeCluster) -> None:
    values = {item["metadata"]["name"]: item["value"] for item in kube.get(kube.path("priorityclasses"))["items"]}
    assert values["system-cluster-critical"] == 2000000000
    assert values["system-node-critical"] == 2000001000


def test_the_important_send_the_others_away(kube: KubeCluster, ns: str, classes: tuple[str, str]) -> None:
    low, high = classes
    amount = kube.get(kube.path("nodes", name=kube.workers[0]))["status"]["allocatable"]["memory"]
    kib = int(amount.removesuffix("Ki")) if amount.endswith("Ki") else int(amount) // 1024
    request = {"requests": {"memory": f"{kib * 6 // 10}Ki"}}

    def make(name: str, of: str) -> Any:
        body = pod(name, BUSYBOX, "sleep", "1000", priorityClassName=of)
        body["spec"]["containers"][0]["resources"] = request
        return kube.create(ns, body)

    for name in ("one", "two"):
        make(name, low)
    for name in ("one", "two"):
        kube.object(kube.path("pods", ns, name), lambda p: p["status"].get("phase") == "Running", 40)
    make("important", high)
    found = kube.object(kube.path("pods", ns, "important"), lambda p: p["spec"].get("nodeName"), 60)
    left = {p["metadata"]["name"]: p["spec"]["nodeName"] for p in kube.pods(ns) if not going(p)}
    assert len(left) == 2
    assert found["metadata"]["name"] in left
    victim = ({"one", "two"} - set(left)).pop()
    told = until(lambda: dict(kube.events(ns, victim)).get("Preempted"), 20)
    assert told.startswith("Preempted by ")
    assert "important" in told or found["metadata"]["uid"] in told


def test_who_may_not_preempt_waits(kube: KubeCluster, ns: str, classes: tuple[str, str]) -> None:
    amount = kube.get(kube.path("nodes", name=kube.workers[0]))["status"]["allocatable"]["memory"]
    kib = int(amount.removesuffix("Ki")) if amount.endswith("Ki") else int(amount) // 1024
    request = {"requests": {"memory": f"{kib * 6 // 10}Ki"}}
    for name in ("one", "two"):
        body = pod(name, BUSYBOX, "sleep", "1000")
        body["spec"]["containers"][0]["resources"] = request
        kube.create(ns, body)
    until(lambda: len([p for p in kube.pods(ns) if p["spec"].get("nodeName")]) == 2, 30)
    body = pod("polite", BUSYBOX, "sleep", "1000", priorityClassName=classes[0])
    body["spec"]["containers"][0]["resources"] = request
    kube.create(ns, body)
    assert "Insufficient memory" in pending(kube, ns, "polite")
    assert len([p for p in kube.pods(ns) if p["spec"].get("nodeName") and not going(p)]) == 2

"""Parts of the control plane that stop: what freezes then, what goes on, and what follows when they start again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from support.kube_cluster import BUSYBOX, WHOAMI, KubeCluster, config_map, deployment, is_ready, pod, service
from support.until import until

pytestmark = pytest.mark.slow


def state(kube: KubeCluster, name: str, machine: str = "") -> str:
    machine = machine or kube.control_plane
    [found] = [c for c in kube.sandbox.components if (c.name, c.machine) == (name, machine)]
    return found.state


def start(kube: KubeCluster, name: str) -> None:
    """Starts it, and waits until its process is there.

    A kubelet that saw it end puts a start off, by five minutes at most (its MaxContainerBackOff). How often a real
    one's parts have ended before, while a slow machine came up, nobody here decides.
    """
    kube.sandbox.start(name)
    until(lambda: state(kube, name) == "running", 310 if kube.engine == "docker" else 30, f"{name} runs")


def static(kube: KubeCluster, name: str) -> str:
    return kube.path("pods", "kube-system", f"{name}-{kube.control_plane}")


@pytest.fixture(scope="module")
def web(cluster: KubeCluster, home: str) -> str:
    """A Deployment behind a Service with a node port, and a pod to ask from; the URL at a worker."""
    cluster.create(home, deployment("web", 2))
    made = cluster.create(home, service("web", type="NodePort"))
    cluster.run(home, pod("client", BUSYBOX, "sh", "-c", "while true; do sleep 1; done"))
    cluster.ready_pods(home, 2, app="web")
    url = f"http://{cluster.addresses[cluster.workers[0]]}:{made['spec']['ports'][0]['nodePort']}/"
    steady(url)
    return url


def steady(url: str) -> None:
    """Waits until kube-proxy has written its rules: pods are ready before, and those that are gone are asked longer."""
    until(lambda: all(answers(url) for _ in range(8)), 60, f"{url} answers each time")


def answers(url: str) -> bool:
    try:
        return "Hostname: web-" in requests.get(url, timeout=10).text
    except requests.RequestException:
        return False


def test_the_parts(kube: KubeCluster) -> None:
    found = {(c.name, c.machine) for c in kube.sandbox.components}
    control = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    machines = [kube.control_plane, *kube.workers]
    assert found == {(name, kube.control_plane) for name in control} | {
        (name, machine) for name in ("kubelet", "kube-proxy") for machine in machines
    }
    # A DaemonSet's pods come a moment after the nodes are ready.
    until(lambda: {c.state for c in kube.sandbox.components} == {"running"}, 30, "all run")


# -- the scheduler ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_scheduler(cluster: KubeCluster, home: str, web: str) -> Iterator[None]:
    cluster.sandbox.stop("kube-scheduler")
    cluster.gone(static(cluster, "kube-scheduler"))
    yield
    start(cluster, "kube-scheduler")
    cluster.object(static(cluster, "kube-scheduler"), is_ready, 90)


def test_without_the_scheduler_pods_are_left_pending(kube: KubeCluster, home: str, no_scheduler: None) -> None:
    assert state(kube, "kube-scheduler") == "stopped"
    kube.create(home, deployment("late", 2))
    until(lambda: len(kube.pods(home, app="late")) == 2, 20, "the controllers go on")
    kube.run(home, pod("placed", WHOAMI, nodeName=kube.workers[0]))  # long enough for a scheduler
    for found in kube.pods(home, app="late"):
        assert "nodeName" not in found["spec"]
        assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        assert kube.events(home, found["metadata"]["name"]) == []


def test_a_pod_is_bound_by_hand(kube: KubeCluster, home: str, no_scheduler: None) -> None:
    kube.create(home, pod("by-hand", WHOAMI))
    target = {"apiVersion": "v1", "kind": "Node", "name": kube.workers[1]}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "by-hand"}, "target": target}
    assert kube.raw("POST", kube.path("pods", home, "by-hand", "binding"), json=body).status_code == 201
    found = kube.object(kube.path("pods", home, "by-hand"), is_ready, 60)
    assert found["spec"]["nodeName"] == kube.workers[1]


def test_the_scheduler_takes_up_what_has_waited(kube: KubeCluster, home: str, no_scheduler: None) -> None:
    start(kube, "kube-scheduler")
    kube.ready_pods(home, 2, timeout=90, app="late")
    kube.object(static(kube, "kube-scheduler"), is_ready, 90)
    assert state(kube, "kube-scheduler") == "running"


# -- the controller-manager ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_controllers(cluster: KubeCluster, home: str, web: str) -> Iterator[None]:
    cluster.sandbox.stop("kube-controller-manager")
    cluster.gone(static(cluster, "kube-controller-manager"))
    yield
    start(cluster, "kube-controller-manager")
    cluster.object(static(cluster, "kube-controller-manager"), is_ready, 90)


def test_without_controllers_nothing_is_replaced(kube: KubeCluster, home: str, no_controllers: None) -> None:
    first, second = kube.ready_pods(home, 2, app="web")
    kube.delete(kube.path("pods", home, first["metadata"]["name"]))
    kube.gone(kube.path("pods", home, first["metadata"]["name"]))
    kube.create(home, deployment("nobody", 1))
    kube.run(home, pod("single", WHOAMI))  # the scheduler and the kubelets go on
    assert [p["metadata"]["name"] for p in kube.pods(home, app="web")] == [second["metadata"]["name"]]
    assert kube.pods(home, app="nobody") == []
    found = kube.get(kube.path("deployments", home, "nobody"))
    assert found["status"] == {}
    # The endpoints still know the one that has gone.
    [subset] = kube.get(kube.path("endpoints", home, "web"))["subsets"]
    assert first["status"]["podIP"] in {a["ip"] for a in subset["addresses"]}


def test_without_controllers_owners_leave_what_they_own(kube: KubeCluster, home: str, no_controllers: None) -> None:
    owner = kube.create(home, config_map("owner"))
    child = config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child["metadata"]["ownerReferences"] = [reference]
    kube.create(home, child)
    kube.delete(kube.path("configmaps", home, "owner"), propagationPolicy="Background")
    assert kube.raw("GET", kube.path("configmaps", home, "owner")).status_code == 404
    assert kube.raw("GET", kube.path("configmaps", home, "child")).status_code == 200


def test_the_controllers_take_up_what_has_waited(kube: KubeCluster, home: str, no_controllers: None) -> None:
    start(kube, "kube-controller-manager")
    kube.ready_pods(home, 2, timeout=90, app="web")
    kube.ready_pods(home, 1, timeout=60, app="nobody")
    kube.gone(kube.path("configmaps", home, "child"), 90)


# -- kube-proxy ------------------------------------------------------------------------------------------------------


def test_without_kube_proxy_the_last_rules_stay(kube: KubeCluster, home: str, web: str) -> None:
    node = kube.workers[0]
    kube.create(home, pod("asker", BUSYBOX, "sleep", "1000", nodeName=node))
    kube.object(kube.path("pods", home, "asker"), is_ready, 60)
    steady(web)
    kube.sandbox.stop("kube-proxy", node)
    try:
        assert state(kube, "kube-proxy", node) == "stopped"
        made = kube.create(home, service("newborn", selector={"app": "web"}))
        address = made["spec"]["clusterIP"]
        assert answers(web)
        assert kube.ask(home, "asker", address, check=False) == ""  # this node does not know it
    finally:
        kube.sandbox.start("kube-proxy", node)
    until(lambda: "Hostname: web-" in kube.ask(home, "asker", address, check=False), 60, every=0.5)
    until(lambda: state(kube, "kube-proxy", node) == "running", 60)


# -- the API server and etcd -----------------------------------------------------------------------------------------


def test_without_the_api_server_what_runs_goes_on(kube: KubeCluster, home: str, web: str) -> None:
    name = "survivor"
    kube.create(home, config_map(name, word="kept"))
    text = "trap 'exit 9' USR1; while true; do sleep 0.2; done"
    kube.run(home, pod("phoenix", BUSYBOX, "sh", "-c", text))
    steady(web)
    before = kube.get(kube.path("pods", home))["metadata"]["resourceVersion"]
    kube.sandbox.stop("kube-apiserver")
    try:

        def refused() -> bool:
            try:
                return kube.raw("GET", "/version", timeout=3).status_code >= 500
            except requests.RequestException:
                return True

        until(refused, 60, "nobody answers")
        assert state(kube, "kube-apiserver") == "stopped"
        assert answers(web)
        done = kube.kubectl("get", "pods", "-n", home, check=False)
        assert done.code == 1
    finally:
        start(kube, "kube-apiserver")
    until(lambda: not _unanswered(kube), 120, "the API server answers again")
    assert kube.get(kube.path("configmaps", home, name))["data"] == {"word": "kept"}
    kube.ready_pods(home, 2, timeout=90, app="web")
    # Who was watching resumes, or is told that it is too late; nobody is left in the dark.
    with kube.watch(kube.path("pods", home), resourceVersion=before, timeoutSeconds=20) as events:
        kube.create(home, pod("newest", schedulerName="nobody"))
        kind, found = events.next()
        while kind != "ERROR" and found["metadata"]["name"] != "newest":
            kind, found = events.next()
    assert kind == "ADDED" or (found["code"], found["reason"]) == (410, "Expired")


def _unanswered(kube: KubeCluster) -> bool:
    try:
        return kube.raw("GET", "/readyz", timeout=3).status_code != 200
    except requests.RequestException:
        return True


def test_a_watch_from_before_anything_that_is_kept(kube: KubeCluster, home: str) -> None:
    # An API server knows what has happened since it started.
    with kube.watch(kube.path("configmaps", home), resourceVersion="1", timeoutSeconds=20) as events:
        kind, status = events.next()
    assert kind == "ERROR"
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


def test_without_etcd_nothing_is_said_or_written(kube: KubeCluster, home: str, web: str) -> None:
    steady(web)
    kube.sandbox.stop("etcd")
    try:

        def fails() -> bool:
            try:
                return kube.raw("GET", kube.path("configmaps", home), timeout=5).status_code >= 500
            except requests.RequestException:
                return True

        until(fails, 60, "nothing can be read")
        try:
            answer = kube.raw("POST", kube.path("configmaps", home), json=config_map("lost"), timeout=10)
            assert answer.status_code >= 500
        except requests.RequestException:
            pass
        assert answers(web)
    finally:
        start(kube, "etcd")
    until(lambda: not _unanswered(kube), 180, "all is well again")

    def read() -> dict[str, int]:
        """What becomes of two questions; right after its start the API server may have no time for one."""
        try:
            paths = {name: kube.path("configmaps", home, name) for name in ("survivor", "lost")}
            codes = {name: kube.raw("GET", path).status_code for name, path in paths.items()}
        except requests.RequestException as error:
            raise AssertionError(error) from None
        assert max(codes.values()) < 500, codes
        return codes

    assert until(read, 60) == {"survivor": 200, "lost": 404}

    def works() -> bool:
        try:
            kube.create(home, deployment(name := kube.name("after"), 1))
            kube.ready_pods(home, 1, timeout=120, app=name)
            return True
        except requests.RequestException:
            return False

    until(works, 120)

"""Probes: readiness keeps traffic away, liveness starts a container anew, startup holds both back."""

from __future__ import annotations

from typing import Any

import pytest
from support.kube_cluster import BUSYBOX, WHOAMI, Json, KubeCluster, condition, is_ready, pod, service
from support.until import until

FAST = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
SHELL = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done")


def probed(name: str, *command: str, image: str = BUSYBOX, **probes: Json) -> Json:
    body = pod(name, image, *command)
    body["spec"]["containers"][0].update({f"{kind}Probe": FAST | probe for kind, probe in probes.items()})
    return body


def runs(*command: str) -> Json:
    return {"exec": {"command": list(command)}}


def restarts(found: Json) -> int:
    return sum(status["restartCount"] for status in found["status"].get("containerStatuses") or ())


def test_a_pod_is_ready_when_its_probe_says_so(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, probed(name, *SHELL, readiness=runs("cat", "/tmp/ready")))
    kube.create(home, service(name))
    path = kube.path("pods", home, name)
    kube.object(path, lambda p: p["status"].get("phase") == "Running", 30)
    told = until(lambda: dict(kube.events(home, name)).get("Unhealthy"), 30)
    assert told.startswith("Readiness probe failed: cat: ")
    found = kube.get(path)
    assert not is_ready(found)
    assert condition(found, "ContainersReady")["reason"] == "ContainersNotReady"

    def endpoints() -> tuple[int, int]:
        subsets = kube.get(kube.path("endpoints", home, name)).get("subsets") or [{}]
        return len(subsets[0].get("addresses", [])), len(subsets[0].get("notReadyAddresses", []))

    until(lambda: endpoints() == (0, 1), 20, "it is an endpoint that is not ready")
    kube.exec(home, name, "touch", "/tmp/ready")
    kube.object(path, is_ready, 20)
    until(lambda: endpoints() == (1, 0), 20, "it is a ready endpoint")
    kube.exec(home, name, "rm", "/tmp/ready")
    kube.object(path, lambda p: not is_ready(p), 20)
    until(lambda: endpoints() == (0, 1), 20, "it is one no more")
    assert restarts(kube.get(path)) == 0


def test_a_container_whose_liveness_fails_starts_anew(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = probed(name, *SHELL, liveness=runs("sh", "-c", "! test -e /tmp/sick"))
    kube.run(home, body)
    kube.exec(home, name, "touch", "/tmp/sick")
    path = kube.path("pods", home, name)
    found = kube.object(path, lambda p: restarts(p) == 1 and is_ready(p), 40)
    [told] = found["status"]["containerStatuses"]
    assert told["lastState"]["terminated"]["exitCode"] in (0, 137)
    assert kube.exec(home, name, "ls", "/tmp").text == ""  # its files are new as well
    messages = until(lambda: (e := dict(kube.events(home, name))).get("Killing") and e, 20)
    assert messages["Killing"] == "Container c failed liveness probe, will be restarted"
    assert messages["Unhealthy"].startswith("Liveness probe failed")


def test_a_startup_probe_holds_the_others_back(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    slow = FAST | {"failureThreshold": 60} | runs("cat", "/tmp/started")
    body = probed(name, *SHELL, startup=slow, liveness=runs("cat", "/tmp/started"), readiness=runs("true"))
    kube.create(home, body)
    path = kube.path("pods", home, name)
    kube.object(path, lambda p: p["status"].get("phase") == "Running", 30)
    until(lambda: "Unhealthy" in dict(kube.events(home, name)), 30)
    found = kube.get(path)
    assert found["status"]["containerStatuses"][0]["started"] is False
    assert not is_ready(found)
    assert restarts(found) == 0
    kube.exec(home, name, "touch", "/tmp/started")
    found = kube.object(path, is_ready, 30)
    assert found["status"]["containerStatuses"][0]["started"] is True
    assert restarts(found) == 0


def test_a_start_that_takes_too_long(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, probed(name, *SHELL, startup=FAST | {"failureThreshold": 2} | runs("false")))
    until(lambda: "Unhealthy" in dict(kube.events(home, name)), 30)
    # 1.20 looks at what a startup probe has found only when it looks at the pod for another reason.
    path = kube.path("pods", home, name)
    until(
        lambda: kube.patch(path, {"metadata": {"annotations": {"look": kube.name()}}}) and restarts(kube.get(path)), 40
    )
    told = until(lambda: dict(kube.events(home, name)).get("Killing"), 30)
    assert told == "Container c failed startup probe, will be restarted"


# what is asked → what it says when it fails; "" when it does not
ASKED: dict[str, tuple[Json, str]] = {
    "http": ({"httpGet": {"path": "/health", "port": 80}}, ""),
    "http-by-name": ({"httpGet": {"path": "/health", "port": "web"}}, ""),
    "tcp": ({"tcpSocket": {"port": 80}}, ""),
    "tcp-by-name": ({"tcpSocket": {"port": "web"}}, ""),
    "http-404": ({"httpGet": {"path": "/no/such/page", "port": 80}}, "HTTP probe failed with statuscode: 404"),
    "http-nowhere": ({"httpGet": {"path": "/", "port": 81}}, "connection refused"),
    "https-in-plain": (
        {"httpGet": {"scheme": "HTTPS", "path": "/", "port": 80}},
        "http: server gave HTTP response to HTTPS client",
    ),
    "https-nowhere": ({"httpGet": {"scheme": "HTTPS", "path": "/", "port": 81}}, "connection refused"),
    "tcp-nowhere": ({"tcpSocket": {"port": 81}}, "connection refused"),
}


@pytest.fixture(scope="module")
def asked(cluster: KubeCluster, home: str) -> str:
    """A pod with a web server for each."""
    # whoami answers on every path; busybox's web server does not.
    files = ("sh", "-c", "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www")
    for name, (probe, _) in ASKED.items():
        body = probed(name, *files, readiness=probe) if "404" in name else probed(name, image=WHOAMI, readiness=probe)
        body["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "name": "web"}]
        cluster.create(home, body)
    return home


@pytest.mark.parametrize("name", ASKED)
def test_what_a_probe_asks(kube: KubeCluster, asked: str, name: str) -> None:
    path, words = kube.path("pods", asked, name), ASKED[name][1]
    if not words:
        kube.object(path, is_ready, 60)
        return
    told: Any = until(lambda: dict(kube.events(asked, name)).get("Unhealthy"), 60)
    assert told.startswith("Readiness probe failed: ")
    assert words in told
    assert not is_ready(kube.get(path))


def test_any_certificate_will_do(kube: KubeCluster, home: str) -> None:
    """The API server's is of the cluster's own authority, which no kubelet is told to trust for probes."""
    [subset] = kube.get(kube.path("endpoints", "default", "kubernetes"))["subsets"]
    place = {"host": subset["addresses"][0]["ip"], "port": subset["ports"][0]["port"], "path": "/healthz"}
    kube.run(home, probed(kube.name("p"), *SHELL, readiness={"httpGet": {"scheme": "HTTPS", **place}}))


def test_a_probe_that_takes_too_long(kube: KubeCluster, home: str) -> None:
    kube.needs((1, 22), "a time limit for exec probes with containerd")
    name = kube.name("p")
    kube.create(home, probed(name, *SHELL, readiness=FAST | {"timeoutSeconds": 1} | runs("sleep", "60")))
    told = until(lambda: dict(kube.events(home, name)).get("Unhealthy"), 30)
    assert "timed out" in told


def test_probes_wait_until_they_may(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, probed(name, *SHELL, readiness=FAST | {"initialDelaySeconds": 300} | runs("true")))
    path = kube.path("pods", home, name)
    found = kube.object(path, lambda p: p["status"].get("phase") == "Running", 30)
    assert not is_ready(found)
    assert condition(found, "Ready")["message"] == "containers with unready status: [c]"


def test_readiness_gates(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, WHOAMI, readinessGates=[{"conditionType": "example.com/open"}]))
    path = kube.path("pods", home, name)
    found = kube.object(path, lambda p: condition(p, "ContainersReady").get("status") == "True", 30)
    told = condition(found, "Ready")
    assert (told["status"], told["reason"]) == ("False", "ReadinessGatesNotReady")
    gate = {"status": {"conditions": [{"type": "example.com/open", "status": "True"}]}}
    kube.patch(f"{path}/status", gate, "strategic")
    kube.object(path, is_ready, 20)

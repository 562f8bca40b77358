"""Probes and hooks."""

from __future__ import annotations

import pytest
from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet.probes import Count, Rule
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions


@pytest.mark.parametrize(
    ("kind", "results", "verdicts"),
    [
        ("liveness", "..x.xxx", [True, True, None, True, None, None, False]),
        ("readiness", "x.xx.xxx", [None, None, None, None, None, None, None, False]),
        ("readiness", "..", [None, True]),
    ],
)
def test_thresholds(kind: str, results: str, verdicts: list[bool | None]) -> None:
    successes = 2 if kind == "readiness" else 1
    rule = Rule.of({f"{kind}Probe": {"exec": {}, "failureThreshold": 3, "successThreshold": successes}}, kind)
    assert rule is not None
    count = Count()
    assert [count.take(rule, result == ".") for result in results] == verdicts


def http(path: str = "/", port: object = 80, **more: object) -> Json:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 5} | more


def ready_since(pod: Json) -> str:
    return next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")["status"]


async def test_readiness_over_http(cluster: Cluster) -> None:
    await cluster.kubelet()
    container = {
        "name": "web", "image": "labkit/slow-starter:1.0", "ports": [{"name": "http", "containerPort": 80}],
        "readinessProbe": http("/health", "http", initialDelaySeconds=2),
    }  # fmt: skip
    await cluster.run(pod_of("web", container), 8)
    assert ready_since(cluster.pod("web")) == "False"
    assert cluster.container("web")["started"] is True
    ip = cluster.status("web")["podIP"]
    words = f'Readiness probe failed: Get "http://{ip}:80/health": dial tcp {ip}:80: connect: connection refused'
    assert ("Unhealthy", words) in cluster.events("web")
    await cluster.clock.advance(12)
    assert ready_since(cluster.pod("web")) == "True"


async def test_what_is_ready_at_once_need_not_wait_for_the_second_probe(cluster: Cluster) -> None:
    await cluster.kubelet()
    container = {"name": "web", "image": "nginx:1.27", "readinessProbe": http(periodSeconds=60)}
    await cluster.run(pod_of("web", container), 1)
    assert ready_since(cluster.pod("web")) == "True"
    assert not [reason for reason, _ in cluster.events("web") if reason == "Unhealthy"]


async def test_liveness_restarts(cluster: Cluster) -> None:
    await cluster.kubelet()
    container = {
        "name": "web", "image": "labkit/unhealthy", "env": [{"name": "UNHEALTHY_AFTER", "value": "20"}],
        "livenessProbe": http("/health", failureThreshold=2),
    }  # fmt: skip
    await cluster.run(pod_of("web", container), 18)
    assert cluster.container("web")["restartCount"] == 0
    await cluster.clock.advance(15)
    events = cluster.events("web")
    assert ("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 503") in events
    assert ("Killing", "Container web failed liveness probe, will be restarted") in events
    assert cluster.container("web")["restartCount"] == 1


async def test_exec_probes(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"exec": {"command": ["cat", "/tmp/healthy"]}, "initialDelaySeconds": 5, "periodSeconds": 5}
    main = shell("touch /tmp/healthy; sleep 30; rm /tmp/healthy; sleep 600", livenessProbe=probe)
    await cluster.run(pod_of("live", main, terminationGracePeriodSeconds=3), 40)
    assert cluster.container("live")["restartCount"] == 0
    await cluster.clock.advance(15)
    words = "Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory\n"
    assert ("Unhealthy", words) in cluster.events("live")
    assert cluster.container("live")["restartCount"] == 1
    assert cluster.container("live")["lastState"]["terminated"]["exitCode"] == 137


async def test_a_startup_probe_holds_the_others_back(cluster: Cluster) -> None:
    await cluster.kubelet()
    container = {
        "name": "web", "image": "labkit/slow-starter:1.0",
        "startupProbe": http("/health", failureThreshold=10), "livenessProbe": http("/health", failureThreshold=1),
    }  # fmt: skip
    await cluster.run(pod_of("web", container), 10)
    assert (cluster.container("web")["started"], cluster.container("web")["ready"]) == (False, False)
    await cluster.clock.advance(15)
    assert (cluster.container("web")["started"], cluster.container("web")["ready"]) == (True, True)
    assert cluster.container("web")["restartCount"] == 0


async def test_a_startup_probe_that_never_succeeds(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"tcpSocket": {"port": 99}, "periodSeconds": 2, "failureThreshold": 3}
    await cluster.run(pod_of("web", {"name": "web", "image": "nginx:1.27", "startupProbe": probe}), 12)
    assert cluster.container("web")["restartCount"] >= 1
    ip = cluster.status("web")["podIP"]
    words = f"Startup probe failed: dial tcp {ip}:99: connect: connection refused"
    assert ("Unhealthy", words) in cluster.events("web")
    assert ("Killing", "Container web failed startup probe, will be restarted") in cluster.events("web")


async def test_a_probe_that_takes_too_long(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"exec": {"command": ["sleep", "5"]}, "timeoutSeconds": 1, "periodSeconds": 3}
    await cluster.run(pod_of("slow", shell("sleep 900", readinessProbe=probe)), 5)
    words = 'Readiness probe failed: command timed out: "sleep 5" timed out after 1s'
    assert ("Unhealthy", words) in cluster.events("slow")


async def test_grpc_is_said_not_to_be_there(cluster: Cluster) -> None:
    await cluster.kubelet()
    probe = {"grpc": {"port": 80}, "periodSeconds": 3}
    await cluster.run(pod_of("web", {"name": "web", "image": "nginx:1.27", "readinessProbe": probe}), 5)
    reasons = [message for reason, message in cluster.events("web") if reason == "Unhealthy"]
    assert reasons == [
        "Readiness probe errored and resulted in unknown state: grpc probes are not simulated by the embedded engine"
    ]


async def test_hooks(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    main = shell("trap 'exit 0' TERM; while true; do sleep 1; done", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    main["lifecycle"] = {
        "postStart": {"exec": {"command": ["sh", "-c", "sleep 3; echo up > /v/note"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 4; echo down >> /v/note"]}},
    }
    pod = pod_of("hook", main, volumes=[{"name": "v", "hostPath": {"path": "/data"}}])
    await cluster.run(pod, 2)
    assert cluster.status("hook")["phase"] == "Pending"  # the hook is part of the start
    await cluster.clock.advance(3)
    assert cluster.status("hook")["phase"] == "Running"
    cluster.registry.delete(kinds.PODS, "default", "hook", DeleteOptions())
    await cluster.clock.advance(3)
    assert not cluster.gone("hook")
    await cluster.clock.advance(3)
    assert cluster.gone("hook")
    assert kubelet.containerd.files["/data/note"] == b"up\ndown\n"


async def test_a_post_start_hook_that_fails(cluster: Cluster) -> None:
    await cluster.kubelet()
    main = shell("sleep 900", lifecycle={"postStart": {"exec": {"command": ["false"]}}})
    await cluster.run(pod_of("hook", main, terminationGracePeriodSeconds=1), 6)
    assert ("FailedPostStartHook", "PostStartHook failed") in cluster.events("hook")
    assert ("Killing", "FailedPostStartHook") in cluster.events("hook")
    assert cluster.container("hook")["restartCount"] >= 1


async def test_a_pre_stop_hook_uses_up_the_grace_period(cluster: Cluster) -> None:
    await cluster.kubelet()
    main = shell("sleep 900", lifecycle={"preStop": {"exec": {"command": ["sleep", "60"]}}})
    await cluster.run(pod_of("hook", main, terminationGracePeriodSeconds=5), 2)
    cluster.registry.delete(kinds.PODS, "default", "hook", DeleteOptions())
    await cluster.clock.advance(6)
    assert not cluster.gone("hook")
    await cluster.clock.advance(2)  # two seconds are always left
    assert cluster.gone("hook")

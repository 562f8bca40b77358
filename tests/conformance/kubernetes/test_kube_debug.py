"""`kubectl debug`: a container beside those of a pod, a copy of a pod, a pod on a node."""

from __future__ import annotations

from typing import Any

import pytest
from support.kube_cluster import BUSYBOX, Json, KubeCluster, is_ready, pod
from support.until import until

PATH = "spec.ephemeralContainers"


@pytest.fixture(autouse=True)
def _new_enough(cluster: KubeCluster) -> None:
    cluster.needs((1, 25), "an ephemeral container for everybody")


@pytest.fixture
def target(kube: KubeCluster, home: str) -> str:
    name = kube.name("p")
    kube.run(
        home,
        pod(name, BUSYBOX, "sh", "-c", "echo here > /tmp/mark; trap 'exit 0' TERM; while true; do sleep 0.2; done"),
    )
    return name


def debug(kube: KubeCluster, home: str, *arguments: str, **options: Any) -> str:
    return kube.kubectl(
        "debug", "-n", home, "--image", BUSYBOX, "--image-pull-policy=IfNotPresent", *arguments, **options
    ).out


def add(kube: KubeCluster, home: str, name: str, **container: Any) -> tuple[int, Json]:
    """What a strategic merge patch with one ephemeral container is answered with."""
    body = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": BUSYBOX, **container}]}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    answer = kube.raw("PATCH", kube.path("pods", home, name, "ephemeralcontainers"), json=body, headers=headers)
    return answer.status_code, answer.json()


def ephemeral(kube: KubeCluster, home: str, name: str, index: int = 0) -> Json:
    statuses = kube.get(kube.path("pods", home, name))["status"].get("ephemeralContainerStatuses") or []
    found: Json = statuses[index]["state"] if len(statuses) > index else {}
    return found


def test_it_is_typed_into_and_its_end_is_told(kube: KubeCluster, home: str, target: str) -> None:
    before = kube.get(kube.path("pods", home, target))["status"]
    said = debug(kube, home, "-i", target, "-c", "debugger", "--", "sh", stdin="hostname; exit 3\n")
    assert target in said.split()
    ended = until(lambda: ephemeral(kube, home, target).get("terminated"), 30)
    assert ended["exitCode"] == 3
    after = kube.get(kube.path("pods", home, target))
    assert is_ready(after)
    assert after["status"]["containerStatuses"] == before["containerStatuses"]
    (status,) = after["status"]["ephemeralContainerStatuses"]
    assert (status["name"], status["ready"], status["restartCount"]) == ("debugger", False, 0)
    assert "started" not in status
    assert kube.logs(home, target, container="debugger").split() == [target]


def test_what_is_told_of_it(kube: KubeCluster, home: str, target: str) -> None:
    debug(kube, home, target, "-c", "debugger", "--", "sleep", "1000")
    until(lambda: "running" in ephemeral(kube, home, target), 30)
    assert kube.kubectl("exec", "-n", home, target, "-c", "debugger", "--", "hostname").text == target
    told = kube.kubectl("describe", "pod", "-n", home, target).out
    assert "Ephemeral Containers:\n  debugger:\n" in told

    def reasons() -> set[str]:
        events = kube.get(kube.path("events", home))["items"]
        paths = [one for one in events if one["involvedObject"]["name"] == target]
        return {one["reason"] for one in paths if one["involvedObject"].get("fieldPath") == f"{PATH}{{debugger}}"}

    until(lambda: {"Pulled", "Created", "Started"} <= reasons(), 30)


def test_the_target_is_seen(kube: KubeCluster, home: str, target: str) -> None:
    name = kube.get(kube.path("pods", home, target))["spec"]["containers"][0]["name"]
    said = debug(
        kube, home, "-i", target, f"--target={name}", "--", "sh", stdin="ps\ncat /proc/1/root/tmp/mark\nexit\n"
    )
    rows = [line.split(maxsplit=3) for line in said.splitlines()]
    assert any(row[0] == "1" and "trap" in row[3] for row in rows if len(row) == 4)
    assert "here" in said.splitlines()
    # whatever ends the target ends its guests
    debug(kube, home, target, f"--target={name}", "--", "sleep", "1000")
    until(lambda: "running" in ephemeral(kube, home, target, 1), 30)
    kube.kubectl("exec", "-n", home, target, "-c", name, "--", "sh", "-c", "kill 1")
    assert until(lambda: ephemeral(kube, home, target, 1).get("terminated"), 30)["exitCode"] == 137


REFUSED: list[tuple[Json, str]] = [
    ({"ports": [{"containerPort": 80}]}, f"{PATH}[0].ports: Forbidden: cannot be set for an Ephemeral Container"),
    (
        {"resources": {"limits": {"cpu": "1"}}},
        f"{PATH}[0].resources: Forbidden: cannot be set for an Ephemeral Container",
    ),
    ({"lifecycle": {}}, f"{PATH}[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container"),
    ({"targetContainerName": "nobody"}, f'{PATH}[0].targetContainerName: Not found: "nobody"'),
]


@pytest.mark.parametrize(("container", "words"), REFUSED, ids=lambda value: next(iter(value)))
def test_what_one_may_not_be(kube: KubeCluster, home: str, target: str, container: Json, words: str) -> None:
    code, status = add(kube, home, target, **container)
    assert (code, status["message"]) == (422, f'Pod "{target}" is invalid: {words}')


def test_it_neither_changes_nor_goes(kube: KubeCluster, home: str, target: str) -> None:
    code, made = add(kube, home, target, command=["sleep", "1000"])
    assert code == 200
    if kube.version >= (1, 34):
        assert made["metadata"]["generation"] == 2
    code, status = add(kube, home, target, command=["sleep", "1"])
    assert code == 422
    assert f'{PATH}: Forbidden: existing ephemeral containers "debugger" may not be changed' in status["message"]
    path = kube.path("pods", home, target, "ephemeralcontainers")
    found = kube.get(path)
    del found["metadata"]["resourceVersion"]  # its kubelet tells of it meanwhile
    answer = kube.raw("PUT", path, json={**found, "spec": {**found["spec"], "ephemeralContainers": []}})
    assert answer.status_code == 422
    words = f'{PATH}: Forbidden: existing ephemeral containers "debugger" may not be removed'
    assert words in answer.json()["message"]


def test_it_does_not_come_with_the_pod(kube: KubeCluster, home: str) -> None:
    body = pod(kube.name("p"), BUSYBOX, "sleep", "1000")
    body["spec"]["ephemeralContainers"] = [{"name": "debugger", "image": BUSYBOX}]
    status = kube.refusal("POST", kube.path("pods", home), json=body)
    assert status["code"] == 422
    assert f"{PATH}: Forbidden: cannot be set on create" in status["message"]


def test_a_copy_of_the_pod(kube: KubeCluster, home: str, target: str) -> None:
    copy = f"{target}-copy"
    debug(kube, home, target, f"--copy-to={copy}", "-c", "debugger", "--", "sleep", "1000")
    found = kube.object(kube.path("pods", home, copy), is_ready, 60)
    assert len(found["spec"]["containers"]) == 2
    assert found["spec"]["shareProcessNamespace"] is True
    assert kube.exec(home, copy, "hostname", container="debugger").out.strip() == copy
    assert "trap" in kube.exec(home, copy, "ps", container="debugger").out


def test_a_pod_on_a_node(kube: KubeCluster, home: str) -> None:
    worker = kube.get("/api/v1/nodes", labelSelector="!node-role.kubernetes.io/control-plane")["items"][0]
    name = worker["metadata"]["name"]
    said = debug(kube, home, "-i", f"node/{name}", "--profile=general", "--", "sh", stdin="hostname\nexit\n")
    assert name in said.split()

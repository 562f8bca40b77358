"""A pod's life: phases and conditions, init containers, several containers on one address, restarts, its end."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.kube_cluster import (
    BUSYBOX,
    WHOAMI,
    WHOAMI_NEXT,
    Events,
    Json,
    KubeCluster,
    condition,
    container,
    is_ready,
    pod,
)
from support.until import until

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FOREVER = ("sh", "-c", "while true; do sleep 1; done")


def script(text: str) -> tuple[str, str, str]:
    return "sh", "-c", text


def statuses(found: Json) -> dict[str, Json]:
    return {status["name"]: status for status in found["status"].get("containerStatuses") or ()}


def ended(events: Events) -> Json:
    """How a pod's only container ended, as soon as a watch tells."""
    while True:
        _, found = events.next()
        for status in found["status"].get("containerStatuses") or ():
            if "terminated" in status["state"]:
                told: Json = status["state"]["terminated"]
                return told


# -- one that runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(cluster: KubeCluster, home: str) -> Json:
    """A pod that has become ready, to look at."""
    return cluster.run(home, pod("web", WHOAMI))


def test_the_status_of_a_pod_that_runs(kube: KubeCluster, running: Json) -> None:
    status = running["status"]
    assert status["phase"] == "Running"
    assert running["spec"]["nodeName"] in kube.workers
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] == kube.addresses[running["spec"]["nodeName"]]
    assert re.fullmatch(MOMENT, status["startTime"])
    [told] = status["containerStatuses"]
    assert told["ready"] is True
    assert told["started"] is True
    assert told["restartCount"] == 0
    assert re.fullmatch(MOMENT, told["state"]["running"]["startedAt"])
    assert told["lastState"] == {}
    assert told["image"].endswith(WHOAMI)
    assert told["containerID"].startswith("containerd://")
    assert told["imageID"]


@pytest.mark.parametrize("kind", ["PodScheduled", "Initialized", "ContainersReady", "Ready"])
def test_the_conditions_of_a_pod_that_runs(running: Json, kind: str) -> None:
    found = condition(running, kind)
    assert found["status"] == "True"
    assert re.fullmatch(MOMENT, found["lastTransitionTime"])
    assert "reason" not in found


def test_the_events_of_a_pod_that_runs(kube: KubeCluster, home: str, running: Json) -> None:
    name = kube.name("p")
    kube.run(home, pod(name, WHOAMI, nodeName=running["spec"]["nodeName"]))  # where the image is by now
    told = until(lambda: len(found := kube.events(home, name)) >= 3 and dict(found), 20, "three events")
    assert set(told) == {"Pulled", "Created", "Started"}
    assert told["Pulled"].startswith(f'Container image "{WHOAMI}" already present on machine')
    assert told["Created"] in ("Created container c", "Container created")
    assert told["Started"] in ("Started container c", "Container started")


def test_the_scheduler_tells_where(kube: KubeCluster, home: str, running: Json) -> None:
    told = until(lambda: dict(kube.events(home, "web")).get("Scheduled"), 20)
    assert told == f"Successfully assigned {home}/web to {running['spec']['nodeName']}"


def test_what_a_pod_is_given_without_asking(kube: KubeCluster, running: Json) -> None:
    spec = running["spec"]
    assert spec["serviceAccountName"] == "default"
    assert spec["priority"] == 0
    assert spec["preemptionPolicy"] == "PreemptLowerPriority"
    assert spec["enableServiceLinks"] is True
    assert spec["tolerations"] == [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
    ]
    [mount] = spec["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["readOnly"] is True


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "10m"}}, "Burstable"),
        ({"limits": {"memory": "32Mi"}}, "Burstable"),
        ({"limits": {"cpu": "10m", "memory": "32Mi"}}, "Guaranteed"),
        ({"limits": {"cpu": "10m", "memory": "32Mi"}, "requests": {"cpu": "5m"}}, "Burstable"),
    ],
    ids=["nothing", "a request", "a limit", "limits of both", "a request below its limit"],
)
def test_quality_of_service(kube: KubeCluster, home: str, resources: Json, expected: str) -> None:
    body = pod(kube.name("q"), schedulerName="nobody")
    body["spec"]["containers"][0]["resources"] = resources
    made = kube.create(home, body)
    assert made["status"]["qosClass"] == expected
    if limits := resources.get("limits"):  # who says how much at most and nothing else asks for that much
        requests = made["spec"]["containers"][0]["resources"]["requests"]
        assert requests == limits | resources.get("requests", {})


# -- several containers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(cluster: KubeCluster, home: str) -> str:
    """A pod with a web server and a shell that share their address and a folder."""
    body = pod("pair", WHOAMI)
    mount = [{"name": "shared", "mountPath": "/shared"}]
    body["spec"]["containers"][0]["volumeMounts"] = mount
    body["spec"]["containers"].append(container("shell", BUSYBOX, *FOREVER, volumeMounts=mount))
    body["spec"]["volumes"] = [{"name": "shared", "emptyDir": {}}]
    cluster.run(home, body)
    return "pair"


def test_containers_of_a_pod_share_localhost(kube: KubeCluster, home: str, pair: str) -> None:
    script = "timeout 5 wget -q -O- http://localhost:80/"
    told = kube.exec(home, pair, "sh", "-c", script, container="shell").out
    assert "Hostname: pair" in told
    address = kube.get(kube.path("pods", home, pair))["status"]["podIP"]
    assert kube.exec(home, pair, "hostname", "-i", container="shell").text == address


def test_containers_of_a_pod_share_a_host_name(kube: KubeCluster, home: str, pair: str) -> None:
    assert kube.exec(home, pair, "hostname", container="shell").text == "pair"


def test_containers_of_a_pod_share_an_empty_dir(kube: KubeCluster, home: str, pair: str) -> None:
    # What one writes the other sees, and neither sees the other's own files.
    kube.exec(home, pair, "sh", "-c", "echo hello > /shared/word; echo own > /tmp/own", container="shell")
    assert kube.exec(home, pair, "cat", "/shared/word", container="shell").text == "hello"
    assert kube.exec(home, pair, "cat", "/tmp/own", container="shell").text == "own"


def test_containers_of_a_pod_share_processes_if_it_says_so(kube: KubeCluster, home: str, pair: str) -> None:
    def seen(pod_name: str) -> dict[str, str]:
        """Process id → command, as a shell beside another container sees them."""
        header, *lines = kube.exec(home, pod_name, "ps", container="shell").out.splitlines()
        at = header.index("COMMAND")
        return {line.split()[0]: line[at:] for line in lines}

    name = kube.name("p")
    body = pod(name, BUSYBOX, "sleep", "5432", shareProcessNamespace=True)
    body["spec"]["containers"].append(container("shell", BUSYBOX, *FOREVER))
    kube.run(home, body)
    found = seen(name)
    assert found["1"] == "/pause"
    [other] = [pid for pid, command in found.items() if command == "sleep 5432"]
    assert "/pause" not in seen(pair).values()
    kube.exec(home, name, "kill", "-9", other, container="shell")

    def killed() -> Json:
        told = statuses(kube.get(kube.path("pods", home, name)))
        assert told["c"]["restartCount"] == 1, told
        return told

    told = until(killed, 30)
    assert told["c"]["lastState"]["terminated"]["exitCode"] == 137
    assert told["shell"]["restartCount"] == 0


def test_two_servers_on_one_port_of_a_pod(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, WHOAMI)
    body["spec"]["containers"].append(container("second", WHOAMI))
    kube.create(home, body)

    def second() -> Json:
        found = statuses(kube.get(kube.path("pods", home, name)))
        assert any("terminated" in c["state"] or c["restartCount"] for c in found.values()), found
        return found

    found = until(second, 30, "one finds the port taken")
    assert sorted(c["ready"] for c in found.values()) != [True, True]


def test_one_that_is_not_ready_keeps_the_pod_from_it(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, WHOAMI)
    body["spec"]["containers"].append(container("later", BUSYBOX, *script("exit 1")))
    kube.create(home, body)
    path = kube.path("pods", home, name)
    found = kube.object(path, lambda p: condition(p, "Ready").get("message") and statuses(p)["c"]["ready"], 30)
    told = condition(found, "Ready")
    assert (told["status"], told["reason"]) == ("False", "ContainersNotReady")
    assert told["message"] == "containers with unready status: [later]"


# -- init containers -------------------------------------------------------------------------------------------------


def test_init_containers_go_first_one_after_another(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    mount = [{"name": "v", "mountPath": "/v"}]
    write = 'sleep 1; date +%s >> /v/times; echo "$0" >> /v/order'
    body = pod(
        name, BUSYBOX, *script("cat /v/order; while true; do sleep 1; done"), volumes=[{"name": "v", "emptyDir": {}}]
    )
    body["spec"]["containers"][0]["volumeMounts"] = mount
    body["spec"]["initContainers"] = [
        container(word, BUSYBOX, "sh", "-c", write, word, volumeMounts=mount) for word in ("one", "two")
    ]
    kube.create(home, body)
    path = kube.path("pods", home, name)
    waiting = kube.object(path, lambda p: p["status"].get("initContainerStatuses"), 30)
    told = condition(waiting, "Initialized")
    assert (told["status"], told["reason"]) == ("False", "ContainersNotInitialized")
    assert told["message"].startswith("containers with incomplete status: [")
    assert statuses(waiting)["c"]["state"] == {"waiting": {"reason": "PodInitializing"}}
    found = kube.object(path, is_ready, 30)
    assert [s["state"]["terminated"]["reason"] for s in found["status"]["initContainerStatuses"]] == ["Completed"] * 2
    assert until(lambda: len(said := kube.logs(home, name).split()) >= 2 and said, 30) == ["one", "two"]


def test_an_init_container_that_fails_is_tried_again(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name)
    body["spec"]["initContainers"] = [container("first", BUSYBOX, "false")]
    kube.create(home, body)
    path = kube.path("pods", home, name)
    found = kube.object(path, lambda p: p["status"].get("initContainerStatuses", [{}])[0].get("restartCount"), 40)
    assert found["status"]["phase"] == "Pending"
    assert "Init:" in kube.kubectl("get", "pod", name, "-n", home).out


def test_an_init_container_that_fails_ends_a_pod_that_never_restarts(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, restartPolicy="Never")
    body["spec"]["initContainers"] = [container("first", BUSYBOX, *script("exit 3"))]
    kube.create(home, body)
    found = kube.ended(home, name, "Failed")
    [first] = found["status"]["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 3
    assert statuses(found)["c"]["state"]["waiting"]["reason"] == "PodInitializing"


# -- ends and restarts -----------------------------------------------------------------------------------------------


ENDS = {("Never", 0): "Succeeded", ("Never", 3): "Failed", ("OnFailure", 0): "Succeeded"}


@pytest.fixture(scope="module")
def ends(cluster: KubeCluster, home: str) -> str:
    """A pod for each way to end."""
    for policy, code in ENDS:
        body = pod(f"{policy.lower()}-{code}", BUSYBOX, *script(f"exit {code}"), restartPolicy=policy)
        cluster.create(home, body)
    return home


@pytest.mark.parametrize(("policy", "code"), ENDS)
def test_the_phase_of_a_pod_that_has_ended(kube: KubeCluster, ends: str, policy: str, code: int) -> None:
    found = kube.ended(ends, f"{policy.lower()}-{code}", ENDS[policy, code])
    [told] = found["status"]["containerStatuses"]
    how = told["state"]["terminated"]
    assert (how["exitCode"], how["reason"]) == (code, "Error" if code else "Completed")
    assert re.fullmatch(MOMENT, how["finishedAt"])
    assert told["restartCount"] == 0
    ready = condition(found, "Ready")
    assert ready["status"] == "False"
    assert code or ready["reason"] == "PodCompleted"


def test_a_container_that_fails_is_started_again_and_then_waits(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, BUSYBOX, *script("echo once; exit 5")))
    path = kube.path("pods", home, name)

    def backs_off(found: Json) -> Any:
        told = statuses(found).get("c", {})
        return told.get("restartCount") and told["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"

    found = kube.object(path, backs_off, 60, "it waits before the next try")
    told = statuses(found)["c"]
    assert told["lastState"]["terminated"]["exitCode"] == 5
    assert re.match(r"back-off \d+s restarting failed container=c pod=" + name, told["state"]["waiting"]["message"])
    assert found["status"]["phase"] == "Running"
    assert "CrashLoopBackOff" in kube.kubectl("get", "pod", name, "-n", home).out
    until(lambda: "BackOff" in dict(kube.events(home, name)), 20)
    assert dict(kube.events(home, name))["BackOff"].startswith("Back-off restarting failed container")


def test_a_container_that_ends_well_is_started_again_too(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, BUSYBOX, *script("sleep 1")))
    found = kube.object(kube.path("pods", home, name), lambda p: statuses(p).get("c", {}).get("restartCount"), 40)
    assert statuses(found)["c"]["lastState"]["terminated"]["reason"] == "Completed"


def test_what_ends_a_container_from_outside(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.run(home, pod(name, BUSYBOX, *script("trap 'exit 9' USR1; while true; do sleep 0.2; done")))
    before = statuses(kube.get(kube.path("pods", home, name)))["c"]["containerID"]
    kube.exec(home, name, "kill", "-USR1", "1", check=False)
    found = kube.object(kube.path("pods", home, name), lambda p: is_ready(p) and statuses(p)["c"]["restartCount"], 40)
    told = statuses(found)["c"]
    assert told["lastState"]["terminated"]["exitCode"] == 9
    assert told["lastState"]["terminated"]["containerID"] == before
    assert told["containerID"] != before


def test_the_message_that_a_container_leaves(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, *script("echo the last word > /dev/termination-log; exit 1"), restartPolicy="Never")
    body["spec"]["containers"].append(
        container(
            "log", BUSYBOX, *script("echo from the log; exit 1"), terminationMessagePolicy="FallbackToLogsOnError"
        )
    )
    kube.create(home, body)
    found = statuses(kube.ended(home, name, "Failed"))
    assert found["c"]["state"]["terminated"]["message"] == "the last word\n"
    assert found["log"]["state"]["terminated"]["message"] == "from the log\n"


def test_a_deadline_ends_a_pod(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, BUSYBOX, *FOREVER, activeDeadlineSeconds=3))
    found = kube.ended(home, name, "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded"
    assert found["status"]["message"] == "Pod was active on the node longer than the specified deadline"


def test_an_image_may_change_in_place(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.run(home, pod(name, WHOAMI))
    path = kube.path("pods", home, name)
    kube.patch(path, {"spec": {"containers": [{"name": "c", "image": WHOAMI_NEXT}]}}, "strategic")
    found = kube.object(path, lambda p: is_ready(p) and statuses(p)["c"]["restartCount"] == 1, 60)
    assert statuses(found)["c"]["image"].endswith(WHOAMI_NEXT)
    until(lambda: "Killing" in dict(kube.events(home, name)), 20)
    assert dict(kube.events(home, name))["Killing"].startswith("Container c definition changed")


# -- images ----------------------------------------------------------------------------------------------------------


def waits(kube: KubeCluster, namespace: str, name: str, reason: str) -> Json:
    """What a pod's container tells while it waits for this reason."""

    def told(found: Json) -> Json:
        waiting: Json = statuses(found).get("c", {}).get("state", {}).get("waiting", {})
        return waiting

    path = kube.path("pods", namespace, name)
    return told(kube.object(path, lambda found: told(found).get("reason") == reason, 60, reason))


def test_an_image_that_is_nowhere(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, "example.invalid/no/such:1"))
    path = kube.path("pods", home, name)

    assert "example.invalid/no/such:1" in waits(kube, home, name, "ErrImagePull")["message"]
    assert waits(kube, home, name, "ImagePullBackOff")["message"].startswith(
        'Back-off pulling image "example.invalid/no/such:1"'
    )
    found = kube.get(path)
    assert found["status"]["phase"] == "Pending"

    def failures() -> list[str]:
        reasons = [message for reason, message in kube.events(home, name) if reason == "Failed"]
        assert "Error: ErrImagePull" in reasons, reasons
        return reasons

    reasons = until(failures, 30, "the events of a pull that fails")
    assert any(message.startswith('Failed to pull image "example.invalid/no/such:1"') for message in reasons)
    assert dict(kube.events(home, name))["Pulling"] == 'Pulling image "example.invalid/no/such:1"'
    # The right image helps at once.
    kube.patch(path, {"spec": {"containers": [{"name": "c", "image": WHOAMI}]}}, "strategic")
    kube.object(path, is_ready, 60)


def test_an_image_that_may_not_be_pulled(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, "example.invalid/no/such:1")
    body["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    kube.create(home, body)
    told = waits(kube, home, name, "ErrImageNeverPull")
    assert told["message"] == 'Container image "example.invalid/no/such:1" is not present with pull policy of Never'


def test_an_image_name_that_is_none(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, "BAD::image"))
    assert waits(kube, home, name, "InvalidImageName")["message"].startswith(
        'Failed to apply default image tag "BAD::image": couldn\'t parse image '
    )


def test_a_command_that_is_not_there(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, BUSYBOX, "/no/such/command", restartPolicy="Never"))
    found = kube.ended(home, name, "Failed")
    ended = statuses(found)["c"]["state"]["terminated"]
    assert ended["reason"] in ("StartError", "ContainerCannotRun")
    assert ended["exitCode"] == 128
    assert "/no/such/command" in ended["message"]


# -- its end ---------------------------------------------------------------------------------------------------------


def test_a_pre_stop_hook_comes_before_the_signal(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    text = "trap 'cat /tmp/said; exit 4' TERM; echo here; while true; do sleep 0.2; done"
    body = pod(name, BUSYBOX, *script(text), terminationGracePeriodSeconds=60)
    hook = {"exec": {"command": ["sh", "-c", "echo goodbye > /tmp/said"]}}
    body["spec"]["containers"][0]["lifecycle"] = {"preStop": hook}
    kube.run(home, body)
    watching = kube.start("logs", "-f", name, "-n", home)
    try:
        assert watching.stdout
        assert watching.stdout.readline() == "here\n"
        with kube.watch(kube.path("pods", home), fieldSelector=f"metadata.name={name}") as events:
            kube.delete(kube.path("pods", home, name))
            assert ended(events)["exitCode"] == 4
        out, _ = watching.communicate(timeout=20)
        assert out.splitlines()[0] == "goodbye"
    finally:
        watching.kill()


def test_a_post_start_hook_comes_before_it_runs(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, *FOREVER)
    hook = {"exec": {"command": ["sh", "-c", "echo welcome > /tmp/said"]}}
    body["spec"]["containers"][0]["lifecycle"] = {"postStart": hook}
    kube.run(home, body)
    assert kube.exec(home, name, "cat", "/tmp/said").text == "welcome"


def test_a_post_start_hook_that_fails(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, *FOREVER)
    body["spec"]["containers"][0]["lifecycle"] = {"postStart": {"exec": {"command": ["false"]}}}
    kube.create(home, body)
    until(lambda: "FailedPostStartHook" in dict(kube.events(home, name)), 40)
    assert not is_ready(kube.get(kube.path("pods", home, name)))


def test_who_does_not_heed_the_signal_is_killed(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.run(home, pod(name, BUSYBOX, *script("trap '' TERM; while true; do sleep 0.2; done")))
    with kube.watch(kube.path("pods", home), fieldSelector=f"metadata.name={name}") as events:
        kube.delete(kube.path("pods", home, name), gracePeriodSeconds=2)
        assert ended(events)["exitCode"] == 137
    until(lambda: "Killing" in dict(kube.events(home, name)), 20)
    assert dict(kube.events(home, name))["Killing"] == "Stopping container c"


# -- static pods -----------------------------------------------------------------------------------------------------


def test_the_control_plane_runs_as_static_pods(kube: KubeCluster) -> None:
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    for name in names:
        # Nodes are ready, and so is the cluster, before the kubelet has asked each of them how it is.
        found = kube.object(kube.path("pods", "kube-system", f"{name}-{kube.control_plane}"), is_ready, 120)
        assert found["metadata"]["labels"] == {"component": name, "tier": "control-plane"}
        assert found["metadata"]["ownerReferences"][0]["kind"] == "Node"
        assert found["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
        assert found["spec"]["priorityClassName"] == "system-node-critical"

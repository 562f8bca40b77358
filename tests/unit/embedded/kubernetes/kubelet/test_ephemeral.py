"""Ephemeral containers: started once beside what runs, whatever state that is in."""

from __future__ import annotations

import copy
from typing import Any

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet import Kubelet
from labkit.embedded.kubernetes.kubelet.nodeapi import LogOptions
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions
from labkit.embedded.runtime.logs import Log


def add(cluster: Cluster, pod: str, *containers: Json) -> None:
    def with_them(obj: Json) -> Json:
        new = copy.deepcopy(obj)
        new["spec"].setdefault("ephemeralContainers", []).extend(containers)
        return new

    cluster.registry.modify(kinds.PODS, "default", pod, with_them, subresource="ephemeralcontainers")


def state(cluster: Cluster, pod: str = "web", index: int = 0) -> Json:
    found: Json = cluster.status(pod)["ephemeralContainerStatuses"][index]["state"]
    return found


def about(cluster: Cluster, container: str) -> list[tuple[str, str]]:
    """The events about an ephemeral container: reason and message."""
    found = [record.obj for record in cluster.registry.list(kinds.EVENTS, "").records]
    found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    path = f"spec.ephemeralContainers{{{container}}}"
    return [(one["reason"], one["message"]) for one in found if one["involvedObject"].get("fieldPath") == path]


async def test_it_starts_beside_the_others(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"))
    before = cluster.container("web")
    add(cluster, "web", shell("echo looking; hostname; sleep 1000", "debugger"))
    await cluster.clock.advance(2)
    (found,) = cluster.status("web")["ephemeralContainerStatuses"]
    assert found["name"] == "debugger"
    assert "running" in found["state"]
    assert (found["ready"], found["restartCount"], "started" in found) == (False, 0, False)
    assert cluster.container("web") == before
    assert cluster.status("web")["observedGeneration"] == 2
    assert [reason for reason, _ in about(cluster, "debugger")] == ["Pulling", "Pulled", "Created", "Started"]
    lines = [line async for line in kubelet.api.logs("default", "web", "debugger", LogOptions())]
    assert lines == [b"looking\n", b"web\n"]


async def test_it_is_not_started_again(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"))
    add(cluster, "web", shell("exit 3", "debugger"))
    await cluster.clock.advance(600)
    assert state(cluster)["terminated"]["exitCode"] == 3
    assert cluster.status("web")["ephemeralContainerStatuses"][0]["restartCount"] == 0
    assert [reason for reason, _ in about(cluster, "debugger")].count("Started") == 1


async def test_the_pod_is_as_ready_and_as_far_as_without_it(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"))
    before = {one["type"]: one["status"] for one in cluster.status("web")["conditions"]}
    add(cluster, "web", shell("exit 3", "debugger"), shell("sleep 1000", "other"))
    await cluster.clock.advance(5)
    assert cluster.status("web")["phase"] == "Running"
    assert {one["type"]: one["status"] for one in cluster.status("web")["conditions"]} == before


async def test_it_comes_to_a_pod_that_does_not_come_up(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", initContainers=[shell("sleep 1000", "first")]))
    add(cluster, "web", shell("sleep 1000", "debugger"))
    await cluster.clock.advance(2)
    assert cluster.status("web")["phase"] == "Pending"
    assert "running" in state(cluster)
    await cluster.run(pod_of("loop", shell("exit 1")), 5)
    add(cluster, "loop", shell("sleep 1000", "debugger"))
    await cluster.clock.advance(120)
    assert cluster.container("loop")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "running" in state(cluster, "loop")


async def test_it_does_not_keep_a_pod_that_is_done(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("job", shell("sleep 5"), restartPolicy="Never"))
    add(cluster, "job", shell("trap 'exit 0' TERM; while true; do sleep 1; done", "debugger"))
    await cluster.clock.advance(2)
    assert "running" in state(cluster, "job")
    await cluster.clock.advance(8)
    assert cluster.status("job")["phase"] == "Succeeded"
    assert state(cluster, "job")["terminated"]["exitCode"] == 0


async def test_it_ends_with_the_pod(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"))
    add(cluster, "web", shell("trap 'exit 0' TERM; while true; do sleep 1; done", "debugger"))
    await cluster.clock.advance(2)
    (sandbox,) = kubelet.containerd.sandboxes.values()
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(5)
    assert cluster.gone("web")
    assert [one.exit_code for one in sandbox.containers if one.name == "debugger"] == [0]
    assert ("Killing", "Stopping container debugger") in about(cluster, "debugger")


async def test_an_image_that_is_not_there_is_tried_again_and_a_command_is_not(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"))
    command: dict[str, Any] = {"command": ["/no/such"]}
    add(cluster, "web", {"name": "no-image", "image": "no/such:1"}, {**shell("", "no-command"), **command})
    await cluster.clock.advance(60)
    assert state(cluster)["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert state(cluster, index=1)["waiting"]["reason"] == "RunContainerError"
    tried = [reason for reason, _ in about(cluster, "no-command")].count("Created")
    await cluster.clock.advance(600)
    assert [reason for reason, _ in about(cluster, "no-command")].count("Created") == tried == 1


async def test_another_kubelet_finds_it_running(cluster: Cluster) -> None:
    kubelet = await cluster.kubelet()
    await cluster.run(pod_of("web"))
    add(cluster, "web", shell("sleep 1000", "debugger"))
    await cluster.clock.advance(2)
    before = cluster.status("web")["ephemeralContainerStatuses"]
    await kubelet.stop()
    await kubelet.start()
    await cluster.clock.advance(5)
    assert cluster.status("web")["ephemeralContainerStatuses"] == before


# -- in the process namespace of another


async def ask(cluster: Cluster, script: str, container: str = "debugger", pod: str = "web") -> str:
    """What a shell in a container says."""
    log = Log(cluster.clock)
    main = cluster.kubelets["worker-1"].api.attach("default", pod, container)
    process = await main.exec(["sh", "-c", script], log=log)
    for _ in range(10):
        await cluster.clock.settle()
    await process.wait()
    return b"".join(line.data for line in log.lines()).decode()


async def targeted(cluster: Cluster, *, pod: Json | None = None, script: str = "sleep 1000") -> Kubelet:
    kubelet = await cluster.kubelet()
    await cluster.run(pod or pod_of("web"), 2)
    add(cluster, "web", shell(script, "debugger", targetContainerName="web"))
    await cluster.clock.advance(2)
    return kubelet


async def test_it_sees_the_processes_of_its_target(cluster: Cluster) -> None:
    await targeted(cluster)
    rows = [line.split(maxsplit=3) for line in (await ask(cluster, "ps")).splitlines()[1:]]
    assert [(row[0], row[3].split()[0]) for row in rows[:2]] == [("1", "nginx"), ("2", "sh")]
    assert "NGINX_VERSION=1.27" in (await ask(cluster, "cat /proc/1/environ")).replace("\0", "\n")
    assert await ask(cluster, "cat /proc/self/comm") == "sh\n"
    other = await ask(cluster, "ps", "web")
    assert "sleep 1000" in other


async def test_it_sees_none_without_a_target(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web"), 2)
    add(cluster, "web", shell("sleep 1000", "debugger"))
    await cluster.clock.advance(2)
    assert "nginx" not in await ask(cluster, "ps")
    assert "No such file" in await ask(cluster, "ls /proc/1/root/usr/share/nginx 2>&1")


async def test_the_files_of_its_target_are_below_proc(cluster: Cluster) -> None:
    await targeted(cluster)
    folder = "/usr/share/nginx/html"
    assert await ask(cluster, f"ls /proc/1/root{folder}") == "50x.html\nindex.html\n"
    assert "etc\n" in await ask(cluster, "ls /proc/1/root")
    seen = await ask(cluster, "cd /proc/1/root/tmp; echo a > a; ln -s a b; chmod 600 b; cat b; ls -l; rm b; ls")
    assert (seen[:2], " b -> a\n" in seen, "-rw-------" in seen, seen[-3:]) == ("a\n", True, True, "\na\n")
    assert await ask(cluster, f"cd /proc/1/root{folder}; echo new > index.html; mkdir d; rm 50x.html; ls; ls d") == (
        "d\nindex.html\n"
    )
    assert await ask(cluster, f"cat {folder}/index.html; ls {folder}", "web") == "new\nd\nindex.html\n"
    assert "No such file" in await ask(cluster, f"cat {folder}/index.html 2>&1")  # it has a root of its own
    assert "No such file" in await ask(cluster, "cat /proc/99/root/etc/passwd 2>&1")


async def test_a_file_system_that_is_read_only_stays_so(cluster: Cluster) -> None:
    context = {"readOnlyRootFilesystem": True}
    await targeted(cluster, pod=pod_of("web", shell("sleep 1000", "web", securityContext=context)))
    assert "Read-only file system" in await ask(cluster, "echo x > /proc/1/root/x 2>&1")
    assert await ask(cluster, "echo x > /x; cat /x") == "x\n"


async def test_its_end_leaves_the_target_alone(cluster: Cluster) -> None:
    await targeted(cluster, script="sleep 1000 & sleep 5; exit 4")
    before = cluster.container("web")
    await cluster.clock.advance(5)
    assert state(cluster)["terminated"]["exitCode"] == 4
    assert cluster.container("web") == before
    assert "sleep" not in await ask(cluster, "ps", "web")


async def test_it_may_end_its_target_and_ends_with_it(cluster: Cluster) -> None:
    kubelet = await targeted(cluster)
    await ask(cluster, "kill -9 1")  # the kernel keeps a namespace's first process from those inside
    assert cluster.container("web")["restartCount"] == 0
    kubelet.api.attach("default", "web", "web").kill(9)
    await cluster.clock.advance(5)
    assert state(cluster)["terminated"]["exitCode"] == 137
    assert cluster.container("web")["restartCount"] == 1


async def test_their_memory_is_counted_apart(cluster: Cluster) -> None:
    kubelet = await targeted(cluster)
    web, guest = (kubelet.api.attach("default", "web", name) for name in ("web", "debugger"))
    used = web.ns.memory
    guest.allocate(1_000_000)
    assert web.ns.memory == used == web.memory
    assert guest.ns.memory == guest.memory


async def test_a_target_that_has_never_run_is_waited_for(cluster: Cluster) -> None:
    await targeted(cluster, pod=pod_of("web", {"name": "web", "image": "no/such:1"}))
    words = "unable to find target container web"
    assert state(cluster)["waiting"] == {"reason": "CreateContainerConfigError", "message": words}
    assert ("Failed", f"Error: {words}") in about(cluster, "debugger")


async def test_a_target_that_has_ended_is_waited_for(cluster: Cluster) -> None:
    await targeted(cluster, pod=pod_of("web", shell("sleep 30; exit 1", "web")))
    kubelet = cluster.kubelets["worker-1"]
    kubelet.api.attach("default", "web", "web").kill(9)
    await cluster.clock.advance(1)
    kubelet.api.attach("default", "web", "web").kill(9)  # from now on it waits for its restart
    await cluster.clock.advance(1)
    add(cluster, "web", shell("sleep 1000", "second", targetContainerName="web"))
    await cluster.clock.advance(1)
    found = state(cluster, index=1)["waiting"]
    assert found["reason"] == "CreateContainerError"
    ended = cluster.container("web")["lastState"]["terminated"]["containerID"].removeprefix("containerd://")
    assert found["message"].endswith(
        f'spec: invalid target container: container "{ended}" is not running - in state CONTAINER_EXITED'
    )
    assert "Created" not in [reason for reason, _ in about(cluster, "second")]
    await cluster.clock.advance(25)
    assert "running" in state(cluster, index=1)


async def test_a_process_that_was_killed_comes_back_with_both(cluster: Cluster) -> None:
    kubelet = await targeted(cluster)
    before = cluster.status("web")
    await kubelet.close()
    cluster.network.drop_pool(cluster.parts.addresses.cidr("worker-1"))
    await cluster.kubelet()
    await cluster.clock.advance(5)
    assert cluster.status("web")["ephemeralContainerStatuses"] == before["ephemeralContainerStatuses"]
    assert "nginx" in await ask(cluster, "ps")


async def test_what_is_mounted_there_is_seen_and_a_removed_file_is_not(cluster: Cluster) -> None:
    mount = [{"name": "v", "mountPath": "/v"}]
    await targeted(
        cluster,
        pod=pod_of(
            "web", shell("echo shared > /v/word; rm /etc/group; sleep 1000", "web", volumeMounts=mount),
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
    )  # fmt: skip
    assert await ask(cluster, "cat /proc/1/root/v/word; ls /proc/1/root/v") == "shared\nword\n"
    assert (
        await ask(cluster, "echo more >> /proc/1/root/v/word; test -e /proc/1/root/etc/group || echo gone") == "gone\n"
    )
    assert await ask(cluster, "cat /v/word", "web") == "shared\nmore\n"

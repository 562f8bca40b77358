"""``shareProcessNamespace``: the containers of a pod see and signal each other's processes."""

from __future__ import annotations

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions

from .test_ephemeral import add, ask, state

NGINX: Json = {"name": "web", "image": "nginx:1.27"}


async def shared(cluster: Cluster, *containers: Json, policy: str = "Always") -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", *containers, shareProcessNamespace=True, restartPolicy=policy), 3)


async def rows(cluster: Cluster, container: str) -> dict[str, str]:
    """The first word of what ``ps`` shows → the process id, the lowest one."""
    lines = [line.split(maxsplit=3) for line in (await ask(cluster, "ps", container)).splitlines()[1:]]
    return {command.split()[0]: pid for pid, _, _, command in reversed(lines)}


async def test_they_see_each_other_and_the_pods_own_first_process(cluster: Cluster) -> None:
    await shared(cluster, NGINX, shell("sleep 1000", "shell"))
    found = await rows(cluster, "shell")
    assert found["/pause"] == "1"
    assert {"nginx", "sh"} <= found.keys()
    assert (await rows(cluster, "web"))["nginx"] == found["nginx"]
    conf = await ask(cluster, f"grep -c listen /proc/{found['nginx']}/root/etc/nginx/conf.d/default.conf", "shell")
    assert int(conf) >= 1


async def test_they_signal_each_other(cluster: Cluster) -> None:
    await shared(cluster, NGINX, shell("sleep 1000", "shell"))
    pid = (await rows(cluster, "shell"))["nginx"]
    await ask(cluster, f"kill {pid}", "shell")
    await cluster.clock.advance(3)
    assert [one["restartCount"] for one in cluster.status("web")["containerStatuses"]] == [1, 0]
    assert (await rows(cluster, "shell"))["nginx"] != pid
    await ask(cluster, "kill 1; kill -9 1", "shell")
    assert "/pause" in await rows(cluster, "shell")


async def test_no_container_is_the_first_process_so_signals_end_it(cluster: Cluster) -> None:
    await shared(cluster, shell("exec sleep 1000", "shell"))
    await ask(cluster, f"kill {(await rows(cluster, 'shell'))['sleep']}", "shell")
    await cluster.clock.advance(1)
    assert cluster.container("web")["lastState"]["terminated"]["exitCode"] == 143


async def test_each_ends_with_its_own_processes(cluster: Cluster) -> None:
    await shared(cluster, NGINX, shell("sleep 1000 & sleep 5; exit 1", "shell"), policy="Never")
    before = cluster.container("web")
    assert "sleep 1000" in await ask(cluster, "ps", "web")
    await cluster.clock.advance(4)
    assert "sleep" not in await ask(cluster, "ps", "web")
    assert cluster.container("web") == before


async def test_ephemeral_containers_are_in_it_with_and_without_a_target(cluster: Cluster) -> None:
    await shared(cluster, NGINX, shell("sleep 1000", "shell"))
    add(cluster, "web", shell("sleep 77", "plain"), shell("sleep 78", "aimed", targetContainerName="web"))
    await cluster.clock.advance(2)
    for name in ("plain", "aimed"):
        said = await ask(cluster, "ps", name)
        assert all(words in said for words in ("/pause", "nginx", "sleep 1000", "sleep 77", "sleep 78"))
    # its target is not the first process of their namespace: the others live on
    cluster.kubelets["worker-1"].api.attach("default", "web", "web").kill(9)
    await cluster.clock.advance(2)
    assert "running" in state(cluster, index=1)


async def test_other_pods_share_nothing(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", NGINX, shell("sleep 1000", "shell")), 3)
    assert (await rows(cluster, "shell"))["sh"] == "1"
    assert "nginx" not in await rows(cluster, "shell")


async def test_the_pod_ends(cluster: Cluster) -> None:
    await shared(cluster, NGINX, shell("sleep 1000", "shell"))
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(3)  # nobody needs to be killed: SIGTERM is enough for who is not the first process
    assert cluster.gone("web")

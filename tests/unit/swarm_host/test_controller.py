"""What becomes of a task's container, and the words that ``docker service ps`` shows for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labkit.embedded.swarm.agent.controller import TaskError
from labkit.embedded.swarm.host.controller import TaskController
from labkit.embedded.swarm.host.host import Host
from labkit.embedded.swarm.objects import Task

from .conftest import World, output, until


def controller(host: Host, number: int = 1, endpoint: dict[str, Any] | None = None, **container: Any) -> TaskController:
    task = Task(
        id=f"task{number}",
        service_id="service",
        service_name="web",
        slot=number,
        node_id="node",
        spec={"ContainerSpec": {"Image": "test/tools:1", **container}},
        endpoint=endpoint or {},
    )
    return host.executor.controller(task)


async def test_it_pulls_creates_starts_and_waits(world: World) -> None:
    host = world.hosts["one"]
    task = controller(host, Args=["sleep", "5"])
    assert task.status() == ("", 0, None, ())
    prepare = asyncio.create_task(task.prepare())
    await until(prepare.done, world.clock, 0.1)
    await prepare
    assert [stored["RepoTags"] for stored in host.images.list(filters_none())] == [["test/tools:1"]]
    container = host.containers.get("web.1.task1")
    assert container.state == "created"
    assert container.managed
    assert container.labels == {
        "com.docker.swarm.node.id": "node",
        "com.docker.swarm.service.id": "service",
        "com.docker.swarm.service.name": "web",
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": "task1",
        "com.docker.swarm.task.name": "web.1.task1",
    }
    await task.prepare()  # a second time: it is there already
    await task.start()
    assert task.status()[:2] == (container.id, container.pid)
    assert task.status()[2] is None
    waiting = asyncio.create_task(task.wait())
    await world.clock.advance(6)
    await waiting
    assert task.status()[2] == 0
    await task.remove()
    assert len(host.containers) == 0


def filters_none() -> Any:
    from labkit.embedded.swarm.api.request import Filters

    return Filters()


async def test_unknown_image(world: World) -> None:
    task = controller(world.hosts["one"], Image="nope:latest")
    with pytest.raises(TaskError) as caught:
        await task.prepare()
    assert str(caught.value) == "No such image: nope:latest"


async def test_bind_mounts_have_no_source(host: Host) -> None:
    task = controller(host, Mounts=[{"Type": "bind", "Source": "/etc", "Target": "/x"}])
    with pytest.raises(TaskError) as caught:
        await task.prepare()
    assert str(caught.value) == 'invalid mount config for type "bind": bind source path does not exist: /etc'


async def test_failing_task(host: Host, world: World) -> None:
    task = controller(host, Args=["leave", "3"])
    await task.prepare()
    await task.start()
    with pytest.raises(TaskError, match=r"^task: non-zero exit \(3\)$") as caught:
        await task.wait()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("how", ["kill", "rm"])
async def test_somebody_kills_it(host: Host, world: World, how: str) -> None:
    task = controller(host)
    await task.prepare()
    await task.start()
    waiting = asyncio.create_task(task.wait())
    await world.clock.settle()
    container = host.containers.get("web.1.task1")
    if how == "kill":
        await host.runner.kill(container, 9)
    else:
        await host.containers.remove(container, force=True)
    with pytest.raises(TaskError, match=r"^task: non-zero exit \(137\)$"):
        await waiting


async def test_secrets_and_configs_have_the_mode_and_owner_that_was_asked_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.executor, "given", lambda cls, identifier: {"Data": "c2VzYW1l"})
    secrets = [
        {"SecretID": "1", "File": {"Name": "word", "UID": "0", "GID": "0", "Mode": 0o444}},
        {"SecretID": "2", "File": {"Name": "key", "UID": "33", "GID": "44", "Mode": 0o400}},
        {"SecretID": "3", "File": {"Name": "plain"}},
    ]
    task = controller(host, Secrets=secrets, Configs=[{"ConfigID": "4", "File": {"Name": "/etc/c", "Mode": 0o640}}])
    await task.prepare()
    files = host.launcher.files(host.containers.get("web.1.task1"))
    paths = ("/run/secrets/word", "/run/secrets/key", "/run/secrets/plain", "/etc/c")
    found = [files.status(path) for path in paths]
    assert [(one.text, one.uid, one.gid) for one in found] == [
        ("-r--r--r--", 0, 0), ("-r--------", 33, 44), ("-r--r--r--", 0, 0), ("-rw-r-----", 0, 0),
    ]  # fmt: skip
    assert {files.read(path) for path in paths} == {b"sesame"}


async def test_unknown_command(host: Host) -> None:
    task = controller(host, Command=["nope"])
    await task.prepare()
    with pytest.raises(TaskError) as caught:
        await task.start()
    assert str(caught.value).startswith("starting container failed: failed to create task for container:")
    assert caught.value.exit_code == 127


def ports(mode: str, published: int) -> dict[str, Any]:
    return {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": published, "PublishMode": mode}]}


async def test_port_in_host_mode(host: Host) -> None:
    first = controller(host, 1, ports("host", 18070))
    second = controller(host, 2, ports("host", 18070))
    for task in (first, second):
        await task.prepare()
    await first.start()
    assert first.status()[3] == (
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 18070, "PublishMode": "host"},
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 18070, "PublishMode": "host"},
    )
    with pytest.raises(TaskError) as caught:
        await second.start()
    assert str(caught.value).startswith(
        "starting container failed: failed to set up container networking: driver failed programming external "
        "connectivity on endpoint web.2.task2 ("
    )
    assert str(caught.value).endswith("): Bind for 0.0.0.0:18070 failed: port is already allocated")


async def test_shutdown_uses_the_grace_period(host: Host, world: World) -> None:
    task = controller(host, Args=["stubborn"], StopGracePeriod=3_000_000_000)
    await task.prepare()
    await task.start()
    await world.clock.settle()
    shutdown = asyncio.create_task(task.shutdown())
    await world.clock.advance(2.9)
    assert not shutdown.done()
    await world.clock.advance(0.2)
    await shutdown
    assert task.status()[2] == 137


HEALTH = {"Test": ["CMD", "check"], "Interval": 1_000_000_000, "Retries": 2}


async def test_start_waits_until_it_is_healthy(host: Host, world: World) -> None:
    task = controller(host, Healthcheck=HEALTH)
    await task.prepare()
    starting = asyncio.create_task(task.start())
    await world.clock.advance(0.9)
    assert not starting.done()
    await world.clock.advance(0.2)
    await starting
    assert host.containers.get("web.1.task1").health_status == "healthy"


async def test_never_healthy(host: Host, world: World) -> None:
    task = controller(host, Healthcheck=HEALTH, Args=["stubborn"], StopGracePeriod=1_000_000_000)
    await task.prepare()
    host.launcher.files(host.containers.get("web.1.task1")).write("/health", b"1")
    starting = asyncio.create_task(task.start())
    await world.clock.advance(2.5)
    assert not starting.done()
    await world.clock.advance(1)
    with pytest.raises(TaskError) as caught:
        await starting
    assert str(caught.value) == "task: non-zero exit (137): dockerexec: unhealthy container"


async def test_no_longer_healthy(host: Host, world: World) -> None:
    task = controller(host, Healthcheck=HEALTH, Args=["stubborn"], StopGracePeriod=1_000_000_000)
    await task.prepare()
    starting = asyncio.create_task(task.start())
    await world.clock.advance(1.5)
    await starting
    waiting = asyncio.create_task(task.wait())
    await world.clock.settle()
    container = host.containers.get("web.1.task1")
    host.launcher.files(container).write("/health", b"1")
    await world.clock.advance(5)
    with pytest.raises(TaskError, match=r"dockerexec: unhealthy container$"):
        await waiting


async def test_templates(host: Host, world: World) -> None:
    task = controller(
        host,
        Args=["env"],
        Env=["WHERE={{.Node.Hostname}}", "SLOT={{.Task.Slot}}", "NAME={{.Service.Name}}-{{.Task.ID}}"],
        Hostname="{{.Service.Name}}-{{.Task.Slot}}",
    )
    await task.prepare()
    await task.start()
    await world.clock.settle()
    lines = output(host.containers.get("web.1.task1")).splitlines()
    assert {"WHERE=one", "SLOT=1", "NAME=web-task1", "HOSTNAME=web-1"} <= set(lines)


async def test_wrong_template(host: Host) -> None:
    task = controller(host, Env=["X={{.Nope.Name}}"])
    with pytest.raises(TaskError, match="expanding env failed"):
        await task.prepare()


async def test_description(host: Host, world: World) -> None:
    described = await host.executor.describe()
    assert described["Hostname"] == "one"
    assert described["Platform"] == {"Architecture": "x86_64", "OS": "linux"}
    assert described["Resources"] == {"NanoCPUs": 4_000_000_000, "MemoryBytes": 8 * 2**30}
    assert described["Engine"]["EngineVersion"] == "28.2.2"
    assert described["Engine"]["Labels"] == {"disk": "ssd"}
    assert {"Type": "Network", "Name": "overlay"} in described["Engine"]["Plugins"]
    assert any(network.name == "docker_gwbridge" for network in host.networks.all())

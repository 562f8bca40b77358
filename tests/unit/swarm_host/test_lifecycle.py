"""Containers from creation to removal, as dockerd has them."""

from __future__ import annotations

import asyncio

import pytest

from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, NotFound
from labkit.embedded.swarm.host.host import Host
from labkit.embedded.swarm.host.inspect import inspect
from labkit.embedded.swarm.host.launching import StartFailed
from labkit.embedded.swarm.host.runner import NotModified

from .conftest import World, actions, ask, filters, make, output, run


async def test_created_running_exited_removed(host: Host, world: World) -> None:
    container = make(host, "leave", "3", name="one")
    assert container.state == "created"
    assert container.status(world.clock.time()) == "Created"
    await host.runner.start(container)
    assert container.state == "running"
    assert container.pid > 0
    assert container.status(world.clock.time()) == "Up Less than a second"
    await world.clock.settle()
    assert (container.state, container.exit_code) == ("exited", 3)
    await world.clock.advance(90)
    assert container.status(world.clock.time()) == "Exited (3) About a minute ago"
    await host.containers.remove(container)
    assert len(host.containers) == 0
    assert actions(host) == ["create", "start", "die", "destroy"]


async def test_names(host: Host) -> None:
    first = make(host, name="web")
    with pytest.raises(Conflict, match=f'The container name "/web" is already in use by container "{first.id}"'):
        make(host, name="/web")
    with pytest.raises(BadRequest, match=r"Invalid container name \(a/b\), only \[a-zA-Z0-9\]"):
        make(host, name="a/b")
    unnamed = make(host)
    assert "_" in unnamed.name
    host.containers.rename("web", "api")
    assert host.containers.get("api") is first
    with pytest.raises(BadRequest, match="Renaming a container with the same name as its current name"):
        host.containers.rename("api", "api")
    with pytest.raises(Conflict, match="Error when allocating new name: Conflict"):
        host.containers.rename("api", unnamed.name)


async def test_finding(host: Host) -> None:
    containers = [make(host) for _ in range(20)]
    assert host.containers.get(containers[0].id[:12]) is containers[0]
    with pytest.raises(NotFound, match="No such container: nope"):
        host.containers.get("nope")
    by_first = {c.id[0] for c in containers}
    shared = next(d for d in by_first if sum(c.id.startswith(d) for c in containers) > 1)
    with pytest.raises(BadRequest, match=f"multiple IDs found with provided prefix: {shared}"):
        host.containers.get(shared)


async def test_start_twice_and_stop_twice(host: Host) -> None:
    container = await run(host)
    with pytest.raises(NotModified):
        await host.runner.start(container)
    await host.runner.stop(container)
    with pytest.raises(NotModified):
        await host.runner.stop(container)
    with pytest.raises(Conflict, match=f"container {container.id} is not running"):
        await host.runner.kill(container, 9)


async def test_stop_waits_for_the_grace_period(host: Host, world: World) -> None:
    container = await run(host, "stubborn")
    stop = asyncio.create_task(host.runner.stop(container, 5))
    await world.clock.advance(4.9)
    assert container.running
    await world.clock.advance(0.2)
    await stop
    assert container.exit_code == 137
    assert output(container) == "no\n"
    assert actions(host)[-4:] == ["kill", "kill", "die", "stop"]


async def test_removing_one_that_runs(host: Host) -> None:
    container = await run(host, name="web")
    with pytest.raises(Conflict, match='cannot remove container "web": container is running: stop the container'):
        await host.containers.remove(container, reference="web")
    host.runner.pause(container)
    with pytest.raises(Conflict, match="container is paused and must be unpaused first"):
        await host.containers.remove(container)
    await host.containers.remove(container, force=True)
    assert len(host.containers) == 0
    assert actions(host)[-3:] == ["kill", "die", "destroy"]


async def test_pause(host: Host, world: World) -> None:
    container = await run(host, "sleep", "10")
    host.runner.pause(container)
    assert container.status(world.clock.time()).endswith("(Paused)")
    with pytest.raises(Conflict, match="is already paused"):
        host.runner.pause(container)
    with pytest.raises(Conflict, match="cannot start a paused container, try unpause instead"):
        await host.runner.start(container)
    await world.clock.advance(20)
    assert container.state == "paused"
    host.runner.unpause(container)
    await world.clock.settle()
    assert container.state == "exited"
    with pytest.raises(ApiError, match=f"Container {container.id} is not paused"):
        host.runner.unpause(container)


async def test_wait_conditions(host: Host, world: World) -> None:
    container = await run(host, "sleep", "1")
    exited, removed = container.wait(), container.wait(removed=True)
    await world.clock.advance(2)
    assert exited.result() == 0
    assert not removed.done()
    await host.containers.remove(container)
    assert removed.result() == 0


async def test_automatic_removal(host: Host, world: World) -> None:
    container = await run(host, "sleep", "1", HostConfig={"AutoRemove": True})
    removed = container.wait(removed=True)
    await world.clock.advance(2)
    assert removed.done()
    assert len(host.containers) == 0


@pytest.mark.parametrize(
    ("policy", "code", "starts"),
    [
        ({"Name": "no"}, 1, 1),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, 1, 4),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, 0, 1),
        ({"Name": "always"}, 0, 6),
        ({"Name": "unless-stopped"}, 1, 6),
    ],
)
async def test_restart_policies(host: Host, world: World, policy: dict[str, object], code: int, starts: int) -> None:
    container = await run(host, "leave", str(code), HostConfig={"RestartPolicy": policy})
    await world.clock.advance(3.2)  # 0.1 + 0.2 + 0.4 + 0.8 + 1.6: the delay doubles
    assert actions(host).count("start") == starts
    assert container.restart_count == (starts if container.restarting else starts - 1)


async def test_stopping_one_that_restarts(host: Host, world: World) -> None:
    container = await run(host, "leave", "1", HostConfig={"RestartPolicy": {"Name": "always"}})
    assert container.state == "restarting"
    assert container.status(world.clock.time()).startswith("Restarting (1)")
    await host.runner.stop(container)
    await world.clock.advance(60)
    assert container.state == "exited"
    assert container.restart_count == 1


async def test_unknown_program(host: Host) -> None:
    container = make(host, "nope")
    words = 'exec: "nope": executable file not found in \\$PATH: unknown'
    with pytest.raises(StartFailed, match=words) as caught:
        await host.runner.start(container)
    assert caught.value.status == 400
    assert (container.state, container.exit_code) == ("created", 127)
    assert inspect(container)["State"]["Error"].startswith("failed to create task for container")


async def test_unknown_image_and_no_command(host: Host) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        make(host, Image="nope")
    with pytest.raises(BadRequest, match="config cannot be empty in order to create a container"):
        host.containers.create("x", {})


async def test_published_port(host: Host, world: World) -> None:
    bindings = {"PortBindings": {"80/tcp": [{"HostPort": "18080"}]}}
    container = await run(host, name="web", HostConfig=bindings)
    assert container.ports == {"80/tcp": [("0.0.0.0", 18080), ("::", 18080)]}
    assert await ask(world, host.machine.address, 18080) == f"{container.id[:12]}:hi"
    other = make(host, name="other", HostConfig=bindings)
    words = (
        "failed to set up container networking: driver failed programming external connectivity on endpoint other "
        r"\([0-9a-f]{64}\): Bind for 0.0.0.0:18080 failed: port is already allocated"
    )
    with pytest.raises(ApiError, match=words):
        await host.runner.start(other)
    assert (other.state, other.exit_code) == ("created", 128)
    await host.runner.stop(container)
    await host.runner.start(other)


async def test_a_port_of_the_hosts_choice(host: Host) -> None:
    first = await run(host, HostConfig={"PublishAllPorts": True})
    second = await run(host, HostConfig={"PortBindings": {"80/tcp": [{}]}})
    ports = [container.ports["80/tcp"][0][1] for container in (first, second)]  # type: ignore[index]
    assert ports[0] != ports[1]
    assert all(port >= 32768 for port in ports)


async def test_environment_and_working_directory(host: Host) -> None:
    container = await run(host, "env", Env=["A=b", "PATH"], Hostname="box")
    assert output(container).splitlines() == ["A=b", "HOME=/root", "HOSTNAME=box"]


async def test_listing(host: Host, world: World) -> None:
    web = await run(host, name="web", Labels={"tier": "front"})
    await world.clock.advance(1)
    gone = await run(host, "leave", "3", name="gone")
    listed = host.containers.list(filters())
    assert [entry["Names"] for entry in listed] == [["/web"]]
    assert listed[0]["Command"] == "serve"
    assert listed[0]["State"] == "running"
    everything = host.containers.list(filters(), everything=True)
    assert [entry["Id"] for entry in everything] == [gone.id, web.id]
    for wanted, found in (
        ({"exited": "3", "status": "exited"}, ["gone"]),
        ({"status": "running"}, ["web"]),
        ({"name": "^/we"}, ["web"]),
        ({"label": "tier=front"}, ["web"]),
        ({"label": "tier=back"}, []),
        ({"ancestor": "test/tools:1", "status": ["running", "exited"]}, ["gone", "web"]),
        ({"ancestor": "nope"}, []),
        ({"network": "bridge"}, ["web"]),
        ({"is-task": "true"}, []),
        ({"is-task": "false"}, ["web"]),
        ({"id": web.id[:5]}, ["web"]),
        ({"health": "none"}, ["web"]),
        ({"since": "web", "status": "exited"}, ["gone"]),
        ({"before": "gone"}, ["web"]),
        ({"expose": "80"}, ["web"]),
    ):
        names = [entry["Names"][0][1:] for entry in host.containers.list(filters(**wanted))]  # type: ignore[arg-type]
        assert names == found, wanted
    for wrong, words in (
        ({"status": "up"}, "invalid filter 'status=up': invalid value for state"),
        ({"exited": "x"}, "invalid filter 'exited=x'"),
        ({"before": "nope"}, "No such container: nope"),
    ):
        with pytest.raises(ApiError, match=words):
            host.containers.list(filters(**wrong))
    assert len(host.containers.list(filters(), limit=1)) == 1


async def test_update(host: Host) -> None:
    container = await run(host)
    host.containers.update(container, {"Memory": 64 * 2**20, "RestartPolicy": {"Name": "always"}})
    assert container.process is not None
    assert container.process.ns.limits.memory == 64 * 2**20
    with pytest.raises(BadRequest, match="Minimum memory limit allowed is 6MB"):
        host.containers.update(container, {"Memory": 1})


async def test_prune(host: Host, world: World) -> None:
    await run(host, name="stays")
    gone = await run(host, "leave", "0")
    assert (await host.containers.prune(filters()))["ContainersDeleted"] == [gone.id]
    assert [container.name for container in host.containers] == ["stays"]


async def test_inspection_is_complete(host: Host) -> None:
    container = await run(host, name="web", HostConfig={"Memory": 64 * 2**20})
    shown = inspect(container, 1000)
    assert shown["Name"] == "/web"
    assert shown["Path"] == "serve"
    assert shown["SizeRootFs"] == 1000
    assert shown["HostConfig"]["Memory"] == 64 * 2**20
    assert shown["HostConfig"]["CpuShares"] == 0
    assert shown["Config"]["Hostname"] == container.id[:12]
    bridge = shown["NetworkSettings"]["Networks"]["bridge"]
    assert bridge["IPAddress"] == shown["NetworkSettings"]["IPAddress"] == container.ip
    assert bridge["MacAddress"].startswith("02:42:")
    assert shown["NetworkSettings"]["Ports"] == {"80/tcp": None}

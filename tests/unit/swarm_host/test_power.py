"""Power cuts, boots, and a sandbox whose process was killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.host.inspect import inspect

from .conftest import World, actions, ask, make, output, pulled, run, until


async def test_a_power_cut_kills_everything(world: World) -> None:
    host = world.hosts["one"]
    await pulled(host)
    ports = {"PortBindings": {"80/tcp": [{"HostPort": "18060"}]}}
    plain = await run(host, name="plain", HostConfig=ports)
    always = await run(host, name="always", HostConfig={"RestartPolicy": {"Name": "always"}})
    waiting = plain.wait()
    world.fleet.fail("one")
    assert (plain.state, plain.exit_code) == ("exited", 137)
    assert waiting.result() == 137
    assert actions(host)[-1] == "start"  # nobody was there to write down that they died
    with pytest.raises(ConnectionRefusedError):
        await ask(world, host.machine.address, 18060)
    world.fleet.heal("one")
    await until(lambda: always.running, world.clock)
    assert not plain.running
    await host.runner.start(plain)
    await world.clock.settle()
    assert await ask(world, host.machine.address, 18060) == f"{plain.id[:12]}:hi"


async def test_one_that_was_stopped_by_hand_stays_so(world: World) -> None:
    host = world.hosts["one"]
    await pulled(host)
    container = await run(host, HostConfig={"RestartPolicy": {"Name": "unless-stopped"}})
    await host.runner.stop(container)
    world.fleet.fail("one")
    world.fleet.heal("one")
    await world.clock.advance(60)
    assert not container.running


async def test_a_paused_machine_holds_still(world: World) -> None:
    host = world.hosts["one"]
    await pulled(host)
    container = await run(host, "sleep", "10")
    world.fleet.pause("one")
    await world.clock.advance(60)
    assert container.running
    world.fleet.heal("one")
    await world.clock.settle()
    assert container.state == "exited"


async def killed(world: World) -> None:
    """What ``kill -9`` does to a process, as far as its storage and its sockets are concerned."""
    for host in world.hosts.values():
        host.keeper.flush()
        host.runner.abandon()
        host.ingress.close()
    world.front.shut()
    world.virtual_ips.shut()
    await world.network.close()
    await world.clock.settle()
    world.storage.close()


async def test_after_a_crash_everything_runs_again(tmp_path: Path) -> None:
    world = await World.open(Storage(tmp_path / "db"))
    block = int(world.network.block.partition(".")[2])
    host = world.hosts["one"]
    await pulled(host)
    host.networks.create({"Name": "mine"})
    web = await run(host, name="web", HostConfig={"PublishAllPorts": True, "NetworkMode": "mine"})
    write = await run(host, "write", "/data/x", "kept", name="volume", HostConfig={"Binds": ["vol:/data"]})
    own = await run(host, "write", "/y", "own", name="own")
    paused = await run(host, name="paused")
    host.runner.pause(paused)
    created = make(host, name="created")
    port = web.ports["80/tcp"][0][1]  # type: ignore[index]
    before = {name: inspect(host.containers.get(name)) for name in ("web", "volume", "created")}
    identity = (host.engine_id, [network.id for network in host.networks.all()])
    await killed(world)

    world = await World.open(Storage(tmp_path / "db"), block=block)
    try:
        host = world.hosts["one"]
        await world.clock.settle()
        assert (host.engine_id, [network.id for network in host.networks.all()]) == identity
        assert host.images.find("test/tools:1").tags == ["test/tools:1"]
        again = host.containers.get(web.id)
        assert again.running
        assert again.name == "web"
        assert again.ip == web.ip
        assert again.ports["80/tcp"][0][1] == port  # type: ignore[index]
        assert await ask(world, host.machine.address, port) == f"{web.id[:12]}:hi"
        for name, old in before.items():
            new = inspect(host.containers.get(name))
            for key in ("Id", "Name", "Created", "Path", "Args", "Config", "HostConfig", "Mounts", "Image"):
                assert new[key] == old[key], (name, key)
        assert host.containers.get(created.id).state == "created"
        assert host.containers.get(paused.id).state == "paused"
        assert host.containers.get(write.id).exit_code == 0
        reader = await run(host, "read", "/data/x", HostConfig={"Binds": ["vol:/data"]})
        assert output(reader) == "kept"
        assert host.launcher.files(host.containers.get(own.id)).read("/y") == b"own"
        fresh = await run(host, HostConfig={"NetworkMode": "mine"})
        assert fresh.ip != again.ip
    finally:
        await world.close()


async def test_a_machine_that_was_off_stays_off(tmp_path: Path) -> None:
    world = await World.open(Storage(tmp_path / "db"))
    host = world.hosts["one"]
    await pulled(host)
    container = await run(host, HostConfig={"RestartPolicy": {"Name": "always"}})
    world.fleet.fail("one")
    plug = world.fleet.plug("one")
    await killed(world)
    storage = Storage(tmp_path / "db")
    original = World.__init__

    def off(self: World, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        add = self.fleet.add

        def adding(machine: object) -> object:
            made = add(machine)  # type: ignore[arg-type]
            if made.name == "one":
                self.fleet.restore("one", plug)
            return made

        self.fleet.add = adding  # type: ignore[method-assign,assignment]

    World.__init__ = off  # type: ignore[method-assign]
    try:
        world = await World.open(storage)
    finally:
        World.__init__ = original  # type: ignore[method-assign]
    try:
        host = world.hosts["one"]
        again = host.containers.get(container.id)
        assert (again.state, again.exit_code) == ("exited", 137)
        world.fleet.heal("one")
        await until(lambda: again.running, world.clock)
    finally:
        await world.close()
    await asyncio.sleep(0)

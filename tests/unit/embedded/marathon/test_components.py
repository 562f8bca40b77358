"""Services of machines: what a person stopped stays so, the others come with their machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.embedded.control import UnknownComponent
from labkit.embedded.marathon.components import Component, Components
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.storage import Storage


class Part:
    def __init__(self) -> None:
        self.running = False
        self.broken = False
        self.log: list[str] = []

    async def start(self) -> None:
        self.log.append("start")
        if self.broken:
            raise RuntimeError("it does not start")
        self.running = True

    async def stop(self) -> None:
        self.log.append("stop")
        self.running = False


class Stage:
    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        for number, name in enumerate(("master-1", "agent-1")):
            self.fleet.add(Machine(name, f"127.9.0.{10 + number}"))
        self.storage = Storage(path)
        self.parts = {
            (m, n): Part()
            for m, n in (("master-1", "mesos-master"), ("master-1", "zookeeper"), ("agent-1", "mesos-agent"))
        }
        self.components = self.make()

    def make(self) -> Components:
        return Components(
            self.fleet, self.storage, [Component(name, machine, part) for (machine, name), part in self.parts.items()]
        )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "db")
    yield stage
    stage.storage.close()


def test_names_are_in_the_order_of_a_boot(stage: Stage) -> None:
    assert stage.components.names("master-1") == ["zookeeper", "mesos-master"]
    assert [one.machine for one in stage.components.find("mesos-agent")] == ["agent-1"]


async def test_what_a_person_stopped_stays_so(stage: Stage) -> None:
    components, part = stage.components, stage.parts["master-1", "mesos-master"]
    await components.boot(components.find("mesos-master")[0])
    assert components.is_running("master-1", "mesos-master")
    await components.stop("master-1", "mesos-master")
    assert not part.running
    again = stage.make()  # the sandbox was restarted
    assert again.any_held
    await again.boot(again.find("mesos-master")[0])
    assert not part.running
    await again.start("master-1", "mesos-master")
    assert part.running
    assert not stage.make().any_held


async def test_parts_come_back_with_their_machine(stage: Stage) -> None:
    await stage.components.stop("master-1", "mesos-master")
    stage.fleet.fail("master-1")
    await stage.components.start("agent-1", "mesos-agent")
    stage.fleet.heal("master-1")
    await stage.clock.settle()
    assert stage.parts["master-1", "zookeeper"].running
    assert stage.parts["master-1", "mesos-master"].log == ["stop"]


async def test_nothing_starts_without_power(stage: Stage) -> None:
    stage.fleet.fail("agent-1")
    await stage.components.start("agent-1", "mesos-agent")
    await stage.components.boot(stage.components.find("mesos-agent")[0])
    assert stage.parts["agent-1", "mesos-agent"].log == []
    assert {str(one["state"]) for one in stage.components.status()} == {"stopped"}


async def test_one_that_does_not_start_keeps_nobody_else(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.parts["master-1", "zookeeper"].broken = True
    stage.fleet.fail("master-1")
    stage.fleet.heal("master-1")
    await stage.clock.settle()
    assert stage.parts["master-1", "mesos-master"].running
    assert "zookeeper on master-1 does not start" in caplog.text


async def test_what_there_is_not(stage: Stage) -> None:
    with pytest.raises(
        UnknownComponent, match="master-1 has no component 'kubelet'; there are zookeeper, mesos-master"
    ):
        await stage.components.stop("master-1", "kubelet")
    await stage.components.close()
    stage.fleet.fail("agent-1")
    stage.fleet.heal("agent-1")
    await stage.clock.settle()
    assert stage.parts["agent-1", "mesos-agent"].log == []

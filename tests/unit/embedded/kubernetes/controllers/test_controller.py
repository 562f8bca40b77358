import asyncio
from collections.abc import AsyncIterator

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Unreachable
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.manager import ControllerManager, controllers
from labkit.embedded.kubernetes.errors import Conflict, InternalError
from labkit.embedded.kubernetes.objects import Json, Key


class Noting(Controller):
    """Notes what it is asked to bring in order; fails as long as ``errors`` has something to raise."""

    name = "noting-controller"

    def setup(self) -> None:
        self.synced: list[str] = []
        self.errors: list[Exception] = []
        self.rounds = 0
        self.watch_keys(kinds.CONFIG_MAPS)

    async def begin(self) -> None:
        self.spawn(self.every(10, self.round), "rounds")

    async def round(self) -> None:
        self.rounds += 1
        if self.rounds == 1:
            raise ValueError

    async def sync(self, key: Key) -> None:
        self.synced.append(key[1])
        if self.errors:
            raise self.errors.pop(0)


def configuration(name: str) -> Json:
    return {"metadata": {"name": name}}


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    kube = Kube(Noting)
    kube.registry.create(kinds.CONFIG_MAPS, "default", configuration("before"))
    async with kube:
        yield kube


def noting(kube: Kube) -> Noting:
    found = kube.manager.controllers[Noting.name]
    assert isinstance(found, Noting)
    return found


async def test_it_begins_with_what_is_there_and_follows(kube: Kube) -> None:
    assert noting(kube).synced == ["before"]
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    await kube.delete(kinds.CONFIG_MAPS, "a")
    assert noting(kube).synced == ["before", "a", "a"]
    assert noting(kube).idle


@pytest.mark.parametrize("error", [Conflict("x", "", "a"), InternalError("x"), ValueError(), Unreachable("x")])
async def test_what_failed_is_tried_again_after_a_pause(kube: Kube, error: Exception) -> None:
    found = noting(kube)
    found.errors = [error] * 3
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    assert found.synced == ["before", "a"]
    await kube.advance(0.006)
    assert found.synced == ["before", "a", "a"]
    await kube.advance(1)
    assert found.synced == ["before", "a", "a", "a", "a"]
    await kube.advance(100)
    assert len(found.synced) == 5


async def test_what_failed_for_want_of_a_server_never_waits_long(kube: Kube) -> None:
    found = noting(kube)
    found.errors = [Unreachable("x")] * 30
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    await kube.advance(60)
    before = len(found.synced)
    await kube.advance(10.1)
    assert len(found.synced) > before


async def test_rounds_go_on_whatever_becomes_of_one(kube: Kube) -> None:
    await kube.advance(35)
    assert noting(kube).rounds == 4
    assert noting(kube).metrics.errors == 1


async def test_stopped_it_leaves_no_task_and_does_nothing(kube: Kube) -> None:
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    assert any("noting" in name for name in tasks)
    found = noting(kube)
    await kube.manager.stop()
    assert not any("noting" in task.get_name() or "control-plane" in task.get_name() for task in asyncio.all_tasks())
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    await kube.advance(100)
    assert found.synced == ["before"]
    kube.manager.start()
    kube.manager.start()
    await kube.settle()
    assert sorted(noting(kube).synced) == ["a", "before"]


async def test_its_writes_are_its_accounts(kube: Kube) -> None:
    assert noting(kube).client.user.name == "system:serviceaccount:kube-system:noting-controller"
    assert noting(kube).client.manager == "kube-controller-manager"


async def test_all_controllers_start_and_stop_together(kube: Kube) -> None:
    before = len(asyncio.all_tasks())
    manager = ControllerManager(kube.door, "control-plane")
    manager.start()
    await kube.settle()
    assert len(manager.controllers) == len(controllers())
    assert manager.idle
    await manager.stop()
    assert len(asyncio.all_tasks()) == before


def test_every_controller_has_a_name_of_its_own() -> None:
    names = [found.name for found in controllers()]
    assert len(set(names)) == len(names)
    assert all(names)

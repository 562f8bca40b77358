from collections.abc import AsyncIterator

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informer, Informers
from labkit.embedded.kubernetes.client.index import by_controller, by_node, orphans
from labkit.embedded.kubernetes.objects import Json, name_of


def configuration(name: str, **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


class Heard:
    """What handlers were told."""

    def __init__(self, informer: Informer) -> None:
        self.told: list[str] = []
        self.stop = informer.on(
            lambda obj: self.told.append(f"+{name_of(obj)}"),
            lambda old, new: self.told.append(f"~{name_of(new)}"),
            lambda obj: self.told.append(f"-{name_of(obj)}"),
        )

    def take(self) -> list[str]:
        told, self.told = self.told, []
        return told


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube() as kube:
        yield kube


@pytest.fixture
async def informer(kube: Kube) -> AsyncIterator[Informer]:
    informer = Informer(Client(kube.door, machine="worker-1", user="somebody", manager="test"), kinds.CONFIG_MAPS)
    yield informer
    await informer.stop()


async def test_it_lists_then_follows(kube: Kube, informer: Informer) -> None:
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    heard = Heard(informer)
    assert not informer.synced
    informer.start()
    await informer.wait_synced()
    assert heard.take() == ["+a"]
    await kube.create(kinds.CONFIG_MAPS, configuration("b"))
    await kube.edit(kinds.CONFIG_MAPS, "a", lambda obj: obj.update(data={"x": "1"}))
    await kube.delete(kinds.CONFIG_MAPS, "b")
    assert heard.take() == ["+b", "~a", "-b"]
    assert informer.get("default", "a") is kube.get(kinds.CONFIG_MAPS, "a")


async def test_who_comes_late_hears_what_is_there_and_who_leaves_nothing(kube: Kube, informer: Informer) -> None:
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    informer.start()
    await informer.wait_synced()
    heard = Heard(informer)
    assert heard.take() == ["+a"]
    heard.stop()
    await kube.delete(kinds.CONFIG_MAPS, "a")
    assert heard.take() == []


async def test_a_handler_that_fails_does_not_keep_others_from_hearing(kube: Kube, informer: Informer) -> None:
    def broken(obj: Json) -> None:
        raise ValueError

    informer.on(broken)
    heard = Heard(informer)
    informer.start()
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    assert heard.take() == ["+a"]


async def test_while_the_machine_is_cut_off_the_picture_stays_and_then_catches_up(
    kube: Kube, informer: Informer
) -> None:
    informer.start()
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    heard = Heard(informer)
    heard.take()
    kube.door.close("worker-1")
    await kube.create(kinds.CONFIG_MAPS, configuration("b"))
    await kube.delete(kinds.CONFIG_MAPS, "a")
    await kube.advance(60)
    assert heard.take() == []
    assert list(informer.cache) == [("default", "a")]
    kube.door.open("worker-1")
    await kube.advance(30)  # the longest pause between two tries
    assert heard.take() == ["+b", "-a"]


async def test_a_door_that_shuts_without_a_word_loses_nothing(kube: Kube, informer: Informer) -> None:
    informer.start()
    await kube.settle()
    kube.door.shut.add("worker-1")  # nobody tells the watch
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    assert informer.get("default", "a") is None
    kube.door.shut.clear()
    await kube.advance(1)
    assert informer.get("default", "a") is not None


async def test_when_the_history_is_gone_it_lists_again(kube: Kube, informer: Informer) -> None:
    informer.start()
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    await kube.create(kinds.CONFIG_MAPS, configuration("b"))
    heard = Heard(informer)
    heard.take()
    kube.door.close("worker-1")
    await kube.delete(kinds.CONFIG_MAPS, "a")
    await kube.create(kinds.CONFIG_MAPS, configuration("c"))
    kube.etcd.compact()
    kube.door.open("worker-1")
    await kube.advance(30)
    assert heard.take() == ["-a", "~b", "+c"]  # after a list everything is told again


async def test_without_etcd_it_tries_again_ever_more_slowly(kube: Kube, informer: Informer) -> None:
    kube.etcd.stop()
    informer.start()
    await kube.advance(100)
    assert not informer.synced
    kube.etcd.start()
    await kube.advance(30)
    assert informer.synced


async def test_indexes_follow_changes(kube: Kube) -> None:
    client = Client(kube.door, machine="worker-1", user="somebody", manager="test")
    informers = Informers(client)
    pods = informers[kinds.PODS]
    for name, values in (("node", by_node), ("controller", by_controller), ("orphans", orphans)):
        pods.add_index(name, values)
    informers.start()
    await informers.synced()
    kube.kubelet.nodes = ["worker-2"]
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    await kube.create(kinds.PODS, pod)
    assert [name_of(one) for one in pods.by_index("node", "worker-2")] == ["p"]
    assert [name_of(one) for one in pods.by_index("orphans", "default")] == ["p"]
    await kube.delete(kinds.PODS, "p", grace_period_seconds=0)
    assert pods.by_index("node", "worker-2") == []
    assert pods.by_index("orphans", "default") == []
    await informers.stop()


async def test_one_informer_a_kind_and_late_ones_start_by_themselves(kube: Kube) -> None:
    informers = Informers(Client(kube.door, machine="worker-1", user="somebody", manager="test"))
    informers.start()
    assert informers[kinds.PODS] is informers[kinds.PODS]
    await kube.settle()
    assert informers[kinds.PODS].synced
    assert list(informers) == [kinds.PODS]
    await informers.stop()


async def test_a_selection_sees_objects_come_and_go_as_they_match(kube: Kube) -> None:
    client = Client(kube.door, machine="worker-1", user="somebody", manager="test")
    informer = Informer(client, kinds.CONFIG_MAPS, "default", labels="app=web")
    informer.start()
    heard = Heard(informer)
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))

    def label(obj: Json) -> None:
        obj["metadata"]["labels"] = {"app": "web"}

    await kube.edit(kinds.CONFIG_MAPS, "a", label)
    await kube.edit(kinds.CONFIG_MAPS, "a", lambda obj: obj["metadata"].pop("labels"))
    assert heard.take() == ["+a", "-a"]
    await informer.stop()


async def test_gone_and_made_anew_while_nobody_looked_is_not_a_change(kube: Kube, informer: Informer) -> None:
    informer.start()
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    heard = Heard(informer)
    heard.take()
    kube.door.close("worker-1")
    await kube.delete(kinds.CONFIG_MAPS, "a")
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    kube.etcd.compact()
    kube.door.open("worker-1")
    await kube.advance(30)
    assert heard.take() == ["-a", "+a"]


async def test_a_server_that_ends_every_watch_at_once_does_not_stop_the_world(kube: Kube, informer: Informer) -> None:
    informer.start()
    for _ in range(5):
        await kube.settle()
        kube.etcd.end_watches()
    await kube.create(kinds.CONFIG_MAPS, configuration("a"))
    assert informer.get("default", "a") is not None

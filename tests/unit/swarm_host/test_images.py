"""Images of a host: pulling, finding, tagging, removing."""

from __future__ import annotations

import asyncio

import pytest

from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound
from labkit.embedded.swarm.host.host import Host

from .conftest import World, actions, filters, make, pulled, run


async def test_several_pulls_are_one_download(world: World) -> None:
    host = world.hosts["one"]
    seen: list[dict[str, object]] = []
    pulls = [asyncio.create_task(host.images.pull("test/tools:1", seen.append)) for _ in range(3)]
    started = world.clock.time()
    while not all(pull.done() for pull in pulls):
        await world.clock.advance(0.01)
    assert world.clock.time() - started < 0.2
    assert [line["status"] for line in seen].count("Pull complete") == len((await pulls[0]).layers)
    last = [line["status"] for line in seen][-1]
    assert str(last).startswith("Status: ")
    again: list[dict[str, object]] = []
    await host.images.pull("test/tools:1", again.append)
    assert again[-1] == {"status": "Status: Image is up to date for test/tools:1"}
    assert actions(host, "image") == ["pull"] * 4


async def test_finding(host: Host) -> None:
    stored = host.images.find("test/tools:1")
    for reference in (
        stored.image.id,
        stored.image.id[7:19],
        f"test/tools@{stored.image.digest}",
        "docker.io/test/tools:1",
    ):
        assert host.images.find(reference) is stored
    for reference in ("test/tools", "nope", "sha256:123"):
        with pytest.raises(NotFound, match="No such image: "):
            host.images.find(reference)
    with pytest.raises(BadRequest, match="invalid reference format"):
        host.images.find("a b")


async def test_a_pull_by_digest_has_no_tag(world: World) -> None:
    host = world.hosts["one"]
    digest = world.catalogue.find("test/tools:1").digest
    await pulled(host, f"test/tools:1@{digest}")
    [shown] = host.images.list(filters())
    assert (shown["RepoTags"], shown["RepoDigests"]) == ([], [f"test/tools@{digest}"])
    assert host.images.find(f"test/tools:1@{digest}").tags == []


async def test_tags_move(host: Host) -> None:
    host.images.tag("test/tools:1", "mine", "x")
    assert host.images.find("mine:x").tags == ["test/tools:1", "mine:x"]
    await pulled(host, "test/tools:2")
    host.images.tag("test/tools:2", "mine", "x")
    assert host.images.find("mine:x") is host.images.find("test/tools:2")


async def test_a_container_of_an_image_whose_tag_has_moved_shows_the_id(host: Host) -> None:
    container = make(host)
    await pulled(host, "test/tools:2")
    host.images.tag("test/tools:2", "test/tools", "1")
    assert host.images.name_for(container) == container.image_id


async def test_removing(host: Host) -> None:
    container = await run(host, name="web")
    short = container.image_id[7:19]
    with pytest.raises(
        Conflict, match=f'repository reference "test/tools:1" .must force. - container {container.id[:12]}'
    ):
        host.images.remove("test/tools:1")
    with pytest.raises(Conflict, match=f"unable to delete {short} .cannot be forced. - image is being used by running"):
        host.images.remove(short, force=True)
    await host.runner.stop(container)
    with pytest.raises(Conflict, match=f"unable to delete {short} .must be forced. - image is being used by stopped"):
        host.images.remove(short)
    await host.containers.remove(container)
    gone = host.images.remove("test/tools:1")
    assert [next(iter(entry)) for entry in gone[:3]] == ["Untagged", "Untagged", "Deleted"]
    assert host.images.count() == 0
    with pytest.raises(NotFound):
        host.images.remove("test/tools:1")


async def test_one_of_two_names_only_untags(host: Host) -> None:
    host.images.tag("test/tools:1", "mine", "x")
    assert host.images.remove("mine:x") == [{"Untagged": "mine:x"}]
    assert host.images.count() == 1


async def test_listing(host: Host) -> None:
    await pulled(host, "test/tools:2")
    for wanted, count in (
        ({"reference": "test/*"}, 2), ({"reference": "test/tools:2"}, 1), ({"reference": "*"}, 0),
        ({"dangling": "true"}, 0), ({"dangling": "false"}, 2),
    ):  # fmt: skip
        assert len(host.images.list(filters(**wanted))) == count, wanted  # type: ignore[arg-type]
    assert host.images.prune(filters())["ImagesDeleted"] is None
    assert host.images.prune(filters(dangling="false"))["SpaceReclaimed"] > 0


async def test_what_the_registry_says(world: World) -> None:
    images = world.hosts["one"].images
    assert images.distribution("test/tools:1")["Descriptor"]["digest"] == world.catalogue.find("test/tools:1").digest
    with pytest.raises(Forbidden):
        images.distribution("nope")
    with pytest.raises(NotFound, match="manifest unknown"):
        images.distribution("test/tools:9")
    with pytest.raises(ApiError, match="no such host"):
        images.distribution("host.invalid/x")


async def test_history_and_inspection(host: Host) -> None:
    shown = host.images.inspect("test/tools:1")
    assert shown["Config"] == {"ExposedPorts": {"80/tcp": {}}, "Cmd": ["serve"], "Env": shown["Config"]["Env"]}
    assert "Hostname" in host.images.inspect("test/tools:1", (1, 41))["Config"]
    history = host.images.history("test/tools:1")
    assert (history[0]["Id"], history[1]["Id"]) == (shown["Id"], "<missing>")

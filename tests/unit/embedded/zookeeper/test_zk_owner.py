"""An ensemble that is its sandbox's: strangers, who come over the wire without the password, change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import acls, errors
from labkit.embedded.zookeeper.ops import (
    OPEN_ACL,
    WORLD,
    Create,
    Delete,
    GetChildren,
    GetData,
    Id,
    Multi,
    Op,
    SetAcl,
    SetData,
)
from labkit.embedded.zookeeper.serving import Hello

from .worlds import World

SECRET = "labkit:pw"
OWNER = acls.owner(SECRET)


class Stranger:
    """A client over the wire, as its member sees it."""

    def __init__(self, world: World, *auth: Id) -> None:
        self.answers: list[errors.ZooKeeperError | None] = []
        self._world = world
        member = world.ensemble.members[world.ensemble.leader or ""]
        connection = member.greet(self, Hello(0, 10_000), "127.0.0.1:4000")
        assert connection is not None
        self._connection = connection
        connection.auth += auth

    def welcomed(self, session: int, timeout: int, password: bytes) -> None: ...

    def unknown(self) -> None: ...

    def answered(self, number: int, zxid: int, error: errors.ZooKeeperError | None, value: Any) -> None:
        self.answers.append(error)

    def notified(self, event: object, zxid: int) -> None: ...

    def dropped(self) -> None: ...

    async def asks(self, op: Op) -> str:
        await self._world.clock.settle()
        self._connection.request(len(self.answers) + 1, op)
        await self._world.clock.settle()
        error = self.answers[-1]
        return type(error).__name__ if error is not None else ""


@pytest.fixture
async def world() -> World:
    made = await World(secret=SECRET).start()
    await made.done(made.session().create("/mesos/n", b"leader", make_parents=True))
    marathon = made.ensemble.session("agent-1", private=True)
    await made.done(marathon.create("/marathon/state/app", b"cmd", make_parents=True))
    return made


CHANGES: list[Op] = [
    Create("/mine"),
    Create("/mesos/n-", ephemeral=True, sequence=True),
    Create("/marathon/state/other", b"cmd"),
    Create("/zookeeper/quota/x"),
    SetData("/", b"x"),
    SetData("/mesos/n", b"me"),
    SetData("/marathon/state/app", b"rm -rf"),
    Delete("/mesos/n"),
    Delete("/marathon/state/app"),
    SetAcl("/", OPEN_ACL),
    SetAcl("/marathon/state/app", OPEN_ACL),
]


@pytest.mark.parametrize("op", CHANGES, ids=lambda op: f"{type(op).__name__} {op.path}")
async def test_a_stranger_changes_nothing(world: World, op: Op) -> None:
    before = world.ensemble.members["master-1"].tree.copy()
    for auth in ((), (Id("digest", acls.digest("labkit:guess")),)):
        assert await Stranger(world, *auth).asks(op) == "NoAuth"
        if isinstance(op, Create | SetData | Delete):
            assert await Stranger(world, *auth).asks(Multi((op,))) == "MultiFailed"
    after = world.ensemble.members["master-1"].tree
    assert {path: (node.data, node.acl) for path, node in after.nodes.items()} == {
        path: (node.data, node.acl) for path, node in before.nodes.items()
    }


async def test_a_stranger_reads_who_leads_and_no_apps(world: World) -> None:
    stranger = Stranger(world)
    assert [await stranger.asks(op) for op in (GetChildren("/"), GetChildren("/mesos"), GetData("/mesos/n"))] == [
        ""
    ] * 3
    for op in (GetChildren("/marathon"), GetChildren("/marathon/state"), GetData("/marathon/state/app")):
        assert await stranger.asks(op) == "NoAuth"


@pytest.mark.parametrize("op", CHANGES[:3], ids=lambda op: op.path)
async def test_who_has_the_password_may(world: World, op: Op) -> None:
    assert await Stranger(world, *OWNER.auth).asks(op) == ""


async def test_it_stays_so_after_a_restart(tmp_path: Path) -> None:
    first = await World(secret=SECRET, storage=Storage(tmp_path / "z.db")).start()
    await first.done(first.ensemble.session("agent-1", private=True).create("/marathon/app", make_parents=True))
    await first.done(first.session().create("/mesos"))
    first.storage.close()
    again = await World(secret=SECRET, storage=Storage(tmp_path / "z.db")).start()
    nodes = again.ensemble.members["master-1"].tree.nodes
    found = {path: nodes[path].acl for path in ("/", "/mesos", "/marathon", "/marathon/app")}
    assert found == {
        "/": OWNER.shared, "/mesos": OWNER.shared, "/marathon": OWNER.private, "/marathon/app": OWNER.private
    }  # fmt: skip
    assert await Stranger(again).asks(Create("/mine")) == "NoAuth"


async def test_without_a_password_it_is_everybodys() -> None:
    made = await World().start()
    assert await Stranger(made).asks(Create("/mine")) == ""
    assert [rule.id for rule in made.ensemble.members["master-1"].tree.nodes["/mine"].acl] == [WORLD]

"""The data tree alone: requests in, answers and events out."""

from __future__ import annotations

import pytest

from labkit.embedded.zookeeper import errors
from labkit.embedded.zookeeper.ops import (
    CHANGED,
    CHILDREN,
    CREATED,
    DELETED,
    Check,
    CloseSession,
    Create,
    Delete,
    Event,
    Multi,
    OpenSession,
    SetData,
    Write,
)
from labkit.embedded.zookeeper.tree import Outcome, Request, Tree

ME, OTHER = 7, 8


class Forest:
    def __init__(self) -> None:
        self.tree = Tree()
        self.zxid = 0
        for session in (ME, OTHER):
            self.do(OpenSession(10_000, b"secret"), session)

    def do(self, op: Write, session: int = ME) -> Outcome:
        self.zxid += 1
        return self.tree.apply(Request(session, 1000 + self.zxid, op), self.zxid)

    def value(self, op: Write, session: int = ME) -> object:
        out = self.do(op, session)
        assert out.error is None, out.error
        return out.value


def test_a_create_tells_of_the_node_and_of_its_parent() -> None:
    forest = Forest()
    out = forest.do(Create("/a", b"x"))
    assert out.events == [Event(CREATED, "/a"), Event(CHILDREN, "/")]
    assert out.nodes == {"/a": True, "/": False}
    stat = forest.tree.node("/a").stat
    assert (stat.czxid, stat.mzxid, stat.pzxid) == (3, 3, 3)
    assert (stat.ctime, stat.data_length, stat.num_children) == (1003, 1, 0)


def test_children_count_in_cversion_when_they_come_and_when_they_go() -> None:
    forest = Forest()
    forest.do(Create("/a"))
    forest.do(Create("/a/b"))
    forest.do(Delete("/a/b"))
    stat = forest.tree.node("/a").stat
    assert (stat.cversion, stat.num_children, stat.pzxid) == (2, 0, 5)


def test_sequence_numbers_count_all_creations_and_never_come_back() -> None:
    forest = Forest()
    forest.do(Create("/a"))
    forest.do(Create("/a/plain"))
    assert forest.value(Create("/a/n-", sequence=True))[0] == "/a/n-0000000001"  # type: ignore[index]
    forest.do(Delete("/a/n-0000000001"))
    assert forest.value(Create("/a/n-", sequence=True))[0] == "/a/n-0000000002"  # type: ignore[index]
    assert forest.value(Create("/a/", sequence=True))[0] == "/a/0000000003"  # type: ignore[index]


def test_a_session_that_ends_takes_its_nodes_along() -> None:
    forest = Forest()
    forest.do(Create("/mine", ephemeral=True))
    forest.do(Create("/others", ephemeral=True), OTHER)
    assert forest.tree.node("/mine").stat.ephemeral_owner == ME
    out = forest.do(CloseSession())
    assert out.events == [Event(DELETED, "/mine"), Event(CHILDREN, "/")]
    assert set(forest.tree.nodes["/"].children) == {"zookeeper", "others"}
    assert isinstance(forest.do(Create("/late")).error, errors.SessionExpired)


@pytest.mark.parametrize(
    ("op", "error"),
    [
        (Create("/a"), errors.NodeExists),
        (Create("/no/b"), errors.NoNode),
        (Create("/e/b"), errors.NoChildrenForEphemerals),
        (Create("relative"), errors.BadArguments),
        (Create("/a/../b"), errors.NoNode),  # its parent is looked for first
        (Create("/a//b"), errors.NoNode),
        (Create("/a/."), errors.BadArguments),
        (Delete("/no"), errors.NoNode),
        (Delete("/a"), errors.NotEmpty),
        (Delete("/a/b", 3), errors.BadVersion),
        (Delete("/"), errors.BadArguments),
        (Delete("/zookeeper"), errors.BadArguments),
        (SetData("/no", b""), errors.NoNode),
        (SetData("/a", b"", 9), errors.BadVersion),
        (Check("/a", 9), errors.BadVersion),
    ],
)
def test_refusals(op: Write, error: type[errors.ZooKeeperError]) -> None:
    forest = Forest()
    forest.do(Create("/a"))
    forest.do(Create("/a/b"))
    forest.do(Create("/e", ephemeral=True))
    before = {path: node.stat for path, node in forest.tree.nodes.items()}
    out = forest.do(op)
    assert type(out.error) is error
    assert not out.nodes
    assert not out.events
    assert {path: node.stat for path, node in forest.tree.nodes.items()} == before


def test_a_multi_is_done_as_one_with_one_zxid() -> None:
    forest = Forest()
    forest.do(Create("/a"))
    out = forest.do(Multi((Create("/a/b"), SetData("/a/b", b"1"), Check("/a/b", 1), Create("/a/n", sequence=True))))
    assert out.error is None
    assert [event.type for event in out.events] == [CREATED, CHILDREN, CHANGED, CREATED, CHILDREN]
    assert forest.tree.node("/a/b").mzxid == forest.tree.node("/a/n0000000001").czxid == forest.zxid


def test_a_multi_that_is_refused_leaves_no_trace() -> None:
    forest = Forest()
    forest.do(Create("/a", b"old"))
    forest.do(Create("/gone", ephemeral=True))
    before = {path: node.stat for path, node in forest.tree.nodes.items()}
    out = forest.do(
        Multi(
            (
                Create("/a/b", ephemeral=True),
                SetData("/a", b"new"),
                Delete("/gone"),
                Delete("/nowhere"),
                Create("/late"),
            )
        )
    )
    assert isinstance(out.error, errors.MultiFailed)
    kinds = [type(error) for error in out.error.results]
    assert kinds == [type(None)] * 3 + [errors.NoNode, errors.RuntimeInconsistency]
    assert {path: node.stat for path, node in forest.tree.nodes.items()} == before
    assert forest.tree.node("/a").data == b"old"
    assert forest.tree.ephemerals == {ME: {"/gone"}}
    assert not out.events

"""labkit's own few lines that look at znodes, beside kazoo: the same on the embedded ensemble and on the real one."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient
from support.zookeepers import Zoo

from labkit.errors import ClusterError, NotFound
from labkit.orchestrators.marathon.znodes import look


def test_a_znode_has_data_children_and_an_owner(zoo: Zoo, zk: KazooClient, root: str) -> None:
    zk.set(root, "grün".encode())
    zk.create(f"{root}/b", b"")
    first = zk.create(f"{root}/json.info_", b"{}", ephemeral=True, sequence=True)
    found = look(zoo.hosts, root)
    assert (found.data.decode(), found.children, found.owner) == ("grün", ("b", first.rpartition("/")[2]), "")
    mine = look(zoo.hosts, first)
    assert mine.data == b"{}"
    assert mine.owner == f"{zk.client_id[0]:#x}"


def test_many_children_come_whole(zoo: Zoo, zk: KazooClient, root: str) -> None:
    names = tuple(f"child-{number:04}" for number in range(500))
    for name in names:
        zk.create_async(f"{root}/{name}", b"x")
    zk.sync(root)
    assert look(zoo.hosts, root).children == names


def test_what_is_not_there(zoo: Zoo) -> None:
    with pytest.raises(NotFound, match="no znode /nothing/here"):
        look(zoo.hosts, "/nothing/here")
    with pytest.raises(ClusterError, match="no member of the ZooKeeper ensemble serves"):
        look("127.0.0.1:1")


def test_a_member_that_is_off_is_passed_over(zoo: Zoo, root: str) -> None:
    assert look(f"127.0.0.1:1,{zoo.hosts}", root).path == root

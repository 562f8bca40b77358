"""Nodes, their numbers, and what is refused."""

from __future__ import annotations

import pytest
from kazoo import exceptions
from kazoo.client import KazooClient
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl


def test_a_node_and_its_numbers(zk: KazooClient, root: str) -> None:
    zk.create(f"{root}/a", b"one")
    data, stat = zk.get(f"{root}/a")
    assert data == b"one"
    assert (stat.version, stat.cversion, stat.aversion, stat.ephemeralOwner) == (0, 0, 0, 0)
    assert stat.czxid == stat.mzxid == stat.pzxid
    assert stat.ctime == stat.mtime
    assert (stat.dataLength, stat.numChildren) == (3, 0)
    assert stat.czxid >> 32 >= 1
    changed = zk.set(f"{root}/a", b"three")
    assert changed.mzxid == stat.mzxid + 1
    assert (changed.version, changed.dataLength, changed.pzxid) == (1, 5, stat.pzxid)


def test_children_are_counted_as_they_come_and_go(zk: KazooClient, root: str) -> None:
    zk.create(f"{root}/a")
    zk.create(f"{root}/b")
    zk.delete(f"{root}/a")
    children, stat = zk.get_children(root, include_data=True)
    assert children == ["b"]
    assert (stat.cversion, stat.numChildren) == (3, 1)


def test_a_refused_request_takes_a_zxid(zk: KazooClient, root: str) -> None:
    before = zk.set(root, b"1").mzxid
    with pytest.raises(exceptions.NodeExistsError):
        zk.create(root)
    assert zk.set(root, b"2").mzxid == before + 2


def test_sequence_numbers_count_every_child_that_ever_was(zk: KazooClient, root: str) -> None:
    zk.create(f"{root}/plain")
    assert zk.create(f"{root}/n-", sequence=True) == f"{root}/n-0000000001"
    zk.delete(f"{root}/n-0000000001")
    assert zk.create(f"{root}/other-", sequence=True) == f"{root}/other-0000000002"
    assert zk.create(f"{root}/", sequence=True) == f"{root}/0000000003"


def test_an_ephemeral_node_knows_its_owner(zk: KazooClient, root: str) -> None:
    assert zk.client_id is not None
    path, stat = zk.create(f"{root}/e-", ephemeral=True, sequence=True, include_data=True)
    assert path == f"{root}/e-0000000000"
    assert stat.ephemeralOwner == zk.client_id[0]


REFUSALS = {
    "a node that is there": ("create", "{root}/a", exceptions.NodeExistsError),
    "a node below nothing": ("create", "{root}/no/a", exceptions.NoNodeError),
    "a node below an ephemeral one": ("create", "{root}/e/a", exceptions.NoChildrenForEphemeralsError),
    "an ephemeral node that is there": ("create", "{root}/e", exceptions.NodeExistsError),
    "deleting nothing": ("delete", "{root}/no", exceptions.NoNodeError),
    "deleting a node with children": ("delete", "{root}", exceptions.NotEmptyError),
    "deleting the root": ("delete", "/", exceptions.BadArgumentsError),
    "deleting what is ZooKeeper's own": ("delete", "/zookeeper/quota", exceptions.BadArgumentsError),
    "reading nothing": ("get", "{root}/no", exceptions.NoNodeError),
    "children of nothing": ("get_children", "{root}/no", exceptions.NoNodeError),
    "rules of nothing": ("get_acls", "{root}/no", exceptions.NoNodeError),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(zk: KazooClient, root: str, case: str) -> None:
    zk.create(f"{root}/a")
    zk.create(f"{root}/e", ephemeral=True)
    method, path, error = REFUSALS[case]
    with pytest.raises(error):
        getattr(zk, method)(path.format(root=root))


def test_versions_guard_writes(zk: KazooClient, root: str) -> None:
    for call in (lambda v: zk.set(root, b"", version=v), lambda v: zk.delete(root, version=v)):
        with pytest.raises(exceptions.BadVersionError):
            call(7)
    zk.set(root, b"", version=0)
    zk.delete(root, version=1)
    assert zk.exists(root) is None


def test_a_transaction_is_one_change(zk: KazooClient, root: str) -> None:
    change = zk.transaction()
    change.create(f"{root}/a")
    change.set_data(f"{root}/a", b"x")
    change.check(f"{root}/a", 1)
    change.create(f"{root}/a/s", sequence=True)
    change.delete(f"{root}/a/s0000000000")
    made, stat, checked, child, deleted = change.commit()
    assert (made, checked, child, deleted) == (f"{root}/a", True, f"{root}/a/s0000000000", True)
    assert stat.czxid == stat.mzxid
    assert stat.version == 1
    assert zk.exists(f"{root}/a").pzxid == stat.czxid


def test_a_transaction_that_fails_changes_nothing(zk: KazooClient, root: str) -> None:
    change = zk.transaction()
    change.create(f"{root}/a")
    change.delete(f"{root}/no")
    change.create(f"{root}/b")
    kinds = [type(result) for result in change.commit()]
    assert kinds == [exceptions.RolledBackError, exceptions.NoNodeError, exceptions.RuntimeInconsistency]
    assert zk.get_children(root) == []
    assert zk.exists(root).cversion == 0


def test_who_may_what(zk: KazooClient, connect, root: str) -> None:  # type: ignore[no-untyped-def]
    rules, stat = zk.get_acls(root)
    assert rules == OPEN_ACL_UNSAFE
    with pytest.raises(exceptions.BadVersionError):
        zk.set_acls(root, [make_digest_acl("ann", "pw", all=True)], version=4)
    assert zk.set_acls(root, [make_digest_acl("ann", "pw", all=True)], version=stat.aversion).aversion == 1
    for call in (zk.get, zk.get_children, zk.get_acls):
        with pytest.raises(exceptions.NoAuthError):
            call(root)
    with pytest.raises(exceptions.NoAuthError):
        zk.create(f"{root}/a")
    zk.add_auth("digest", "ann:pw")
    zk.create(f"{root}/a", acl=[make_acl("auth", "", read=True)])
    assert zk.get_acls(f"{root}/a")[0][0].id.id.startswith("ann:")
    with pytest.raises(exceptions.NoAuthError):
        zk.set(f"{root}/a", b"x")
    with pytest.raises(exceptions.NoAuthError):
        connect().get(f"{root}/a")


@pytest.mark.parametrize("rule", [make_acl("auth", "", all=True), make_acl("nobody", "x", all=True)])
def test_rules_that_are_none(zk: KazooClient, root: str, rule: object) -> None:
    with pytest.raises(exceptions.InvalidACLError):
        zk.create(f"{root}/a", acl=[rule])


def test_what_a_fresh_tree_holds(zk: KazooClient) -> None:
    assert set(zk.get_children("/zookeeper")) == {"quota", "config"}
    data, stat = zk.get("/zookeeper/config")
    assert data.decode().splitlines()[0].startswith("server.1=")
    assert data.decode().splitlines()[-1] == "version=0"
    assert (stat.version, stat.aversion, stat.czxid) == (-1, -1, 0)
    assert zk.get("/zookeeper")[1].cversion == -2


def test_sync_answers_with_the_path(zk: KazooClient, root: str) -> None:
    assert zk.sync(root) == root


@pytest.mark.parametrize("name", ["a b", "grüße", "a\u200bb", "x" * 300])
def test_names_that_are_good(zk: KazooClient, root: str, name: str) -> None:
    assert zk.create(f"{root}/{name}") == f"{root}/{name}"
    assert zk.get_children(root) == [name]


@pytest.mark.parametrize("name", ["a\x01b", "a\x7fb", "\ufff0"])
def test_names_that_are_not(zk: KazooClient, root: str, name: str) -> None:
    with pytest.raises(exceptions.BadArgumentsError):
        zk.create(f"{root}/{name}")

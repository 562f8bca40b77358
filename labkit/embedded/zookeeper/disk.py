"""What the members have on disk: the committed tree, once for all of them, and each member's vote.

The members' disks are one file. The first member that learns that a request is committed writes what it changed;
nothing is answered before. What a real member's disk has beyond that, requests not yet committed, is kept in memory
while the process lives, also for machines that are off. So after ``kill -9`` all members start from the same tree:
nothing acknowledged is lost, and what never was is gone.

A node is two rows, for a change of a child changes its parent's numbers and not its data.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper.ops import OPEN_ACL, Acl, Id
from labkit.embedded.zookeeper.raft import NOBODY, HardState
from labkit.embedded.zookeeper.tree import Node, Outcome, SessionRecord, Tree

STATE, VOTES, STATS, DATA, SESSIONS = (f"zookeeper/{kind}" for kind in ("state", "vote", "stat", "data", "session"))


class Disk:
    """Rows of kind ``zookeeper/…``."""

    def __init__(self, storage: Storage, usual: tuple[Acl, ...] = OPEN_ACL) -> None:
        """``usual`` is the access to nodes that goes without saying."""
        self._storage = storage
        self._usual = usual
        kept = storage.get(STATE, "state") or {}
        self.index: int = kept.get("index", 0)
        self.term: int = kept.get("term", 0)
        self.zxid: int = kept.get("zxid", 0)
        self.leader: int = storage.get(STATE, "leader") or NOBODY

    @property
    def fresh(self) -> bool:
        """Has nothing ever been committed here?"""
        return self.index == 0

    def commit(self, index: int, term: int, tree: Tree, outcomes: Iterable[Outcome]) -> None:
        """Write what came of committed requests, up to and including ``index``."""
        with self._storage.transaction():
            for out in outcomes:
                for path, whole in out.nodes.items():
                    self._write(path, tree.nodes.get(path), whole)
                for id in out.sessions:
                    record = tree.sessions.get(id)
                    if record is None:
                        self._storage.delete(SESSIONS, str(id))
                    else:
                        self._storage.put(SESSIONS, str(id), [record.timeout, record.password.hex(), record.inside])
            self.index, self.term, self.zxid = index, term, tree.zxid
            self._storage.put(STATE, "state", {"index": index, "term": term, "zxid": tree.zxid})

    def _write(self, path: str, node: Node | None, whole: bool) -> None:
        if node is None:
            self._storage.delete(STATS, path)
            self._storage.delete(DATA, path)
            return
        stat: list[Any] = [
            node.czxid, node.mzxid, node.ctime, node.mtime, node.pzxid, node.owner, node.version, node.creations,
            node.aversion,
        ]  # fmt: skip
        if node.acl is not self._usual and node.acl != self._usual:
            stat.append([[rule.perms, *rule.id] for rule in node.acl])
        self._storage.put(STATS, path, stat)
        if whole:
            self._storage.put(DATA, path, _to_json(node.data))

    def load(self) -> Tree:
        """The tree as it was committed last."""
        tree = Tree(self._usual)
        nodes = dict(tree.nodes)
        data = self._storage.all(DATA)
        for path, stat in self._storage.all(STATS).items():
            czxid, mzxid, ctime, mtime, pzxid, owner, version, creations, aversion, *acl = stat
            rules = tuple(Acl(perms, Id(scheme, name)) for perms, scheme, name in acl[0]) if acl else self._usual
            body = _from_json(data.get(path, ""))
            nodes[path] = Node(body, rules, czxid, mzxid, ctime, mtime, pzxid, owner, version, creations, aversion)
        sessions = (
            SessionRecord(int(id), timeout, bytes.fromhex(password), inside)
            for id, (timeout, password, inside) in self._storage.all(SESSIONS).items()
        )
        tree.load(nodes.items(), sessions, self.zxid)
        return tree

    def vote_of(self, id: int) -> HardState:
        """A member's term and vote, as it left them."""
        kept = self._storage.get(VOTES, str(id)) or {"term": 0, "vote": NOBODY}
        if kept["term"] < self.term:  # it had not voted since
            return HardState(self.term, NOBODY, self.index)
        return HardState(kept["term"], kept["vote"], self.index)

    def keep_vote(self, id: int, state: HardState) -> None:
        """Must be on disk before anybody hears of the vote."""
        self._storage.put(VOTES, str(id), {"term": state.term, "vote": state.vote})

    def led_by(self, id: int) -> None:
        """Remember who leads: it is the first to stand for election after a restart of the process."""
        if id != self.leader:
            self.leader = id
            self._storage.put(STATE, "leader", id)


def _to_json(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return [base64.b64encode(data).decode()]


def _from_json(kept: Any) -> bytes:
    return kept.encode() if isinstance(kept, str) else base64.b64decode(kept[0])

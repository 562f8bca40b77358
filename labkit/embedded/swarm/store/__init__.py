"""The swarm's store: every object of the cluster in memory, one copy a manager, fed by Raft.

Why it looks as it does (SwarmKit's ``manager/state/store`` teaches the shape): everything the managers know is in
the store, the loops around it (:mod:`labkit.embedded.swarm.leader`) only watch it and write it, and never talk to
each other. So whoever becomes leader finds all there is to know in its own copy.

- *Reads* are plain synchronous calls on dictionaries. Objects are frozen, so a reader may keep what it got.
- *Writes* run in :meth:`Store.update`: a function gets a :class:`Tx`, a copy-on-write overlay; its changes become
  one Raft entry and are acknowledged once a majority has the entry, the leader has applied it and the disk has it.
  Updates of one store queue up behind each other, so that the function always sees the effect of all before it.
- An object's ``version`` is the Raft index of its last write. An update must name the version that it read; if the
  object has changed since, it is refused (``update out of sequence``) and nothing is written.
- *Watches* get every change, in order, in batches: a slow watcher finds one long list instead of many wake-ups.

Entries carry the objects themselves and the managers of a sandbox share them by reference. They are frozen, so three
managers cost three sets of dictionaries, not three copies of the objects.
"""

from labkit.embedded.swarm.store.reads import (
    KINDS,
    Change,
    NameConflict,
    ObjectExists,
    ObjectNotFound,
    Reads,
    Write,
)
from labkit.embedded.swarm.store.rows import erase, from_row, load, save
from labkit.embedded.swarm.store.store import Proposer, Store, StoreSnapshot
from labkit.embedded.swarm.store.transaction import Tx
from labkit.embedded.swarm.store.watch import Watch

__all__ = [
    "KINDS",
    "Change",
    "NameConflict",
    "ObjectExists",
    "ObjectNotFound",
    "Proposer",
    "Reads",
    "Store",
    "StoreSnapshot",
    "Tx",
    "Watch",
    "Write",
    "erase",
    "from_row",
    "load",
    "save",
]

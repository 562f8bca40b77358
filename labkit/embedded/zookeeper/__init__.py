"""The embedded ZooKeeper: an ensemble of members on simulated machines, sessions in this process and on the wire."""

from labkit.embedded.zookeeper.ensemble import Ensemble
from labkit.embedded.zookeeper.errors import (
    BadArguments,
    BadVersion,
    ConnectionLoss,
    MultiFailed,
    NoChildrenForEphemerals,
    NodeExists,
    NoNode,
    NotEmpty,
    SessionClosed,
    SessionExpired,
    ZooKeeperError,
)
from labkit.embedded.zookeeper.ops import Check, Create, Delete, Event, SetData, Stat
from labkit.embedded.zookeeper.recipes import Detector, Election
from labkit.embedded.zookeeper.session import Session

__all__ = [
    "BadArguments",
    "BadVersion",
    "Check",
    "ConnectionLoss",
    "Create",
    "Delete",
    "Detector",
    "Election",
    "Ensemble",
    "Event",
    "MultiFailed",
    "NoChildrenForEphemerals",
    "NoNode",
    "NodeExists",
    "NotEmpty",
    "Session",
    "SessionClosed",
    "SessionExpired",
    "SetData",
    "Stat",
    "ZooKeeperError",
]

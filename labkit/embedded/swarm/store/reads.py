"""What is in a store, how it is asked, and what a change of it looks like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.objects import Cluster, Config, Network, Node, Object, Secret, Service, Task

T = TypeVar("T", bound=Object)

KINDS: dict[str, type[Object]] = {
    "cluster": Cluster,
    "node": Node,
    "network": Network,
    "secret": Secret,
    "config": Config,
    "service": Service,
    "task": Task,
}
KIND_OF: dict[type[Object], str] = {cls: kind for kind, cls in KINDS.items()}

UNIQUE_NAMES = (Service, Secret, Config, Network, Cluster)
"""Classes whose name may be taken once, in any mixture of upper and lower case. Nodes may share theirs."""


class NameConflict(RpcError):
    """A name that is taken. The API shows it with the words of each kind (``service web already exists``)."""

    def __init__(self, cls: type[Object], name: str) -> None:
        words = "name conflicts with an existing object"
        super().__init__("AlreadyExists", f"{words}: {KIND_OF[cls]} {name} already exists")
        self.cls = cls
        self.name = name


class ObjectExists(RpcError):
    """An id that is taken."""

    def __init__(self) -> None:
        super().__init__("AlreadyExists", "object already exists")


class ObjectNotFound(RpcError):
    """An update or delete of an object that is not there (any more)."""

    def __init__(self) -> None:
        super().__init__("NotFound", "object does not exist")


def name_key(obj: Object) -> str:
    """What the index of names files an object under."""
    return str(obj.spec.get("Name", "")).lower()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Change:
    """One object's step. ``old`` is None for ``create``, ``new`` is None for ``delete``."""

    action: str  # create | update | delete
    old: Any
    new: Any

    @property
    def object(self) -> Any:
        """The object as it is now, or as it was when it went."""
        return self.old if self.new is None else self.new


class Write(NamedTuple):
    """One line of a Raft entry: the object as it shall be, or None when it shall go."""

    cls: type[Object]
    id: str
    new: Object | None


class Reads(ABC):
    """What can be asked of a store and of a transaction in it."""

    @abstractmethod
    def get(self, cls: type[T], id: str) -> T | None:
        """The object with this whole id, or None."""

    @abstractmethod
    def all(self, cls: type[T]) -> list[T]:
        """Every object of a class, oldest first."""

    @abstractmethod
    def by_name(self, cls: type[T], name: str) -> T | None:
        """The service, secret, config, network or cluster of this name, whatever its case."""

    @abstractmethod
    def tasks_of_service(self, service_id: str) -> list[Task]: ...

    @abstractmethod
    def tasks_of_node(self, node_id: str) -> list[Task]: ...

    @abstractmethod
    def tasks_of_slot(self, service_id: str, slot: int) -> list[Task]: ...

    def cluster(self) -> Cluster | None:
        """The one cluster object, once there is one."""
        return next(iter(self.all(Cluster)), None)

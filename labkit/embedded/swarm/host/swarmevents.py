"""Events of scope ``swarm``: every manager tells its clients what changes in the swarm's store."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.objects import Config, Network, Node, Object, Secret, Service
from labkit.embedded.swarm.store import Change, Store

if TYPE_CHECKING:
    from .host import Host

log = logging.getLogger(__name__)

_ACTIONS = {"create": "create", "update": "update", "delete": "remove"}
_TYPES: dict[type[Object], str] = {
    Node: "node",
    Service: "service",
    Network: "network",
    Secret: "secret",
    Config: "config",
}


def attributes(change: Change) -> dict[str, str]:
    """What an event says of its object: the name, and for an update what is now another (moby's ``events.go``)."""
    told = {"name": _name(change.object)}
    if change.action == "update":
        told |= {key: value for key, value in _difference(change.old, change.new).items() if value}
    return told


def silent(change: Change) -> bool:
    """Whether the real engine would not have written this: SwarmKit's allocator leaves a service alone that has
    neither ports nor networks, ours notes that it has looked at it."""
    old, new = change.old, change.new
    if not (isinstance(old, Service) and isinstance(new, Service)):
        return False
    return (
        old.spec == new.spec
        and old.update_status == new.update_status
        and not old.endpoint
        and not new.endpoint.get("Ports")
        and not new.endpoint.get("VirtualIPs")
    )


def _name(obj: Any) -> str:
    if isinstance(obj, Node):
        return str(obj.spec.get("Name") or obj.hostname)
    return str(obj.spec.get("Name") or "")


def _difference(old: Any, new: Any) -> dict[str, str]:
    if isinstance(new, Node):
        return {
            **_step("availability", old.spec.get("Availability"), new.spec.get("Availability")),
            **_step("role", old.role, new.role),
            **_step("state", old.state, new.state),
        }
    if isinstance(new, Service):
        update_before, update_after = (old.update_status or {}).get("State"), (new.update_status or {}).get("State")
        return {
            **_step("image", _image(old), _image(new)),
            **_step("replicas", old.replicas, new.replicas),
            **_step("updatestate", update_before, update_after),
        }
    return {}


def _image(service: Service) -> str:
    return str(((service.spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}).get("Image") or "")


def _step(name: str, before: Any, after: Any) -> dict[str, str]:
    if before == after or after is None:
        return {}
    return {f"{name}.old": "" if before is None else str(before), f"{name}.new": str(after)}


class SwarmEvents:
    """Follows the store of this host's manager for as long as it is one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store: Store | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, store: Store | None) -> None:
        """From now on this store; None for a host that is no manager."""
        if store is self._store:
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._store = store
        if store is not None:
            self._task = asyncio.create_task(self._run(store))

    async def _run(self, store: Store) -> None:
        with store.watch(*_TYPES) as changes:
            async for batch in changes:
                for change in batch:
                    if silent(change):
                        continue
                    kind = _TYPES[type(change.object)]
                    self._host.events.log(
                        kind, _ACTIONS[change.action], change.object.id, attributes(change), scope="swarm"
                    )

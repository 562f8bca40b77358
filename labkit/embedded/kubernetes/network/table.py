"""All Services with their endpoints, as the API server has them now: what every proxy and the cluster's DNS go by.

Each real kube-proxy and CoreDNS has a picture of its own. Here they share one for as long as they are connected, and a
proxy that is cut off or stopped takes a copy (:meth:`Table.copy`) and goes on by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informer
from labkit.embedded.kubernetes.network.rules import Port, Service, service_of
from labkit.embedded.kubernetes.objects import Json, Key

SERVICE_NAME = "kubernetes.io/service-name"
Place = tuple[str, int]  # address and port


@dataclass(slots=True)
class Rules:
    """Services by where they are found."""

    services: dict[Key, Service] = field(default_factory=dict)
    places: dict[Place, tuple[Service, Port]] = field(default_factory=dict)  # cluster addresses, TCP
    datagrams: dict[Place, tuple[Service, Port]] = field(default_factory=dict)  # and UDP
    node_ports: dict[int, tuple[Service, Port]] = field(default_factory=dict)  # TCP

    def put(self, key: Key, service: Service | None) -> None:
        """Replace what is known of a Service."""
        old = self.services.pop(key, None)
        if old is not None:
            for port in old.ports:
                table = self.places if port.protocol == "TCP" else self.datagrams
                if (found := table.get((old.ip, port.number))) is not None and found[0] is old:
                    del table[old.ip, port.number]
                if (found := self.node_ports.get(port.node_port)) is not None and found[0] is old:
                    del self.node_ports[port.node_port]
        if service is None:
            return
        self.services[key] = service
        for port in service.ports:
            if service.ip:
                table = self.places if port.protocol == "TCP" else self.datagrams
                table[service.ip, port.number] = service, port
            if port.node_port and port.protocol == "TCP":
                self.node_ports[port.node_port] = service, port

    def copy(self) -> Rules:
        return Rules(dict(self.services), dict(self.places), dict(self.datagrams), dict(self.node_ports))


class Table:
    """Follows Services and EndpointSlices through ``client``."""

    def __init__(self, client: Client) -> None:
        self.rules = Rules()
        self._services = Informer(client, kinds.SERVICES)
        self._slices = Informer(client, kinds.ENDPOINT_SLICES)
        self._slices.add_index("service", _service_of_slice)
        self._dirty: set[Key] = set()
        self._due = False
        self._objects: tuple[Json, ...] | None = None
        self._subscribers: list[Callable[[set[Key]], object]] = []
        self._services.on(self._service_changed, lambda old, new: self._service_changed(new), self._service_changed)
        self._slices.on(self._slice_changed, lambda old, new: self._slice_changed(new), self._slice_changed)

    def start(self) -> None:
        self._services.start()
        self._slices.start()

    async def stop(self) -> None:
        await self._services.stop()
        await self._slices.stop()

    def subscribe(self, fn: Callable[[set[Key]], object]) -> None:
        """Have ``fn(keys)`` called after Services (or what is behind them) have changed."""
        self._subscribers.append(fn)

    def objects(self) -> tuple[Json, ...]:
        """The Services themselves; the same object until one of them changes."""
        if self._objects is None:
            self._objects = tuple(self._services.cache.values())
        return self._objects

    def _service_changed(self, obj: Json) -> None:
        self._objects = None
        self._changed(_key(obj))

    def _slice_changed(self, obj: Json) -> None:
        for key in _service_of_slice(obj):
            self._changed(key)

    def _changed(self, key: Key) -> None:
        self._dirty.add(key)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """Work out anew what has changed, once for all changes of the moment."""
        self._due = False
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            found = self._services.cache.get(key)
            slices = self._slices.cache.at("service", key).values()
            self.rules.put(key, None if found is None else service_of(found, slices))
        for fn in self._subscribers:
            fn(dirty)


def _key(obj: Json) -> Key:
    metadata = obj["metadata"]
    return metadata["namespace"], metadata["name"]


def _service_of_slice(obj: Json) -> Iterator[Key]:
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    if name:
        yield metadata["namespace"], name

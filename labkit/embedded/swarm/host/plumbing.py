"""``docker network connect`` and ``disconnect``: networks of a container that may be running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.splice import splice
from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, Forbidden
from labkit.embedded.swarm.objects import Json

from .container import Attachment, Container

if TYPE_CHECKING:
    from .host import Host


class Plumbing:
    """Changes what networks the containers of one host are on."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def connect(self, container: Container, reference: str, given: Json) -> None:
        """``docker network connect``."""
        network = self._host.networks.here(reference)
        if container.removing or container.dead:
            raise Conflict(
                f"Container {container.id} is marked for removal and cannot be connected or disconnected to the network"
            )
        if container.network_mode in ("host", "none") or network.name in ("host", "none"):
            raise BadRequest(
                "cannot connect container to host network - container must be created in host network mode"
                if network.name == "host"
                else "container sharing network namespace with another container or host cannot be connected to any "
                "other network"
            )
        present = container.networks.get(network.name)
        if present is not None and (present.endpoint_id or not container.running):
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        attachment = Attachment(network.name, given)
        container.networks[network.name] = attachment
        process = container.process
        if container.running and process is not None:
            try:
                self._host.networks.attach(container, attachment)
            except ApiError:
                del container.networks[network.name]
                raise
            await self._extend(container, process, attachment.ip)
            self._host.networks.announce(container)
        self._host.containers.keep(container)

    async def _extend(self, container: Container, process: Process, ip: str) -> None:
        """Let what listens on the container's old addresses answer on the new one too."""
        ns = process.ns
        network = self._host.world.network
        network.place(ip, self._host.name)
        for port, listeners in ns.listeners.items():
            first = listeners[0].ip

            async def forward(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: str = first, port: int = port
            ) -> None:
                await splice((reader, writer), await network.connect(self._host.name, first, port))

            listeners.append(await network.listen(self._host.machine, ip, port, forward))
        ns.addresses.append(ip)
        if ns.resolver is not None:
            self._host.discovery.refresh(ns.resolver, container)

    def disconnect(self, container: Container, reference: str, *, force: bool = False) -> None:
        """``docker network disconnect``."""
        network = self._host.networks.find(reference)
        attachment = container.networks.get(network.name)
        if network.name == "host" or container.network_mode == "host":
            raise BadRequest(
                "cannot disconnect container from host network - container was created in host network mode"
            )
        if attachment is None:
            raise ApiError(f"container {container.id} is not connected to network {network.name}")
        process = container.process
        if process is not None and attachment.ip in process.ns.addresses:
            process.ns.addresses.remove(attachment.ip)
            for listeners in process.ns.listeners.values():
                for listener in [one for one in listeners if one.ip == attachment.ip and len(listeners) > 1]:
                    listeners.remove(listener)
                    listener.shut()
        if attachment.endpoint_id:
            self._host.networks.detach(container, attachment)
        del container.networks[network.name]
        if process is not None and process.ns.resolver is not None:
            self._host.discovery.refresh(process.ns.resolver, container)
        self._host.containers.keep(container)

"""What a container's embedded DNS (127.0.0.11) knows: names on the networks that it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.runtime.dns import Resolver, Scope
from labkit.embedded.runtime.dnsserver import DnsServer

from .container import Container
from .localnetwork import LocalNetwork

if TYPE_CHECKING:
    from .host import Host

_TASKS = "tasks."


class Discovery:
    """The names of one host's networks, one scope a network, shared by all containers on it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._scopes: dict[str, Scope] = {}
        self.server: DnsServer | None = None

    # for people outside of the containers ----------------------------------------------------------------------

    async def serve(self) -> None:
        """Answer DNS on port 53 of the machine with the names of all networks that it is on.

        A real node does not: there the names are the containers' alone. Here ``dig @127.S.0.10 tasks.web`` lets one
        look at what a container sees.
        """
        host = self._host
        resolver = Resolver([Scope(host.name, self._lookup_anywhere, reverse=self._reverse_anywhere)])
        try:
            self.server = await DnsServer.start(host.world.network, host.machine, resolver)
        except OSError as error:
            host.world.network.note(f"No DNS server on {host.machine.address}: {error.strerror}.")

    async def stop_serving(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.close()

    def _networks(self) -> list[LocalNetwork]:
        return [network for network in self._host.networks.all() if network.has_addresses and not network.ingress]

    def _lookup_anywhere(self, name: str) -> list[str] | None:
        return next((found for n in self._networks() if (found := self.lookup(n.id, name)) is not None), None)

    def _reverse_anywhere(self, ip: str) -> str | None:
        return next((found for n in self._networks() if (found := self.reverse(n.id, n.name, ip))), None)

    # for containers -------------------------------------------------------------------------------------------

    def resolver(self, container: Container) -> Resolver:
        """What ``container`` can find. The default bridge has no names, as in Docker."""
        resolver = Resolver()
        self.refresh(resolver, container)
        return resolver

    def refresh(self, resolver: Resolver, container: Container) -> None:
        """The container's networks have changed."""
        resolver.scopes = [
            self._scope(attachment.network_id, attachment.network)
            for attachment in container.networks.values()
            if attachment.ip and attachment.network != "bridge"
        ]
        # Every network with a gateway has a way out (an internal one has none), and so has the machine itself.
        resolver.outside = container.network_mode == "host" or any(
            attachment.ip and attachment.gateway for attachment in container.networks.values()
        )

    def _scope(self, network_id: str, name: str) -> Scope:
        if network_id not in self._scopes:
            self._scopes[network_id] = Scope(
                name,
                lambda asked: self.lookup(network_id, asked),
                reverse=lambda ip: self.reverse(network_id, name, ip),
            )
        return self._scopes[network_id]

    def lookup(self, network_id: str, name: str) -> list[str] | None:
        """The addresses of a name on a network: a service (its VIP), ``tasks.service``, a task or a container."""
        host = self._host
        of_tasks = name.startswith(_TASKS)
        wanted = name.removeprefix(_TASKS)
        for _, records in host.world.networkdb.services(network_id):
            known = [record for record in records if host.world.networkdb.knows(host.name, record.machine)]
            for record in known:
                if not record.service_id:
                    if name in (record.task_name.lower(), record.container_id[:12], *record.aliases):
                        return [record.ip]
                elif wanted == record.service_name.lower() or wanted in record.aliases:
                    if record.vip and not of_tasks:
                        return [record.vip]
                    return [task.ip for task in known]
                elif name in (record.task_name.lower(), record.container_id[:12]):
                    return [record.ip]
                elif len(known) > 1 and not _dotted_task(name, record.service_name):
                    break  # another service: its other tasks cannot match either
        for container in host.containers:
            attachment = next((a for a in container.networks.values() if a.network_id == network_id), None)
            if attachment is not None and attachment.ip and name in (n.lower() for n in attachment.dns_names):
                return [attachment.ip]
        return None

    def reverse(self, network_id: str, network: str, ip: str) -> str | None:
        """``web.1.<task id>.<network>``."""
        host = self._host
        for record in host.world.networkdb.on_network(host.name, network_id):
            if record.ip == ip:
                return f"{record.task_name}.{network}"
        for container in host.containers:
            for attachment in container.networks.values():
                if attachment.network_id == network_id and attachment.ip == ip:
                    return f"{container.name}.{network}"
        return None


def _dotted_task(name: str, service: str) -> bool:
    """Could ``name`` be a task of ``service`` (``web.1.x``) or a container's id?"""
    return name.startswith(f"{service.lower()}.") or len(name) == 12

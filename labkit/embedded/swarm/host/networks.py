"""Networks as one host has them: its own (bridge, host, none, user-defined bridges) and the overlays it takes part in.

Swarm-scoped networks live in the swarm's store; ``api/networks.py`` shows those and merges in what is here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from typing import TYPE_CHECKING

from labkit.embedded.runtime.addresses import PoolExhausted
from labkit.embedded.swarm.errors import BadRequest, Conflict, Forbidden, NotFound
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.objects import Network as SwarmNetwork

from .container import Attachment, Container
from .localnetwork import PREDEFINED, LocalNetwork
from .networkdb import Endpoint
from .networkview import shown, wanted

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

    from .host import Host

# Addresses of a local network. The sandbox has one block of loopback addresses for all of them; the default bridge
# has room for the thousand tasks that one machine may get when all others are down.
_SIZE = 250
_BRIDGE_SIZE = 2000
_BRIDGE_OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
    "com.docker.network.bridge.name": "docker0",
    "com.docker.network.driver.mtu": "1500",
}


class Networks:
    """The networks of one host. ``gwbridge`` appears with the first swarm that the host joins."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._networks: dict[str, LocalNetwork] = {}

    # life -----------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take up what was kept, and make what every host has."""
        for identifier, row in self._host.keeper.all("network").items():
            network = LocalNetwork(**row)
            if network.scope == "local" and network.subnet:
                self._host.world.network.pool(network.subnet)  # before anybody else is given a part of it
            self._networks[identifier] = network
        names = {network.name for network in self._networks.values()}
        for name, driver in (("bridge", "bridge"), ("host", "host"), ("none", "null")):
            if name not in names:
                self._make(name, driver, options=dict(_BRIDGE_OPTIONS) if name == "bridge" else {})

    def _make(self, name: str, driver: str, *, subnet: str = "", **more: object) -> LocalNetwork:
        world = self._host.world
        identifier = world.ids.hex_id()
        network = LocalNetwork(identifier, name, driver, world.clock.time(), **more)  # type: ignore[arg-type]
        if driver == "bridge":
            # Pools are asked for by their addresses from here on, so that after a restart they are the same.
            if not subnet:
                size = _BRIDGE_SIZE if name == "bridge" else _SIZE
                subnet = world.network.pool(identifier, size).cidr
                world.network.drop_pool(identifier)
            pool = world.network.pool(subnet)
            network.subnet, network.gateway = pool.cidr, pool.gateway
        self._networks[identifier] = network
        self._keep(network)
        return network

    def _keep(self, network: LocalNetwork) -> None:
        self._host.keeper.put("network", network.id, lambda: asdict(network))

    def gwbridge(self) -> None:
        """The bridge that every node of a swarm has for its tasks' way out."""
        if all(network.name != "docker_gwbridge" for network in self._networks.values()):
            self._make(
                "docker_gwbridge",
                "bridge",
                options={
                    "com.docker.network.bridge.enable_icc": "false",
                    "com.docker.network.bridge.enable_ip_masquerade": "true",
                    "com.docker.network.bridge.name": "docker_gwbridge",
                },
            )

    def know(self, network: SwarmNetwork) -> LocalNetwork:
        """This host takes part in an overlay: a task on it runs here."""
        spec = network.spec
        known = LocalNetwork(
            network.id,
            network.name,
            (spec.get("DriverConfiguration") or {}).get("Name") or spec.get("Driver") or "overlay",
            network.created_at,
            network.subnet,
            network.gateway,
            scope="swarm",
            internal=bool(spec.get("Internal")),
            attachable=bool(spec.get("Attachable")),
            ingress=bool(spec.get("Ingress")),
            labels=dict(spec.get("Labels") or {}),
        )
        if asdict(known) != (asdict(self._networks[network.id]) if network.id in self._networks else None):
            self._networks[network.id] = known
            self._keep(known)
        return known

    def is_ingress(self, network_id: str) -> bool:
        network = self._networks.get(network_id)
        return network is not None and network.ingress

    def forget(self, network_id: str) -> None:
        """No task here is on that overlay any more."""
        network = self._networks.get(network_id)
        if network is not None and network.scope == "swarm" and not self.containers(network):
            del self._networks[network_id]
            self._host.keeper.delete("network", network_id)

    # finding --------------------------------------------------------------------------------------------------

    def all(self) -> list[LocalNetwork]:
        return list(self._networks.values())

    def find(self, term: str) -> LocalNetwork:
        """By id, name, or the beginning of an id. Raises :class:`NotFound` ``network x not found``."""
        if term in self._networks:
            return self._networks[term]
        for found, how in (
            ([n for n in self._networks.values() if n.name == term], "name"),
            ([n for n in self._networks.values() if term and n.id.startswith(term)], "ID prefix"),
        ):
            if len(found) == 1:
                return found[0]
            if found:
                words = f"network {term} is ambiguous ({len(found)} matches found "
                raise BadRequest(words + ("on name)" if how == "name" else "based on ID prefix)"))
        raise NotFound(f"network {term} not found")

    def containers(self, network: LocalNetwork) -> list[Container]:
        """The containers that are on it now."""
        return [
            container
            for container in self._host.containers
            if container.running and any(a.network_id == network.id for a in container.networks.values())
        ]

    # what the API does ----------------------------------------------------------------------------------------

    def list(self, filters: Filters | None = None) -> list[Json]:
        """For ``GET /networks``: without the containers, as since API 1.28."""
        found = [self.inspect(network, containers=False) for network in self._networks.values()]
        if filters is None:
            return found
        used = {n.id for n in self.all() if self.containers(n)} if "dangling" in filters else None
        return wanted(found, filters, used)

    def inspect(self, network: LocalNetwork, *, containers: bool = True) -> Json:
        """For ``GET /networks/{id}``."""
        return shown(network, self.containers(network) if containers else [])

    def create(self, request: Json) -> LocalNetwork:
        """A bridge of this host. Overlays are the swarm's and are made elsewhere."""
        name, driver = request.get("Name") or "", request.get("Driver") or "bridge"
        if not name:
            raise BadRequest("invalid name: name is empty")
        if name in PREDEFINED:
            raise Forbidden(f"operation is not permitted on predefined {name} network")
        if any(network.name == name for network in self._networks.values()):
            raise Conflict(f"network with name {name} already exists")
        if driver in ("host", "null"):
            raise Forbidden(f'only one instance of "{driver}" network is allowed')
        if driver != "bridge":
            raise NotFound(f'could not find plugin {driver} in v1 plugin registry: plugin "{driver}" not found')
        return self._create_bridge(name, request)

    def _create_bridge(self, name: str, request: Json) -> LocalNetwork:
        configs = (request.get("IPAM") or {}).get("Config") or []
        wanted = (configs[0] or {}).get("Subnet") or "" if configs else ""
        if wanted:
            try:
                ipaddress.IPv4Network(wanted)
            except ValueError:
                raise BadRequest(f"invalid network config:\ninvalid subnet {wanted}: invalid CIDR address") from None
            # Any subnet is accepted; the addresses come from the sandbox's own loopback block all the same.
        network = self._make(
            name,
            "bridge",
            internal=bool(request.get("Internal")),
            attachable=bool(request.get("Attachable")),
            options=dict(request.get("Options") or {}),
            labels=dict(request.get("Labels") or {}),
        )
        self._event(network, "create")
        return network

    def remove(self, network: LocalNetwork) -> None:
        """Raises :class:`Forbidden` for a predefined network and for one with containers on it."""
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        busy = [
            f"name:{quote(container.name)} id:{quote(attachment.endpoint_id[:12])}"
            for container in self.containers(network)
            for attachment in container.networks.values()
            if attachment.network_id == network.id
        ]
        if busy:
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints ({', '.join(busy)})"
            )
        del self._networks[network.id]
        self._host.keeper.delete("network", network.id)
        if network.subnet and network.scope == "local":
            self._host.world.network.drop_pool(network.subnet)
        self._event(network, "destroy")

    def prune(self, filters: Filters) -> Json:
        """``POST /networks/prune``: user-defined bridges that nobody uses."""
        gone = []
        for network in list(self._networks.values()):
            unwanted = filters.get("label!") and filters.labels("label!", network.labels)
            if network.predefined or network.scope != "local" or network.name == "docker_gwbridge" or unwanted:
                continue
            if filters.labels("label", network.labels) and not self._used(network):
                self.remove(network)
                gone.append(network.name)
        self._host.events.log("network", "prune", "", {"reclaimed": "0"})
        return {"NetworksDeleted": gone or None}

    def _used(self, network: LocalNetwork) -> bool:
        """By a container that runs or has been told to be on it."""
        return any(network.name in container.networks for container in self._host.containers)

    # addresses ------------------------------------------------------------------------------------------------

    def attach(self, container: Container, attachment: Attachment) -> LocalNetwork:
        """Give the container an address and an endpoint there. Raises :class:`ApiError` when there is none left."""
        network = self.here(attachment.network_id or attachment.network)
        if network.scope == "swarm" and not container.managed and not network.attachable:
            raise Forbidden(
                f"Could not attach to network {network.name}: rpc error: code = PermissionDenied desc = "
                f"network {network.name} not manually attachable"
            )
        world = self._host.world
        attachment.network_id = network.id
        attachment.endpoint_id = world.ids.hex_id()
        if network.has_addresses:
            self._address(network, attachment)
            attachment.gateway = "" if network.internal else network.gateway
            attachment.prefix = int(network.subnet.partition("/")[2])
            attachment.mac = world.ids.mac(attachment.ip)
            world.network.place(attachment.ip, self._host.name)
        if network.name != "bridge" and network.has_addresses:
            aliases = attachment.given.get("Aliases") or []
            attachment.dns_names = tuple(dict.fromkeys([container.name, *aliases, container.id[:12]]))
            if container.config.get("Hostname"):
                attachment.dns_names += (container.hostname,)
        self._event(network, "connect", container)
        return network

    def here(self, term: str) -> LocalNetwork:
        """A network of this host; an overlay that nobody here has been on yet is asked of the managers."""
        try:
            return self.find(term)
        except NotFound:
            found = self._host.executor.network_named(term)
            if found is None:
                raise
            return self.know(found)

    def _address(self, network: LocalNetwork, attachment: Attachment) -> None:
        wanted = ((attachment.given.get("IPAMConfig") or {}).get("IPv4Address")) or ""
        if attachment.ip and attachment.pool:
            return  # it was reclaimed after a restart
        if attachment.given.get("Allocated"):  # a task's address: the swarm's allocator took it
            attachment.ip = wanted
            return
        pool = self._host.world.network.pool(network.subnet)
        try:
            attachment.ip = pool.claim(wanted) if wanted and wanted in pool else pool.take()
        except PoolExhausted as error:
            words = "Address already in use" if wanted else str(error.strerror)
            raise Forbidden(words) from None
        attachment.pool = network.subnet

    def reclaim(self, attachment: Attachment) -> None:
        """After a restart: the same address again, before somebody else is given it."""
        if attachment.ip and attachment.pool:
            try:
                self._host.world.network.pool(attachment.pool).claim(attachment.ip)
            except (PoolExhausted, ValueError):
                attachment.ip, attachment.pool = "", ""

    def announce(self, container: Container) -> None:
        """A container that is no task's can be found by its name on the overlays that it is on."""
        for attachment in () if container.managed else container.networks.values():
            network = self._networks.get(attachment.network_id)
            if network is not None and network.scope == "swarm":
                self._host.world.networkdb.put(
                    Endpoint(
                        swarm_id=self._host.swarm_id,
                        network_id=network.id,
                        service_id="",
                        service_name="",
                        task_id="",
                        task_name=container.name,
                        ip=attachment.ip,
                        vip="",
                        machine=self._host.name,
                        aliases=tuple(name.lower() for name in attachment.dns_names),
                        container_id=container.id,
                    )
                )

    def detach(self, container: Container, attachment: Attachment) -> None:
        """Take endpoint and address back."""
        world = self._host.world
        if not container.managed:
            world.networkdb.remove_from(container.id, [attachment.network_id])
        if attachment.ip:
            world.network.unplace(attachment.ip)
            if attachment.pool:
                world.network.pool(attachment.pool).release(attachment.ip)
        network = self._networks.get(attachment.network_id)
        attachment.ip = attachment.gateway = attachment.mac = attachment.endpoint_id = attachment.pool = ""
        attachment.prefix = 0
        if network is not None:
            self._event(network, "disconnect", container)

    def _event(self, network: LocalNetwork, action: str, container: Container | None = None) -> None:
        attributes = {"container": container.id} if container is not None else {}
        self._host.events.log(
            "network", action, network.id, {**attributes, "name": network.name, "type": network.driver}
        )


def quote(text: str) -> str:
    return f'"{text}"'

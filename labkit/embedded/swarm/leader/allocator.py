"""The allocator: subnets to networks, virtual IPs and ports to services, addresses to tasks.

SwarmKit: ``manager/allocator``. A task waits at ``new`` until its service has all that it needs; with its addresses it
goes on to ``pending``, and the scheduler takes it from there. Addresses are those of the sandbox's loopback block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from labkit.embedded.runtime.addresses import AddressPool, PoolExhausted
from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.orchestrator.tasks import endpoint_spec
from labkit.embedded.swarm.leader.ports import PortsExhausted, PortSpace, needs_ingress
from labkit.embedded.swarm.objects import Json, Network, Service, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import Change, Reads, Store, Tx

ALLOCATED = "pending task scheduling"

_INGRESS_SIZE = 2000
"""Room for a thousand tasks behind published ports. The real ingress network is a /24 unless one makes it larger."""


class NotAllocatable(Exception):
    """What the service needs is not there (yet)."""


def service_networks(spec: Json) -> list[Json]:
    """The networks that a service's spec names: ``[{"Target": …, "Aliases": […]}]``."""
    return list((spec.get("TaskTemplate") or {}).get("Networks") or spec.get("Networks") or ())


def ingress_network(store: Reads) -> Network | None:
    """The swarm's ingress network, if it has one."""
    return next((network for network in store.all(Network) if network.spec.get("Ingress")), None)


class Allocator(Loop):
    watches = (Service, Task, Network)

    def __init__(self, store: Store, world: Any, machine: str = "") -> None:
        super().__init__(store, world, machine)
        self._ports = PortSpace()
        self._held: dict[str, str] = {}  # ip -> id of the service or task that has it
        self._services: dict[str, None] = {}  # to be looked at
        self._tasks: dict[str, None] = {}  # at ``new``

    async def begin(self) -> None:
        """Take over what former leaders have given out, then give what is still missing."""
        self._ports, self._held = PortSpace(), {}
        for service in self.store.all(Service):
            self._ports.claim(service.id, service.endpoint.get("Ports") or ())
            for vip in service.endpoint.get("VirtualIPs") or ():
                self._hold(self.store, service.id, vip["NetworkID"], vip["Addr"])
        for task in self.store.all(Task):
            if task.status.state <= TaskState.RUNNING:
                for attachment in task.networks:
                    for address in attachment.get("Addresses") or ():
                        self._hold(self.store, task.id, attachment["Network"], address)
        self._services = dict.fromkeys(service.id for service in self.store.all(Service))
        self._tasks = dict.fromkeys(task.id for task in self.store.all(Task) if task.status.state == TaskState.NEW)
        await self._allocate()

    async def changed(self, batch: list[Change]) -> None:
        worth_it = False
        for change in batch:
            match change.object:
                case Task() as task if change.new is None or task.status.state > TaskState.RUNNING:
                    self._tasks.pop(task.id, None)
                    self._release(task.id, task.networks)
                case Task() as task if task.status.state == TaskState.NEW:
                    self._tasks[task.id] = None
                    worth_it = True
                case Service() as service if change.new is None:
                    self._services.pop(service.id, None)
                    self._ports.release(service.id)
                    self._release(service.id, service.endpoint.get("VirtualIPs") or ())
                    worth_it = True  # somebody may wait for its ports
                case Service() as service:
                    self._services[service.id] = None
                    worth_it = True
                case Network() as network:
                    if change.new is None and network.subnet:
                        self.world.network.drop_pool(network.subnet)
                    worth_it = True
        if worth_it:
            await self._allocate()

    async def _allocate(self) -> None:
        fresh: list[str] = []  # given out by this attempt
        try:
            await self.store.update(lambda tx: self._attempt(tx, fresh))
        except BaseException:
            for ip in fresh:
                self._free(ip)
            raise

    def _attempt(self, tx: Tx, fresh: list[str]) -> None:
        for network in tx.all(Network):
            if not network.subnet:
                self._allocate_network(tx, network)
        for id in list(self._services):
            service = tx.get(Service, id)
            try:
                if service is not None:
                    self._allocate_service(tx, service, fresh)
                del self._services[id]
            except (NotAllocatable, PortsExhausted, PoolExhausted) as error:
                self.log.info("service %s is not allocated yet: %s", id, error)
        for id in list(self._tasks):
            task = tx.get(Task, id)
            try:
                if task is not None and task.status.state == TaskState.NEW:
                    self._allocate_task(tx, task, fresh)
                del self._tasks[id]
            except (NotAllocatable, PoolExhausted) as error:
                self.log.info("task %s is not allocated yet: %s", id, error)

    # -- networks

    def _allocate_network(self, tx: Tx, network: Network) -> None:
        cluster = tx.cluster()
        bits = 32 - (24 if cluster is None else cluster.subnet_size)
        size = _INGRESS_SIZE if network.spec.get("Ingress") else 2 ** max(3, bits) - 6
        pools = self.world.network
        cidr = pools.pool(network.id, size).cidr  # a free part of the block…
        pools.drop_pool(network.id)
        pool = pools.pool(cidr)  # …which everybody knows by its own name from now on
        tx.update(replace(network, subnet=pool.cidr, gateway=pool.gateway))

    # -- services

    def _allocate_service(self, tx: Tx, service: Service, fresh: list[str]) -> None:
        endpoint: Json = {"Spec": endpoint_spec(service)}
        networks = self._networks(tx, service)
        if (ports := self._ports.allocate(service)) and ports:
            endpoint["Ports"] = ports
        old = {vip["NetworkID"]: vip for vip in service.endpoint.get("VirtualIPs") or ()}
        if endpoint["Spec"].get("Mode", "vip") != "dnsrr" and networks:
            endpoint["VirtualIPs"] = [
                old.pop(network.id, None)
                or {"NetworkID": network.id, "Addr": self._take(tx, network, service.id, fresh)}
                for network, _ in networks
            ]
        self._release(service.id, old.values())
        if endpoint != service.endpoint:
            tx.update(replace(service, endpoint=endpoint))

    def _networks(self, tx: Tx, service: Service) -> list[tuple[Network, Json]]:
        """The networks on which the service's tasks are, the ingress network before all others."""
        found: list[tuple[Network, Json]] = []
        if needs_ingress(service.spec):
            ingress = ingress_network(tx)
            if ingress is None:
                raise NotAllocatable("ingress network is missing")
            found.append((ingress, {}))
        for wanted in service_networks(service.spec):
            target = str(wanted.get("Target", ""))
            network = tx.get(Network, target) or tx.by_name(Network, target)
            if network is None:
                raise NotAllocatable(f"network {target} not found")
            found.append((network, wanted))
        return found

    # -- tasks

    def _allocate_task(self, tx: Tx, task: Task, fresh: list[str]) -> None:
        service = tx.get(Service, task.service_id) if task.service_id else None
        endpoint, attachments = task.endpoint, []
        if task.service_id:
            if service is None:
                return  # deleted: nobody is going to run it
            if service.id in self._services or endpoint_spec(service) != (service.endpoint.get("Spec") or {}):
                raise NotAllocatable(f"service {service.id} is not")
            endpoint = service.endpoint
            for network, wanted in self._networks(tx, service):
                attachment: Json = {"Network": network.id, "Addresses": [self._take(tx, network, task.id, fresh)]}
                if wanted.get("Aliases"):
                    attachment["Aliases"] = wanted["Aliases"]
                attachments.append(attachment)
        status = TaskStatus(state=TaskState.PENDING, timestamp=self.clock.time(), message=ALLOCATED)
        tx.update(replace(task, endpoint=endpoint, networks=tuple(attachments), status=status))

    # -- addresses

    def _pool(self, store: Reads, network_id: str) -> AddressPool | None:
        network = store.get(Network, network_id)
        return self.world.network.pool(network.subnet) if network is not None and network.subnet else None

    def _take(self, tx: Tx, network: Network, owner: str, fresh: list[str]) -> str:
        """A free address of the network, with the length of its prefix."""
        pool = self._pool(tx, network.id)
        if pool is None:
            raise NotAllocatable(f"network {network.id} has no subnet")
        ip = pool.take()
        self._held[ip] = owner
        fresh.append(ip)
        return f"{ip}/{pool.prefix}"

    def _hold(self, store: Reads, owner: str, network_id: str, address: str) -> None:
        """Somebody has this address already. In this process a former leader may have said so to the pool."""
        pool = self._pool(store, network_id)
        ip = address.split("/")[0]
        if pool is not None and ip in pool:
            try:
                pool.claim(ip)
            except PoolExhausted:
                pass
            self._held[ip] = owner

    def _release(self, owner: str, given: Iterable[Json]) -> None:
        """Give back what ``owner`` still has of ``given`` (virtual IPs or attachments)."""
        for item in given:
            for address in item.get("Addresses") or (item.get("Addr", ""),):
                ip = address.split("/")[0]
                if self._held.get(ip) == owner:
                    self._free(ip)

    def _free(self, ip: str) -> None:
        self._held.pop(ip, None)
        for network in self.store.all(Network):
            if network.subnet and ip in (pool := self.world.network.pool(network.subnet)):
                pool.release(ip)
                return

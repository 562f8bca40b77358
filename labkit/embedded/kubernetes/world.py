"""A Kubernetes sandbox put together: machines with their kubelets, and on the first of them the control plane.

Nothing is short-cut but the waiting: the control-plane's kubelet starts etcd, the API server, the controller-manager
and the scheduler from their static manifests; the other kubelets register their nodes; DaemonSet, Deployment and
scheduler bring kube-proxy and CoreDNS up. It is ready once the API server says that every node is.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.embedded.kubernetes import kinds, kubeconfig
from labkit.embedded.kubernetes.apiserver.door import Door
from labkit.embedded.kubernetes.apiserver.nodes import Nodes
from labkit.embedded.kubernetes.apiserver.server import PORT, ApiServer
from labkit.embedded.kubernetes.apiserver.tokens import Tokens
from labkit.embedded.kubernetes.bootstrap import addons, statics, system
from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.components import Components
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kubelet import Kubelet, Parts
from labkit.embedded.kubernetes.network.addresses import (
    PodAddresses,
    dns_address,
    kubernetes_address,
    service_range,
)
from labkit.embedded.kubernetes.network.cluster import ClusterNetwork
from labkit.embedded.kubernetes.objects import Json, has_condition
from labkit.embedded.kubernetes.pki import Pki, PkiError, names_for
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.orchestrators import WorldError
from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import GIB, Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.relocation import relocate
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.world import BaseWorld, time_to_start

log = logging.getLogger(__name__)

__all__ = ["GIB", "Options", "World"]

READY_TIMEOUT = 30.0  # seconds of the wall clock
READY_TIMEOUT_DAMAGED = 3.0  # when it comes back with plugs pulled or components stopped
CONTROL_PLANE = "control-plane"
_LOOK = 0.003


@dataclass(frozen=True)
class Options:
    """What ``python -m labkit.embedded kubernetes`` was asked for."""

    name: str
    state: Path
    workers: int = 3
    speed: float = 1.0
    cpus: float = 4.0
    memory: int = 8 * GIB

    def machine_names(self) -> list[str]:
        return [CONTROL_PLANE, *(f"worker-{number}" for number in range(1, self.workers + 1))]


class World(BaseWorld):
    """One Kubernetes sandbox. Made by :meth:`open`."""

    orchestrator = "kubernetes"
    control_plane = CONTROL_PLANE

    def __init__(self, options: Options, storage: Storage, pki: Pki, network: Network, fleet: Fleet) -> None:
        self.options = options
        self.name = options.name
        self.storage = storage
        self.pki = pki
        self.fleet = fleet
        self.clock: ScaledClock = fleet.clock  # type: ignore[assignment]  # open() has given it this one
        self.network = network
        self.rng = random.Random()
        self.catalogue = Catalogue()
        self.notes: list[str] = []
        self.ready = False
        self.shutdown = asyncio.Event()
        self.kubelets: dict[str, Kubelet] = {}
        self.scheduler: Any = None  # the one that runs, to be asked why
        self.kubeconfig = options.state / "kubeconfig"
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- coming up

    @classmethod
    async def open(cls, options: Options, storage: Storage, pki: Pki) -> World:
        """Build or restore the world; :meth:`bring_up` lets it run."""
        stored = storage.get("world", "world") or {}
        clock = ScaledClock(options.speed, start=time_to_start(storage.get("world", "clock")))
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, stored.get("block"))
        world = cls(options, storage, pki, network, fleet)
        before = f"127.{stored['block']}" if stored else network.block
        if network.block != before:
            relocate(storage, before, network.block)
            world.notes.append(f"Its addresses have moved from {before}.0.0/16, which another sandbox holds now.")
        try:
            world._build(stored)
        except BaseException:
            await network.close()
            pki.close()
            raise
        return world

    def _build(self, stored: Json) -> None:
        rows = stored.get("machines") or []
        if rows:
            self._note_differences(rows)
        else:
            rows = [
                {"name": name, "cpus": self.options.cpus, "memory": self.options.memory}
                for name in self.options.machine_names()
            ]
        self.restored = bool(stored)
        plugs = self.storage.all("plug")
        for index, row in enumerate(rows):
            address = self.network.machine_address(index)
            self.fleet.add(Machine(name=row["name"], address=address, cpus=row["cpus"], memory=row["memory"]))
            if row["name"] in plugs:
                self.fleet.restore(row["name"], plugs[row["name"]])
        block = self.network.block
        self.storage.put("world", "world", {"machines": rows, "block": int(block.split(".")[1])})
        address = self.fleet.machines[CONTROL_PLANE].address
        self.service_range, self.service_address = service_range(block), kubernetes_address(block)
        self.pki.request(names_for(CONTROL_PLANE, address, self.service_address))
        self.addresses = PodAddresses(self.network, list(self.fleet.machines))
        self.etcd = Etcd(self.storage)
        self.registry = Registry(self.etcd, self.clock, services=self.network.pool(self.service_range), rng=self.rng)
        self.etcd.stop()  # until its container runs
        self.door = Door(self.registry, self.fleet, CONTROL_PLANE, address)
        self.components = Components(self)
        self.fleet.subscribe(self._plugged)

    def _note_differences(self, rows: list[Json]) -> None:
        names = [row["name"] for row in rows]
        if names != self.options.machine_names():
            self.notes.append(
                f"This sandbox exists already with {', '.join(names)}; what is stored is kept. "
                "Take it down first to have other machines."
            )

    async def bring_up(self) -> None:
        """Start everything that nobody has stopped, and wait until every node is ready.

        Raises:
            WorldError: it did not become ready in time.
        """
        try:
            await self.pki.ready()
        except PkiError as error:
            raise WorldError(str(error)) from None
        self._assemble()
        whole = all(self.fleet.state(name) == "up" for name in self.fleet.machines)
        whole = whole and not any(
            self.components.is_held(CONTROL_PLANE, name) for name in ("kubelet", "etcd", "kube-apiserver")
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT if whole else READY_TIMEOUT_DAMAGED):
                await self._start()
                await self._until_ready()
        except TimeoutError:
            if not self.restored:
                raise WorldError(f"the cluster was not ready within {READY_TIMEOUT:g} s") from None
            self.notes.append("Not every node is ready: perhaps machines are down, or components are stopped.")
        self._write_kubeconfig()
        self.spawn(self._keep_time())
        self.ready = True

    def _assemble(self) -> None:
        """What needs the certificates: the API server, and the kubelets that hand tokens to pods."""
        self.tokens = Tokens(self.pki.token_key, self.registry, self.clock)
        nodes = Nodes(self.registry, self.fleet, CONTROL_PLANE, self.kubelets)
        self.api_server = ApiServer(
            self.registry,
            self.etcd,
            fleet=self.fleet,
            network=self.network,
            machine=CONTROL_PLANE,
            tokens=self.tokens,
            nodes=nodes,
            door=self.door,
            names=frozenset(names_for(CONTROL_PLANE, "", "").dns),
            components_health=self.components.health,
        )
        self._context = self.pki.server_context()
        watcher = Client(self.door, machine=CONTROL_PLANE, user="system:apiserver", manager="kube-apiserver")
        self.cluster = ClusterNetwork(
            watcher, self.fleet, self.network, self.clock, self.rng, connected=self.door.reachable
        )
        parts = Parts(
            clock=self.clock,
            fleet=self.fleet,
            network=self.network,
            catalogue=self.catalogue,
            addresses=self.addresses,
            storage=self.storage,
            rng=self.rng,
            component=self.components.lend,
            token=self._token,
            ca=self.pki.ca_certificate.encode(),
            services=self.cluster.services,
            resolver=self.cluster.resolver,
            dns_address=dns_address(self.network.block),
            preloaded=[*map(statics.image, statics.STATIC), addons.KUBE_PROXY, addons.COREDNS, addons.PAUSE],
        )
        for machine in self.fleet.machines.values():
            client = Client(
                self.door,
                machine=machine.name,
                user=f"system:node:{machine.name}",
                manager="kubelet",
                groups=("system:nodes", "system:authenticated"),
            )
            kubelet = Kubelet(machine, client, parts, control_plane=machine.name == CONTROL_PLANE)
            self.kubelets[machine.name] = kubelet

    def _token(self, pod: Json, audience: str, seconds: float) -> str:
        """A service account's token for a pod. Raises StatusError, Unreachable."""
        metadata, spec = pod["metadata"], pod["spec"]
        registry = self.door.enter(spec["nodeName"])
        account = registry.get(
            kinds.SERVICE_ACCOUNTS, metadata["namespace"], spec.get("serviceAccountName") or "default"
        )
        audiences = (audience,) if audience else ()
        return self.tokens.issue(account, seconds=seconds, audiences=audiences, bound=pod).text

    async def serve(self) -> None:
        """The API server begins: it listens, and makes what every cluster has."""
        address = self.fleet.machines[CONTROL_PLANE].address
        system.put(self.registry, address, self.service_address)
        await self.api_server.start(self._context)
        self.cluster.proxies.refresh()

    async def keep_service(self) -> None:
        """What the API server goes on doing for its own Service; until it is cancelled."""
        address = self.fleet.machines[CONTROL_PLANE].address
        await system.keep_service(self.door, CONTROL_PLANE, address, self.service_address)

    async def _start(self) -> None:
        await self.cluster.start()
        self.components.set_statics()
        await self._start_kubelet(CONTROL_PLANE)
        await self.door.opened.wait()
        for name in self.fleet.machines:
            if name != CONTROL_PLANE:
                await self._start_kubelet(name)
        if not self.storage.get("world", "addons"):
            addons.put(
                self.registry,
                name=self.name,
                address=self.fleet.machines[CONTROL_PLANE].address,
                dns=dns_address(self.network.block),
                services=self.service_range,
                pods=self.addresses.cluster_cidr,
            )
            self.storage.put("world", "addons", True)

    async def _start_kubelet(self, machine: str) -> None:
        if not self.components.is_held(machine, "kubelet"):
            await self.kubelets[machine].start()

    async def _until_ready(self) -> None:
        """Every node whose machine is up is ``Ready``, and so says the API server."""
        waiting = [name for name, kubelet in self.kubelets.items() if kubelet.running]
        while waiting:
            waiting = [name for name in waiting if not self._is_node_ready(name)]
            await asyncio.sleep(_LOOK)

    def _is_node_ready(self, name: str) -> bool:
        try:
            return has_condition(self.registry.get(kinds.NODES, "", name), "Ready")
        except StatusError:
            return False

    @property
    def server(self) -> str:
        """The URL of the API server, as clients of this computer reach it."""
        host, port = self.api_server.address or (self.fleet.machines[CONTROL_PLANE].address, PORT)
        return f"https://{host}:{port}"

    def _write_kubeconfig(self) -> None:
        kubeconfig.refresh(self.kubeconfig, kubeconfig.make(self.name, self.server, self.pki.folder))

    # -- what goes on

    # -- for the control API

    def status(self) -> Json:
        """``GET /status`` of the control API."""
        return {
            **self._status(),
            "kubeconfig": str(self.kubeconfig),
            "server": self.server if self.kubelets else "",
            "machines": [
                {
                    "name": machine.name,
                    "role": "control-plane" if machine.name == CONTROL_PLANE else "worker",
                    "state": self.fleet.state(machine.name),
                    "address": machine.address,
                    "cpus": machine.cpus,
                    "memory": machine.memory,
                }
                for machine in self.fleet.machines.values()
            ],
            "components": self.components.status() if self.kubelets else [],
        }

    def explain(self, namespace: str, name: str) -> Json | None:
        """``GET /explain``: the scheduler's table about a pod; None while no scheduler runs."""
        told: Json | None = self.scheduler.explain(namespace, name) if self.scheduler is not None else None
        return told

    # -- going down

    async def close(self) -> None:
        """Close everything; what is stored stays."""
        await self._end_tasks()
        # First nobody hears of the end: what is stored shall say that all of it runs, as after a power cut.
        self.door.dispose()
        for lent in tuple(self.components.lent.values()):
            try:
                await lent.stop()
            except Exception:  # the others still have to
                log.exception("%s on %s did not stop cleanly", lent.name, lent.machine)
        for kubelet in self.kubelets.values():
            try:
                await kubelet.close()
            except Exception:
                log.exception("the kubelet of %s did not stop cleanly", kubelet.name)
        if self.kubelets:
            await self.cluster.close()
            await self.api_server.close()
        self.etcd.flush()
        await self.network.close()
        self.pki.close()
        self._save_clock()

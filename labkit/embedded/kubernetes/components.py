"""The parts of Kubernetes itself, by name and machine: what runs, and how a person stops and starts each.

etcd, the API server, the controller-manager and the scheduler are static pods: stopping one takes its manifest out of
``/etc/kubernetes/manifests``, and its kubelet does the rest. The kubelet is a service of its machine. kube-proxy is a
pod of a DaemonSet; one that is stopped here fails as often as the kubelet starts it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.control import UnknownComponent
from labkit.embedded.kubernetes.bootstrap.statics import STATIC, manifest
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.signals import SIGKILL

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.world import World

log = logging.getLogger(__name__)

KUBELET, KUBE_PROXY, COREDNS = "kubelet", "kube-proxy", "coredns"
KUBE_PROXY_USER = "system:serviceaccount:kube-system:kube-proxy"
ETCD_PATIENCE = 20.0  # sandbox seconds that an API server waits for its etcd before it gives up
SETTLE = 10.0  # seconds of the wall clock that a stop or start may take before it is answered all the same
_LOOK = 0.01

Step = Callable[[], Awaitable[object]]


class Refused(Exception):
    """The component does not start; its container ends with an error."""


@dataclass(slots=True, eq=False)
class Lent:
    """What a container of a component's image is given to run (``kubelet.parts.Component``)."""

    components: Components
    name: str
    machine: str
    pod: str  # its uid: CoreDNS may run twice on a machine
    begin: Step
    end: Step
    running: bool = False

    async def start(self) -> None:
        if self.components.is_held(self.machine, self.name):
            raise Refused(f"{self.name} was stopped on {self.machine}")
        try:
            await self.begin()
        except Refused:
            raise
        except Exception:
            log.exception("%s on %s does not start", self.name, self.machine)
            raise
        self.running = True
        self.components.lent[self.machine, self.name, self.pod] = self

    async def stop(self) -> None:
        if self.running:
            self.running = False
            if self.components.lent.get((self.machine, self.name, self.pod)) is self:
                del self.components.lent[self.machine, self.name, self.pod]
            await self.end()


class Components:
    """The components of one sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held: set[tuple[str, str]] = set()  # stopped by a person: (machine, name)
        self.lent: dict[tuple[str, str, str], Lent] = {}  # those that run in containers: machine, name, pod
        for key in world.storage.all("component"):
            machine, _, name = key.partition("/")
            self._held.add((machine, name))

    # -- what there is

    def names(self, machine: str) -> list[str]:
        """The components of a machine."""
        return [*(STATIC if machine == self._world.control_plane else ()), KUBELET, KUBE_PROXY]

    def is_held(self, machine: str, name: str) -> bool:
        """Whether a person has stopped it."""
        return (machine, name) in self._held

    def is_running(self, machine: str, name: str) -> bool:
        if name == KUBELET:
            return self._world.kubelets[machine].running
        return any(key[:2] == (machine, name) for key in self.lent)

    def status(self) -> list[Json]:
        """For ``GET /status``."""
        return [
            {"name": name, "machine": machine, "state": self._state(machine, name)}
            for machine in self._world.fleet.machines
            for name in self.names(machine)
        ]

    def _state(self, machine: str, name: str) -> str:
        if self.is_running(machine, name):
            return "running"
        # What nobody has stopped comes by itself, as soon as its kubelet has its pod.
        return "starting" if self._world.kubelets[machine].running and not self.is_held(machine, name) else "stopped"

    def health(self) -> dict[str, str]:
        """What ``kubectl get componentstatuses`` shows: name and what is wrong ("": nothing)."""
        machine = self._world.control_plane
        rows = (
            ("scheduler", "kube-scheduler", "https://127.0.0.1:10259/healthz"),
            ("controller-manager", "kube-controller-manager", "https://127.0.0.1:10257/healthz"),
            ("etcd-0", "etcd", "https://127.0.0.1:2379/health"),
        )
        found = {}
        for shown, name, url in rows:
            place = url.split("/")[2]
            refused = f'Get "{url}": dial tcp {place}: connect: connection refused'
            found[shown] = "" if self.is_running(machine, name) else refused
        return found

    # -- what a person does

    async def stop(self, machine: str, name: str) -> None:
        """Stop it, until it is started again; also over a restart of the sandbox. Raises UnknownComponent."""
        self._check(machine, name)
        self._held.add((machine, name))
        self._world.storage.put("component", f"{machine}/{name}", {"stopped": True})
        kubelet = self._world.kubelets[machine]
        if name == KUBELET:
            await kubelet.stop()
        elif name in STATIC:
            kubelet.remove_static(name)
        else:
            self._fail(machine, name)
        if name == KUBELET or kubelet.running:
            await self._settle(lambda: not self.is_running(machine, name))

    async def start(self, machine: str, name: str) -> None:
        """Let it run again. Raises UnknownComponent."""
        self._check(machine, name)
        self._held.discard((machine, name))
        self._world.storage.delete("component", f"{machine}/{name}")
        kubelet = self._world.kubelets[machine]
        if name == KUBELET:
            await kubelet.start()
        elif name in STATIC:
            if name not in kubelet.static:
                kubelet.set_static(name, self.manifest(name))
        else:
            for worker in kubelet.workers():
                if _runs(worker.pod, name):
                    worker.retry()
        if name == KUBELET or kubelet.running:
            await self._settle(lambda: self.is_running(machine, name))

    def _check(self, machine: str, name: str) -> None:
        names = self.names(machine)
        if name not in names:
            raise UnknownComponent(f"{machine} has no component {name!r}; there are {', '.join(names)}")

    def _fail(self, machine: str, name: str) -> None:
        """End the containers of a component, as if they had crashed."""
        containerd = self._world.kubelets[machine].containerd
        for sandbox in tuple(containerd.sandboxes.values()):
            for container in sandbox.containers:
                lent = container.component
                if isinstance(lent, Lent) and lent.name == name:
                    containerd.signal(container, SIGKILL)

    async def _settle(self, condition: Callable[[], bool]) -> None:
        """Wait a moment until it is so; it is no error when it is not."""
        try:
            async with asyncio.timeout(SETTLE):
                while not condition():  # noqa: ASYNC110 - it is set in many places
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            log.info("a component takes its time")

    # -- what runs

    def manifest(self, name: str) -> Json:
        """The static pod of a component."""
        world = self._world
        return manifest(
            name,
            world.control_plane,
            world.fleet.machines[world.control_plane].address,
            world.service_range,
            world.addresses.cluster_cidr,
        )

    def set_statics(self) -> None:
        """Put the manifests in place of all that nobody has stopped."""
        kubelet = self._world.kubelets[self._world.control_plane]
        for name in STATIC:
            if not self.is_held(self._world.control_plane, name):
                kubelet.set_static(name, self.manifest(name))

    def lend(self, name: str, machine: str, pod: Json, address: str) -> Lent | None:
        """What a container of the component's image runs; None for a pod that is not the component's own."""
        if pod["metadata"].get("namespace") != "kube-system":
            return None  # somebody tries the image out
        if name in STATIC and machine != self._world.control_plane:
            return None
        make = _STEPS.get(name)
        if make is None:
            return None
        begin, end = make(self._world, machine, pod, address)
        return Lent(self, name, machine, str(pod["metadata"]["uid"]), begin, end)


def _runs(pod: Json, component: str) -> bool:
    return any(container["name"] == component for container in pod["spec"]["containers"])


# -- how each begins and ends


def _etcd(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    async def begin() -> None:
        world.etcd.start()

    async def end() -> None:
        world.etcd.stop()

    return begin, end


def _api_server(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    upkeep: asyncio.Task[None] | None = None

    async def begin() -> None:
        nonlocal upkeep
        try:
            async with world.clock.timeout(ETCD_PATIENCE):
                while not world.etcd.running:
                    await world.clock.sleep(0.01)
        except TimeoutError:
            raise Refused("error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused") from None
        await world.serve()
        upkeep = world.spawn(world.keep_service())

    async def end() -> None:
        if upkeep is not None:
            upkeep.cancel()
        await world.api_server.stop()
        world.etcd.compact()  # its watch cache dies with it: who resumes from before is told that it is too late
        world.cluster.proxies.refresh()  # they go by what they last heard

    return begin, end


def _controller_manager(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    from labkit.embedded.kubernetes.controllers.controller import Config
    from labkit.embedded.kubernetes.controllers.manager import ControllerManager

    manager = ControllerManager(world.door, machine, config=Config(root_ca=world.pki.ca_certificate))

    async def begin() -> None:
        manager.start()

    return begin, manager.stop


def _scheduler(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    from labkit.embedded.kubernetes.client import Client
    from labkit.embedded.kubernetes.scheduler import Scheduler

    client = Client(world.door, machine=machine, user="system:kube-scheduler", manager="kube-scheduler")
    scheduler = Scheduler(client, world.clock, rng=world.rng)

    async def begin() -> None:
        world.scheduler = scheduler
        scheduler.start()

    async def end() -> None:
        if world.scheduler is scheduler:
            world.scheduler = None
        await scheduler.stop()

    return begin, end


def _kube_proxy(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    from labkit.embedded.kubernetes.client import Client
    from labkit.embedded.kubernetes.client.recorder import Recorder

    proxy = world.cluster.proxy(machine)
    client = Client(world.door, machine=machine, user=KUBE_PROXY_USER, manager=KUBE_PROXY)
    recorder = Recorder(client, KUBE_PROXY, modern=True)
    node = {"kind": "Node", "name": machine, "uid": machine}

    async def begin() -> None:
        await proxy.start()
        recorder.event(node, "Normal", "Starting", "", action="StartKubeProxy")

    async def end() -> None:
        await recorder.stop()
        await proxy.stop()

    return begin, end


def _coredns(world: World, machine: str, pod: Json, address: str) -> tuple[Step, Step]:
    server = world.cluster.coredns(machine, address)
    return server.start, server.stop


_STEPS: dict[str, Callable[[World, str, Json, str], tuple[Step, Step]]] = {
    "etcd": _etcd,
    "kube-apiserver": _api_server,
    "kube-controller-manager": _controller_manager,
    "kube-scheduler": _scheduler,
    KUBE_PROXY: _kube_proxy,
    COREDNS: _coredns,
}

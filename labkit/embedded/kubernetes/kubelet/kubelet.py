"""The agent of one machine: it hears which pods are bound to it and has a worker for each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informer, Recorder
from labkit.embedded.kubernetes.kubelet import admission, pods, staticpods
from labkit.embedded.kubernetes.kubelet.containerd import Containerd
from labkit.embedded.kubernetes.kubelet.containers import hosts_file
from labkit.embedded.kubernetes.kubelet.environment import of_services
from labkit.embedded.kubernetes.kubelet.heartbeat import Heartbeat
from labkit.embedded.kubernetes.kubelet.images import Images
from labkit.embedded.kubernetes.kubelet.nodeapi import NodeApi
from labkit.embedded.kubernetes.kubelet.parts import Parts
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.kubelet.statuses import Statuses
from labkit.embedded.kubernetes.kubelet.volumes import Volumes
from labkit.embedded.kubernetes.kubelet.worker import Worker
from labkit.embedded.kubernetes.objects import Json, Key, is_pod_finished, key_of
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.dns import Resolver
from labkit.embedded.runtime.machines import Machine

log = logging.getLogger("labkit.kubernetes.kubelet")


class Kubelet:
    """One machine's kubelet, with the container runtime beside it.

    ``start`` and ``stop`` are what a person does to the kubelet's service; the containers go on in between. When the
    machine loses its power, both end; when it has power again, the kubelet comes back unless it was stopped by hand.
    """

    def __init__(self, machine: Machine, client: Client, parts: Parts, *, control_plane: bool = False) -> None:
        """``client`` is the machine's own (``system:node:<name>``, manager ``kubelet``)."""
        self.machine = machine
        self.name = machine.name
        self.client = client
        self.parts = parts
        self.control_plane = control_plane
        self.containerd = Containerd(parts, machine)
        self.images = Images(parts.clock, parts.catalogue, self.containerd.keeper)
        for name in parts.preloaded:
            self.images.restore(name)
        self.volumes = Volumes(client, parts, self.containerd.files)
        self.recorder = Recorder(client, "kubelet", machine.name)
        self.statuses = Statuses(client)
        self.api = NodeApi(self)
        self.chores = Chores()
        self.boot = ""  # another one after each loss of power
        self.wanted = False
        self.running = False
        self.static: dict[str, Json] = {}  # name -> manifest
        self._services: Iterable[Json] = ()
        self._variables: dict[tuple[str, bool], Mapping[str, str]] = {}
        self._workers: dict[str, Worker] = {}  # by uid
        self._by_key: dict[Key, Worker] = {}
        self._finished: set[str] = set()  # uids of pods that hold no resources any more
        self._informer: Informer | None = None
        self._heartbeat: Heartbeat | None = None
        self._mirrors = staticpods.Mirrors(self)
        self._forget = parts.fleet.subscribe(self._plugged)
        self.host_etc = {
            "/etc/hosts": hosts_file(machine.address, machine.name, "", []),
            "/etc/resolv.conf": b"nameserver 127.0.0.11\noptions ndots:0\n",
            "/etc/hostname": f"{machine.name}\n".encode(),
        }

    @property
    def clock(self) -> Clock:
        return self.parts.clock

    async def hold(self) -> None:
        """Wait while the machine is paused."""
        gate = self.parts.fleet.gate(self.name)
        if gate.closed:
            await gate.wait()

    # the service ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it, or have it start when the machine gets its power back."""
        self.wanted = True
        if not self.running and self.machine.power != "off":
            self._begin()

    async def stop(self) -> None:
        """Stop it. Containers go on; nothing is started, probed, reported or ended any more."""
        self.wanted = False
        await self._halt()

    async def close(self) -> None:
        """The sandbox ends: stop, and end the containers' processes without a trace in the records."""
        await self.stop()
        self._forget()
        self.containerd.shut()

    async def wait_registered(self) -> None:
        """Return when the API server knows the node."""
        if self._heartbeat is not None:
            await self._heartbeat.registered.wait()

    def _begin(self) -> None:
        self.running = True
        self.statuses = Statuses(self.client)
        self.containerd.ended = self._container_ended
        self._heartbeat = Heartbeat(self)
        self._heartbeat.start()
        for name in self.static:
            self._run_static(name)
        self._informer = Informer(self.client, kinds.PODS, fields=f"spec.nodeName={self.name}")
        self._informer.on(self._added, self._updated, self._deleted)
        self._informer.start()
        self.chores.start(self._tidy(self._informer))

    async def _halt(self) -> None:
        if not self.running:
            return
        self.running = False
        self.containerd.ended = None
        for worker in self._workers.values():
            worker.halt()
        self._workers.clear()
        self._by_key.clear()
        self._finished.clear()
        self.chores.cancel()
        informer, self._informer = self._informer, None
        heartbeat, self._heartbeat = self._heartbeat, None
        if informer is not None:
            await informer.stop()
        if heartbeat is not None:
            await heartbeat.stop()
        await self.statuses.stop()
        await self.recorder.stop()

    def _plugged(self, name: str, what: str) -> None:
        if name != self.name:
            return
        if what == "fail":
            self.containerd.lose_power()
            self.boot = f"{self.clock.time():.0f}"
            asyncio.get_running_loop().create_task(self._halt())
        elif what == "heal" and self.wanted and not self.running and self.machine.power != "off":
            asyncio.get_running_loop().create_task(self.start())

    async def _tidy(self, informer: Informer) -> None:
        """What runs here although nobody knows the pod (any more) is ended."""
        await informer.wait_synced()
        for uid, sandbox in list(self.containerd.sandboxes.items()):
            if uid not in self._workers:
                for container in sandbox.running():
                    self.containerd.signal(container, 9)
                self.containerd.remove_sandbox(sandbox)

    # pods of the API server -----------------------------------------------------------------------------------

    def _added(self, pod: Json) -> None:
        if pods.is_mirror(pod):
            self._saw_mirror(pod)
            return
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(pod)
            return
        if is_pod_finished(pod) and uid not in self.containerd.sandboxes and "deletionTimestamp" not in pod["metadata"]:
            return  # it ended under a former kubelet and has left nothing here
        self._take(pod)

    def _take(self, pod: Json) -> None:
        old = self._by_key.get(key_of(pod))
        if old is not None and old.uid != pod["metadata"]["uid"]:  # the one of that name before it was forced out
            self._remove(old)
        worker = Worker(self, pod)
        if worker.sandbox is None and worker.failure is None and "deletionTimestamp" not in pod["metadata"]:
            found = admission.refusal(pod, self._present(), self.machine, self.parts.max_pods)
            if found is not None:
                worker.say("Warning", found.reason, found.message)
                worker.fail(found.reason, f"Pod was rejected: {found.message}", rejected=True)
        self._workers[worker.uid] = worker
        self._by_key[key_of(pod)] = worker
        worker.poke()

    def _present(self) -> list[Json]:
        """The pods that count for what the machine has left."""
        return [
            worker.pod
            for uid, worker in self._workers.items()
            if uid not in self._finished and (worker.failure is None or not worker.failure.rejected)
        ]

    def _updated(self, old: Json, pod: Json) -> None:
        if pods.is_mirror(pod):
            if old["metadata"]["uid"] != pod["metadata"]["uid"]:
                self._lost_mirror(old)
            self._saw_mirror(pod)
            return
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.update(pod)
        elif old["metadata"]["uid"] != pod["metadata"]["uid"]:
            self._deleted(old)
            self._added(pod)
        elif "deletionTimestamp" in pod["metadata"]:
            self._take(pod)

    def _deleted(self, pod: Json) -> None:
        if pods.is_mirror(pod):
            self._lost_mirror(pod)
            return
        self.statuses.forget(pod["metadata"]["uid"])
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None:
            return
        if worker.sandbox is None or not worker.sandbox.running():
            self.dismiss(worker)
        else:
            self._remove(worker)

    def _remove(self, worker: Worker) -> None:
        # What it asked for is free at once, as for the scheduler, however long its containers take to end.
        self.release(worker)
        self.chores.start(worker.remove())

    def release(self, worker: Worker) -> None:
        """The pod has finished, or was forced out: it may stay, but takes nothing from the others any more."""
        self._finished.add(worker.uid)

    def dismiss(self, worker: Worker) -> None:
        """The pod is gone: forget it and what is left of it."""
        if worker.over:
            return
        worker.halt()
        self._finished.discard(worker.uid)
        if self._workers.get(worker.uid) is worker:
            del self._workers[worker.uid]
        key = key_of(worker.pod)
        if self._by_key.get(key) is worker:
            del self._by_key[key]
        self.images.forget(worker.uid)
        if worker.sandbox is not None:
            self.containerd.remove_sandbox(worker.sandbox)

    def workers(self) -> list[Worker]:
        """What looks after each pod."""
        return list(self._workers.values())

    def worker(self, namespace: str, name: str) -> Worker | None:
        """What looks after that pod."""
        return self._by_key.get((namespace, name))

    def _container_ended(self, sandbox: Sandbox, container: Container) -> None:
        worker = self._workers.get(sandbox.uid)
        if worker is not None:
            worker.container_ended(container)

    # static pods ----------------------------------------------------------------------------------------------

    def set_static(self, name: str, manifest: Json) -> None:
        """Put a manifest into ``/etc/kubernetes/manifests``; another one of that name is replaced."""
        if name in self.static and self.running:
            self._end_static(name)
        self.static[name] = manifest
        if self.running:
            self._run_static(name)

    def remove_static(self, name: str) -> None:
        """Take it away again: the pod ends, and its mirror goes."""
        if name in self.static:
            if self.running:
                self._end_static(name)
            del self.static[name]

    def _run_static(self, name: str) -> None:
        pod = staticpods.from_manifest(self.static[name], self.name, self.clock.time())
        if pod["metadata"]["uid"] in self._workers:
            return
        self._take(pod)
        self.chores.start(self._mirrors.ensure(self._workers[pod["metadata"]["uid"]]))

    def _end_static(self, name: str) -> None:
        worker = self._workers.get(staticpods.uid_of(self.static[name], self.name))
        if worker is not None:
            self.chores.start(self._take_down(worker))

    async def _take_down(self, worker: Worker) -> None:
        pod = worker.pod
        await worker.remove()
        for name, manifest in self.static.items():  # has it been put back while its pod was ending?
            if staticpods.uid_of(manifest, self.name) == worker.uid:
                self._run_static(name)
                return
        await self._mirrors.remove(pod)

    def _static_of(self, mirror: Json) -> Worker | None:
        worker = self._by_key.get(key_of(mirror))
        return worker if worker is not None and pods.is_static(worker.pod) else None

    def _saw_mirror(self, mirror: Json) -> None:
        worker = self._static_of(mirror)
        if worker is None or worker.mirror_uid != mirror["metadata"]["uid"]:
            return
        if "deletionTimestamp" in mirror["metadata"]:  # somebody deletes it: let it go, a new one comes
            namespace, name = key_of(mirror)
            self.statuses.submit(namespace, name, worker.mirror_uid, mirror.get("status") or {}, final=True)
        else:
            worker.heard(mirror.get("status"))

    def _lost_mirror(self, mirror: Json) -> None:
        worker = self._static_of(mirror)
        self.statuses.forget(mirror["metadata"]["uid"])
        if worker is not None and worker.mirror_uid in ("", mirror["metadata"]["uid"]):
            worker.mirror_uid = ""
            self.chores.start(self._mirrors.ensure(worker))

    # what pods are given --------------------------------------------------------------------------------------

    def service_variables(self, namespace: str, links: bool) -> Mapping[str, str]:
        """The environment variables of Services; worked out once for all pods of a namespace, until Services change."""
        services = self.parts.services(self.name)
        if services is not self._services:
            self._services = services
            self._variables.clear()
        key = namespace, links
        if key not in self._variables:
            self._variables[key] = of_services(services, namespace, links)
        return self._variables[key]

    def resolver(self, pod: Json) -> Resolver | None:
        """What a pod's programs look names up with."""
        return self.parts.resolver(self.name, pod) if self.parts.resolver is not None else None

    def resolv_conf(self, pod: Json) -> bytes:
        """``/etc/resolv.conf`` by the pod's ``dnsPolicy`` and ``dnsConfig``."""
        from labkit.embedded.kubernetes.network.resolvconf import resolv_conf

        return resolv_conf(pod, self.parts.dns_address, self.parts.cluster_domain)

"""A node's signs of life: its registration, its lease every ten seconds, its status when it has changed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Unreachable
from labkit.embedded.kubernetes.errors import AlreadyExists, NotFound, StatusError
from labkit.embedded.kubernetes.kubelet import node
from labkit.embedded.kubernetes.objects import Json, edited
from labkit.embedded.kubernetes.times import micro

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet

log = logging.getLogger("labkit.kubernetes.kubelet")

NAMESPACE = "kube-node-lease"
RENEW = 10.0  # seconds between two renewals, and between two looks at the node's status
REPORT = 300.0  # seconds after which the status is written although nothing has changed (nodeStatusReportFrequency)
REGISTER_FIRST, REGISTER_LAST = 0.2, 7.0


class Heartbeat:
    """Registers the node of one kubelet and keeps it alive."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._task: asyncio.Task[None] | None = None
        self._reported = float("-inf")
        self._known: tuple[str, int] | None = None  # the node's version and the images that were last looked at
        self.registered = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"heartbeat of {self._kubelet.name}")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        await self._register()
        self.registered.set()
        while True:
            try:
                await self._renew()
                await self._report()
            except (Unreachable, StatusError) as error:
                log.debug("%s: heartbeat: %s", self._kubelet.name, error)
            except Exception:
                log.exception("%s: heartbeat", self._kubelet.name)
            await self._kubelet.clock.sleep(RENEW)

    async def _register(self) -> None:
        pause = REGISTER_FIRST
        while True:
            try:
                await self._try_to_register()
                return
            except (Unreachable, StatusError) as error:
                log.debug("%s is not registered yet: %s", self._kubelet.name, error)
            await self._kubelet.clock.sleep(pause)
            pause = min(pause * 2, REGISTER_LAST)

    async def _try_to_register(self) -> None:
        kubelet = self._kubelet
        found = await kubelet.client.find(kinds.NODES, "", kubelet.name)
        if found is None:
            made = node.register(
                kubelet.machine,
                kubelet.parts.labels.get(kubelet.name, {}),
                kubelet.parts.addresses.cidr(kubelet.name),
                kubelet.parts.max_pods,
                control_plane=kubelet.control_plane,
                status=self._status({}),
            )
            try:
                await kubelet.client.create(kinds.NODES, "", made)
            except AlreadyExists:
                return
            self._reported = kubelet.clock.time()
            self._say_hello()
            self._say_is_now("NodeReady")
            return
        boot = (found.get("status") or {}).get("nodeInfo", {}).get("bootID")
        self._say_hello()
        await self._report(force=True)
        new = self._status({})["nodeInfo"]["bootID"]
        if boot and boot != new:
            self._say("Warning", "Rebooted", f"Node {kubelet.name} has been rebooted, boot id: {new}")

    def _status(self, before: Json) -> Json:
        kubelet = self._kubelet
        return node.status(
            kubelet.machine, kubelet.boot, kubelet.images.listed(), kubelet.parts.max_pods, before, kubelet.clock.time()
        )

    def _say_hello(self) -> None:
        """What every kubelet says when it begins, whatever the API server knows of its node."""
        self._say("Normal", "Starting", "Starting kubelet.")
        for reason in node.good_news({}):
            self._say_is_now(reason)
        self._say("Normal", "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")

    def _say_is_now(self, reason: str) -> None:
        self._say("Normal", reason, f"Node {self._kubelet.name} status is now: {reason}")

    def _say(self, kind: str, reason: str, message: str) -> None:
        name = self._kubelet.name
        about = {"kind": "Node", "name": name, "uid": name, "apiVersion": "v1"}
        self._kubelet.recorder.event(about, kind, reason, message)

    async def _renew(self) -> None:
        kubelet = self._kubelet
        stamp = micro(kubelet.clock.time())

        def change(lease: Json) -> Json:
            lease = edited(lease)
            lease["spec"]["renewTime"] = stamp
            return lease

        try:
            await kubelet.client.modify(kinds.LEASES, NAMESPACE, kubelet.name, change)
        except NotFound:
            owner = await kubelet.client.find(kinds.NODES, "", kubelet.name)
            await kubelet.client.create(kinds.LEASES, NAMESPACE, node.lease(owner, kubelet.name, stamp))

    async def _report(self, *, force: bool = False) -> None:
        kubelet = self._kubelet
        found = await kubelet.client.find(kinds.NODES, "", kubelet.name)
        if found is None:  # somebody has deleted it; a kubelet registers only when it starts
            return
        now = kubelet.clock.time()
        known = found["metadata"]["resourceVersion"], kubelet.images.count()
        if not force and known == self._known and now - self._reported < REPORT:
            return  # nothing has changed on either side
        self._known = known
        before = found.get("status") or {}
        after = self._status(before)
        if not force and now - self._reported < REPORT and not node.has_changed(before, after):
            return

        def change(live: Json) -> Json:
            return {**live, "status": self._status(live.get("status") or {})}

        await kubelet.client.modify(kinds.NODES, "", kubelet.name, change, subresource="status")
        self._reported = now
        for reason in node.good_news(before):
            self._say_is_now(reason)

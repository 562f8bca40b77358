"""What a kubelet does for one pod: plan, act, tell; again whenever something has changed.

There is a task only while there is something to do. Waiting (for a back-off, a deadline, a probe) is a timer.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kubelet import hostports, pods
from labkit.embedded.kubernetes.kubelet.containerd import SandboxError
from labkit.embedded.kubernetes.kubelet.ending import Ending
from labkit.embedded.kubernetes.kubelet.making import Making
from labkit.embedded.kubernetes.kubelet.plan import plan
from labkit.embedded.kubernetes.kubelet.probing import Probing
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.kubelet.starting import SYNC_ERROR, Starting
from labkit.embedded.kubernetes.kubelet.status import OWN_FIELDS, Failure, View, build, readiness
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.times import parse
from labkit.embedded.runtime import loops
from labkit.embedded.runtime.clock import Timer

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet

log = logging.getLogger("labkit.kubernetes.kubelet")

SEEN_SECONDS = 0.05  # that a container has to run to be seen running; `kubectl run -i` relies on it for short commands
SANDBOX_SECONDS = 0.08  # that a pod's sandbox and network take; a real one needs about ten times that
DEADLINE = "Pod was active on the node longer than the specified deadline"


class Worker:
    """One pod on one machine. ``kubelet`` is whose it is."""

    __slots__ = (
        "_again",
        "_busy",
        "_deadline",
        "_ending",
        "_interrupted",
        "_news",
        "_retry",
        "_task",
        "_told",
        "failure",
        "kubelet",
        "making",
        "mirror_uid",
        "over",
        "pod",
        "probing",
        "reasons",
        "sandbox",
        "start_time",
        "starting",
    )  # fmt: skip

    def __init__(self, kubelet: Kubelet, pod: Json) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.sandbox: Sandbox | None = kubelet.containerd.sandboxes.get(self.uid)
        self.reasons: dict[str, tuple[str, str]] = {}
        self.probing = Probing(self)
        self.making = Making(self)
        self.starting = Starting(self)
        self.failure: Failure | None = None
        self.mirror_uid = ""  # of a static pod's mirror in the API server
        self.over = False
        given = (pod.get("status") or {}).get("startTime")
        self.start_time = parse(given) if given else kubelet.clock.time()
        self._ending: Ending | None = None
        self._told: Json | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = self._busy = self._interrupted = False
        self._retry: Timer | None = None
        self._deadline: Timer | None = None
        self._news: Timer | None = None
        self._take_over_failure()

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    def _take_over_failure(self) -> None:
        """A pod that a kubelet has failed stays failed, also for the next kubelet."""
        status = self.pod.get("status") or {}
        if status.get("phase") == "Failed" and status.get("reason"):
            rejected = self.sandbox is None and "containerStatuses" not in status
            self.failure = Failure(status["reason"], status.get("message", ""), rejected)

    # being told -----------------------------------------------------------------------------------------------

    def update(self, pod: Json) -> None:
        """The pod has changed in the API server."""
        before, self.pod = self.pod, pod
        old, new = before["metadata"], pod["metadata"]
        if self._ending is not None and new.get("deletionGracePeriodSeconds") != old.get("deletionGracePeriodSeconds"):
            self._ending.shorten(pods.grace_period(pod))
        if "deletionTimestamp" in new and "deletionTimestamp" not in old:
            self.interrupt()
        elif _matters(before, pod):
            self.making.refresh()  # as every sync of a pod does
            self.poke()
        else:
            self.heard(pod.get("status"))

    def poke(self) -> None:
        """Look again."""
        if self.over:
            return
        if self._task is None:
            self._task = loops.create_task(self._run())
        else:
            self._again = True

    def interrupt(self) -> None:
        """The pod is to end: whatever is being waited for on its way up is not waited for any more."""
        if self._task is not None and self._busy and self._ending is None and not self._interrupted:
            self._interrupted = self._task.cancel()
        self.poke()

    def retry(self) -> None:
        """Look again, whatever has failed how often before."""
        self.starting.forgive()
        self.poke()

    def poke_in(self, seconds: float) -> None:
        """Look again in so many seconds, if not before."""
        clock = self.kubelet.clock
        if self._retry is not None and not self._retry.cancelled and self._retry.when <= clock.time() + seconds:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._retry = clock.call_later(seconds, self.poke)

    def container_ended(self, container: Container) -> None:
        """One of its containers has ended."""
        self.probing.end(container)
        self.poke()

    def fail(self, reason: str, message: str, *, rejected: bool = False) -> None:
        """The kubelet gives the pod up."""
        if self.failure is None:
            self.failure = Failure(reason, message, rejected)
            self.interrupt()

    def halt(self) -> None:
        """The kubelet stops: containers go on, nobody looks after them."""
        self.over = True
        if self._task is not None:
            self._task.cancel()
        for timer in (self._retry, self._deadline, self._news):
            if timer is not None:
                timer.cancel()
        if self._ending is not None:
            self._ending.drop()
        self.probing.halt()
        self.making.halt()
        for container in self.sandbox.running() if self.sandbox is not None else ():
            container.killing = ""  # whoever was about to end it is not there any more

    # the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                self._again = False
                self._busy = True
                try:
                    await self.kubelet.hold()
                    await self._sync()
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if self.over or not self._interrupted or task is None:
                        raise
                    self._interrupted = False
                    task.uncancel()  # else no time-out in this task would ever be told from a cancellation
                except Exception:
                    log.exception("%s: pod %s", self.kubelet.name, pods.full_name(self.pod))
                    self.poke_in(SYNC_ERROR)
                finally:
                    self._busy = False
                if not self._again or self.over:
                    return
        finally:
            self._task = None

    async def _sync(self) -> None:
        if "deletionTimestamp" in self.pod["metadata"] or self.failure is not None:
            await self._end()
            return
        if self.sandbox is not None:
            await self.starting.bring_back()
        self._watch_deadline()
        step = plan(self.pod, self.sandbox, self.probing.has_started)
        if not self.starting.replaces(step.start):
            if self._told is None and self.sandbox is None and not self.reasons:
                # Nothing is known yet but that it is here: if all goes well there will soon be more to tell.
                self.kubelet.parts.allowance.ask(self._publish_first)
            else:
                self.publish()
        if step.finished:
            await self._finished()
            return
        if step.sandbox:
            if not await self._make_sandbox():
                return
            step = plan(self.pod, self.sandbox, self.probing.has_started)
        if step.left:
            await self.kill(step.left)
            self._again = True
            return
        for container in step.changed:
            await self.kill((container,), f"Container {container.name} definition changed, will be restarted")
            self._again = True
        for spec in step.start:
            await self.starting.start(spec)
            if self.over or self.failure is not None or "deletionTimestamp" in self.pod["metadata"]:
                self._again = True
                return
        if step.start:
            self._publish_soon()
            if pods.init_containers(self.pod):
                self._again = self._again or self._may_go_on()

    def _may_go_on(self) -> bool:
        """Whether the next plan has more to start that is not waiting for its time."""
        step = plan(self.pod, self.sandbox, self.probing.has_started)
        return any(one["name"] not in self.reasons for one in step.start)

    # telling --------------------------------------------------------------------------------------------------

    def publish(self, *, final: bool = False) -> None:
        """Let the API server know how it is."""
        kubelet = self.kubelet
        view = View(kubelet.machine.address, self.start_time, self.reasons, self.probing.judge, self.failure)
        before = self.pod.get("status") or {}
        if self.sandbox is None and self.failure is None and _has_run(before):
            # It has been cleaned up here already, and only somebody's finalizer keeps it: its status stands.
            status = {key: value for key, value in before.items() if key in OWN_FIELDS}
        else:
            status = build(self.pod, self.sandbox, view, kubelet.clock.time())
        if not final and status == self._told:
            return
        self._told = status
        metadata = self.pod["metadata"]
        uid = self.mirror_uid if pods.is_static(self.pod) else self.uid
        if uid:
            kubelet.statuses.submit(
                metadata.get("namespace", ""), metadata["name"], uid, status,
                final=final, done=self._gone if final else None,
            )  # fmt: skip

    def _publish_first(self) -> bool:
        """As long as nothing has been told: what there is by now."""
        if self.over or self._told is not None:
            return False
        self.publish()
        return True

    def _publish_soon(self) -> None:
        """As a real kubelet, which looks at its containers now and then, and so never sees the shortest lives."""
        if self._news is not None:
            self._news.cancel()
        self._news = self.kubelet.clock.call_later(SEEN_SECONDS, self.publish)

    def republish(self) -> None:
        """Whoever is asked about it does not know: tell again."""
        self._told = None
        self.publish()

    def heard(self, status: Json | None) -> None:
        """What the API server has of it: not so, if the node's controller had given it up, or somebody has meddled."""
        if self._told is not None and readiness(status) != readiness(self._told):
            self.republish()

    def _gone(self) -> None:
        """The API server has let go of it."""
        self.kubelet.dismiss(self)

    def say(self, kind: str, reason: str, message: str, container: str = "") -> None:
        """An event about the pod, or about one of its containers."""
        path = pods.field_path(self.pod, container) if container else ""
        about = self.pod
        if pods.is_static(about) and self.mirror_uid:
            about = {**about, "metadata": {**about["metadata"], "uid": self.mirror_uid}}
        self.kubelet.recorder.event(about, kind, reason, message, field_path=path)

    # coming up ------------------------------------------------------------------------------------------------

    async def _make_sandbox(self) -> bool:
        kubelet, pod, old = self.kubelet, self.pod, self.sandbox
        if old is not None:
            self.say("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        volumes = {} if old is None else old.volumes
        if not await self.making.mount(volumes):
            return False
        await kubelet.clock.sleep(SANDBOX_SECONDS)
        metadata = pod["metadata"]
        try:
            self.sandbox = sandbox = kubelet.containerd.run_sandbox(
                self.uid, metadata.get("namespace", ""), metadata["name"], pods.hostname_of(pod, kubelet.name),
                pods.is_on_host_network(pod),
            )  # fmt: skip
        except SandboxError as error:
            self.say("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            self.poke_in(SYNC_ERROR)
            return False
        sandbox.volumes = volumes
        await self.open_host_ports(sandbox)
        return ("deletionTimestamp" not in self.pod["metadata"] and self.failure is None) or self._redo()

    async def open_host_ports(self, sandbox: Sandbox) -> None:
        """Have the machine's ports that the pod wants lead to it."""
        if sandbox.host_ports is None and sandbox.ready and hostports.wanted(self.pod):
            kubelet = self.kubelet
            sandbox.host_ports = await hostports.open_ports(
                kubelet.parts.network, kubelet.machine, self.pod, sandbox.ip
            )

    def _redo(self) -> bool:
        self._again = True
        return False

    # going down -----------------------------------------------------------------------------------------------

    def _watch_deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None or self._deadline is not None:
            return
        left = self.start_time + float(seconds) - self.kubelet.clock.time()
        self._deadline = self.kubelet.clock.call_later(left, self._too_long)

    def _too_long(self) -> None:
        if not self.over and (self._told or {}).get("phase") not in ("Succeeded", "Failed"):
            self.say("Normal", "DeadlineExceeded", DEADLINE)
            self.fail("DeadlineExceeded", DEADLINE)

    async def kill(self, containers: tuple[Container, ...], words: str = "", grace: float | None = None) -> None:
        ending = Ending(self, pods.grace_period(self.pod) if grace is None else grace)
        await ending.run(containers, words)

    async def _finished(self) -> None:
        """Every container has ended for good; the sandbox is not needed any more."""
        if self.sandbox is not None and self.sandbox.ready:
            self.kubelet.containerd.stop_sandbox(self.sandbox)
            self.publish()
        self.kubelet.release(self)

    async def _end(self) -> None:
        """The pod is deleted, or has failed: end what runs, and say so."""
        sandbox = self.sandbox
        deleted = "deletionTimestamp" in self.pod["metadata"]
        if sandbox is not None and sandbox.running():
            self._ending = Ending(self, pods.grace_period(self.pod))
            try:
                await self._ending.run_all(sandbox)
            finally:
                self._ending = None
        self.reasons.clear()
        if sandbox is not None and sandbox.ready:
            self.kubelet.containerd.stop_sandbox(sandbox)
        if self.over:
            return
        deleted = deleted or "deletionTimestamp" in self.pod["metadata"]
        self.publish(final=deleted)
        self.kubelet.release(self)

    async def remove(self) -> None:
        """It is gone from the API server without a word: end what runs, then forget it."""
        sandbox = self.sandbox
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.over:
            return
        if sandbox is not None and sandbox.running():
            self._ending = Ending(self, max(1.0, pods.grace_period(self.pod)))
            await self._ending.run_all(sandbox)
        self.kubelet.dismiss(self)


def _matters(before: Json, after: Json) -> bool:
    """Is there something to be done about the change? Most are only statuses that the kubelet has written itself."""
    old, new = before["metadata"], after["metadata"]
    if before["spec"] is not after["spec"] and before["spec"] != after["spec"]:
        return True
    if after["spec"].get("readinessGates"):
        return True
    # The downward API shows these, and they may change.
    return bool(old.get("labels") != new.get("labels") or old.get("annotations") != new.get("annotations"))


def _has_run(status: Json) -> bool:
    """Whether a container of it has been started, by what the API server says."""
    return any("containerID" in one for one in status.get("containerStatuses") or ())

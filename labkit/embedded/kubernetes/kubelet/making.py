"""What a pod's containers are made of: volumes, environment, files, and the rest that the runtime is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.kubelet import resources
from labkit.embedded.kubernetes.kubelet.containers import Config, hosts_file
from labkit.embedded.kubernetes.kubelet.environment import Environment, expand
from labkit.embedded.kubernetes.kubelet.plan import spec_hash
from labkit.embedded.kubernetes.kubelet.records import Sandbox
from labkit.embedded.kubernetes.kubelet.sources import Missing
from labkit.embedded.kubernetes.kubelet.volumes import RESYNC, MountFailed
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Timer

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.worker import Worker

MOUNT_FIRST, MOUNT_LAST = 0.5, 122.0  # pauses between tries to set volumes up


class Making:
    """Makes what the containers of one pod need."""

    __slots__ = ("_again", "_pause", "_services", "_worker")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._services: Mapping[str, str] | None = None  # as they were when the pod started
        self._pause = MOUNT_FIRST
        self._again: Timer | None = None

    def halt(self) -> None:
        if self._again is not None:
            self._again.cancel()

    # volumes --------------------------------------------------------------------------------------------------

    async def mount(self, volumes: dict[str, Any]) -> bool:
        """Set the pod's volumes up, or bring them up to date. False: not now, it will be tried again."""
        worker = self._worker
        if not worker.pod["spec"].get("volumes"):
            return True
        try:
            changing = await worker.kubelet.volumes.set_up(worker.pod, volumes, self.environment(""))
        except MountFailed as error:
            worker.say("Warning", "FailedMount", str(error))
            if worker.sandbox is not None and worker.sandbox.ready:  # it runs on with what it had
                self._again = worker.kubelet.clock.call_later(max(self._pause, RESYNC), self.refresh)
            else:
                worker.poke_in(self._pause)
            self._pause = min(self._pause * 2, MOUNT_LAST)
            return False
        self._pause = MOUNT_FIRST
        if changing:
            self.halt()
            self._again = worker.kubelet.clock.call_later(RESYNC, self.refresh)
        return True

    def refresh(self) -> None:
        """ConfigMaps and Secrets may have changed, or what the pod is told of itself."""
        worker = self._worker
        if not worker.over and worker.sandbox is not None and worker.sandbox.ready:
            worker.kubelet.chores.start(self.mount(worker.sandbox.volumes))

    # containers -----------------------------------------------------------------------------------------------

    def environment(self, ip: str) -> Environment:
        worker = self._worker
        pod, kubelet = worker.pod, worker.kubelet
        if self._services is None:
            links = pod["spec"].get("enableServiceLinks") is not False
            self._services = kubelet.service_variables(pod["metadata"].get("namespace", ""), links)
        return Environment(kubelet.client, pod, kubelet.machine, ip, self._services)

    async def config(self, spec: Json, sandbox: Sandbox) -> Config:
        """What the container runtime is told. Raises :class:`Missing`."""
        pod, kubelet = self._worker.pod, self._worker.kubelet
        env = await self.environment(sandbox.ip).of(spec)
        security = {**(pod["spec"].get("securityContext") or {}), **(spec.get("securityContext") or {})}
        image_args = kubelet.images.arguments(spec)
        command = [expand(word, env) for word in spec.get("command") or ()]
        args = [expand(word, env) for word in spec.get("args") or ()]
        if not command:
            command, args = list(image_args[0]), args or list(image_args[1])
        user, group = security.get("runAsUser"), security.get("runAsGroup")
        return Config(
            name=spec["name"],
            args=[*command, *args],
            env=env,
            mounts=kubelet.volumes.mounts(spec, sandbox.volumes, env),
            etc=self._etc,
            limits=resources.limits_of(spec),
            workdir=spec.get("workingDir") or "",
            groups=_groups(security),
            user="" if user is None else f"{user}" + ("" if group is None else f":{group}"),
            readonly=bool(security.get("readOnlyRootFilesystem")),
            tty=bool(spec.get("tty")),
            stdin=bool(spec.get("stdin")),
            termination_path=spec.get("terminationMessagePath") or "/dev/termination-log",
            fall_back_to_logs=spec.get("terminationMessagePolicy") == "FallbackToLogsOnError",
            stop_signal=(spec.get("lifecycle") or {}).get("stopSignal") or "",
            spec_hash=spec_hash(spec),
            target=_target(spec, sandbox),
            shares_processes=bool(pod["spec"].get("shareProcessNamespace")),
        )

    def _etc(self, path: str) -> bytes | None:
        """The files in ``/etc`` that the kubelet makes for the pod."""
        worker = self._worker
        sandbox, kubelet = worker.sandbox, worker.kubelet
        if sandbox is None or path not in ("/etc/hosts", "/etc/resolv.conf"):
            return None
        if sandbox.on_host:
            return kubelet.host_etc[path]
        if path == "/etc/resolv.conf":
            return kubelet.resolv_conf(worker.pod)
        spec = worker.pod["spec"]
        domain = ""
        if spec.get("subdomain"):
            domain = f"{spec['subdomain']}.{sandbox.namespace}.svc.{kubelet.parts.cluster_domain}"
        return hosts_file(sandbox.ip, sandbox.hostname, domain, spec.get("hostAliases") or [])


def _target(spec: Json, sandbox: Sandbox) -> str:
    """The id of the container that an ephemeral one is to look into. Raises :class:`Missing`."""
    name = spec.get("targetContainerName")
    if not name:
        return ""
    found = sandbox.latest(name)
    if found is None:
        raise Missing(f"unable to find target container {name}")
    return found.id


def _groups(security: Json) -> tuple[int, ...]:
    """The groups that the pod's processes are in, whoever they run as."""
    if "fsGroup" not in security and "supplementalGroups" not in security:
        return ()
    groups = (*(security.get("supplementalGroups") or ()), security.get("fsGroup"))
    return tuple(dict.fromkeys(group for group in groups if group is not None))

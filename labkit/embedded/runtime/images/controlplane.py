"""The images of Kubernetes' own components, and what kubeadm's cluster runs beside them.

Such a container does not hold the component itself: whoever runs it (the kubelet) gives it one, as
``process.ns.component``, and its life is the container's. Started by hand, without anybody behind it, it ends with an
error.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import MIB, Image, Program
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

if TYPE_CHECKING:
    from aiohttp import web

KUBERNETES = {f"v1.{minor}.{patch}": (f"v1.{minor}.{patch}",) for minor, patch in ((34, 2), (35, 1), (36, 1))}
_LINUX = MappingProxyType({"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})


class ControlPlane(Image):
    """A component of the cluster. ``component`` is the name that the kubelet knows it by."""

    component: ClassVar[str] = ""
    versions: ClassVar[Mapping[str, tuple[str, ...]]] = KUBERNETES
    memory = 40 * MIB
    env = _LINUX

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.cmd = () if self.entrypoint else (self.component,)

    def programs(self) -> dict[str, Program]:
        return dict.fromkeys((self.component, f"/{self.component}", f"/usr/local/bin/{self.component}"), component)


async def component(process: Process) -> int:
    """Run the component that somebody has put behind this container, until a signal comes."""
    process.exits_on(SIGTERM, SIGINT)
    found = getattr(process.ns, "component", None)
    if found is None:
        process.err(f'{klog(process, "E")} "command failed" err="nobody has lent this container a component"\n')
        return 1
    await found.start()
    return await process.forever()


def klog(process: Process, level: str = "I") -> str:
    """The beginning of a line of klog: ``I1122 17:47:28.000000       1``."""
    now = process.clock.time()
    return f"{level}{time.strftime('%m%d %H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}       1 labkit.go:1]"


class ApiServer(ControlPlane):
    name = "registry.k8s.io/kube-apiserver"
    component = "kube-apiserver"
    megabytes = 27.1


class ControllerManager(ControlPlane):
    name = "registry.k8s.io/kube-controller-manager"
    component = "kube-controller-manager"
    megabytes = 22.8


class Scheduler(ControlPlane):
    name = "registry.k8s.io/kube-scheduler"
    component = "kube-scheduler"
    megabytes = 17.4


class KubeProxy(ControlPlane):
    name = "registry.k8s.io/kube-proxy"
    component = "kube-proxy"
    megabytes = 26.0


class Etcd(ControlPlane):
    name = "registry.k8s.io/etcd"
    component = "etcd"
    versions: ClassVar[dict[str, tuple[str, ...]]] = {"3.6.6": ("3.6.6-0", "3.6.6")}
    megabytes = 22.9


class CoreDns(ControlPlane):
    """Answers names on port 53 (the component does) and says on 8080 and 8181 that it lives and is ready."""

    name = "registry.k8s.io/coredns/coredns"
    component = "coredns"
    versions: ClassVar = {"v1.13.1": ("v1.13.1",)}
    megabytes = 22.4
    memory = 14 * MIB
    entrypoint = ("/coredns",)
    ports = ("53/tcp", "53/udp")

    def programs(self) -> dict[str, Program]:
        return {"/coredns": coredns}


async def coredns(process: Process) -> int:
    from labkit.embedded.runtime.images.web import reply

    async def well(request: web.BaseRequest) -> web.StreamResponse:
        return reply(200, "OK", "text/plain; charset=utf-8")

    process.exits_on(SIGTERM, SIGINT)
    found = getattr(process.ns, "component", None)
    if found is None:
        process.err("plugin/kubernetes: unable to load in-cluster configuration: nobody has lent this one a cluster\n")
        return 1
    await found.start()
    for port in (8080, 8181):
        await process.listen_http(port, well)
    process.out(".:53\nCoreDNS-1.13.1\nlinux/amd64, go1.25.2\n")
    return await process.forever()


class Pause(Image):
    """Does nothing, well: what holds a pod's namespaces."""

    name = "registry.k8s.io/pause"
    versions: ClassVar = {
        v: (v, *(("latest",) if v == "3.10.1" else ()))
        for v in ("2.0", "3.0", "3.1", "3.2", "3.3", "3.4.1", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.10.1")
    }
    megabytes = 0.3
    memory = MIB // 2
    entrypoint = ("/pause",)

    def programs(self) -> dict[str, Program]:
        return {"/pause": pause}


async def pause(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, say="Shutting down, got signal\n")
    return await process.forever()

"""The API server as a client of kubelets: which pod's container is meant, and is its node there to be asked."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest, StatusError
from labkit.embedded.kubernetes.objects import Json, name_of, spec_of
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.runtime.machines import Fleet

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet
    from labkit.embedded.kubernetes.kubelet.nodeapi import NodeApi

PORT = 10250
_TIMEOUT = 10.0  # sandbox seconds that a paused node is waited for


class NodeUnreachable(StatusError):
    """The kubelet does not answer: a plain 500 with the words of Go's dialer."""

    code, reason = 500, ""


class Nodes:
    """Finds the kubelet of a pod."""

    def __init__(self, registry: Registry, fleet: Fleet, machine: str, kubelets: Mapping[str, Kubelet]) -> None:
        """``machine`` is where the API server runs."""
        self._registry = registry
        self._fleet = fleet
        self._machine = machine
        self._kubelets = kubelets

    def pod(self, namespace: str, name: str) -> Json:
        """Raises NotFound."""
        return self._registry.get(kinds.PODS, namespace, name)

    async def connect(self, pod: Json, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a pod over the pod network; its kubelet, running or not, has no part in it.

        Raises OSError (TimeoutError among them) as a connection from the API server's machine does.
        """
        kubelet = self._kubelets.get(spec_of(pod).get("nodeName") or "")
        address = (pod.get("status") or {}).get("podIP")
        if kubelet is None or not address:
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return await kubelet.parts.network.connect(self._machine, address, port, timeout=_TIMEOUT)

    async def of(self, pod: Json, words: str = "error dialing backend: ") -> NodeApi:
        """What the kubelet of that pod offers.

        Raises:
            BadRequest: the pod is on no node yet.
            NodeUnreachable: it cannot be asked; ``words`` come first.
        """
        node = spec_of(pod).get("nodeName")
        if not node:
            raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
        kubelet = self._kubelets.get(node)
        fleet = self._fleet
        address = fleet.machines[node].address if node in fleet.machines else node
        place = f"{words}dial tcp {address}:{PORT}"
        if kubelet is None or not fleet.connected(self._machine, node):
            raise NodeUnreachable(f"{place}: connect: no route to host")
        gate = fleet.gate(node)
        if gate.closed or fleet.delay(self._machine, node):
            try:
                async with fleet.clock.timeout(_TIMEOUT):
                    await fleet.clock.sleep(2 * fleet.delay(self._machine, node))
                    await gate.wait()
            except TimeoutError:
                raise NodeUnreachable(f"{place}: i/o timeout") from None
        if not kubelet.running:
            raise NodeUnreachable(f"{place}: connect: connection refused")
        return kubelet.api


def container_name(pod: Json, wanted: str) -> str:
    """The container that is meant: the only one when none is named.

    Raises:
        BadRequest: it has no such container, or there are several to choose from.
    """
    spec, name = spec_of(pod), name_of(pod)
    containers = [one["name"] for one in spec.get("containers") or ()]
    initial = [one["name"] for one in spec.get("initContainers") or ()]
    extra = [one["name"] for one in spec.get("ephemeralContainers") or ()]
    if wanted:
        if wanted not in (*containers, *initial, *extra):
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(containers) == 1:
        return str(containers[0])
    if not containers:
        raise BadRequest(f"a container name must be specified for pod {name}")
    words = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if initial:
        words += f" or one of the init containers: [{' '.join(initial)}]"
    raise BadRequest(words)

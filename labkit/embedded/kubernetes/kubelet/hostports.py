"""``hostPort``: ports of a machine that lead to a pod on it, as the CNI plugin ``portmap`` has them."""

from __future__ import annotations

import asyncio
import logging

from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.listeners import Connected, Listener
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.splice import splice

log = logging.getLogger("labkit.kubernetes.kubelet")


def wanted(pod: Json) -> list[tuple[int, int]]:
    """Ports of the machine and of the pod; of TCP only, since datagrams are not forwarded."""
    if pods.is_on_host_network(pod):
        return []
    return [
        (port["hostPort"], port["containerPort"])
        for container in pods.containers(pod)
        for port in container.get("ports") or ()
        if port.get("hostPort") and (port.get("protocol") or "TCP") == "TCP"
    ]


async def open_ports(network: Network, machine: Machine, pod: Json, ip: str) -> list[Listener]:
    """Listen on the machine's address for a pod. A port that is taken is left out, and logged."""
    opened = []
    for port, target in wanted(pod):
        try:
            opened.append(
                await network.listen(machine, machine.address, port, _forwarder(network, machine, ip, target))
            )
        except OSError as error:
            log.warning("%s: host port %d: %s", machine.name, port, error)
    return opened


def _forwarder(network: Network, machine: Machine, ip: str, port: int) -> Connected:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = await network.connect(machine.name, ip, port, timeout=10.0)
        except OSError:
            writer.transport.abort()
            return
        await splice((reader, writer), target)

    return forward

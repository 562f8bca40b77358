"""Published ports: listeners on the machine's address that carry connections to a container, as docker-proxy does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from labkit.embedded.runtime.network import AddressInUse, Connected, Listener
from labkit.embedded.runtime.splice import splice
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.objects import Json

from .container import Attachment, Container
from .createrequest import host_port_range, split_port

if TYPE_CHECKING:
    from .host import Host

NETWORKING = "failed to set up container networking: "
_EPHEMERAL = range(32768, 60999)  # Linux's ip_local_port_range, from which "-p 80" gets its port


class Publisher:
    """The published ports of one host's containers."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._next_port = _EPHEMERAL.start

    async def publish(self, container: Container) -> None:
        """Open the published ports on the machine's address, as docker-proxy does."""
        before, container.ports = container.ports, {}
        if container.network_mode in ("host", "none"):
            return
        for port in container.config.get("ExposedPorts") or {}:
            container.ports[_with_protocol(port)] = None
        wanted: dict[str, list[Json]] = {
            _with_protocol(port): [dict(binding or ()) for binding in (bindings or [None])]
            for port, bindings in (container.host.get("PortBindings") or {}).items()
        }
        if container.host.get("PublishAllPorts"):
            wanted = {**{port: [{}] for port in container.ports}, **wanted}
        for port, bindings in wanted.items():
            number, protocol = split_port(port)
            earlier = before.get(port) or []
            opened: list[tuple[str, int]] = []
            for index, binding in enumerate(bindings):
                low, high = host_port_range(str(binding.get("HostPort") or ""))
                if not low and index < len(earlier) and earlier[index][1]:
                    low = high = earlier[index][1]  # after a restart the same port again, if it is still free
                address = binding.get("HostIp") or ""
                bound = await self._bind(container, int(number), protocol, address or "0.0.0.0", low, high)
                opened += [(ip, bound) for ip in ((address,) if address else ("0.0.0.0", "::"))]
            container.ports[port] = opened

    async def _bind(self, container: Container, target: int, protocol: str, ip: str, low: int, high: int) -> int:
        candidates = range(low, high + 1) if low else self._ephemeral()
        for port in candidates:
            if protocol != "tcp":
                return port  # UDP is shown, not forwarded
            try:
                listener = await self._listen(container, port, target)
            except AddressInUse:
                continue
            if container.listeners is None:
                container.listeners = []
            container.listeners.append(listener)
            self._host.front.open((container.id, port), port, self._forwarder(container, target))
            return port
        attachment = next((a for a in container.networks.values() if a.endpoint_id), Attachment(""))
        raise ApiError(
            f"{NETWORKING}driver failed programming external connectivity on endpoint {container.name} "
            f"({attachment.endpoint_id}): Bind for {ip}:{low} failed: port is already allocated"
        )

    def _ephemeral(self) -> list[int]:
        start = self._next_port - _EPHEMERAL.start
        tried = [_EPHEMERAL[(start + step) % len(_EPHEMERAL)] for step in range(512)]
        self._next_port = tried[1]
        return tried

    async def _listen(self, container: Container, port: int, target: int) -> Listener:
        host = self._host
        return await host.world.network.listen(
            host.machine, host.machine.address, port, self._forwarder(container, target)
        )

    def _forwarder(self, container: Container, target: int) -> Connected:
        network, name = self._host.world.network, self._host.name

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ip = container.ip
            if not ip:
                writer.transport.abort()
                return
            try:
                stream = await network.connect(name, ip, target, timeout=10.0)
            except OSError:
                writer.transport.abort()  # docker-proxy accepts first, and resets when the container refuses
                return
            await splice((reader, writer), stream)

        return forward

    def withdraw(self, container: Container) -> None:
        """Close the container's ports."""
        for listener in container.listeners or ():
            self._host.front.close((container.id, listener.port))
            listener.shut()
        container.listeners = None


def _with_protocol(port: str) -> str:
    number, protocol = split_port(port)
    return f"{number}/{protocol}"

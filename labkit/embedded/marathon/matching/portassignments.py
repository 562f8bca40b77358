"""Where the ports of a running instance are reached (``core/task/state/NetworkInfo.scala``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.embedded.marathon.specs.app import App


@dataclass(frozen=True, slots=True)
class PortAssignment:
    """One of an app's ports, on one instance. ``effective_port`` is 0 as long as there is no address for it."""

    name: str | None
    effective_ip: str | None
    effective_port: int
    host_port: int | None = None
    container_port: int | None = None


def port_assignments(
    app: App, host: str, host_ports: Sequence[int], ip_addresses: Sequence[str] = ()
) -> list[PortAssignment]:
    """All ports of an instance, in the app's order, those without an address too.

    ``host_ports``: those that were taken from the offer. ``ip_addresses``: what Mesos reported of the container; it
    counts only on container networks, everywhere else the agent's name does.
    """
    address = (ip_addresses[0] if ip_addresses else None) if app.has_container_networks else host
    taken = iter(host_ports)
    found = []
    for port in app.ports:
        if port.host is None:
            container = port.container or 0
            found.append(PortAssignment(port.name, address, container if address else 0, None, container))
            continue
        number = next(taken, None)
        if number is None:
            break
        if port.container is None:
            found.append(PortAssignment(port.name, address, number, number))
        else:
            # A port of the agent is preferred to the container's own address.
            found.append(PortAssignment(port.name, host, number, number, port.container or number))
    return found

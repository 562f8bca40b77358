"""What a task tells service discovery of its ports (``mesos/PortDiscovery.scala``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.embedded.marathon.specs.app import App

Json = dict[str, Any]

SCOPE = "network-scope"
NETWORK = "network-name"


def labels_json(labels: Mapping[str, str]) -> Json:
    return {"labels": [{"key": key, "value": value} for key, value in labels.items()]}


def _port(number: int, name: str | None, protocol: str, labels: Mapping[str, str]) -> Json:
    found: Json = {"number": number, "protocol": protocol}
    if name is not None:
        found["name"] = name
    if labels:
        found["labels"] = labels_json(labels)
    return found


def discovery(app: App, host_ports: Sequence[int | None]) -> Json:
    """``DiscoveryInfo``: one port for each protocol, and for each network where the agent's port is not used."""
    found: list[Json] = []
    on_host = app.network_mode == "host"
    names = [network["name"] for network in app.networks if network.get("name")]
    for port, host_port in zip(app.ports, host_ports, strict=True):
        for protocol in port.protocols:
            if on_host:
                assert host_port is not None
                found.append(_port(host_port, port.name, protocol, port.labels))
            elif host_port is not None:
                found.append(_port(host_port, port.name, protocol, {**port.labels, SCOPE: "host"}))
            else:
                for name in port.networks or names:
                    labels = {**port.labels, SCOPE: "container", NETWORK: name}
                    found.append(_port(port.container or 0, port.name, protocol, labels))
    return {"visibility": "FRAMEWORK", "name": app.hostname, "ports": {"ports": found}}

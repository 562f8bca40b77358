"""What ``GET /networks`` and ``GET /networks/{id}`` say of a network, and which of them the filters let through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.objects import Json

from .container import Attachment, Container
from .localnetwork import PREDEFINED, LocalNetwork
from .wording import rfc3339nano

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

FILTERS = frozenset(["dangling", "driver", "id", "label", "name", "scope", "type"])
PRUNE_FILTERS = frozenset(("label", "label!", "until"))


def shown(network: LocalNetwork, containers: Iterable[Container]) -> Json:
    """``GET /networks/{id}``, with these containers on it."""
    config = [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else []
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339nano(network.created),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None if network.driver != "bridge" else {}, "Config": config},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container.id: _endpoint(container, attachment)
            for container in containers
            for attachment in container.networks.values()
            if attachment.network_id == network.id
        },
        "Options": network.options,
        "Labels": network.labels,
    }


def _endpoint(container: Container, attachment: Attachment) -> Json:
    return {
        "Name": container.name,
        "EndpointID": attachment.endpoint_id,
        "MacAddress": attachment.mac,
        "IPv4Address": f"{attachment.ip}/{attachment.prefix}" if attachment.ip else "",
        "IPv6Address": "",
    }


def wanted(networks: Iterable[Json], filters: Filters, used: set[str] | None = None) -> list[Json]:
    """The networks of a rendered list that the filters of ``GET /networks`` let through.

    Args:
        used: ids of networks with containers on them, for ``dangling``; None skips that filter.
    """
    for value in filters.get("type"):
        if value not in ("builtin", "custom"):
            raise ApiError(f"invalid filter: 'type'='{value}'")
    return [network for network in networks if _matches(network, filters, used)]


def _matches(network: Json, filters: Filters, used: set[str] | None) -> bool:
    builtin = network["Name"] in PREDEFINED
    kinds = filters.get("type")
    if kinds and ("builtin" if builtin else "custom") not in kinds:
        return False
    if "dangling" in filters and used is not None and filters.boolean("dangling") == (builtin or network["Id"] in used):
        return False
    return (
        filters.match("name", network["Name"])
        and filters.prefix("id", network["Id"])
        and filters.exact("driver", network["Driver"])
        and filters.exact("scope", network["Scope"])
        and filters.labels("label", network.get("Labels"))
    )

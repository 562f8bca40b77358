"""An offer, read once, with what is left of it while several instances are matched with it.

Of the resources only those count that belong to a role which the app accepts, and that hold no persistent volume
(``mesos/ResourceMatcher.scala``).
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.marathon.constraints import Agent

Json = dict[str, Any]

UNRESERVED = "*"


class Scalar:
    """What is left of one resource of the offer."""

    __slots__ = ("left", "resource", "role")

    def __init__(self, resource: Json, role: str) -> None:
        self.resource = resource
        self.role = role
        self.left = float(resource["scalar"]["value"])


class PortRange:
    """Ports of the offer, both ends included."""

    __slots__ = ("begin", "end", "resource", "role")

    def __init__(self, begin: int, end: int, role: str, resource: Json) -> None:
        self.begin, self.end = begin, end
        self.role = role
        self.resource = resource


def role_of(resource: Json) -> str:
    """Whom a resource is reserved for: old form and refined reservations alike."""
    reservations = resource.get("reservations")
    if reservations:
        return str(reservations[-1]["role"])
    return resource.get("role") or UNRESERVED


class Offered:
    """What is left of an offer. ``match`` takes from it."""

    __slots__ = ("agent", "json", "ports", "roles", "scalars")

    def __init__(self, agent: Agent, json: Json, scalars: dict[str, list[Scalar]], ports: list[PortRange]) -> None:
        self.agent = agent
        self.json = json  # as it came
        self.scalars = scalars
        self.ports = ports
        self.roles = {each.role for found in scalars.values() for each in found} | {each.role for each in ports}

    @classmethod
    def of(cls, offer: Json) -> Offered:
        """What an offer (v1 JSON) has."""
        scalars: dict[str, list[Scalar]] = {}
        ports: list[PortRange] = []
        for resource in offer.get("resources") or ():
            if "volume" in (resource.get("disk") or ()):
                continue
            role = role_of(resource)
            if "scalar" in resource:
                scalars.setdefault(resource["name"], []).append(Scalar(resource, role))
            elif resource["name"] == "ports":
                ports += [
                    PortRange(int(each["begin"]), int(each["end"]), role, resource)
                    for each in (resource.get("ranges") or {}).get("range", ())
                ]
        return cls(Agent.of_offer(offer), offer, scalars, ports)

    @property
    def id(self) -> str:
        return str(self.json["id"]["value"])

    def total(self, name: str) -> float:
        """What is left of a scalar, over all roles."""
        return sum(each.left for each in self.scalars.get(name, ()))

    # -- taking

    def take_port(self, port: int, role: str) -> None:
        """A port is in use from now on."""
        for index, each in enumerate(self.ports):
            if each.begin <= port <= each.end and each.role == role:
                parts = []
                if each.begin < port:
                    parts.append(PortRange(each.begin, port - 1, role, each.resource))
                if port < each.end:
                    parts.append(PortRange(port + 1, each.end, role, each.resource))
                self.ports[index : index + 1] = parts
                return

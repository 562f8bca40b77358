"""Identifiers as Docker and SwarmKit make them, from one random source so that tests can repeat a run."""

from __future__ import annotations

import random

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class Ids:
    """Makes identifiers from ``rng``."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def swarm_id(self) -> str:
        """25 characters of base 36, as ``swarmkit/identity.NewID``: nodes, services, tasks, overlay networks."""
        return "".join(self._rng.choices(_BASE36, k=25))

    def hex_id(self) -> str:
        """64 hexadecimal digits: containers, local networks, endpoints, sandboxes.

        Docker takes another one when the first twelve could be read as a number, since they become host names.
        """
        while True:
            made = f"{self._rng.getrandbits(256):064x}"
            if not made[:12].isdigit():
                return made

    def mac(self, ip: str = "") -> str:
        """A locally administered MAC address; Docker derives it from the IPv4 address if there is one."""
        tail = [int(part) for part in ip.split(".")] if ip else [self._rng.randrange(256) for _ in range(4)]
        return "02:42:" + ":".join(f"{byte:02x}" for byte in tail)

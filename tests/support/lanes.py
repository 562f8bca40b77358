"""Which tests stay together, and in which order, when several workers run them (`./lab test -n 2`).

On real engines most of the time is waiting, so beside them there is time for everything else. What shares a cluster
stays with one worker, one after the other, as it was written; so does what drives a browser. All other modules go
to whoever is free.
"""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

# The longest first, as nothing can be moved from it to the other workers.
_ORDER = ("kind", "unit", "conformance", "docker", "labs", "browser")
_ON_DOCKER = re.compile(r"tests/(?:conformance|labs)/[^\[]*\[docker[-\]]")


def lane(nodeid: str) -> str:
    """The name of what must stay together: ``kind``, ``docker``, ``browser``, or the module's path from ``tests``."""
    module = nodeid.split("::")[0].removeprefix("tests/")
    if module.startswith("browser/"):
        return "browser"
    if _ON_DOCKER.match(nodeid):
        return "kind" if "kubernetes" in nodeid.split("::")[0] or "[docker-kubernetes/" in nodeid else "docker"
    return "docker" if module.endswith("_real.py") else module


def share_out(items: list[pytest.Item]) -> None:
    """Puts the lanes into the order in which workers take them."""

    def rank(item: pytest.Item) -> tuple[int, bool]:
        # Each lab takes its cluster down; that of the conformance suite stays for as long as the worker lives.
        return _ORDER.index(lane(item.nodeid).split("/")[0]), not item.nodeid.startswith("tests/labs/")

    items.sort(key=rank)


class Lanes(LoadScopeScheduling):
    """xdist's scheduler, with lanes as what is given to a worker at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)

"""How a pod's programs look names up: the search list, the cluster's DNS by way of the machine's rules, and beyond."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.kubernetes.network.names import TTL, Names
from labkit.embedded.kubernetes.network.resolvconf import Lookup
from labkit.embedded.runtime import outside
from labkit.embedded.runtime.dns import Resolver

MAX_ALIASES = 8


class ClusterResolver(Resolver):
    """What CoreDNS answers: the cluster's names, and for all others what the world outside says."""

    __slots__ = ("_names",)

    def __init__(self, names: Names) -> None:
        super().__init__(outside=True)
        self._names = names

    def find(self, name: str) -> tuple[list[str], int] | None:
        name = name.rstrip(".").lower()
        for _ in range(MAX_ALIASES):
            alias = self._names.alias(name)
            if alias is None:
                break
            name = alias
        if not self._names.is_ours(name):
            return super().find(name)
        found = self._names.addresses(name)
        return None if found is None else (self._turned(found), TTL)

    def alias(self, name: str) -> str | None:
        return self._names.alias(name.rstrip(".").lower())

    def reverse(self, ip: str) -> str | None:
        return self._names.reverse(ip) or outside.reverse(ip)

    def services(self, name: str) -> list[tuple[str, int]] | None:
        return self._names.services(name.rstrip(".").lower())


class PodResolver(Resolver):
    """What a pod's C library does: it tries the names of the search list with the server of ``/etc/resolv.conf``."""

    __slots__ = ("_answers", "_cluster", "_lookup")

    def __init__(self, lookup: Lookup, cluster: ClusterResolver, answers: Callable[[], bool]) -> None:
        """``answers()``: does the cluster's DNS answer this machine now?"""
        super().__init__(outside=True)
        self._lookup = lookup
        self._cluster = cluster
        self._answers = answers

    @property
    def reachable(self) -> bool:
        return not self._lookup.cluster or self._answers()

    def find(self, name: str) -> tuple[list[str], int] | None:
        """Just this name, without the search list."""
        if not self._lookup.cluster:
            return super().find(name)
        return self._cluster.find(name) if self._answers() else None

    def resolve(self, name: str) -> list[str]:
        return self._first(name)[1]

    def full(self, name: str) -> str:
        return self._first(name)[0]

    def alias(self, name: str) -> str | None:
        return self._cluster.alias(name) if self._lookup.cluster else None

    def _first(self, name: str) -> tuple[str, list[str]]:
        for wanted in self._lookup.tries(name):
            found = self.find(wanted)
            if found is not None and found[0]:
                return wanted, found[0]
        return name, []

    def reverse(self, ip: str) -> str | None:
        if not self._lookup.cluster:
            return super().reverse(ip)
        return self._cluster.reverse(ip) if self._answers() else None

    def services(self, name: str) -> list[tuple[str, int]] | None:
        if not self._lookup.cluster or not self._answers():
            return None
        return next((found for one in self._lookup.tries(name) if (found := self._cluster.services(one))), None)

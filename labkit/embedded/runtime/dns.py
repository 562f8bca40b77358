"""Names: what each container's embedded DNS (127.0.0.11) knows, and a real DNS server that answers the same.

A :class:`Scope` is one set of names (a network, a DC's zone); a :class:`Resolver` asks several of them in turn, as a
container on several networks does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from labkit.embedded.runtime import outside

NAMESERVER = "127.0.0.11"  # Docker's embedded one
TTL = 600  # seconds, as Docker's embedded server says


class Scope:
    """The names of one network. ``lookup`` returns the addresses of a name, or None when it knows no such name.

    An empty answer means that the name is known and has no address now (a service without a running task).
    """

    __slots__ = ("lookup", "name", "reverse", "services", "ttl")

    def __init__(
        self,
        name: str,
        lookup: Callable[[str], Sequence[str] | None],
        *,
        reverse: Callable[[str], str | None] = lambda ip: None,
        services: Callable[[str], Sequence[tuple[str, int]] | None] = lambda name: None,
        ttl: int = TTL,
    ) -> None:
        self.name = name
        self.lookup = lookup  # name without the final dot, in lower case -> addresses
        self.reverse = reverse  # address -> name
        self.services = services  # _web._tcp.… -> (target, port)
        self.ttl = ttl


class Resolver:
    """What one asker can find. ``scopes`` may be changed while it is in use (``docker network connect``).

    ``outside`` says whether the asker has a way out of the sandbox's networks: then the names of the (simulated) world
    out there are asked last, and their addresses can be reached.
    """

    __slots__ = ("_turn", "outside", "scopes")

    def __init__(self, scopes: Iterable[Scope] = (), *, outside: bool = False) -> None:
        self.scopes: list[Scope] = list(scopes)
        self.outside = outside
        self._turn = 0

    def find(self, name: str) -> tuple[list[str], int] | None:
        """Addresses and TTL of a name, in another order each time; None when nobody knows it (NXDOMAIN)."""
        name = name.rstrip(".").lower()
        for scope in self.scopes:
            found = scope.lookup(name)
            if found is not None:
                return self._turned(list(found)), scope.ttl
        if self.outside and (there := outside.lookup(name)) is not None:
            return self._turned(there), outside.TTL
        return None

    def resolve(self, name: str) -> list[str]:
        """The addresses of a name; empty when there is none."""
        found = self.find(name)
        return found[0] if found is not None else []

    def reverse(self, ip: str) -> str | None:
        """The name that an address belongs to."""
        found = next((name for scope in self.scopes if (name := scope.reverse(ip))), None)
        return outside.reverse(ip) if found is None and self.outside else found

    def alias(self, name: str) -> str | None:
        """The name that this one is only another name for (CNAME)."""
        return None

    def full(self, name: str) -> str:
        """The name under which ``name`` is found, after those of a search list were tried."""
        return name

    @property
    def nameserver(self) -> str:
        """The server's address, as the asker knows it."""
        return NAMESERVER

    @property
    def reachable(self) -> bool:
        """Whether there is a server that answers at all."""
        return True

    def services(self, name: str) -> list[tuple[str, int]] | None:
        """Targets and ports of an SRV name; None when nobody knows it."""
        name = name.rstrip(".").lower()
        for scope in self.scopes:
            found = scope.services(name)
            if found is not None:
                return list(found)
        return None

    def _turned(self, addresses: list[str]) -> list[str]:
        if len(addresses) > 1:
            self._turn = (self._turn + 1) % len(addresses)
            addresses = addresses[self._turn :] + addresses[: self._turn]
        return addresses

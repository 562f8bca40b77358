"""``GET /containers/json``: which containers a client gets, in which order (moby's ``daemon/list.go``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from labkit.embedded.swarm.errors import ApiError, BadRequest

from .container import HEALTHS, STATES, Container
from .wording import quoted

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

FILTERS = frozenset(
    [
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    ]
)


class Query:
    """A checked question. ``ancestors`` tells the ids of the images that a reference means, ``find`` a container."""

    def __init__(
        self,
        filters: Filters,
        *,
        everything: bool,
        limit: int,
        before: str,
        since: str,
        find: Callable[[str], Container],
        ancestors: Callable[[str], set[str]],
    ) -> None:
        self._filters = filters
        self.limit = limit
        self._exited = {_exit_code(value) for value in filters.get("exited")}
        for value in filters.get("status"):
            _check("status", "state", value, STATES)
        for value in filters.get("health"):
            _check("health", "health", value, HEALTHS)
        self._task = filters.boolean("is-task") if "is-task" in filters else None
        self._everything = everything or "status" in filters or limit > 0
        self._images = (
            {image for value in filters.get("ancestor") for image in ancestors(value)}
            if "ancestor" in filters
            else None
        )
        befores = [find(value) for value in (*filters.get("before"), *([before] if before else []))]
        sinces = [find(value) for value in (*filters.get("since"), *([since] if since else []))]
        self._before = min((container.created for container in befores), default=None)
        self._since = max((container.created for container in sinces), default=None)
        self._publish = _ports("publish", filters.get("publish"))
        self._expose = _ports("expose", filters.get("expose"))

    def select(self, containers: Iterable[Container]) -> list[Container]:
        """The containers wanted, newest first."""
        chosen = [container for container in containers if self._wants(container)]
        chosen.sort(key=lambda container: container.created, reverse=True)
        return chosen[: self.limit] if self.limit > 0 else chosen

    def _wants(self, container: Container) -> bool:
        filters = self._filters
        if not container.running and not self._everything:
            return False
        if self._before is not None and container.created >= self._before:
            return False
        if self._since is not None and container.created <= self._since:
            return False
        if self._task is not None and self._task != container.managed:
            return False
        if self._exited and (container.running or not container.started_at or container.exit_code not in self._exited):
            return False
        if self._images is not None and container.image_id not in self._images:
            return False
        return (
            (filters.match("name", f"/{container.name}") or filters.match("name", container.name))
            and filters.prefix("id", container.id)
            and filters.labels("label", container.labels)
            and filters.match("status", container.state)
            and filters.exact("health", container.health_status)
            and self._mounts(container)
            and self._attached(container)
            and self._ports(container)
        )

    def _mounts(self, container: Container) -> bool:
        wanted = self._filters.get("volume")
        places = {place for mount in container.mounts for place in (mount.name or mount.source, mount.destination)}
        return not wanted or not places.isdisjoint(wanted)

    def _attached(self, container: Container) -> bool:
        wanted = self._filters.get("network")
        return not wanted or any(
            name == value or (attachment.network_id and attachment.network_id.startswith(value))
            for value in wanted
            for name, attachment in container.networks.items()
        )

    def _ports(self, container: Container) -> bool:
        if not self._publish and not self._expose:
            return True
        for port, bindings in container.ports.items() if container.running else ():
            protocol = port.partition("/")[2]
            if port in self._expose or any(f"{number}/{protocol}" in self._publish for _, number in bindings or ()):
                return True
        return False


def _exit_code(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise BadRequest(
            f"invalid filter 'exited={value}': strconv.Atoi: parsing {quoted(value)}: invalid syntax"
        ) from None


def _check(name: str, what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadRequest(
            f"invalid filter '{name}={value}': invalid value for {what} ({value}): must be one of {', '.join(allowed)}"
        )


def _ports(name: str, values: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for value in values:
        if ":" in value:
            raise ApiError(f"filter for '{name}' should not contain ':': {value}")
        numbers, _, protocol = value.partition("/")
        first, _, last = numbers.partition("-")
        try:
            found |= {f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last or first) + 1)}
        except ValueError:
            raise ApiError(
                f"error while looking up for {name} {value}: strconv.ParseUint: parsing {quoted(first)}: invalid syntax"
            ) from None
    return found

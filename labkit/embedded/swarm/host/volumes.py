"""Named and anonymous volumes of one host: trees of files in memory that containers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.embedded.runtime.keeper import KeptLayer, from_text, to_text
from labkit.embedded.swarm.errors import BadRequest, Conflict, NotFound
from labkit.embedded.swarm.objects import Json

from .createrequest import VOLUME_NAME
from .inspect import volume_source
from .wording import quoted, rfc3339nano

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

    from .host import Host

FILTERS = frozenset(("dangling", "driver", "label", "name"))
PRUNE_FILTERS = frozenset(("all", "label", "label!"))
Rows = list[Json]
ANONYMOUS = "com.docker.volume.anonymous"


@dataclass(slots=True, eq=False)
class Volume:
    name: str
    created: float
    data: KeptLayer
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    users: set[str] = field(default_factory=set)  # container ids

    def json(self) -> Json:
        """As inspect and list show it."""
        return {
            "CreatedAt": rfc3339nano(float(int(self.created))),
            "Driver": "local",
            "Labels": self.labels,
            "Mountpoint": volume_source(self.name),
            "Name": self.name,
            "Options": self.options,
            "Scope": "local",
        }

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.data.values() if data)


class Volumes:
    """The volumes of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._volumes: dict[str, Volume] = {}

    def restore(self) -> None:
        """Take up what was kept."""
        for name, row in self._host.keeper.all("volume").items():
            data = KeptLayer(lambda name=name: self._keep(name), from_text(row["data"]))  # type: ignore[misc]
            self._volumes[name] = Volume(name, row["created"], data, row["labels"], row["options"])

    def _keep(self, name: str) -> None:
        volume = self._volumes[name]
        self._host.keeper.put(
            "volume",
            name,
            lambda: {
                "created": volume.created,
                "labels": volume.labels,
                "options": volume.options,
                "data": to_text(volume.data),
            },
        )

    def create(
        self,
        name: str = "",
        driver: str = "local",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Volume:
        """The volume of that name, made if there is none; without a name an anonymous one."""
        if driver not in ("", "local", "default"):
            raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        if not name:
            name, labels = self._host.world.ids.hex_id(), {**(labels or {}), ANONYMOUS: ""}
        elif not VOLUME_NAME.fullmatch(name):
            raise BadRequest(
                f"create {name}: {quoted(name)} includes invalid characters for a local volume name, only "
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        if name not in self._volumes:
            data = KeptLayer(lambda: self._keep(name))
            self._volumes[name] = Volume(name, self._host.world.clock.time(), data, labels, options)
            self._keep(name)
            self._host.events.log("volume", "create", name, {"driver": "local"})
        return self._volumes[name]

    def get(self, name: str) -> Volume:
        """Raises :class:`NotFound` in the daemon's words."""
        if name not in self._volumes:
            raise NotFound(f"get {name}: no such volume")
        return self._volumes[name]

    def remove(self, name: str, force: bool = False) -> None:
        """Raises :class:`NotFound` (unless forced) and :class:`Conflict` while a container uses it."""
        if name not in self._volumes:
            if force:
                return
            raise NotFound(f"get {name}: no such volume")
        volume = self._volumes[name]
        if volume.users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(volume.users))}]")
        del self._volumes[name]
        self._host.keeper.delete("volume", name)
        self._host.events.log("volume", "destroy", name, {"driver": "local"})

    def list(self, filters: Filters) -> list[Volume]:
        dangling = filters.boolean("dangling") if "dangling" in filters else None
        return [
            volume
            for volume in self._volumes.values()
            if (dangling is None or dangling == (not volume.users))
            and filters.match("name", volume.name)
            and filters.exact("driver", "local")
            and filters.labels("label", volume.labels)
        ]

    def prune(self, filters: Filters) -> Json:
        """``POST /volumes/prune``: anonymous ones, with ``all`` the named ones too."""
        everything = filters.boolean("all")
        freed = 0
        gone = []
        for volume in list(self._volumes.values()):
            anonymous = ANONYMOUS in (volume.labels or {})
            unwanted = filters.get("label!") and filters.labels("label!", volume.labels)
            if volume.users or not (anonymous or everything) or unwanted or not filters.labels("label", volume.labels):
                continue
            freed += volume.size
            self.remove(volume.name)
            gone.append(volume.name)
        self._host.events.log("volume", "prune", "", {"reclaimed": str(freed)})
        return {"VolumesDeleted": gone or None, "SpaceReclaimed": freed}

    def disk_usage(self) -> Rows:
        """For ``docker system df``."""
        return [
            {**volume.json(), "UsageData": {"RefCount": len(volume.users), "Size": volume.size}}
            for volume in self._volumes.values()
        ]

    def anonymous(self, name: str) -> bool:
        """Was it made without a name? Those go with their container when one asks for it."""
        return name in self._volumes and ANONYMOUS in (self._volumes[name].labels or {})

    def in_use(self, name: str, container_id: str) -> None:
        """A container mounts it, running or not."""
        self._volumes[name].users.add(container_id)

    def unused(self, name: str, container_id: str) -> None:
        if name in self._volumes:
            self._volumes[name].users.discard(container_id)

    def __contains__(self, name: str) -> bool:
        return name in self._volumes

    def __len__(self) -> int:
        return len(self._volumes)

"""The containers of one host: made, found by name or id, listed, renamed, removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, NotFound
from labkit.embedded.swarm.objects import Json

from . import createrequest, inspect
from .container import Attachment, Container, Mount
from .createrequest import Created, MountPoint
from .fields import HOST, take
from .imageview import run_config
from .listing import Query
from .names import random_name
from .wording import parse_timestamp, quoted

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

    from .host import Host

Rows = list[Json]
Warnings = list[str]
Restored = list[tuple[Container, Json]]
PRUNE_FILTERS = frozenset(("label", "label!", "until"))


class Containers:
    """All containers of one host, in the order in which they were made."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._containers: dict[str, Container] = {}
        self._names: dict[str, Container] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._containers.values()))

    def __len__(self) -> int:
        return len(self._containers)

    # finding --------------------------------------------------------------------------------------------------

    def get(self, reference: str) -> Container:
        """By id, name, or the beginning of an id.

        Raises :class:`NotFound` ``No such container: x``, :class:`BadRequest` when several ids begin so.
        """
        if not reference:
            raise BadRequest("invalid container name or ID: value is empty")
        found = self._containers.get(reference) or self._names.get(reference.removeprefix("/"))
        if found is not None:
            return found
        matches = [identifier for identifier in self._containers if identifier.startswith(reference)]
        if len(matches) > 1:
            raise BadRequest(f"multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return self._containers[matches[0]]

    def of_task(self, task_id: str) -> Container | None:
        """The container of a task."""
        return next((container for container in self._containers.values() if container.task_id == task_id), None)

    def named(self, name: str) -> Container | None:
        """The container of exactly that name."""
        return self._names.get(name)

    def list(
        self,
        filters: Filters,
        *,
        everything: bool = False,
        limit: int = 0,
        before: str = "",
        since: str = "",
        size: bool = False,
    ) -> list[Json]:
        """``GET /containers/json``."""
        images = self._host.images

        def ancestors(reference: str) -> set[str]:
            try:
                return {images.find(reference).image.id}
            except ApiError:
                return set()

        query = Query(
            filters,
            everything=everything,
            limit=limit,
            before=before,
            since=since,
            find=self.get,
            ancestors=ancestors,
        )
        now = self._host.world.clock.time()
        shown = []
        for container in query.select(self._containers.values()):
            entry = inspect.summary(container, now, images.name_for(container))
            if size:
                written = sum(len(data) for data in (container.files or {}).values() if data)
                entry |= {"SizeRw": written, "SizeRootFs": self.image_size(container) + written}
            shown.append(entry)
        return shown

    def image_size(self, container: Container) -> int:
        image = self._host.images.by_id(container.image_id)
        return image.size if image is not None else 0

    def disk_usage(self) -> Rows:
        """For ``docker system df``."""
        from labkit.embedded.swarm.api.request import Filters

        return self.list(Filters(), everything=True, size=True)

    # making ---------------------------------------------------------------------------------------------------

    def create(self, name: str, body: Any, api_version: tuple[int, int] = (1, 50)) -> tuple[Container, Warnings]:
        """``POST /containers/create``: the container and warnings. Raises 400, 404 (no such image) or 409."""
        request = createrequest.parse(body, cpus=self._host.machine.cpus, api_version=api_version)
        warnings = [
            f"Published ports are discarded when using {mode} network mode"
            for mode in (request.network_mode,)
            if mode in ("host", "none") and request.host.get("PortBindings")
        ]
        return self.make(name, request), warnings

    def make(self, name: str, request: Created, *, managed: bool = False) -> Container:
        """Make a container of a checked request. ``managed`` is for a task's."""
        host = self._host
        image = host.images.find(request.config.get("Image") or "").image if request.config.get("Image") else None
        if image is None:
            raise BadRequest("no command specified")
        config = createrequest.merge_image(request.config, run_config(image))
        mounts = request.mounts
        if image.volumes:
            mounts = createrequest.mounts(config, request.host)
        identifier = host.world.ids.hex_id()
        name = self._reserve(name, identifier)
        container = Container(
            identifier,
            name,
            config=config,
            host=request.host,
            image_id=image.id,
            created=host.world.clock.time(),
            managed=managed,
        )
        container.networks = {network: Attachment(network, given) for network, given in request.networks.items()}
        try:
            container.mounts = [self._mount(container, point) for point in mounts]
        except ApiError:
            for mount in container.mounts:
                host.volumes.unused(mount.name, identifier)
            raise
        self._containers[identifier] = container
        self._names[name] = container
        self.keep(container)
        self.log(container, "create")
        return container

    def _reserve(self, name: str, identifier: str) -> str:
        if name:
            createrequest.check_name(name)
            name = name.removeprefix("/")
            holder = self._names.get(name)
            if holder is not None:
                raise Conflict(
                    f"Conflict. The container name {quoted('/' + name)} is already in use by container "
                    f"{quoted(holder.id)}. You have to remove (or rename) that container to be able to reuse that name."
                )
            return name
        for attempt in range(6):
            candidate = random_name(self._host.world.rng, attempt)
            if candidate not in self._names:
                return candidate
        return identifier[:12]

    def _mount(self, container: Container, point: MountPoint) -> Mount:
        if point.type == "tmpfs":
            return Mount("tmpfs", "", "", point.target, "", point.mode, not point.read_only)
        if point.type == "bind":
            # -v /path:/path makes the path on a real host. The machines of a sandbox have no files.
            raise BadRequest(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
        volume = self._host.volumes.create(point.source, point.driver, point.labels or None, point.options or None)
        self._host.volumes.in_use(volume.name, container.id)
        return inspect.volume_mount(volume.name, point.target, point.mode or "z", not point.read_only)

    # changing -------------------------------------------------------------------------------------------------

    def rename(self, reference: str, name: str) -> None:
        """``POST /containers/{id}/rename``."""
        if not reference or not name:
            raise BadRequest("Neither old nor new names may be empty")
        container = self.get(reference)
        if container.name == name.removeprefix("/"):
            raise BadRequest("Renaming a container with the same name as its current name")
        try:
            name = self._reserve(name, container.id)
        except ApiError as error:
            raise type(error)(f"Error when allocating new name: {error.message}") from None
        old = container.name
        del self._names[old]
        container.name = name
        self._names[name] = container
        self.keep(container)
        self.log(container, "rename", {"oldName": f"/{old}"})

    def update(self, container: Container, body: Any) -> Json:
        """``POST /containers/{id}/update``: limits and restart policy."""
        given = take(body if isinstance(body, dict) else {}, HOST, "UpdateConfig")
        changed = {**container.host, **given}
        createrequest.verify(changed, None, self._host.machine.cpus)
        if container.removing or container.dead:
            raise ApiError(
                f'Cannot update container {container.id}: container is marked for removal and cannot be "update"'
            )
        if container.host.get("AutoRemove") and (given.get("RestartPolicy") or {}).get("Name", "no") != "no":
            raise ApiError(
                f"Cannot update container {container.id}: Restart policy cannot be updated because AutoRemove is "
                "enabled for the container"
            )
        container.host = changed
        self._host.launcher.limit(container)
        self.keep(container)
        self.log(container, "update")
        return {"Warnings": None}

    async def remove(
        self, container: Container, *, reference: str = "", force: bool = False, volumes: bool = False
    ) -> None:
        """``DELETE /containers/{id}``. Raises 409 while it runs, unless forced."""
        reference = reference or container.id
        if container.removing:
            raise Conflict(f"removal of container {reference} is already in progress")
        prefix = f"cannot remove container {quoted(reference)}: "
        if container.running:
            if not force:
                if container.paused:
                    raise Conflict(prefix + "container is paused and must be unpaused first")
                raise Conflict(
                    f"{prefix}container is {container.state}: stop the container before removing or force remove"
                )
            container.auto_removing = True  # --rm does not remove it a second time
            await self._host.runner.end(container)
        if container.removing or container.id not in self._containers:
            return
        container.removing = True
        self.drop(container, volumes)

    def drop(self, container: Container, volumes: bool) -> None:
        """Forget a container that does not run."""
        container.removing = True
        self._host.runner.release(container)
        self._containers.pop(container.id, None)
        if self._names.get(container.name) is container:
            del self._names[container.name]
        for mount in container.mounts:
            if mount.type == "volume":
                self._host.volumes.unused(mount.name, container.id)
                if volumes and self._host.volumes.anonymous(mount.name):
                    self._host.volumes.remove(mount.name, force=True)
        for attachment in container.networks.values():
            self._host.networks.forget(attachment.network_id)
        self._host.keeper.delete("container", container.id)
        self._host.keeper.delete("files", container.id)
        self.log(container, "destroy")
        container.tell_waiters(removed=True)

    async def prune(self, filters: Filters) -> Json:
        """``POST /containers/prune``: those that do not run."""
        until = filters.get("until")
        before = parse_timestamp(until[0], self._host.world.clock.time()) if until else None
        gone = []
        freed = 0
        for container in self:
            unwanted = filters.get("label!") and filters.labels("label!", container.labels)
            if container.running or unwanted or not filters.labels("label", container.labels):
                continue
            if before is not None and container.created > before:
                continue
            freed += sum(len(data) for data in (container.files or {}).values() if data)
            await self.remove(container)
            gone.append(container.id)
        self._host.events.log("container", "prune", "", {"reclaimed": str(freed)})
        return {"ContainersDeleted": gone or None, "SpaceReclaimed": freed}

    # keeping and telling --------------------------------------------------------------------------------------

    def restore(self) -> Restored:
        """Take up what was kept: each container with its row."""
        found = []
        for identifier, row in self._host.keeper.all("container").items():
            container = Container.restored(identifier, row)
            self._containers[identifier] = container
            self._names[container.name] = container
            for mount in container.mounts:
                if mount.type == "volume" and mount.name in self._host.volumes:
                    self._host.volumes.in_use(mount.name, identifier)
            found.append((container, row))
        for identifier, row in self._host.keeper.all("files").items():
            if identifier in self._containers:
                self._host.launcher.restore_files(self._containers[identifier], row)
        return found

    def keep(self, container: Container) -> None:
        """Its row has changed."""
        self._host.keeper.put("container", container.id, container.record)

    def log(self, container: Container, action: str, attributes: Mapping[str, str] | None = None) -> None:
        """An event of a container carries its labels, image and name."""
        if container.image:
            self._host.events.log(
                "container",
                action,
                container.id,
                {**container.labels, "image": container.image, "name": container.name, **(attributes or {})},
            )

"""The images that one host has: pulled from the catalogue, tagged, listed, removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from labkit.embedded.runtime.images import Image, InvalidReference, Reference, UnknownImage, parse_reference
from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound
from labkit.embedded.swarm.objects import Json

from . import imageview
from .container import Container
from .wording import parse_timestamp, quoted, short_id

if TYPE_CHECKING:
    from labkit.embedded.swarm.api.request import Filters

    from .host import Host

FILTERS = frozenset(["dangling", "label", "before", "since", "reference", "until"])
PRUNE_FILTERS = frozenset(["dangling", "label", "label!", "until"])
Rows = list[Json]
Progress = Callable[[Json], object]
_UNPACK_RATE = 600e6  # bytes a second: a small delay that grows with the image, for all to see and nobody to mind


@dataclass(slots=True, eq=False)
class Stored:
    """An image on this host under the names that people gave it here."""

    image: Image
    tags: list[str] = field(default_factory=list)  # nginx:1.27
    digests: list[str] = field(default_factory=list)  # nginx@sha256:…
    tagged: float = 0.0


def reference(text: str) -> Reference:
    """``text`` read as dockerd does; :class:`BadRequest` when it is no reference."""
    try:
        return parse_reference(text)
    except InvalidReference as error:
        raise BadRequest(str(error)) from None


def no_such_image(text: str) -> NotFound:
    """``No such image: nginx:latest``."""
    try:
        return NotFound(f"No such image: {parse_reference(text).familiar}")
    except InvalidReference:
        return NotFound(f"No such image: {text}")


class Images:
    """The images of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._stored: dict[str, Stored] = {}  # by id
        self._pulls: dict[str, asyncio.Task[bool]] = {}  # by reference: whoever asks for the same joins in

    def restore(self) -> None:
        """Take up what was kept. An image that this version of labkit no longer has is forgotten."""
        for identifier, row in self._host.keeper.all("image").items():
            image = self._host.world.catalogue.by_id(identifier)
            if image is not None:
                self._stored[identifier] = Stored(image, row["tags"], row["digests"], row["tagged"])

    def _keep(self, stored: Stored) -> None:
        self._host.keeper.put(
            "image",
            stored.image.id,
            lambda: {"tags": stored.tags, "digests": stored.digests, "tagged": stored.tagged},
        )

    def count(self) -> int:
        """How many there are, as ``docker info`` says."""
        return len(self._stored)

    def by_id(self, image_id: str) -> Image | None:
        """The image of a container, also after it was removed from this host."""
        stored = self._stored.get(image_id)
        return stored.image if stored is not None else self._host.world.catalogue.by_id(image_id)

    # finding --------------------------------------------------------------------------------------------------

    def find(self, text: str) -> Stored:
        """By name, digest, id or the beginning of an id. Raises :class:`NotFound` ``No such image: x:latest``."""
        if text in self._stored:
            return self._stored[text]
        if text.startswith("sha256:"):
            return self._by_prefix(text, text)
        try:
            ref = parse_reference(text)
        except InvalidReference as error:
            if text and all(char in "0123456789abcdef" for char in text):
                return self._by_prefix(f"sha256:{text}", text)
            raise BadRequest(str(error)) from None
        for stored in self._stored.values():
            if ref.digest:
                if f"{ref.familiar_name}@{ref.digest}" in stored.digests:
                    return stored
            elif ref.familiar in stored.tags:
                return stored
        return self._by_prefix(f"sha256:{text}", text)

    def _by_prefix(self, prefix: str, text: str) -> Stored:
        found = [stored for identifier, stored in self._stored.items() if identifier.startswith(prefix)]
        if len(found) != 1 or len(prefix) < len("sha256:") + 1:
            raise no_such_image(text)
        return found[0]

    def name_for(self, container: Container) -> str:
        """The IMAGE column: the reference it was made from, or the id once that means something else here."""
        if container.image == container.image_id:
            return container.image
        try:
            same = self.find(container.image).image.id == container.image_id
        except ApiError:
            same = False
        return container.image if same else container.image_id

    def users(self, image_id: str) -> list[Container]:
        return [container for container in self._host.containers if container.image_id == image_id]

    # pulling --------------------------------------------------------------------------------------------------

    def look_up(self, text: str) -> tuple[Reference, Image]:
        """What the registry has under that reference.

        Raises :class:`BadRequest` for no reference, :class:`NotFound` in the registry's words, and a plain
        :class:`ApiError` (500) when the registry itself is not there.
        """
        ref = reference(text)
        try:
            return ref, self._host.world.catalogue.find(ref)
        except UnknownImage as error:
            words = str(error)
            raise (ApiError(words) if words.startswith("Get ") else NotFound(words)) from None

    async def pull(self, text: str, progress: Progress = lambda line: None) -> Image:
        """Have the image here. Several who pull the same at a time share one download.

        Raises what :meth:`look_up` raises, before the first line of progress.
        """
        ref, image = self.look_up(text)
        name = ref.digest or ref.tag
        progress({"status": f"Pulling from {ref.path}", "id": name})
        task = self._pulls.get(image.id)
        if task is None or task.done():
            task = asyncio.create_task(self._download(image, progress))
            self._pulls[image.id] = task
        fresh = await asyncio.shield(task)
        new_name = self._add(ref, image)
        progress({"status": f"Digest: {image.digest}"})
        word = "Downloaded newer image for" if fresh or new_name else "Image is up to date for"
        progress({"status": f"Status: {word} {ref.familiar}"})
        self._host.events.log("image", "pull", ref.familiar, {**image.labels, "name": ref.familiar_name})
        return image

    async def _download(self, image: Image, progress: Progress) -> bool:
        """Fetch what is not here yet; False when all of it is."""
        try:
            if image.id in self._stored:
                return False
            layers = [short_id(layer) for layer in image.layers]
            for layer in layers:
                progress(imageview.progress("Pulling fs layer", layer))
            share = image.size // len(layers)
            for layer in layers:
                progress(imageview.progress("Downloading", layer, share // 2, share))
                await self._host.world.clock.sleep(min(0.3, 0.05 + image.size / _UNPACK_RATE) / len(layers))
                progress(imageview.progress("Verifying Checksum", layer))
                progress(imageview.progress("Download complete", layer))
                progress(imageview.progress("Extracting", layer, share, share))
                progress(imageview.progress("Pull complete", layer))
            return True
        finally:
            self._pulls.pop(image.id, None)

    def _add(self, ref: Reference, image: Image) -> bool:
        """Store the image under the name it was pulled by; True when that is new."""
        stored = self._stored.setdefault(image.id, Stored(image))
        digest = f"{ref.familiar_name}@{image.digest}"
        new = False
        if digest not in stored.digests:
            stored.digests.append(digest)
            new = True
        if not ref.digest and ref.familiar not in stored.tags:
            self._untag(ref.familiar)
            stored.tags.append(ref.familiar)
            new = True
        stored.tagged = self._host.world.clock.time()
        self._keep(stored)
        return new

    def _untag(self, name: str) -> None:
        for stored in self._stored.values():
            if name in stored.tags:
                stored.tags.remove(name)
                self._keep(stored)

    # tags and removal -----------------------------------------------------------------------------------------

    def tag(self, source: str, repository: str, tag: str) -> None:
        """``POST /images/{name}/tag``."""
        stored = self.find(source)
        ref = reference(f"{repository}:{tag}" if tag else repository)
        if ref.digest:
            raise BadRequest("refusing to create a tag with a digest reference")
        if ref.familiar not in stored.tags:
            self._untag(ref.familiar)
            stored.tags.append(ref.familiar)
        stored.tagged = self._host.world.clock.time()
        self._keep(stored)
        self._host.events.log("image", "tag", stored.image.id, {**stored.image.labels, "name": ref.familiar})

    def remove(self, text: str, force: bool = False) -> list[Json]:
        """``DELETE /images/{name}``: what was untagged and deleted. Raises :class:`Conflict` while it is used."""
        stored = self.find(text)
        image = stored.image
        gone: list[Json] = []
        by_id = image.id.startswith(text) or image.id.removeprefix("sha256:").startswith(text)
        if by_id:
            repositories = {name.partition("@")[0].rpartition(":")[0] or name for name in stored.tags}
            if len(stored.tags) > 1 and len(repositories) > 1 and not force:
                raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
            self._check_unused(image, force)
            names = [*stored.tags, *stored.digests]
        else:
            ref = reference(text)
            single = len(stored.tags) + (not stored.tags) == 1
            users = self.users(image.id)
            if users and single and not force:
                raise Conflict(
                    f"conflict: unable to remove repository reference {quoted(text)} (must force) - container "
                    f"{users[0].id[:12]} is using its referenced image {short_id(image.id)}"
                )
            names = [ref.familiar if not ref.digest else f"{ref.familiar_name}@{ref.digest}"]
            left = [tag for tag in stored.tags if tag not in names]
            if not any(tag.rpartition(":")[0] == ref.familiar_name for tag in left):
                names += [name for name in stored.digests if name.partition("@")[0] == ref.familiar_name]
        gone += self._drop(stored, names)
        nameless = not stored.tags and not stored.digests
        if nameless and not self._running(image) and (force or not self.users(image.id)):
            gone += self._delete(stored)
        return gone

    def _running(self, image: Image) -> list[Container]:
        return [container for container in self.users(image.id) if container.running]

    def _check_unused(self, image: Image, force: bool) -> None:
        running = self._running(image)
        if running:
            raise _conflict(image, "cannot be forced", f"image is being used by running container {running[0].id[:12]}")
        users = self.users(image.id)
        if users and not force:
            raise _conflict(image, "must be forced", f"image is being used by stopped container {users[0].id[:12]}")

    def _drop(self, stored: Stored, names: list[str]) -> list[Json]:
        gone: list[Json] = []
        for name in list(dict.fromkeys(names)):
            for kept in (stored.tags, stored.digests):
                if name in kept:
                    kept.remove(name)
                    gone.append({"Untagged": name})
                    self._log(stored.image, "untag")
        self._keep(stored)
        return gone

    def _delete(self, stored: Stored) -> list[Json]:
        image = stored.image
        del self._stored[image.id]
        self._host.keeper.delete("image", image.id)
        self._log(image, "delete")
        return [{"Deleted": image.id}, *({"Deleted": layer} for layer in reversed(image.layers))]

    def _log(self, image: Image, action: str) -> None:
        self._host.events.log("image", action, image.id, {**image.labels, "name": image.id})

    def prune(self, filters: Filters) -> Json:
        """``POST /images/prune``: dangling ones, with ``dangling=false`` all that no container uses."""
        dangling = filters.boolean("dangling", True)
        until = _until(filters, self._host.world.clock.time())
        gone: list[Json] = []
        freed = 0
        for stored in list(self._stored.values()):
            image = stored.image
            unwanted = filters.get("label!") and filters.labels("label!", image.labels)
            if (
                self.users(image.id)
                or (dangling and stored.tags)
                or not filters.labels("label", image.labels)
                or unwanted
                or (until is not None and image.created > until)
            ):
                continue
            gone += self._drop(stored, [*stored.tags, *stored.digests]) + self._delete(stored)
            freed += image.size
        self._host.events.log("image", "prune", "", {"reclaimed": str(freed)})
        return {"ImagesDeleted": gone or None, "SpaceReclaimed": freed}

    # showing --------------------------------------------------------------------------------------------------

    def list(self, filters: Filters, api_version: tuple[int, int] = (1, 50), digests: bool = True) -> list[Json]:
        """``GET /images/json``, newest first."""
        dangling = filters.boolean("dangling") if "dangling" in filters else None
        before = min((self.find(text).image.created for text in filters.get("before")), default=None)
        since = max((self.find(text).image.created for text in filters.get("since")), default=None)
        until = _until(filters, self._host.world.clock.time())
        shown = []
        for stored in self._stored.values():
            image, tags = stored.image, stored.tags
            patterns = filters.get("reference")
            if patterns:
                tags = [tag for tag in tags if any(_familiar_match(pattern, tag) for pattern in patterns)]
                if not tags:
                    continue
            if (
                (dangling is not None and dangling == bool(stored.tags))
                or (before is not None and image.created >= before)
                or (since is not None and image.created <= since)
                or (until is not None and image.created > until)
                or not filters.labels("label", image.labels)
            ):
                continue
            entry = imageview.summary(stored.image, tags, stored.digests, api_version)
            shown.append(entry)
        return sorted(shown, key=lambda entry: entry["Created"], reverse=True)

    def inspect(self, text: str, api_version: tuple[int, int] = (1, 50)) -> Json:
        """``GET /images/{name}/json``."""
        stored = self.find(text)
        return imageview.inspect(stored.image, stored.tags, stored.digests, stored.tagged, api_version)

    def history(self, text: str) -> Rows:
        """``GET /images/{name}/history``, newest layer first."""
        stored = self.find(text)
        return imageview.history(stored.image, stored.tags)

    def distribution(self, text: str) -> Json:
        """``GET /distribution/{name}/json``: what the registry has; this is how services get their digest."""
        try:
            _, image = self.look_up(text)
        except NotFound as error:
            if error.message.startswith("pull access denied"):
                raise Forbidden(
                    "errors:\ndenied: requested access to the resource is denied\n"
                    "unauthorized: authentication required\n"
                ) from None
            raise NotFound("manifest unknown: manifest unknown") from None
        return {
            "Descriptor": {
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "digest": image.digest,
                "size": 1000 + image.size % 2000,
            },
            "Platforms": [{"architecture": "amd64", "os": "linux"}],
        }


def _conflict(image: Image, how: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {short_id(image.id)} ({how}) - {why}")


def _until(filters: Filters, now: float) -> float | None:
    values = filters.get("until")
    if len(values) > 1:
        raise BadRequest("more than one until filter specified")
    return parse_timestamp(values[0], now) if values else None


def _familiar_match(pattern: str, tag: str) -> bool:
    """``reference.FamiliarMatch``: against ``nginx:1.27`` and against ``nginx``."""
    name = tag.rpartition(":")[0]
    return any(fnmatchcase(text, pattern) and text.count("/") == pattern.count("/") for text in (tag, name))

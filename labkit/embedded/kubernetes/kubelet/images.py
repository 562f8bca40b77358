"""The images of one machine: pulling them, and the words of what can go wrong.

As ``pkg/kubelet/images/image_manager.go`` and containerd. A pull takes a moment of sandbox time that grows with the
image; pods that want the same image at once wait for one pull.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.kubelet.backoff import Backoff
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.images.catalogue import Catalogue, UnknownImage
from labkit.embedded.runtime.images.reference import InvalidReference, Reference, parse_reference
from labkit.embedded.runtime.keeper import Keeper

LOOK_UP = 0.05  # sandbox seconds that the registry takes to answer
RATE, LONGEST = 400e6, 0.5  # bytes a second, and the longest that a pull may take: lessons are to be quick
REMEMBERED = 1000  # references that have been read once
SHOWN = 50  # images that a node's status lists (nodeStatusMaxImages)

Say = Callable[[str, str, str], object]  # an event of the container: type, reason, message


class ImageError(Exception):
    """No image for a container: ``reason`` is why it waits, ``str()`` the message."""

    def __init__(self, reason: str, message: str, retry: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry = retry  # seconds until it is worth another try


@dataclass(slots=True)
class Present:
    """An image that is on the machine."""

    image: Image
    names: list[str] = field(default_factory=list)


class Images:
    """The images of one machine."""

    def __init__(self, clock: Clock, catalogue: Catalogue, keeper: Keeper | None = None) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._keeper: Keeper | None = None
        self._present: dict[str, Present] = {}  # by image id
        self._by_name: dict[str, Image] = {}  # by full reference
        self._references: dict[str, Reference] = {}  # by what pods say
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._backoffs: dict[tuple[str, str], tuple[Backoff, float, str]] = {}  # (pod, image): failed when and why
        for name in keeper.all("image") if keeper is not None else ():
            self.restore(name)
        self._keeper = keeper

    def preload(self, name: str) -> None:
        """Have it from the start, as images of a node's own image are."""
        ref = parse_reference(name)
        self._add(ref, self._catalogue.find(ref))

    def _add(self, ref: Reference, image: Image) -> None:
        present = self._present.setdefault(image.id, Present(image))
        for name in (f"{image.repository}@{image.digest}", str(ref)):
            if name not in present.names:
                present.names.append(name)
        self._by_name[str(ref)] = image
        if self._keeper is not None:
            self._keeper.put("image", str(ref), dict)

    def restore(self, name: str) -> None:
        """It was here before the restart."""
        try:
            self.preload(name)
        except (InvalidReference, UnknownImage):
            pass  # a newer labkit's catalogue may have lost it

    def listed(self) -> list[Json]:
        """For the node's status: the biggest first."""
        found = sorted(self._present.values(), key=lambda one: -one.image.size)[:SHOWN]
        return [{"names": list(one.names), "sizeBytes": one.image.size} for one in found]

    def count(self) -> int:
        """How many there are; they are never removed."""
        return len(self._present)

    async def ensure(self, pod: Json, container: Json, say: Say) -> tuple[Image, str]:
        """The image of a container and its full name, pulled if need be. Raises :class:`ImageError`."""
        name = container.get("image", "")
        try:
            ref = self._references.get(name)
            if ref is None:
                ref = parse_reference(name)
                if len(self._references) >= REMEMBERED:
                    self._references.clear()
                self._references[name] = ref
        except InvalidReference as error:
            words = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
            say("Warning", "InspectFailed", words)
            raise ImageError("InvalidImageName", words) from None
        full = str(ref)
        policy = container.get("imagePullPolicy") or ("Always" if ref.tag == "latest" else "IfNotPresent")
        image = self._by_name.get(full)
        if policy == "Never" and image is None:
            words = f'Container image "{name}" is not present with pull policy of Never'
            say("Warning", "ErrImageNeverPull", words)
            raise ImageError("ErrImageNeverPull", words)
        if image is not None and policy != "Always":
            say(
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
            )
            return image, full
        return await self._pull(pod["metadata"].get("uid", ""), name, ref, say), full

    async def _pull(self, uid: str, name: str, ref: Reference, say: Say) -> Image:
        key = uid, name
        found = self._backoffs.get(key)
        now = self._clock.time()
        if found is not None and (left := found[0].remaining(now, found[1])) > 0:
            say("Normal", "BackOff", f'Back-off pulling image "{name}"')
            raise ImageError("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {found[2]}', left)
        say("Normal", "Pulling", f'Pulling image "{name}"')
        try:
            image = self._catalogue.find(ref)
        except UnknownImage as error:
            await self._clock.sleep(LOOK_UP)
            words = containerd_words(ref, error)
            say("Warning", "Failed", f'Failed to pull image "{name}": {words}')
            backoff = found[0] if found is not None else Backoff()
            backoff.next(self._clock.time())
            self._backoffs[key] = backoff, self._clock.time(), words
            raise ImageError("ErrImagePull", words, backoff.delay / 2) from None
        await self._fetch(image)
        self._backoffs.pop(key, None)
        self._add(ref, image)
        took = _seconds(self._clock.time() - now)
        say(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {took} ({took} including waiting). Image size: {image.size} bytes.',
        )
        return image

    async def _fetch(self, image: Image) -> None:
        if image.id in self._present:
            await self._clock.sleep(LOOK_UP)
            return
        pull = self._pulls.get(image.id)
        if pull is None:
            pull = self._pulls[image.id] = asyncio.create_task(self._transfer(image))
        await asyncio.shield(pull)

    async def _transfer(self, image: Image) -> None:
        try:
            await self._clock.sleep(min(LONGEST, LOOK_UP + image.size / RATE))
            self._present.setdefault(image.id, Present(image))
        finally:
            self._pulls.pop(image.id, None)

    def arguments(self, container: Json) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Entrypoint and arguments that the image of a container (which is present) brings along."""
        image = self._by_name[str(self._references.get(container["image"]) or parse_reference(container["image"]))]
        return image.entrypoint, image.cmd

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._backoffs if key[0] == uid] if self._backoffs else ():
            del self._backoffs[key]


def containerd_words(ref: Reference, error: UnknownImage) -> str:
    """Why containerd cannot pull it."""
    start = f'failed to pull and unpack image "{ref}": failed to resolve reference "{ref}": '
    words = str(error)
    if words.startswith("manifest for"):
        return f"rpc error: code = NotFound desc = {start}{ref}: not found"
    if words.startswith("Get "):  # no such registry
        where = f'failed to do request: Head "https://{ref.domain}/v2/{ref.path}/manifests/{ref.tag or ref.digest}": '
        return start + where + words.partition(": ")[2]
    if ref.domain == "docker.io":
        return (
            f"{start}pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed"
        )
    return f"rpc error: code = NotFound desc = {start}{ref}: not found"


def _seconds(seconds: float) -> str:
    """``1.234s``, ``56ms``: Go's duration, cut to milliseconds."""
    millis = round(seconds * 1000)
    return f"{millis}ms" if millis < 1000 else f"{millis / 1000:g}s"

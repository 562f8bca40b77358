"""Which form a client wants to be answered in, and which form it sends: ``Accept`` and ``Content-Type``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from labkit.embedded.kubernetes.errors import NotAcceptable, StatusError, UnsupportedMediaType

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

# What the real one says it takes and gives. Answers are never protobuf here; every client also takes JSON.
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
STREAM_TYPES = (JSON, f"{JSON};stream=watch", PROTOBUF, f"{PROTOBUF};stream=watch")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


class NoSuchForm(StatusError):
    """406 before the request has got to its handler: the router knows no such media type."""

    code, reason = 406, "NotAcceptable"

    def __init__(self) -> None:
        super().__init__("406: Not Acceptable", {})


class NoSuchPatch(StatusError):
    """415 by the router, for patches."""

    code, reason = 415, "UnsupportedMediaType"

    def __init__(self) -> None:
        super().__init__("415: Unsupported Media Type", {})


@dataclass(frozen=True, slots=True)
class Form:
    """How to answer: ``as_kind`` is ``Table``, ``PartialObjectMetadata``, ``PartialObjectMetadataList`` or ""."""

    media_type: str = JSON
    as_kind: str = ""
    version: str = "v1"
    pretty: bool = False  # asked for in the Accept header

    @property
    def content_type(self) -> str:
        return self.media_type


PLAIN = Form()
_FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@lru_cache(maxsize=256)
def accepted(header: str, *, transforms: bool = True, stream: bool = False) -> Form:
    """The first form of an ``Accept`` header that can be given. ``transforms``: whether tables are there to be had.

    Raises:
        NotAcceptable: there is none.
    """
    if not header:
        return PLAIN
    choices: list[tuple[float, int, Form]] = []
    known = False
    for position, clause in enumerate(header.split(",")):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        known = known or media_type in MEDIA_TYPES
        try:
            quality = float(named.get("q", 1))
        except ValueError:
            quality = 1.0
        if media_type in ("*/*", "application/*"):
            form = PLAIN
        elif media_type == JSON or (media_type == YAML and not stream):
            wanted = named.get("as", "")
            if wanted:
                there = wanted in _FORMS and named.get("g") == "meta.k8s.io" and named.get("v") in ("v1", "v1beta1")
                if not transforms or not there:
                    continue
            form = Form(media_type, wanted, named.get("v", "v1"), named.get("pretty") in ("1", "true"))
        else:
            continue
        choices.append((-quality, position, form))
    if not choices and not known:
        raise NoSuchForm
    if not choices:
        raise NotAcceptable(STREAM_TYPES if stream else MEDIA_TYPES)
    return min(choices, key=lambda choice: choice[:2])[2]


def body_type(header: str | None) -> str:
    """The media type of a body that is an object. No header means JSON, as the Python client counts on.

    Raises:
        UnsupportedMediaType: it is none that can be read.
    """
    media_type = (header or JSON).partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(MEDIA_TYPES)
    return media_type


def patch_type(header: str | None) -> str:
    """The media type of a patch. Raises NoSuchPatch when it is none."""
    media_type = (header or "").partition(";")[0].strip().lower()
    if media_type not in PATCHES:
        raise NoSuchPatch
    return media_type

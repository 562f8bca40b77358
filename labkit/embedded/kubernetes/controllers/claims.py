"""Adoption and release: which objects are an owner's (``pkg/controller/controller_ref_manager.go``).

An owner takes what its selector matches and nobody manages, and lets go of what it manages but no longer matches: that
is how relabelling a pod makes a twin appear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.errors import Conflict, Invalid, NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    controller_of,
    edited,
    is_terminating,
    name_of,
    namespace_of,
    owner_reference,
    owners_of,
    uid_of,
)
from labkit.embedded.kubernetes.selectors import Selector


@dataclass(slots=True)
class Claims:
    """What is to be done about the candidates."""

    keep: list[Json] = field(default_factory=list)  # managed and matching
    adopt: list[Json] = field(default_factory=list)
    release: list[Json] = field(default_factory=list)


def decide(owner: Json, selector: Selector, mine: Iterable[Json], nobodys: Iterable[Json]) -> Claims:
    """Sort the objects that the owner manages, and those that nobody does; whom it leaves alone is left out."""
    claims, ending = Claims(), is_terminating(owner)
    fits: Json | None = None  # labels that are known to match: what one template made shares them
    for obj in mine:
        labels = obj["metadata"].get("labels")
        if labels is fits and fits is not None:
            claims.keep.append(obj)
        elif selector.selects(obj):
            fits = labels
            claims.keep.append(obj)
        elif not ending:
            claims.release.append(obj)
    if not ending:
        claims.adopt = [obj for obj in nobodys if not is_terminating(obj) and selector.selects(obj)]
    return claims


async def claim(
    client: Client,
    owner_kind: Kind,
    owner: Json,
    kind: Kind,
    selector: Selector,
    mine: Iterable[Json],
    nobodys: Iterable[Json],
    *,
    finalizer: str = "",
) -> list[Json]:
    """What is the owner's after adopting and releasing. ``finalizer`` is added to who is adopted.

    ``mine`` are objects that the cache says it manages, ``nobodys`` those in its namespace that nobody manages.
    """
    claims = decide(owner, selector, mine, nobodys)
    if claims.adopt and not await _may_adopt(client, owner_kind, owner):
        claims.adopt = []
    for obj in claims.adopt:
        adopted = await _write(client, kind, obj, lambda newest: adopt(newest, owner, finalizer))
        if adopted is not None:
            claims.keep.append(adopted)
    for obj in claims.release:
        await _write(client, kind, obj, lambda newest: release(newest, owner, finalizer))
    return claims.keep


def adopt(obj: Json, owner: Json, finalizer: str = "") -> Json | None:
    """The object with ``owner`` as its controller; None when it has one by now."""
    if controller_of(obj) is not None:
        return None
    copy = edited(obj)
    copy["metadata"]["ownerReferences"] = [*owners_of(obj), owner_reference(owner)]
    if finalizer and finalizer not in obj["metadata"].get("finalizers", ()):
        copy["metadata"]["finalizers"] = [*obj["metadata"].get("finalizers", ()), finalizer]
    return copy


def release(obj: Json, owner: Json, finalizer: str = "") -> Json | None:
    """The object without the reference to ``owner``; None when there is none."""
    kept = [reference for reference in owners_of(obj) if reference.get("uid") != uid_of(owner)]
    if len(kept) == len(owners_of(obj)):
        return None
    copy = edited(obj)
    _put(copy["metadata"], "ownerReferences", kept)
    if finalizer:
        _put(copy["metadata"], "finalizers", [one for one in obj["metadata"].get("finalizers", ()) if one != finalizer])
    return copy


def _put(metadata: Json, field_name: str, items: Sequence[object]) -> None:
    if items:
        metadata[field_name] = items
    else:
        metadata.pop(field_name, None)


async def _may_adopt(client: Client, kind: Kind, owner: Json) -> bool:
    """Ask the API server, not the cache: who is gone or on its way must not adopt."""
    newest = await client.find(kind, namespace_of(owner), name_of(owner))
    return newest is not None and uid_of(newest) == uid_of(owner) and not is_terminating(newest)


async def _write(client: Client, kind: Kind, obj: Json, change: Callable[[Json], Json | None]) -> Json | None:
    """Write the change unless the object is gone or another of its name is there; None when nothing was written."""

    def same(newest: Json) -> Json | None:
        return change(newest) if uid_of(newest) == uid_of(obj) else None

    try:
        written = await client.modify(kind, namespace_of(obj), name_of(obj), same)
    except (NotFound, Conflict, Invalid):  # it changed under our hands: the next sync sees how
        return None
    return written if uid_of(written) == uid_of(obj) else None

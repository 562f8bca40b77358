"""What becomes of one object, by its owners and its dependents (``pkg/controller/garbagecollector``). Pure.

* **Background**: the owner goes first; its dependents then have an owner that is absent.
* **Foreground**: the owner stays, with the finalizer ``foregroundDeletion``, until those dependents are gone that say
  ``blockOwnerDeletion``.
* **Orphan**: the owner stays, with the finalizer ``orphan``, until no dependent refers to it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from labkit.embedded.kubernetes.objects import Json, edited, is_terminating, owners_of, uid_of
from labkit.embedded.kubernetes.registry.options import BACKGROUND, FOREGROUND, ORPHAN

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"


class State(Enum):
    """What an owner reference is worth."""

    SOLID = "solid"  # the owner is there, and is to stay
    WAITING = "waiting"  # it is there, and waits for its dependents to go
    DANGLING = "dangling"  # it is absent


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leave it."""


@dataclass(frozen=True, slots=True)
class Delete:
    """It has no owner any more that is to stay. ``unblock`` are owners that shall not wait for it first."""

    propagation: str
    unblock: bool = False


@dataclass(frozen=True, slots=True)
class DropOwners:
    """It has an owner that is to stay: it only forgets those of these uids."""

    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing holds it any more: take this finalizer away. Before that, ``orphans`` forget that they belong to it."""

    finalizer: str
    orphans: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """It waits for these: they are to be looked at."""

    blocking: tuple[Json, ...]


Action = Nothing | Delete | DropOwners | Release | Look
NOTHING = Nothing()


def finalizers_of(obj: Json) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def waits_for_dependents(obj: Json) -> bool:
    """Whether it is being deleted in the foreground."""
    return is_terminating(obj) and FOREGROUND_FINALIZER in finalizers_of(obj)


def orphans_dependents(obj: Json) -> bool:
    """Whether it is being deleted and its dependents are to stay."""
    return is_terminating(obj) and ORPHAN_FINALIZER in finalizers_of(obj)


def is_collected(obj: Json) -> bool:
    """Whether a look at it can lead to anything: it has owners, or an end that needs the collector's hand."""
    return bool(owners_of(obj)) if not is_terminating(obj) else waits_for_dependents(obj) or orphans_dependents(obj)


def decide(item: Json, state_of: Callable[[Json], State], dependents_of: Callable[[Json], Iterable[Json]]) -> Action:
    """What to do about ``item``. ``state_of`` tells what an owner reference is worth."""
    if orphans_dependents(item):
        return Release(ORPHAN_FINALIZER, tuple(dependents_of(item)))
    if waits_for_dependents(item):
        blocking = tuple(other for other in dependents_of(item) if _blocks(other, item))
        return Look(blocking) if blocking else Release(FOREGROUND_FINALIZER)
    if is_terminating(item) or not owners_of(item):
        return NOTHING
    states = [(owner["uid"], state_of(owner)) for owner in owners_of(item)]
    solid = any(state is State.SOLID for _, state in states)
    waiting = any(state is State.WAITING for _, state in states)
    if solid:
        leaving = frozenset(uid for uid, state in states if state is not State.SOLID)
        return DropOwners(leaving) if leaving else NOTHING
    if waiting and (dependents := tuple(dependents_of(item))):
        # Those who wait for it wait for its dependents, too. In a circle they would wait for ever.
        return Delete(FOREGROUND, unblock=any(waits_for_dependents(other) for other in dependents))
    if ORPHAN_FINALIZER in finalizers_of(item):
        return Delete(ORPHAN)
    return Delete(FOREGROUND if FOREGROUND_FINALIZER in finalizers_of(item) else BACKGROUND)


def _blocks(dependent: Json, owner: Json) -> bool:
    uid = uid_of(owner)
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in owners_of(dependent))


# -- the edits


def without_owners(obj: Json, uids: frozenset[str]) -> Json | None:
    """The object without references to these owners; None: it has none."""
    kept = [owner for owner in owners_of(obj) if owner["uid"] not in uids]
    if len(kept) == len(owners_of(obj)):
        return None
    copy = edited(obj)
    if kept:
        copy["metadata"]["ownerReferences"] = kept
    else:
        copy["metadata"].pop("ownerReferences", None)
    return copy


def without_finalizer(obj: Json, finalizer: str) -> Json | None:
    """The object without that finalizer; None: it has none such."""
    if finalizer not in finalizers_of(obj):
        return None
    copy = edited(obj)
    kept = [name for name in finalizers_of(obj) if name != finalizer]
    if kept:
        copy["metadata"]["finalizers"] = kept
    else:
        copy["metadata"].pop("finalizers")
    return copy


def unblocking(obj: Json) -> Json | None:
    """The object as one that no owner waits for; None: nobody does."""
    if not any(owner.get("blockOwnerDeletion") for owner in owners_of(obj)):
        return None
    copy = edited(obj)
    copy["metadata"]["ownerReferences"] = [
        {**owner, "blockOwnerDeletion": False} if owner.get("blockOwnerDeletion") else owner for owner in owners_of(obj)
    ]
    return copy

"""ControllerRevisions: the templates that a DaemonSet has had (``pkg/controller/history``).

``kubectl rollout history`` lists them; ``rollout undo`` sends the ``data`` of one as a strategic merge patch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.controllers.templates import template_hash
from labkit.embedded.kubernetes.errors import AlreadyExists, NotFound
from labkit.embedded.kubernetes.objects import (
    Json,
    annotations_of,
    controller_of,
    edited,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    status_of,
    uid_of,
)

HASH_LABEL = "controller-revision-hash"


class HashCollision(Exception):
    """Another template has the same hash: count it in ``status.collisionCount`` and try again."""


def data_of(owner: Json) -> Json:
    """What a revision keeps: a patch that puts the template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def hash_of(revision: Json) -> str:
    return labels_of(revision).get(HASH_LABEL, "")


def by_revision(revisions: Iterable[Json]) -> list[Json]:
    """Oldest first."""
    return sorted(
        revisions,
        key=lambda one: (one.get("revision", 0), one["metadata"].get("creationTimestamp", ""), name_of(one)),
    )


def next_number(revisions: Iterable[Json]) -> int:
    return max((int(one.get("revision", 0)) for one in revisions), default=0) + 1


def split(owner: Json, revisions: Iterable[Json]) -> tuple[Json | None, list[Json]]:
    """The revision of the owner's template as it is now, and the others, oldest first."""
    data = data_of(owner)
    same: list[Json] = []
    others: list[Json] = []
    for one in by_revision(revisions):
        (same if one.get("data") == data else others).append(one)
    # Twins happen when two controllers raced; the newest of them counts, the rest is history.
    return (same[-1], by_revision([*others, *same[:-1]])) if same else (None, others)


def new_revision(owner: Json, number: int, digest: str) -> Json:
    """The object for the owner's template as it is now."""
    described = owner["spec"]["template"].get("metadata") or {}
    metadata: Json = {
        "name": f"{name_of(owner)}-{digest}",
        "labels": {**(described.get("labels") or {}), HASH_LABEL: digest},
        "ownerReferences": [owner_reference(owner)],
    }
    if annotations_of(owner):
        metadata["annotations"] = dict(annotations_of(owner))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data_of(owner),
        "revision": number,
    }


async def settle(client: Client, owner: Json, revisions: Sequence[Json]) -> tuple[Json, list[Json]]:
    """The current revision, made or renumbered if need be, and the old ones. Raises :class:`HashCollision`."""
    current, old = split(owner, revisions)
    number = next_number(old)
    if current is None:
        return await _make(client, owner, number), old
    if current.get("revision", 0) < number:

        def renumbered(newest: Json) -> Json:
            return {**edited(newest), "revision": number}

        current = await client.modify(kinds.CONTROLLER_REVISIONS, namespace_of(current), name_of(current), renumbered)
    return current, old


async def _make(client: Client, owner: Json, number: int) -> Json:
    digest = template_hash(owner["spec"]["template"], status_of(owner).get("collisionCount"))
    revision = new_revision(owner, number, digest)
    try:
        return await client.create(kinds.CONTROLLER_REVISIONS, namespace_of(owner), revision)
    except AlreadyExists:
        found = await client.get(kinds.CONTROLLER_REVISIONS, namespace_of(owner), name_of(revision))
        holder = controller_of(found)
        if found.get("data") == revision["data"] and holder is not None and holder["uid"] == uid_of(owner):
            return found
        raise HashCollision(name_of(revision)) from None


def to_clean(old: Sequence[Json], limit: int, in_use: Iterable[str]) -> list[Json]:
    """Old revisions beyond the history that is kept, oldest first; those that pods still have stay."""
    used = set(in_use)
    surplus = len(old) - limit
    found: list[Json] = []
    for one in by_revision(old):
        if len(found) >= surplus:
            break
        if hash_of(one) not in used:
            found.append(one)
    return found


async def clean(client: Client, revisions: Iterable[Json]) -> None:
    for one in revisions:
        try:
            await client.delete(kinds.CONTROLLER_REVISIONS, namespace_of(one), name_of(one))
        except NotFound:
            continue

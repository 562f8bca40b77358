"""What the server says in an object's metadata, whatever a client sends there."""

from __future__ import annotations

from labkit.embedded.kubernetes.errors import BadRequest, Cause, Conflict
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

NAMESPACE_MISMATCH = "the namespace of the provided object does not match the namespace sent on the request"

# What the server alone says. A client that sends back what it has read must not be refused for it.
_SYSTEM = ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "uid", "creationTimestamp")


def own(kind: Kind, obj: Json) -> Json:
    """A copy whose top level, ``metadata``, ``spec`` and ``status`` may be written to, with its kind first.

    The order matters: a list leaves the first two fields of its items out by cutting bytes.
    """
    new: Json = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": dict(obj.get("metadata") or {})}
    for part, value in obj.items():
        if part not in new:
            new[part] = dict(value) if part in ("spec", "status") and isinstance(value, dict) else value
    return new


def check_type(kind: Kind, obj: Json) -> None:
    """Raises :class:`BadRequest` for an object that says it is of another kind."""
    api_version, name = obj.get("apiVersion") or kind.api_version, obj.get("kind") or kind.kind
    if api_version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise BadRequest(
            f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}: no kind "{name}" is registered '
            f'for version "{api_version}"'
        )


def check_namespace(kind: Kind, metadata: Json, namespace: str) -> None:
    """Set the namespace of the request. Raises :class:`BadRequest` when the object says another one."""
    given = metadata.get("namespace") or ""
    wanted = namespace if kind.namespaced else ""
    if given and given != wanted:
        raise BadRequest(NAMESPACE_MISMATCH)
    if wanted:
        metadata["namespace"] = wanted
    else:
        metadata.pop("namespace", None)


def begin(metadata: Json, uid: str, now: str) -> None:
    """The metadata of an object that comes to be (``FillObjectMetaSystemFields``)."""
    for field in _SYSTEM:
        metadata.pop(field, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = now


def carry(metadata: Json, was: Json) -> None:
    """The metadata of an object that takes the place of another: what a client cannot change stays."""
    for field in _SYSTEM:
        if field in was:
            metadata[field] = was[field]
        else:
            metadata.pop(field, None)


def immutable_causes(metadata: Json, was: Json) -> list[Cause]:
    """Rules of metadata that do not depend on the kind (``ValidateObjectMetaAccessorUpdate``)."""
    causes: list[Cause] = []
    if "deletionTimestamp" in was:
        added = [one for one in metadata.get("finalizers") or () if one not in (was.get("finalizers") or ())]
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            problem = (
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            causes.append(Cause("FieldValueForbidden", problem, "metadata.finalizers"))
    return causes


def check_precondition(kind: Kind, name: str, metadata: Json, was: Json) -> None:
    """Raises :class:`Conflict` when an update is for an object of another UID."""
    given = metadata.get("uid")
    if given and given != was["uid"]:
        raise Conflict(
            kind.plural,
            kind.group,
            name,
            f"Precondition failed: UID in precondition: {given}, UID in object meta: {was['uid']}",
        )

"""What the server says in an object's metadata, whatever a client sends there."""

from __future__ import annotations

from labkit.embedded import gojson
from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest, Conflict
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"  # where the real one has its table of kinds
NAMESPACE_MISMATCH = "the namespace of the provided object does not match the namespace sent on the request"

# What the server alone says. A client that sends back what it has read must not be refused for it.
_SYSTEM = frozenset((
    "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "uid", "creationTimestamp"
))  # fmt: skip


def own(kind: Kind, obj: Json) -> Json:
    """A copy whose top level, ``metadata``, ``spec`` and ``status`` may be written to, with its kind first.

    The order matters: a list leaves the first two fields of its items out by cutting bytes.
    """
    new: Json = {"kind": None, "apiVersion": None, "metadata": None, **obj}
    new["kind"], new["apiVersion"] = kind.kind, kind.api_version
    new["metadata"] = dict(obj.get("metadata") or {})
    for part in ("spec", "status"):
        if isinstance(value := obj.get(part), dict):
            new[part] = dict(value)
    return new


def type_problem(kind: Kind, obj: Json) -> str:
    """What is said of an object that says it is of another kind; "" if it does not."""
    version, name = obj.get("apiVersion") or kind.api_version, obj.get("kind") or kind.kind
    if version == kind.api_version and name == kind.kind:
        return ""
    for field, said in (("kind", name), ("apiVersion", version)):
        if not isinstance(said, str):
            problem = f"json: cannot unmarshal {gojson.kind(said)} into Go struct field .{field} of type string"
            return f"couldn't get version/kind; json parse error: {problem}"
    if kinds.of(version, name) is None:
        return f'no kind "{name}" is registered for version "{version}" in scheme "{_SCHEME}"'
    internal = kind.group.partition(".")[0] or "core"
    return f"converting ({version.rpartition('/')[2]}.{name}) to ({internal}.{kind.kind}): unknown conversion"


def check_type(kind: Kind, obj: Json) -> None:
    """Raises :class:`BadRequest` for an object that says it is of another kind."""
    if problem := type_problem(kind, obj):
        name = obj.get("kind") or kind.kind
        version = str(obj.get("apiVersion") or kind.api_version).rpartition("/")[2]
        raise BadRequest(f'{name} in version "{version}" cannot be handled as a {kind.kind}: {problem}')


def check_name(metadata: Json, name: str) -> None:
    """Raises :class:`BadRequest` for an object that is sent to the URL of another one."""
    given = metadata.get("name") or ""
    if not given:
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")


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
    for field in _SYSTEM & metadata.keys():
        del metadata[field]
    metadata["uid"] = uid
    metadata["creationTimestamp"] = now


def carry(metadata: Json, was: Json) -> None:
    """The metadata of an object that takes the place of another: what a client cannot change stays (``BeforeUpdate``).

    What it may not even try to change (``uid``, ``deletionGracePeriodSeconds``…) is for validation to refuse.
    """
    for field in ("creationTimestamp", "deletionTimestamp", "generation"):
        if field in was:
            metadata[field] = was[field]
    if "generation" in metadata and "generation" not in was:
        del metadata["generation"]
    for field in ("uid", "deletionGracePeriodSeconds"):
        if field in was and metadata.get(field) in (None, ""):
            metadata[field] = was[field]
    metadata.pop("selfLink", None)


# Where the real one keeps some kinds in etcd, for historical reasons; all others are at the name of their resource.
_PREFIXES = {
    kinds.SERVICES: "services/specs",
    kinds.ENDPOINTS: "services/endpoints",
    kinds.NODES: "minions",
    kinds.REPLICATION_CONTROLLERS: "controllers",
}


def check_precondition(kind: Kind, metadata: Json, was: Json) -> None:
    """Raises :class:`Conflict` when an update is for an object of another UID."""
    given = metadata.get("uid")
    if given and given != was["uid"]:
        path = "/".join(part for part in (was.get("namespace", ""), was["name"]) if part)
        raise Conflict(
            kind.plural,
            kind.group,
            was["name"],
            f"StorageError: invalid object, Code: 4, Key: /registry/{_PREFIXES.get(kind, kind.plural)}/{path}, "
            "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
            f"{given}, UID in object meta: {was['uid']}",
        )

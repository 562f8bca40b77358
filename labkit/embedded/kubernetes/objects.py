"""Kubernetes objects as they are everywhere in this package: plain dicts, exactly as in the API's JSON.

**An object that came out of the store is never mutated.** What the store keeps, informers cache and watchers are sent
is one Python object, and pods of one ReplicaSet share their template's parts. To change an object is to build a new one
that shares whatever stays: :func:`edited`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for what has none), name

_EMPTY: Mapping[str, Any] = {}


def name_of(obj: Json) -> str:
    return str(obj["metadata"].get("name", ""))


def namespace_of(obj: Json) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: Json) -> str:
    return str(obj["metadata"].get("uid", ""))


def key_of(obj: Json) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")


def labels_of(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or _EMPTY


def annotations_of(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or _EMPTY


def spec_of(obj: Json) -> Mapping[str, Any]:
    return obj.get("spec") or _EMPTY


def status_of(obj: Json) -> Mapping[str, Any]:
    return obj.get("status") or _EMPTY


def version_of(obj: Json) -> int:
    """The resourceVersion as a number; 0 when it has none yet."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def is_terminating(obj: Json) -> bool:
    """Whether somebody has asked for its end and it is still there."""
    return "deletionTimestamp" in obj["metadata"]


def edited(obj: Json) -> Json:
    """A copy whose top level, ``metadata``, ``spec`` and ``status`` may be written to.

    Everything below those is shared with ``obj`` and must be replaced, not changed.
    """
    copy = dict(obj)
    copy["metadata"] = dict(obj.get("metadata") or _EMPTY)
    for part in ("spec", "status"):
        if part in obj and isinstance(obj[part], dict):
            copy[part] = dict(obj[part])
    return copy


def owners_of(obj: Json) -> list[Json]:
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Json) -> Json | None:
    """The owner reference of its managing controller, if it has one."""
    for owner in obj["metadata"].get("ownerReferences") or ():  # asked for some dozen times in the life of every pod
        if owner.get("controller"):
            found: Json = owner
            return found
    return None


def owner_reference(owner: Json, *, controller: bool = True) -> Json:
    """A reference that makes ``owner`` (its apiVersion, kind and uid set) the owner of what carries it."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
    }
    return {**reference, "controller": True, "blockOwnerDeletion": True} if controller else reference


def condition_of(obj: Json, kind: str) -> Json | None:
    """The condition of that type in its status."""
    for item in (obj.get("status") or _EMPTY).get("conditions") or ():  # every change of a pod has some dozen ask
        if item["type"] == kind:
            found: Json = item
            return found
    return None


def has_condition(obj: Json, kind: str) -> bool:
    """Whether that condition is there and ``True``."""
    found = condition_of(obj, kind)
    return found is not None and found["status"] == "True"


def with_condition(conditions: Iterable[Json] | None, wanted: Json) -> list[Json]:
    """The conditions with ``wanted`` put in the place of the one of its type.

    ``lastTransitionTime`` stays what it was when the status did not change.
    """
    found = list(conditions or ())
    for index, item in enumerate(found):
        if item["type"] == wanted["type"]:
            if item["status"] == wanted["status"] and "lastTransitionTime" in item:
                wanted = {**wanted, "lastTransitionTime": item["lastTransitionTime"]}
            found[index] = wanted
            return found
    return [*found, wanted]


# -- pods


def is_pod_ready(pod: Json) -> bool:
    for item in (pod.get("status") or _EMPTY).get("conditions") or ():  # as has_condition, without two calls more
        if item["type"] == "Ready":
            return bool(item["status"] == "True")
    return False


def is_pod_finished(pod: Json) -> bool:
    """Whether its phase is final: ``Succeeded`` or ``Failed``."""
    return (pod.get("status") or _EMPTY).get("phase") in ("Succeeded", "Failed")


def is_pod_active(pod: Json) -> bool:
    """Whether it counts for those who keep pods running: not finished, and nobody has asked for its end."""
    return "deletionTimestamp" not in pod["metadata"] and not is_pod_finished(pod)

"""Defaults of all the other kinds."""

from __future__ import annotations

import base64

from labkit.embedded.kubernetes.defaults.sharing import filled, put
from labkit.embedded.kubernetes.objects import Json

NAME_LABEL = "kubernetes.io/metadata.name"


def namespace(obj: Json) -> Json:
    """A namespace carries its name as a label, so that selectors can choose it, and is active.

    A new one also has the finalizer ``kubernetes``: the registry's strategy, as it is no default in the real one.
    """
    metadata = obj.get("metadata") or {}
    name = metadata.get("name")
    new = obj
    if name and (metadata.get("labels") or {}).get(NAME_LABEL) != name:
        labels = {**(metadata.get("labels") or {}), NAME_LABEL: name}
        new = put(new, "metadata", {**metadata, "labels": labels})
    status = new.get("status") or {}
    return new if status.get("phase") else put(new, "status", {**status, "phase": "Active"})


def node(obj: Json) -> Json:
    """What a node has can be given to pods unless it says otherwise."""
    status = obj.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        return put(obj, "status", {**status, "allocatable": status["capacity"]})
    return obj


def secret(obj: Json) -> Json:
    """A Secret is opaque unless it says what it is; ``stringData`` is written into ``data`` and never kept."""
    new = filled(obj, {"type": "Opaque"})
    if "stringData" not in new:
        return new
    plain = new["stringData"] or {}
    data = {**(new.get("data") or {})}
    data.update((key, base64.b64encode(value.encode()).decode()) for key, value in plain.items())
    new = {key: value for key, value in new.items() if key != "stringData"}
    return {**new, "data": data} if data else new


def priority_class(obj: Json) -> Json:
    return filled(obj, {"preemptionPolicy": "PreemptLowerPriority"})

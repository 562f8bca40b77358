"""What a namespace that is being deleted says of what is left in it. Pure.

``pkg/controller/namespace/deletion/status_condition_utils.go``; the words are those of a real cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, condition_of
from labkit.embedded.kubernetes.times import rfc3339

# Type → reason and message while all is well, in the order in which they stand.
WELL: dict[str, tuple[str, str]] = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass(slots=True)
class Remains:
    """What is left after everything was told to go."""

    objects: Counter[Kind] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def add(self, kind: Kind, objects: Iterable[Json]) -> None:
        for obj in objects:
            self.objects[kind] += 1
            self.finalizers.update(obj["metadata"].get("finalizers") or ())


def with_conditions(namespace: Json, left: Remains, now: float) -> Json | None:
    """The namespace with conditions that tell of ``left``; None: it tells so already."""
    bad: dict[str, tuple[str, str]] = {}
    if left.errors:
        words = ", ".join(sorted(left.errors))
        bad["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(left.errors)} remaining: {words}",
        )
    if left.objects:
        # The dot stands between resource and group, also where the group has no name.
        words = ", ".join(
            sorted(f"{kind.plural}.{kind.group} has {count} resource instances" for kind, count in left.objects.items())
        )
        bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {words}")
    if left.finalizers:
        words = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in left.finalizers.items()))
        bad["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {words}",
        )
    conditions = []
    changed = False
    for type, well in WELL.items():
        reason, message = bad.get(type, well)
        new = {"type": type, "status": "True" if type in bad else "False", "reason": reason, "message": message}
        old = condition_of(namespace, type)
        if old is not None and all(old.get(key) == value for key, value in new.items()):
            conditions.append(old)
            continue
        changed = True
        same = old is not None and old["status"] == new["status"]
        since = (old or {}).get("lastTransitionTime") if same else None
        new["lastTransitionTime"] = since or rfc3339(now)
        conditions.append(new)
    if not changed:
        return None
    others = [c for c in (namespace.get("status") or {}).get("conditions") or () if c["type"] not in WELL]
    return {**namespace, "status": {**(namespace.get("status") or {}), "conditions": [*others, *conditions]}}

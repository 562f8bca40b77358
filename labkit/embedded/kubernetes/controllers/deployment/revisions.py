"""The revisions of a Deployment: the annotations that ``kubectl rollout history`` and ``undo`` go by. Pure.

``util/deployment_util.go``. A ReplicaSet carries its number and those that it had before; going back to a template
gives its old ReplicaSet the newest number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.embedded.kubernetes.objects import Json, annotations_of

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"

# What a ReplicaSet does not take over from its Deployment's annotations.
SKIPPED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MOST,
        "deprecated.deployment.rollback.to",
    }
)

HISTORY_LENGTH = 2000
"""Characters of the history annotation that are kept."""


def number(obj: Json) -> int:
    """Its revision; 0 when it has none, or one that is no number."""
    return _number(annotations_of(obj).get(REVISION, ""))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def highest(objs: Iterable[Json]) -> int:
    return max((number(obj) for obj in objs), default=0)


def annotation_number(obj: Json, annotation: str) -> int | None:
    """What that annotation says; None when it is missing or no number."""
    text = annotations_of(obj).get(annotation)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def for_new(deployment: Json, existing: Mapping[str, str], revision: int) -> dict[str, str]:
    """The annotations of the newest ReplicaSet: the Deployment's, its revision, its history. May equal ``existing``."""
    result = dict(existing)
    result |= {key: value for key, value in annotations_of(deployment).items() if key not in SKIPPED}
    before = existing.get(REVISION)
    if _number(before or "") < revision:
        result[REVISION] = str(revision)
        if before:
            result[HISTORY] = _longer(existing.get(HISTORY, ""), before)
    return result


def _longer(history: str, revision: str) -> str:
    """The history with one more; its oldest entries go when it becomes too long."""
    entries = history.split(",") if history else []
    while entries and len(",".join([*entries, revision])) > HISTORY_LENGTH:
        entries.pop(0)
    return ",".join([*entries, revision])


def with_sizes(existing: Mapping[str, str], desired: int, most: int) -> dict[str, str]:
    """The annotations that remember for which size of the Deployment the ReplicaSet was made."""
    return {**existing, DESIRED: str(desired), MOST: str(most)}


def to_clean(old: Iterable[Json], limit: int | None) -> list[Json]:
    """Old ReplicaSets beyond the history that is kept, those that still have or shall have pods left alone."""
    alive = [one for one in old if "deletionTimestamp" not in one["metadata"]]
    if limit is None or len(alive) <= limit:
        return []
    alive.sort(key=lambda one: (number(one), one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))
    return [one for one in alive[: len(alive) - limit] if _is_over(one)]


def _is_over(one: Json) -> bool:
    status = one.get("status") or {}
    seen = status.get("observedGeneration", 0) >= one["metadata"].get("generation", 0)
    return seen and not status.get("replicas") and not one["spec"].get("replicas")

"""What kubectl's rollout commands write. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def restarted(now: float) -> Json:
    """The patch of ``kubectl rollout restart``: a new annotation makes a new template."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotations = {"kubectl.kubernetes.io/restartedAt": stamp}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def rolled_back(deployment: str, sets: Iterable[Json]) -> Json | None:
    """The template of the revision before the newest, without the hash that its ReplicaSet added; None without one."""
    mine = [item for item in sets if _owned(item, deployment) and _revision(item)]
    if len(mine) < 2:
        return None
    before = sorted(mine, key=_revision)[-2]
    template: Json = before["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": metadata}


def _owned(item: Json, deployment: str) -> bool:
    return any(owner["uid"] == deployment for owner in item["metadata"].get("ownerReferences") or ())


def _revision(item: Json) -> int:
    return int((item["metadata"].get("annotations") or {}).get(_REVISION, 0))

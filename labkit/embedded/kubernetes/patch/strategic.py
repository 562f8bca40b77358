"""Strategic merge patch."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def strategic_merge(kind: Kind, obj: Json, patch: Any) -> Json:
    """``obj`` with the patch laid over it."""
    raise NotImplementedError

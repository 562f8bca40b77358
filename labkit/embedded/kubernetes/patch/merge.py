"""JSON merge patch, RFC 7386."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json


def merge_patch(obj: Json, patch: Any) -> Json:
    """``obj`` with the patch laid over it."""
    raise NotImplementedError

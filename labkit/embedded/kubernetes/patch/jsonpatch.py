"""JSON patch, RFC 6902."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json


def json_patch(obj: Json, operations: Any) -> Json:
    """``obj`` with the operations done in turn."""
    raise NotImplementedError

"""Whether an object may be as it is (``pkg/apis/*/validation``): semantic rules beyond the schema's types."""

from __future__ import annotations

from labkit.embedded.kubernetes.errors import Cause
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def validate(kind: Kind, obj: Json) -> list[Cause]:
    """What is wrong with a new object; empty if nothing is."""
    return []


def validate_update(kind: Kind, new: Json, old: Json, subresource: str = "") -> list[Cause]:
    """What is wrong with an object that takes the place of ``old``; empty if nothing is."""
    return []

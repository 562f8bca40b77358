"""``metadata.managedFields`` after a write that is no apply."""

from __future__ import annotations

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def update(
    kind: Kind,
    old: Json | None,
    new: Json,
    manager: str,
    operation: str = "Update",
    subresource: str = "",
    now: str = "",
) -> Json:
    """``new`` with ``metadata.managedFields`` brought up to date; ``old`` is None for a create.

    ``now`` is an RFC 3339 time of whole seconds.
    """
    return new

"""Server-side apply."""

from __future__ import annotations

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def apply(
    kind: Kind, live: Json | None, config: Json, manager: str, force: bool, now: str, *, subresource: str = ""
) -> Json:
    """What the object becomes when ``manager`` applies ``config``; ``live`` is None when it does not exist yet.

    ``now`` is an RFC 3339 time of whole seconds. The result carries ``metadata.managedFields``; it is ``live`` itself
    when nothing changed.
    """
    raise NotImplementedError

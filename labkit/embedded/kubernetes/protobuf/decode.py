"""From bytes to objects."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json


def decode(body: bytes) -> Json:
    """The object in a body of type ``application/vnd.kubernetes.protobuf``.

    Raises:
        BadRequest: It is no such body, or of a kind that is not known here.
    """
    raise NotImplementedError

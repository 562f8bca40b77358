"""Discovery: which groups, versions and resources there are."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """A body with its media type and entity tag (the latter without quotes; "" when the real one sends none)."""

    body: bytes
    content_type: str
    etag: str = ""


def answer(path: str, accept: str = "") -> Answer | None:
    """What ``GET path`` (``/api``, ``/api/v1``, ``/apis``, ``/apis/apps``, ``/apis/apps/v1``) answers.

    ``accept`` is the Accept header: the aggregated form is given to who asks for it at ``/api`` and ``/apis``.
    None: no such group or version.
    """
    return None

"""The documents, made when asked for."""

from __future__ import annotations


def index() -> bytes:
    """The body of ``GET /openapi/v3``: where each group version's document is, with its hash."""
    return b'{"paths":{}}'


def document(path: str) -> bytes | None:
    """The document at ``path``: ``api/v1``, ``apis/apps/v1``, ``version``…; None: there is none."""
    return None

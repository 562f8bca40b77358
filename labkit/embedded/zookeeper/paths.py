"""Paths of nodes: what is one, and its parts."""

from __future__ import annotations

from labkit.embedded.zookeeper.errors import BadArguments

# Nodes that ZooKeeper keeps itself, and that nobody may delete.
SPECIAL = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")


def valid(path: str) -> bool:
    """The rules of ``PathUtils.validatePath``: absolute, no empty, ``.`` or ``..`` part, no control characters."""
    if path == "/":
        return True
    if not path.startswith("/") or path.endswith("/"):
        return False
    for part in path[1:].split("/"):
        if part in ("", ".", ".."):
            return False
    return (path.isascii() and path.isprintable()) or not any(_forbidden(ord(char)) for char in path)


def _forbidden(code: int) -> bool:
    return code <= 0x1F or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xF8FF or 0xFFF0 <= code <= 0xFFFF


def check(path: str) -> None:
    """Raise ``BadArguments`` for what is no path."""
    if not valid(path):
        raise BadArguments(path)


def parent(path: str) -> str:
    """The path above; that of ``/a`` is ``/``."""
    return path[: path.rfind("/")] or "/"


def name(path: str) -> str:
    return path[path.rfind("/") + 1 :]

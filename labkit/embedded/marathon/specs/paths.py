"""Ids of apps and groups: paths of names, as strings (``state/PathId.scala``).

An absolute id begins with a slash. Everything kept is absolute; relative ones are resolved as they come in.
"""

from __future__ import annotations

import re

ROOT = "/"

# A name: lower-case letters, digits, dashes inside, dots between. Also "." and "..", which resolving removes.
_SEGMENT = r"^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$"
_SEGMENT_RE = re.compile(
    r"(?:(?:(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|\.{1,2})\Z"
)
RESERVED = ("restart", "tasks", "versions", ".", "..")

BAD_SEGMENT = f"must fully match regular expression '{_SEGMENT}'"
RESERVED_WORD = f"must not end with any of the following reserved keywords: {', '.join(RESERVED)}"
EMPTY = "Path must contain at least one path element"

# A limit of this engine's own: trees are walked recursively.
DEEPEST = 150
TOO_DEEP = f"Path must not contain more than {DEEPEST} path elements"


def names(path: str) -> list[str]:
    """The names of a path; empty ones (``//``) do not count."""
    return [name for name in path.split("/") if name]


def absolute(path: str, base: str = ROOT) -> str:
    """The path seen from ``base``, without ``.`` and ``..`` (``canonicalPath``). Above the root is the root."""
    found: list[str] = []
    for name in names(path) if path.startswith("/") else [*names(base), *names(path)]:
        if name == "..":
            if found:
                found.pop()
        elif name != ".":
            found.append(name)
    return "/" + "/".join(found)


def written(path: str) -> str:
    """A path as it was given, without empty names and trailing slashes."""
    return ("/" if path.startswith("/") else "") + "/".join(names(path))


def parent(path: str) -> str:
    """Of the root: the root."""
    return path[: path.rfind("/")] or ROOT


def parents(path: str) -> list[str]:
    """The nearest first, the root last; none of the root."""
    found = []
    while path != ROOT:
        path = parent(path)
        found.append(path)
    return found


def child(path: str, name: str) -> str:
    return f"{path}{name}" if path == ROOT else f"{path}/{name}"


def is_within(path: str, group: str) -> bool:
    """Whether it is the group itself, or somewhere below."""
    return group == ROOT or path == group or path.startswith(group + "/")


def is_top_level(path: str) -> bool:
    return path != ROOT and parent(path) == ROOT


def safe(path: str) -> str:
    """As task ids hold it: ``/shop/db`` is ``shop_db``."""
    return path.strip("/").replace("/", "_")


def from_safe(text: str) -> str:
    return "/" + text.replace("_", "/")


def hostname(path: str) -> str:
    """As service discovery knows it, the innermost name first: ``/shop/db`` is ``db.shop``."""
    return ".".join(reversed(names(path)))


def errors(path: str) -> list[str]:
    """Why this cannot be the id of an app, a group or a dependency (``PathId.pathIdValidator``)."""
    found = []
    parts = names(path)
    if not all(_SEGMENT_RE.match(part) for part in parts):
        found.append(BAD_SEGMENT)
    if parts and parts[-1] in RESERVED:
        found.append(RESERVED_WORD)
    if len(parts) > DEEPEST:
        found.append(TOO_DEEP)
    return found


def errors_below(path: str, base: str) -> list[str]:
    """Why this cannot be an id directly in the group ``base`` (``PathId.validPathWithBase``)."""
    found = [] if all(_SEGMENT_RE.match(part) for part in names(path)) else [BAD_SEGMENT]
    if parent(absolute(path, base)) != base:
        found.append(f"Identifier is not child of '{base}'")
    return found

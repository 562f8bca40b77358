"""Names of tasks and frameworks made into labels of the DNS, as ``records/labels`` of mesos-dns does."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

Label = Callable[[str], str]

_DASHES = frozenset("-._")
_KEPT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ZBASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"  # letters that people do not mistake for one another
_TO_ZBASE32 = str.maketrans(_BASE32, _ZBASE32)


def rfc1123(name: str) -> str:
    """One label of at most 63 characters: ``web.shop`` is ``web-shop``. This is the default."""
    return _label(name, 63, "-", "-")


def rfc952(name: str) -> str:
    """The older, stricter form (``EnforceRFC952``): at most 24 characters, and none of them a digit in front."""
    return _label(name, 24, "-0123456789", "-")


def _label(name: str, longest: int, left: str, right: str) -> str:
    mapped = "".join("-" if c in _DASHES else c for c in name.lower() if c in _DASHES or c in _KEPT)
    whole = mapped.lstrip(left)
    head = whole[:longest].rstrip(right)
    if len(head) == len(whole[:longest]):
        return head
    # What the cut left of dashes at the end makes room for what follows.
    return head + whole[longest:].lstrip(right)[: len(whole[:longest]) - len(head)]


def fragment(name: str, label: Label) -> str:
    """The labels of a framework's name; its dots stay: ``marathon.prod``."""
    return ".".join(part for part in map(label, name.split(".")) if part)


def short_hash(task_id: str) -> str:
    """Five characters that tell a task's canonical name from its siblings': zbase32 of the SHA-1 of its id."""
    digest = hashlib.sha1(task_id.encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest).decode().translate(_TO_ZBASE32)[:5]


def agent_tail(agent_id: str) -> str:
    """The end of an agent's id, ``s2``."""
    return agent_id.rsplit("-", 1)[-1].lower()

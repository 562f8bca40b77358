"""What a file is beside its bytes: its mode, its owner, or that it is a symbolic link.

An ordinary file of root's is plain ``bytes`` in a layer. What differs is a :class:`Node`, which is bytes too, so that
whoever keeps, copies or removes files need not know; thousands of ordinary files pay nothing for the few that differ.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

FILE, DIRECTORY = 0o644, 0o755  # what umask 022 leaves of a new one
READ, WRITE, EXECUTE = 4, 2, 1
_LETTERS = {"file": "-", "directory": "d", "link": "l"}
_SPECIAL = ((0o4000, 0o100, 2, "s"), (0o2000, 0o010, 5, "s"), (0o1000, 0o001, 8, "t"))


class Node(bytes):
    """A file (or, under a name that ends with a slash, a directory) with a mode and an owner of its own."""

    mode: int
    uid: int
    gid: int

    def __new__(cls, data: bytes = b"", mode: int = FILE, uid: int = 0, gid: int = 0) -> Node:
        made = super().__new__(cls, data)
        made.mode, made.uid, made.gid = mode, uid, gid
        return made


class Link(Node):
    """A symbolic link: its bytes are where it leads."""

    def __new__(cls, target: bytes, mode: int = 0o777, uid: int = 0, gid: int = 0) -> Link:
        made = bytes.__new__(cls, target)
        made.mode, made.uid, made.gid = mode, uid, gid
        return made

    @property
    def target(self) -> str:
        return self.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Status:
    """What ``stat`` tells of a file."""

    kind: str  # file, directory or link
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    blocks: int = 0  # of 1024 bytes, as the disk (or the memory) below counts

    @property
    def text(self) -> str:
        """As ``ls -l`` shows it: ``-rw-r--r--``."""
        return _LETTERS[self.kind] + permissions(self.mode)


def permissions(mode: int) -> str:
    """``rw-r--r--`` of ``0o644``."""
    shown = [letter if mode & 1 << (8 - place) else "-" for place, letter in enumerate("rwxrwxrwx")]
    for bit, execute, place, letter in _SPECIAL:
        if mode & bit:
            shown[place] = letter if mode & execute else letter.upper()
    return "".join(shown)


def allows(status: Status, uid: int, groups: Collection[int], bit: int) -> bool:
    """May somebody read (4), write (2) or execute (1) it? Root may all, but execute only what anybody may.

    A greater ``bit`` is one of setuid, setgid and sticky: is it set?
    """
    if bit > 7:
        return bool(status.mode & bit)
    if not uid:
        return bit != 1 or bool(status.mode & 0o111)
    shift = 6 if uid == status.uid else 3 if status.gid in groups else 0
    return bool(status.mode >> shift & bit)


def like(old: object, data: bytes) -> bytes:
    """New content for a file: mode and owner stay as they were."""
    return Node(data, old.mode, old.uid, old.gid) if isinstance(old, Node) and not isinstance(old, Link) else data


def node(data: bytes, mode: int = FILE, uid: int = 0, gid: int = 0) -> bytes:
    """The bytes of a file; plain ones if nothing about it is out of the ordinary."""
    return bytes(data) if mode == FILE and not uid and not gid else Node(data, mode, uid, gid)

"""Users of a container: who a process runs as, by ``/etc/passwd`` and ``/etc/group`` as Docker reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labkit.embedded.runtime.files import Files


class UnknownUser(Exception):
    """``--user`` names nobody of the image; ``str()`` is in the engine's words."""

    def __init__(self, what: str, name: str) -> None:
        file = "passwd" if what == "user" else "group"
        super().__init__(f"unable to find {what} {name}: no matching entries in {file} file")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a process runs as."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()  # beside gid
    home: str = "/root"

    def within(self, groups: tuple[int, ...]) -> Identity:
        """The same one, in more groups."""
        return replace(self, groups=tuple(dict.fromkeys(g for g in (*self.groups, *groups) if g != self.gid)))


def identify(user: str, files: Files) -> Identity:
    """The identity that ``USER[:GROUP]``, names or numbers, stands for; :class:`UnknownUser` for a name nobody has."""
    wanted, _, group = user.partition(":")
    entries = _entries(files, "/etc/passwd", 7)
    wanted = wanted or "0"
    entry = next((e for e in entries if wanted in (e[0], e[2])), None)
    if entry is None and not wanted.isdigit():
        raise UnknownUser("user", wanted)
    if entry is None:
        uid, gid, home = int(wanted), 0, "/root" if wanted == "0" else "/"
        also: tuple[int, ...] = ()
    else:
        uid, gid, home = int(entry[2]), int(entry[3]), entry[5] or "/"
        also = tuple(int(g[2]) for g in _entries(files, "/etc/group", 4) if entry[0] in g[3].split(","))
    if group:
        gid, also = _group(group, files), ()
    return Identity(uid, gid, tuple(one for one in also if one != gid), home)


def _group(wanted: str, files: Files) -> int:
    entry = next((e for e in _entries(files, "/etc/group", 3) if wanted in (e[0], e[2])), None)
    if entry is None and not wanted.isdigit():
        raise UnknownUser("group", wanted)
    return int(wanted if entry is None else entry[2])


def user_name(uid: int, files: Files) -> str:
    """The name of a user, empty when it has none."""
    return next((e[0] for e in _entries(files, "/etc/passwd", 3) if e[2] == str(uid)), "")


def group_name(gid: int, files: Files) -> str:
    """The name of a group, empty when it has none."""
    return next((e[0] for e in _entries(files, "/etc/group", 3) if e[2] == str(gid)), "")


def _entries(files: Files, path: str, fields: int) -> list[list[str]]:
    """The lines of such a file that have the fields one needs, with numbers where numbers belong."""
    try:
        text = files.read(path).decode("utf-8", "replace")
    except OSError:
        return []  # nobody has a name then
    rows = [line.split(":") for line in text.splitlines()]
    numbers = (2, 3) if fields == 7 else (2,)
    return [row for row in rows if len(row) >= fields and all(row[n].isdigit() for n in numbers)]

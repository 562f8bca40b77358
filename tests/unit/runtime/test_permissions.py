"""What somebody who is not root may do with files: by the words of a real busybox, and on their own."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.guarded import Guarded
from labkit.embedded.runtime.nodes import Node
from labkit.embedded.runtime.users import Identity

from .conftest import Box, output

# Recorded from BusyBox 1.35, one after the other in the directory that SETUP makes, as user and group 1000.
CASES = json.loads((Path(__file__).parent / "permission_cases.json").read_text())
SETUP = """
mkdir /b; cd /b; echo c > closed; chmod 600 closed; mkdir shut shut/in; echo x > shut/x; chmod 700 shut
mkdir open; chmod 777 open; echo r > roots; echo t > open/theirs; echo m > open/mine; chown 1000:1000 open/mine
mkdir st; chmod 1777 st; echo t > st/theirs; echo m > st/mine; chown 1000 st/mine
echo 'echo run' > prog; chmod 755 prog; cp prog rootprog; chmod 700 rootprog; mkdir edir; sleep 100000
"""


async def test_as_busybox_says_it(box: Box) -> None:
    main = await box.run("busybox", ["sh", "-c", SETUP], connected=False)
    await box.clock.advance(1)
    found = []
    for case in CASES:
        child = await main.exec(["sh", "-c", f"cd /b; {case['command']}"], user="1000:1000")
        code = await box.until(child.wait())
        found.append({"command": case["command"], "said": output(child).splitlines(), "code": code})
    assert found == CASES


async def test_what_is_made_belongs_to_who_makes_it(box: Box) -> None:
    main = await box.run("busybox", ["sh", "-c", SETUP], connected=False)
    await box.clock.advance(1)
    script = (
        "cd /b/open; touch f; mkdir d; ln -s f l; echo x > d/x; cp /b/prog p; cp -a /b/prog a; stat -c '%u %g %a %n' *"
    )
    child = await main.exec(["sh", "-c", script], user="1000:2000")
    await box.until(child.wait())
    assert output(child).splitlines() == [
        "1000 2000 755 a", "1000 2000 755 d", "1000 2000 644 f", "1000 2000 777 l", "1000 1000 644 mine",
        "1000 2000 755 p", "0 0 644 theirs",
    ]  # fmt: skip


def guarded(uid: int, gid: int, *groups: int) -> Guarded:
    layer: dict[str, bytes | None] = {
        "/team/": Node(b"", 0o2770, 0, 50), "/team/plan": Node(b"p", 0o640, 0, 50), "/home/": Node(b"", 0o755, 7, 7),
        "/home/diary": Node(b"d", 0o600, 7, 7),
    }  # fmt: skip
    return Guarded(Files(layer), Identity(uid, gid, groups))


@pytest.mark.parametrize(
    ("who", "read", "write"),
    [
        (guarded(7, 7), {"/home/diary"}, {"/home/diary", "/home/new"}),
        (guarded(8, 8), set(), set()),
        (guarded(8, 50), {"/team/plan"}, {"/team/new"}),
        (guarded(8, 8, 50), {"/team/plan"}, {"/team/new"}),
        (guarded(0, 9), {"/home/diary", "/team/plan"}, {"/home/diary", "/home/new", "/team/plan", "/team/new"}),
    ],
    ids=["owner", "other", "group", "more groups", "root of a group"],
)
def test_who_may_read_and_write(who: Guarded, read: set[str], write: set[str]) -> None:
    def may(act: object, path: str) -> bool:
        assert callable(act)
        try:
            act(path)
        except PermissionError:
            return False
        return True

    assert {path for path in ("/home/diary", "/team/plan") if may(who.read, path)} == read
    paths = ("/home/diary", "/home/new", "/team/plan", "/team/new")
    assert {path for path in paths if may(lambda path: who.write(path, b""), path)} == write


def test_a_setgid_directory_passes_its_group_on() -> None:
    who = guarded(8, 8, 50)
    who.mkdir("/team/sub/deep", parents=True)
    who.write("/team/sub/deep/f", b"")
    assert [(who.status(path).text, who.status(path).gid) for path in ("/team/sub", "/team/sub/deep/f")] == [
        ("drwxr-sr-x", 50), ("-rw-r--r--", 50),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "mode", "uid", "gid", "number"),
    [
        ("/home/diary", 0o644, None, None, 0), ("/home/diary", None, 8, None, errno.EPERM),
        ("/home/diary", None, None, 50, 0), ("/home/diary", None, None, 51, errno.EPERM),
        ("/team/plan", 0o777, None, None, errno.EPERM), ("/team/plan", None, 7, None, errno.EPERM),
    ],
)  # fmt: skip
def test_marks_are_changed_by_the_owner(
    path: str, mode: int | None, uid: int | None, gid: int | None, number: int
) -> None:
    who = guarded(7, 7, 50)
    if number:
        with pytest.raises(OSError, match="not permitted"):
            who.change(path, mode, uid, gid)
    else:
        who.change(path, mode, uid, gid)
        assert mode in (None, who.status(path).mode)
        assert gid in (None, who.status(path).gid)

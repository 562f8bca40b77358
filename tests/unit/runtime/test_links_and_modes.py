"""Symbolic links, modes and owners in a container's files; the shell's tools for them are in ``shell_cases.json``."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.keeper import KeptLayer, ReadOnlyLayer, from_text, to_text
from labkit.embedded.runtime.nodes import Link, Node, node, permissions

from .conftest import Box, output


def linked() -> Files:
    files = Files({}, {"/etc/passwd": b"root", "/bin/tool": Node(b"\x7fELF", 0o755)})
    files.mkdir("/d/e", parents=True)
    files.write("/d/f", b"one")
    for path, target in {
        "/dl": "d", "/fl": "dl/f", "/d/up": "../d", "/loop": "/loop", "/nowhere": "gone", "/abs": "/etc/passwd",
    }.items():  # fmt: skip
        files.symlink(target, path)
    return files


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/fl", "/d/f"), ("/dl/f", "/d/f"), ("/dl/up/up/e", "/d/e"), ("/nowhere", "/gone"), ("/nowhere/x", "/gone/x"),
        ("/abs", "/etc/passwd"), ("/d/none", "/d/none"), ("/", "/"),
    ],
)  # fmt: skip
def test_where_a_path_leads(path: str, real: str) -> None:
    assert linked().real(path) == real


def test_a_link_itself_and_what_it_leads_to() -> None:
    files = linked()
    assert files.readlink("/dl/up") == "../d"
    assert files.real("/dl/up", last=False) == "/d/up"
    assert [files.status("/fl", follow=follow).kind for follow in (True, False)] == ["file", "link"]
    assert files.status("/fl", follow=False).target == "dl/f"
    assert files.read("/fl") == b"one"
    assert files.listdir("/dl") == ["e", "f", "up"]
    assert files.tree("/d") == ["/d", "/d/e", "/d/f", "/d/up"]
    assert files.glob("/d*/f", "/") == ["/d/f", "/dl/f"]
    assert files.glob("/nowhere", "/") == ["/nowhere"]
    assert files.isdir("/dl")
    assert not files.exists("/nowhere")
    assert files.lexists("/nowhere")


def test_writing_goes_through_a_link_and_removing_does_not() -> None:
    files = linked()
    files.write("/fl", b"two")
    files.write("/nowhere", b"made")
    assert (files.read("/d/f"), files.read("/gone")) == (b"two", b"made")
    files.remove("/fl")
    files.remove("/dl")
    assert (files.lexists("/fl"), files.lexists("/dl"), files.read("/d/f")) == (False, False, b"two")


@pytest.mark.parametrize(
    ("act", "number"),
    [
        (lambda f: f.read("/loop"), errno.ELOOP),
        (lambda f: f.write("/loop/x", b""), errno.ELOOP),
        (lambda f: f.status("/loop"), errno.ELOOP),
        (lambda f: f.status("/nowhere"), errno.ENOENT),
        (lambda f: f.symlink("x", "/dl"), errno.EEXIST),
        (lambda f: f.symlink("x", "/none/l"), errno.ENOENT),
        (lambda f: f.mkdir("/nowhere"), errno.EEXIST),
        (lambda f: f.change("/none", 0o600), errno.ENOENT),
        (lambda f: f.symlink("x", "/proc/l"), errno.EROFS),
        (lambda f: f.symlink("x" * 5000, "/l"), errno.ENAMETOOLONG),
        (lambda f: f.read("/x" * 500_000), errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_done_with_links(act: Callable[[Files], object], number: int) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        act(linked())
    assert caught.value.errno == number


def test_links_that_make_a_path_longer_and_longer() -> None:
    files = Files()
    for number in range(40):
        files.symlink(f"l{number + 1}{'/n' * 1500}", f"/l{number}")
    with pytest.raises(OSError, match="too long"):
        files.read("/l0")


def test_modes_and_owners_stay_with_a_file() -> None:
    files = linked()
    files.change("/d/f", 0o4751, 7, 8)
    files.write("/d/f", b"more", append=True)
    status = files.status("/fl")
    assert (files.read("/d/f"), status.text, status.uid, status.gid) == (b"onemore", "-rwsr-x--x", 7, 8)
    files.change("/d/f", 0o644, 0, 0)
    assert type(files.layer["/d/f"]) is bytes  # an ordinary file again, which costs nothing
    files.change("/d", 0o1700)
    assert files.status("/dl").text == "drwx-----T"
    assert files.status("/bin/tool").mode == 0o755
    files.change("/bin/tool", 0o600)
    assert files.status("/bin/tool").text == "-rw-------"
    assert [files.status(path).mode for path in ("/etc", "/etc/passwd", "/tmp", "/root")] == [
        0o755, 0o644, 0o1777, 0o700,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "shown"),
    [(0o644, "rw-r--r--"), (0o777, "rwxrwxrwx"), (0, "---------"), (0o7000, "--S--S--T"), (0o7111, "--s--s--t")],
)
def test_a_mode_as_people_read_it(mode: int, shown: str) -> None:
    assert permissions(mode) == shown


def test_a_layer_is_kept_with_links_and_modes_and_an_older_one_is_read() -> None:
    files = linked()
    files.change("/d/f", 0o600, 5)
    files.remove("/etc/passwd")
    row = json.loads(json.dumps(to_text(dict(files.layer))))
    again = dict(from_text(row))
    assert again == files.layer
    assert {path: vars(data) for path, data in again.items() if isinstance(data, Node)} == {
        path: vars(data) for path, data in files.layer.items() if isinstance(data, Node)
    }
    assert [path for path, data in again.items() if isinstance(data, Link)] == [
        path for path, data in files.layer.items() if isinstance(data, Link)
    ]
    assert dict(from_text({"/a": "\xff", "/d/": "", "/gone": None})) == {"/a": b"\xff", "/d/": b"", "/gone": None}
    plain: dict[str, bytes | None] = {"/a": b"\xff", "/gone": None}
    assert to_text(plain) == {"/a": "\xff", "/gone": None}


def test_a_kept_layer_hears_of_a_new_mode() -> None:
    heard: list[int] = []
    files = Files(KeptLayer(lambda: heard.append(1)))
    files.write("/f", b"")
    files.change("/f", 0o600)
    files.symlink("f", "/l")
    assert len(heard) == 3


def test_a_mounted_file_stands_for_one_of_the_image() -> None:
    volume: dict[str, bytes | None] = {"": b"from outside"}
    files = Files({}, {"/etc/app.conf": b"image"}, mounts={"/etc/app.conf": volume})
    assert files.read("/etc/app.conf") == b"from outside"
    assert files.listdir("/etc") == ["app.conf"]
    files.write("/etc/app.conf", b"changed")
    assert volume == {"": b"changed"}
    for path in ("/etc/app.conf", "/etc/app.conf/x"):
        assert not files.isdir(path)
    with pytest.raises(OSError, match="busy"):
        files.remove("/etc/app.conf")


def test_a_mount_hides_what_the_image_has_there() -> None:
    mounts: dict[str, dict[str, bytes | None]] = {"/etc/conf.d": {"/": Node(b"", 0o1777), "/mine": b""}}
    files = Files({"/etc/conf.d/written": b""}, {"/etc/conf.d/default": b"", "/etc/conf.daemon": b""}, mounts=mounts)
    assert files.listdir("/etc/conf.d") == ["mine"]
    assert files.exists("/etc/conf.daemon")
    assert files.status("/etc/conf.d").text == "drwxrwxrwt"


def test_mounts_in_mounts_and_one_volume_twice() -> None:
    volume: dict[str, bytes | None] = {"/f": b"1", "/inner/hidden": b""}
    mounts = {"/a/inner": {}, "/a": volume, "/b": volume}
    files = Files({}, {"/a/image": b""}, mounts=mounts)
    assert files.listdir("/a") == ["f", "inner"]
    assert files.listdir("/b/inner") == ["hidden"]
    assert files.listdir("/a/inner") == []
    assert files.isdir("/a/inner")
    assert files.folders("/a") == 1
    assert {"a", "b"} < set(files.listdir("/"))
    files.write("/a/inner/x", b"")
    assert [list(layer) for layer in mounts.values()] == [["/x"], ["/f", "/inner/hidden"], ["/f", "/inner/hidden"]]
    with pytest.raises(OSError, match="busy"):
        files.remove("/a")


@pytest.mark.parametrize(
    "act",
    [
        lambda f: f.write("/v/new", b""),
        lambda f: f.write("/v/a", b""),
        lambda f: f.mkdir("/v/new"),
        lambda f: f.symlink("a", "/v/new"),
        lambda f: f.remove("/v/a"),
        lambda f: f.change("/v/a", 0o600),
        lambda f: f.change("/v", 0o700),
    ],
)
def test_nothing_is_changed_on_a_read_only_mount(act: Callable[[Files], object]) -> None:
    files = Files({}, {}, mounts={"/v": ReadOnlyLayer({"/a": node(b"x", 0o400)})})
    assert files.frozen("/v/a")
    with pytest.raises(OSError, match="Read-only file system"):
        act(files)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("rm -rf /v", "rm: can't remove '/v/a': Read-only file system\nrm: can't remove '/v': Resource busy\n"),
        ("touch /v/a", "touch: /v/a: Read-only file system\n"),
        ("chmod 600 /v/a", "chmod: /v/a: Read-only file system\n"),
        ("echo x > /v/b", "sh: can't create /v/b: Read-only file system\n"),
        ("echo x >> /v/a", "sh: can't create /v/a: Read-only file system\n"),
        ("ln -s a /v/l", "ln: /v/l: Read-only file system\n"),
        ("mkdir /v/d", "mkdir: can't create directory '/v/d': Read-only file system\n"),
        ("mv /v/a /tmp", "mv: can't remove '/v/a': Read-only file system\n"),
        ("cp /etc/passwd /v", "cp: can't create '/v/passwd': Read-only file system\n"),
        ("mount | grep /v | cut -d' ' -f3-6", "/v type ext4 (ro,relatime)\n"),
    ],
)
async def test_what_tools_say_of_a_read_only_mount(box: Box, script: str, words: str) -> None:
    files = Files({}, {}, mounts={"/v": ReadOnlyLayer({"/a": b"x"})})
    process = await box.run("busybox", ["sh", "-c", script], connected=False, files=files)
    await box.until(process.wait())
    assert output(process).replace("Device or resource busy", "Resource busy") == words


# Recorded from coreutils 9.1, in the directory that GNU_SETUP makes.
GNU = json.loads((Path(__file__).parent / "gnu_ls_cases.json").read_text())
GNU_SETUP = """cd /tmp; mkdir d d/e; echo 12345678901 > d/f; ln -s d/f l; ln -s no dang; ln -s loop loop; ln -s d dl
chmod 700 d/e; chown 8:33 d/e; chown 77777:33333 d/f; exec 2>&1
"""


@pytest.mark.parametrize("case", GNU, ids=[case["command"] for case in GNU])
async def test_ls_looks_like_gnus_where_it_is(box: Box, case: dict[str, Any]) -> None:
    process = await box.run("debian", ["sh", "-c", GNU_SETUP + case["command"]], connected=False)
    await box.until(process.wait())
    said = re.sub(r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b", "DATE", output(process))
    assert said.splitlines() == case["said"]


async def test_only_what_may_be_run_is_run(box: Box) -> None:
    main = await box.run("busybox", ["sh", "-c", "echo 'echo hi' > /s; sleep 1000"], connected=False)
    await box.clock.advance(0.1)
    with pytest.raises(Exception, match='exec: "/s": permission denied') as caught:
        await main.exec(["/s"])
    assert vars(caught.value)["exit_code"] == 126
    await box.within(main, "chmod 755 /s; ln -s /s /t; ln -s /bin/echo /own")
    assert [await box.within(main, words) for words in ("/s", "/t", "/own a")] == [(0, "hi\n"), (0, "hi\n"), (0, "a\n")]


@pytest.mark.parametrize(
    ("user", "said"), [("0", "rw rwx rw"), ("1000", "rw rx no"), ("7:8", "r rwx no"), ("9:9", "r rx no")]
)
async def test_who_may_do_what(box: Box, user: str, said: str) -> None:
    layer: dict[str, bytes | None] = {
        "/a": Node(b"", 0o644, 1000), "/b": Node(b"", 0o775, 0, 8), "/c": Node(b"", 0o600),
    }  # fmt: skip
    script = """for f in /a /b /c; do x=; for t in r w x; do test -$t $f && x=$x$t; done; echo ${x:-no}; done"""
    process = await box.run("busybox", ["sh", "-c", script], connected=False, files=Files(layer), user=user)
    await box.until(process.wait())
    assert " ".join(output(process).split()) == said

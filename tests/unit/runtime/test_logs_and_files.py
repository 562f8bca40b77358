"""Logs and file systems: bounded, and as Docker's and Linux's would be."""

from __future__ import annotations

import asyncio

import pytest

from labkit.embedded.runtime import files as files_module
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.files import Files, normal
from labkit.embedded.runtime.logs import MAX_BYTES, MAX_LINE, MAX_LINES, Log


def test_lines_are_kept_whole_by_stream_and_time() -> None:
    clock = ManualClock(10.0)
    log = Log(clock)
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"err\n")
    clock._now = 20.0
    log.write("stdout", b"o\nthree")
    assert [(line.time, line.stream, line.data) for line in log.lines()] == [
        (10.0, "stdout", b"one\n"),
        (10.0, "stderr", b"err\n"),
        (20.0, "stdout", b"two\n"),
    ]
    log.close()
    assert log.lines(tail=1)[0].data == b"three"
    assert [line.data for line in log.lines(since=11, tail=5)] == [b"two\n", b"three"]
    assert [line.data for line in log.lines(until=15)] == [b"one\n", b"err\n"]
    assert log.lines(tail=0) == []


def test_a_log_forgets_the_oldest_when_it_is_full() -> None:
    log = Log(ManualClock())
    for number in range(MAX_LINES + 100):
        log.write("stdout", b"%d\n" % number)
    lines = log.lines()
    assert len(lines) <= MAX_LINES
    assert lines[-1].data == b"%d\n" % (MAX_LINES + 99)
    log.write("stdout", b"x" * (3 * MAX_BYTES))
    assert sum(len(line.data) for line in log.lines()) <= MAX_BYTES
    assert all(len(line.data) <= MAX_LINE for line in log.lines())


async def test_followers_see_old_and_new_lines_until_the_log_is_closed() -> None:
    clock = ManualClock()
    log = Log(clock)
    log.write("stdout", b"old 1\nold 2\n")
    seen = list[bytes]()

    async def follow() -> None:
        async for line in log.follow(tail=1):
            seen.append(line.data)

    task = asyncio.create_task(follow())
    await clock.settle()
    assert seen == [b"old 2\n"]
    log.write("stderr", b"new\n")
    await clock.settle()
    log.write("stdout", b"unfinished")
    log.close()
    await asyncio.wait_for(task, 1)
    assert seen == [b"old 2\n", b"new\n", b"unfinished"]


async def test_following_ends_at_its_time() -> None:
    clock = ManualClock()
    log = Log(clock)
    until = clock.time() + 5

    async def follow() -> list[bytes]:
        return [line.data async for line in log.follow(until=until)]

    task = asyncio.create_task(follow())
    await clock.settle()
    log.write("stdout", b"in time\n")
    await clock.advance(6)
    assert await asyncio.wait_for(task, 1) == [b"in time\n"]


async def test_a_slow_follower_misses_what_was_dropped_and_nothing_else() -> None:
    log = Log(ManualClock())
    follower = log.follow()
    log.write("stdout", b"first\n")
    assert (await anext(follower)).data == b"first\n"
    for number in range(MAX_LINES + 10):
        log.write("stdout", b"%d\n" % number)
    assert (await anext(follower)).data == b"10\n"


def test_a_tap_gets_the_raw_bytes() -> None:
    log, got = Log(ManualClock()), list[tuple[str, bytes]]()
    end = log.tap(lambda stream, data: got.append((stream, data)))
    log.write("stdout", b"/ # ")
    end()
    end()
    log.write("stdout", b"more")
    assert got == [("stdout", b"/ # ")]


# files --------------------------------------------------------------------------------------------------------


def layered() -> Files:
    return Files({}, {"/etc/passwd": b"root", "/usr/share/www/index.html": b"hi", "/data/": b""})


def test_the_layer_hides_and_replaces_the_image() -> None:
    files = layered()
    assert files.listdir("/") == sorted(
        "bin data dev etc home lib mnt opt proc root run sbin srv sys tmp usr var".split()  # noqa: SIM905
    )
    files.write("/etc/passwd", b"changed")
    files.write("/etc/new", b"1")
    files.write("/etc/new", b"2", append=True)
    assert files.read("/etc/passwd") == b"changed"
    assert files.read("/etc/new") == b"12"
    files.remove("/usr/share")
    assert not files.exists("/usr/share/www/index.html")
    assert files.layer == {
        "/etc/passwd": b"changed",
        "/etc/new": b"12",
        "/usr/share/www/index.html": None,
    }
    assert layered().exists("/usr/share/www/index.html")


def test_directories_are_there_while_they_are_used_or_were_made() -> None:
    files = layered()
    files.mkdir("/a/b/c", parents=True)
    files.write("/a/b/c/file", b"")
    files.remove("/a/b/c/file")
    assert files.isdir("/a/b/c")
    assert files.tree("/a") == ["/a", "/a/b", "/a/b/c"]
    files.remove("/a")
    assert not files.exists("/a/b")


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda f: f.read("/nope"), FileNotFoundError),
        (lambda f: f.read("/etc"), IsADirectoryError),
        (lambda f: f.listdir("/etc/passwd"), NotADirectoryError),
        (lambda f: f.write("/nope/x", b""), FileNotFoundError),
        (lambda f: f.write("/etc/passwd/x", b""), NotADirectoryError),
        (lambda f: f.write("/etc", b""), IsADirectoryError),
        (lambda f: f.mkdir("/etc"), FileExistsError),
        (lambda f: f.mkdir("/x/y"), FileNotFoundError),
        (lambda f: f.remove("/nope"), FileNotFoundError),
        (lambda f: f.remove("/"), OSError),
        (lambda f: f.write("/big", b"x" * (files_module.MAX_BYTES + 1)), OSError),
        (lambda f: f.write("/proc/x", b""), OSError),
    ],
)
def test_what_cannot_be_done_fails_as_on_linux(act: object, error: type[Exception]) -> None:
    assert callable(act)
    with pytest.raises(error):
        act(layered())


def test_volumes_are_shared_and_read_only_roots_refuse() -> None:
    volume: dict[str, bytes | None] = {}
    one = Files({}, {}, mounts={"/data": volume})
    two = Files({}, {}, mounts={"/srv/data": volume}, readonly=True)
    one.write("/data/x", b"shared")
    assert two.read("/srv/data/x") == b"shared"
    assert one.layer == {}
    assert one.listdir("/data") == ["x"]
    two.write("/srv/data/y", b"")
    with pytest.raises(OSError, match="Read-only"):
        two.write("/x", b"")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/etc/*", ["/etc/passwd"]),
        ("*/passwd", ["etc/passwd"]),
        ("/usr/*/www/i*.html", ["/usr/share/www/index.html"]),
        ("/nope*", []),
        ("/e[a-z]c", ["/etc"]),
    ],
)
def test_patterns(pattern: str, found: list[str]) -> None:
    assert layered().glob(pattern, "/") == found


@pytest.mark.parametrize(
    ("path", "cwd", "meant"),
    [("a", "/b", "/b/a"), ("/a/../../c", "/", "/c"), ("//x//y/", "/", "/x/y"), (".", "/z", "/z"), ("..", "/", "/")],
)
def test_paths(path: str, cwd: str, meant: str) -> None:
    assert normal(path, cwd) == meant

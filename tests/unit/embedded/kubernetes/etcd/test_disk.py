"""Transactions of many rows are written on another thread: what waits for them, and what comes meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import InternalError
from labkit.embedded.kubernetes.etcd import Etcd, disk
from labkit.embedded.runtime.storage import Storage

PODS = kinds.PODS


def put(etcd: Etcd, name: str, text: str = "") -> None:
    etcd.put(PODS, ("default", name), {"metadata": {"namespace": "default", "name": name}, "text": text})


def names(storage: Storage) -> list[str]:
    return [key.rpartition("/")[2] for key in storage.all("kubernetes/pods")]


class Slow(Storage):
    """One whose other thread writes when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may = threading.Event()
        self.asides = 0
        storage = self

        class Thread(ThreadPoolExecutor):
            def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
                def work():  # type: ignore[no-untyped-def]
                    assert storage.may.wait(60)
                    return fn(*args, **kwargs)

                storage.asides += 1
                return super().submit(work)

        self._thread = Thread(1)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setattr(disk, "ASIDE", 3)
    storage = Slow(tmp_path / "store")
    yield storage
    storage.may.set()
    storage.close()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_loop_goes_on_while_many_rows_are_written(slow: Slow) -> None:
    etcd = Etcd(slow)
    for name in "abc":
        put(etcd, name)
    first = asyncio.create_task(etcd.durable())
    await turns()
    assert slow.asides == 1
    put(etcd, "later")
    etcd.delete(PODS, ("default", "a"))
    early = asyncio.create_task(etcd.durable(3))  # what is under way holds it
    late = asyncio.create_task(etcd.durable())
    await turns()
    assert not first.done()
    assert not early.done()
    assert not late.done()
    slow.may.set()
    await asyncio.gather(first, early, late)
    assert slow.asides == 1, "two rows are not worth a thread"
    assert names(slow) == ["b", "c", "later"]
    assert slow.get("kubernetes", "pods") == etcd.revision


async def test_what_nobody_waits_for_is_written_too(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "WRITE_BEHIND", 0)
    etcd = Etcd(slow)
    for name in "abc":
        put(etcd, name)
    await turns()
    assert slow.asides == 1
    put(etcd, "later")
    await turns()  # its time comes while the other transaction is under way
    slow.may.set()
    async with asyncio.timeout(60):
        while etcd._disk.pending:  # noqa: ASYNC110 - nobody is told when nobody waits
            await asyncio.sleep(0.001)
    assert names(slow) == ["a", "b", "c", "later"]


async def test_flush_waits_for_what_is_under_way(slow: Slow) -> None:
    etcd = Etcd(slow)
    for name in "abc":
        put(etcd, name)
    waiting = asyncio.create_task(etcd.durable())
    await turns()
    put(etcd, "later")
    slow.may.set()
    etcd.flush()
    assert names(slow) == ["a", "b", "c", "later"]
    assert not etcd._disk.pending
    await waiting


async def test_what_could_not_be_written_is_tried_again_with_what_is_newer(slow: Slow) -> None:
    etcd = Etcd(slow)
    for name in "abc":
        put(etcd, name, "old")
    waiting = asyncio.create_task(etcd.durable())
    await turns()
    put(etcd, "b", "new")
    etcd.delete(PODS, ("default", "c"))
    slow._connection.execute("CREATE TRIGGER full BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    slow.may.set()
    with pytest.raises(InternalError, match="etcdserver: disk is full"):
        await waiting
    assert names(slow) == [], "all or nothing"
    slow._connection.execute("DROP TRIGGER full")
    await etcd.durable()
    assert {key: obj["text"] for key, obj in slow.all("kubernetes/pods").items()} == {
        "default/a": "old",
        "default/b": "new",
    }


@pytest.mark.parametrize("count", [1, 5])
async def test_whatever_goes_wrong_nobody_waits_for_ever(
    slow: Slow, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    slow.may.set()
    etcd = Etcd(slow)
    etcd.put(PODS, ("default", "odd"), {"metadata": {"namespace": "default", "name": "odd"}, "is": {"a", "set"}})
    for number in range(count - 1):
        put(etcd, f"p{number}")
    with pytest.raises(InternalError, match="etcdserver: Type is not JSON serializable: set"):
        await etcd.durable()
    assert f"{count} changes could not be written, and will be tried again: Type is not JSON" in caplog.text
    etcd.delete(PODS, ("default", "odd"))
    await etcd.durable()
    assert names(slow) == [f"p{number}" for number in range(count - 1)]


async def test_what_was_asked_for_soon_comes_before(slow: Slow) -> None:
    slow.soon(lambda: slow.put("container", "before", 1))
    done = slow.write_aside([("pod", "p", b"1")])
    slow.soon(lambda: slow.put("container", "after", 2))
    await turns()
    assert not done.done()
    assert not slow._connection.in_transaction, "it waits for the other thread, and stops nobody"
    slow.may.set()
    await asyncio.wrap_future(done)
    async with asyncio.timeout(60):
        while "after" not in slow.all("container"):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)
    assert slow.all("pod") == {"p": 1}
    assert list(slow.all("container")) == ["before", "after"]


def test_thousands_of_rows_come_and_go_in_order(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    rows = [("a", f"k{number}", str(number).encode()) for number in range(1001)]
    storage.write_aside(rows)  # whatever is asked next waits for it
    assert list(storage.all("a").values()) == list(range(1001))
    storage.write_aside([("b", "one", b"1")], [(kind, key) for kind, key, _ in rows[1:]]).result()
    assert storage.all("a") == {"k0": 0}
    storage.write_aside([("c", "two", b"2")])
    storage.close()
    assert Storage(tmp_path / "store").all("c") == {"two": 2}


def test_a_closed_file_refuses(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    storage.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        storage.write_aside([("a", "b", b"1")]).result()

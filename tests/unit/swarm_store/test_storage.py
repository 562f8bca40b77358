"""The file of a sandbox: committed before a write returns, and plain about what is wrong with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labkit.embedded.runtime.storage import Storage, StorageError


def test_rows_by_kind_in_the_order_of_first_writing() -> None:
    storage = Storage()
    for key in "cab":
        storage.put("x", key, {"key": key})
    storage.put("x", "c", {"key": "again"})
    storage.put("y", "c", [1, 2])
    storage.delete("x", "a")
    storage.delete("x", "not there")
    assert list(storage.all("x")) == ["c", "b"]
    assert storage.get("x", "c") == {"key": "again"}
    assert storage.get("x", "a") is None
    assert storage.kinds() == ["x", "y"]
    storage.delete_all("x")
    assert storage.kinds("x") == []


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "s.db")
    with storage.transaction():
        storage.put("x", "1", 1)
        with storage.transaction():
            storage.put("x", "2", 2)

    def fails() -> None:
        with storage.transaction():
            storage.put("x", "3", 3)
            with storage.transaction():
                storage.delete("x", "1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    storage.close()
    again = Storage(tmp_path / "s.db")
    assert again.all("x") == {"1": 1, "2": 2}
    again.close()


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        from labkit.embedded.runtime.storage import Storage
        storage = Storage({str(tmp_path / "s.db")!r})
        number = 0
        while True:
            number += 1
            storage.put("x", "number", number)
            print(number, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(200)][-1]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
    storage = Storage(tmp_path / "s.db")
    assert storage.get("x", "number") >= acknowledged
    storage.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "s.db")
    with pytest.raises(StorageError, match="in use by another process"):
        Storage(tmp_path / "s.db")
    storage.close()
    Storage(tmp_path / "s.db").close()


def _filled(path: Path) -> None:
    storage = Storage(path)
    with storage.transaction():
        for number in range(2000):
            storage.put("x", str(number), {"text": "some text " * 10})
    storage.close()


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)
    with pytest.raises(StorageError, match="is not a readable sandbox database") as error:
        Storage(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    _filled(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StorageError, match="is not a readable sandbox database"):
        Storage(path)


def test_a_page_that_was_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    _filled(path)
    body = bytearray(path.read_bytes())
    body[8192:8292] = b"\xff" * 100
    path.write_bytes(body)
    with pytest.raises(StorageError, match="is not a readable sandbox database"):
        Storage(path)


def test_a_row_that_is_no_json(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "s.db")
    storage._db.execute("INSERT INTO rows VALUES ('x', '1', '{half')")
    with pytest.raises(StorageError, match="row x/1"):
        storage.all("x")
    storage.close()


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    storage = Storage(path)
    assert storage.kinds() == []
    storage.close()


def test_a_file_of_a_newer_labkit(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "s.db")
    storage._db.execute("PRAGMA user_version=99")
    storage.close()
    with pytest.raises(StorageError, match=r"written by a newer labkit \(format 99\)"):
        Storage(tmp_path / "s.db")


async def turn_ends() -> None:
    await asyncio.sleep(0)


async def test_what_is_asked_for_soon_is_written_at_the_end_of_the_turn_each_once(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "state.db")
    order: list[str] = []

    def one() -> None:
        order.append("one")
        storage.put("a", "one", 1)

    def two() -> None:
        order.append("two")
        storage.put("a", "two", 2)

    for write in (one, two, one):
        storage.soon(write)
    assert storage.all("a") == {}
    await turn_ends()
    assert order == ["one", "two"]
    assert storage.all("a") == {"one": 1, "two": 2}
    storage.soon(one)
    await turn_ends()
    assert order == ["one", "two", "one"], "the next turn is another"


async def test_the_trouble_of_one_is_not_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(tmp_path / "state.db")

    def broken() -> None:
        raise RuntimeError("no such container")

    storage.soon(lambda: storage.put("a", "before", 1))
    storage.soon(broken)
    storage.soon(lambda: storage.put("a", "after", 2))
    await turn_ends()
    assert storage.all("a") == {"before": 1, "after": 2}
    assert "no such container" in caplog.text
    storage.close()
    assert Storage(tmp_path / "state.db").all("a") == {"before": 1, "after": 2}


async def test_a_closed_file_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(tmp_path / "state.db")
    storage.soon(lambda: storage.put("a", "late", 1))
    storage.close()
    await turn_ends()
    assert "state.db: what 1 had to write is lost" in caplog.text

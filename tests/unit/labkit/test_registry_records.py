from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.until import until

from labkit.engines.base import MachineInfo, Record
from labkit.errors import LabkitError, NotFound
from labkit.paths import Paths
from labkit.registry import Registry, process_runs, start_time


def record(paths: Paths, name: str = "swarm", created: float = 1.0) -> Record:
    machine = MachineInfo("manager-1", "manager", "up", "127.9.0.10", {"DOCKER_HOST": "unix:///x.sock"})
    return Record(
        name, "swarm", "embedded", created, str(paths.state_of(name)), str(paths.run_of(name)), machines=(machine,)
    )


def test_a_record_comes_back_as_it_was(registry: Registry) -> None:
    saved = record(registry.paths)
    registry.save(saved)
    assert registry.get("swarm") == saved
    assert registry.get("other") is None


def test_records_are_listed_oldest_first_and_junk_is_passed_over(registry: Registry) -> None:
    for name, created in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        registry.save(record(registry.paths, name, created))
    registry.paths.record_of("b").write_text('{"name": "b", "cut sho')
    registry.paths.record_of("a").write_text(registry.paths.record_of("a").read_text().replace("{", '{"new": 1,', 1))
    assert [r.name for r in registry.all()] == ["c", "a"]


def test_records_are_private_and_nothing_is_left_beside_them(registry: Registry) -> None:
    registry.save(record(registry.paths))
    folder = registry.paths.state_of("swarm")
    assert os.listdir(folder) == ["record.json"]
    assert (folder / "record.json").stat().st_mode & 0o077 == 0


def test_removing_the_last_one_leaves_no_folder(registry: Registry) -> None:
    registry.save(record(registry.paths))
    registry.paths.make_runtime()
    registry.paths.run_of("swarm").mkdir()
    with registry.lock("swarm"):
        registry.remove("swarm")
    registry.tidy()
    assert not registry.paths.state.exists()
    assert not registry.paths.runtime.exists()


def test_a_machine_that_is_not_there_lists_those_that_are(registry: Registry) -> None:
    with pytest.raises(NotFound, match="has no machine 'worker-9'; it has manager-1"):
        record(registry.paths).machine("worker-9")


def test_one_holder_at_a_time_and_waiters_are_told_once(registry: Registry) -> None:
    inside: list[int] = []
    most: list[int] = []
    told: list[str] = []

    def hold() -> None:
        with registry.lock("swarm", waiting=lambda: told.append("waiting")):
            inside.append(1)
            most.append(len(inside))
            until(lambda: len(told) == 4, 10, "all others wait")
            inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    assert len(told) == 4
    assert not registry.paths.lock_of("swarm").exists()


def _count_up(state: str, runtime: str, counter: str) -> None:
    registry = Registry(Paths(Path(state), Path(runtime)))
    for _ in range(20):
        with registry.lock("swarm"):
            value = int(Path(counter).read_text())
            Path(counter).write_text(str(value + 1))
        registry.tidy()


def test_processes_exclude_each_other_though_the_lock_file_is_removed_each_time(
    registry: Registry, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    arguments = (str(registry.paths.state), str(registry.paths.runtime), str(counter))
    workers = [context.Process(target=_count_up, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)  # each has an interpreter to start first
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert counter.read_text() == "60"


def test_a_lock_that_stays_taken_is_reported(registry: Registry) -> None:
    with registry.lock("swarm"):
        assert registry.locked("swarm")
        with pytest.raises(LabkitError, match="busy in another labkit"), registry.lock("swarm", timeout=0.0):
            pass
    assert not registry.locked("swarm")


def test_the_lock_of_a_process_that_died_is_free(registry: Registry) -> None:
    registry.paths.make_state()
    code = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); "
        "fcntl.flock(f, fcntl.LOCK_EX); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(registry.paths.lock_of("swarm"))], check=False)
    assert registry.paths.lock_of("swarm").exists()
    with registry.lock("swarm", timeout=1.0):
        pass


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    me = os.getpid()
    assert process_runs(me, start_time(me))
    assert not process_runs(me, start_time(me) - 60)  # the number was used again
    assert not process_runs(0, 0.0)
    child = subprocess.Popen([sys.executable, "-c", ""])
    begun = start_time(child.pid)
    child.wait()
    assert not process_runs(child.pid, begun)


def test_a_corpse_does_not_run() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    begun = start_time(child.pid)
    until(lambda: not process_runs(child.pid, begun), 10)  # it ended, and nobody has waited for it yet
    child.wait()

"""The engine's own part: starting, waiting for, asking and ending a process; a stand-in is the process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.until import until

from labkit.engines import embedded
from labkit.engines.base import MachineInfo, Record, Request
from labkit.engines.embedded import EmbeddedEngine
from labkit.errors import EngineFailed, NotFound, UsageError
from labkit.paths import Paths
from labkit.registry import process_runs

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@pytest.fixture
def request_(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Request]:
    real = embedded._command
    # `labkit.embedded` stays among the arguments: a stray engine is found by them.
    monkeypatch.setattr(
        embedded, "_command", lambda request, fd: [sys.executable, STAND_IN, *real(request, fd)[3:], "labkit.embedded"]
    )
    monkeypatch.setattr(embedded, "_GRACE", 0.3)
    paths.make_state()
    paths.make_runtime()
    made = Request(
        "swarm",
        "swarm",
        {"managers": 1, "workers": 0, "plain": False},
        1.0,
        10.0,
        paths.state_of("swarm"),
        paths.run_of("swarm"),
    )
    yield made
    for pid in embedded._processes_of(made.state):
        os.kill(pid, signal.SIGKILL)
    for child in list(embedded._children.values()):
        child.kill()
        child.wait()
    embedded._children.clear()


def test_up_says_where_it_is(request_: Request) -> None:
    said: list[str] = []
    engine = EmbeddedEngine()
    record = engine.up(request_, said.append)
    assert engine.alive(record)
    assert record.env == {"DOCKER_HOST": f"unix://{request_.run}/manager-1.sock"}
    assert record.machines[0].address == "127.9.0.10"
    assert engine.machines(record) == list(record.machines)
    assert engine.describe(record)["notes"] == ["port 80 is 8080"]
    assert said[0].startswith("Ready in ")
    assert said[1] == "Note: port 80 is 8080"
    assert os.getsid(record.pid) == record.pid  # a session of its own: Ctrl-C does not reach it
    assert (request_.state / "engine.log").read_text().startswith("a line of the log")
    engine.down(record)
    assert not engine.alive(record)
    assert not request_.state.exists()
    assert not request_.run.exists()


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("dies", r"ended with status 7 \(OSError: the roof is on fire\)"),
        ("says", "could not start: no port is free"),
        ("hangs", "was not ready within 1 s"),
    ],
)
def test_a_start_that_fails_shows_the_last_words_and_leaves_no_process(
    request_: Request, monkeypatch: pytest.MonkeyPatch, behaviour: str, says: str
) -> None:
    monkeypatch.setenv("STAND_IN", behaviour)
    said: list[str] = []
    if behaviour == "hangs":  # its second is over as soon as it has said its line, and not before
        monkeypatch.setattr(embedded, "select", SimpleNamespace(select=lambda *_: until_said(request_)))
    patient = replace(request_, timeout=1.0 if behaviour == "hangs" else 30.0)
    with pytest.raises(EngineFailed, match=says):
        EmbeddedEngine().up(patient, said.append)
    assert "  engine: a line of the log" in said
    assert embedded._processes_of(request_.state) == []
    assert not request_.run.exists()


def until_said(request: Request) -> tuple[list[int], list[int], list[int]]:
    log = request.state / "engine.log"
    until(lambda: log.exists() and "a line of the log\n" in log.read_text())
    return [], [], []


def test_one_that_does_not_want_to_end_is_killed(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "stubborn")
    monkeypatch.setattr(embedded, "_TERM_GRACE", 0.1)
    engine = EmbeddedEngine()
    record = engine.up(request_, lambda _: None)
    engine.down(record)
    assert not process_runs(record.pid, record.pid_started)


def test_a_frozen_one_is_killed_too(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_TERM_GRACE", 0.1)
    engine = EmbeddedEngine()
    record = engine.up(request_, lambda _: None)
    os.kill(record.pid, signal.SIGSTOP)
    engine.down(record)
    assert not process_runs(record.pid, record.pid_started)


def test_after_kill_9_it_is_seen_to_be_gone_and_starts_again(request_: Request) -> None:
    engine = EmbeddedEngine()
    record = engine.up(request_, lambda _: None)
    os.kill(record.pid, signal.SIGKILL)
    until(lambda: not engine.alive(record), 10)
    assert [m.state for m in engine.machines(record)] == ["unknown"]
    with pytest.raises(EngineFailed, match="has stopped; `labkit up swarm` brings it back"):
        engine.plug(record, "manager-1", "fail")
    again = engine.up(request_, lambda _: None)
    assert engine.alive(again)
    assert (request_.state / "engine.log.1").exists()
    engine.down(again)


def test_an_engine_without_a_record_is_found_by_its_state_folder(request_: Request) -> None:
    engine = EmbeddedEngine()
    lost = engine.up(request_, lambda _: None)
    unrecorded = Record("swarm", "swarm", "embedded", 1.0, lost.state, lost.run, ready=False)
    engine.down(unrecorded)
    assert not process_runs(lost.pid, lost.pid_started)


def test_the_scheduler_is_asked_by_name_and_may_have_nothing_to_say(request_: Request) -> None:
    engine = EmbeddedEngine()
    record = engine.up(request_, lambda _: None)
    assert engine.explain(record, "default", "we/b") is not None
    assert engine.explain(record, "default", "worker-9") is None
    assert (request_.run / "asked").read_text().splitlines()[0].strip() == "GET /explain/default/we%2Fb"
    engine.down(record)
    assert engine.explain(record, "default", "web") is None


def test_plugs_and_the_clock_go_over_the_control_socket(request_: Request) -> None:
    engine = EmbeddedEngine()
    record = engine.up(request_, lambda _: None)
    others = [MachineInfo(f"worker-{i}", "worker", "up", "", {}) for i in (1, 2, 9)]
    record = replace(record, machines=(*record.machines, *others))
    engine.plug(record, "worker-1", "fail")
    engine.plug(record, "worker-1", "slow", seconds=0.25)
    engine.plug(record, "worker-1", "partition", others=["worker-2"])
    engine.set_speed(record, 10.0)
    asked = (request_.run / "asked").read_text().splitlines()
    assert asked == [
        "POST /machines/worker-1/fail {}",
        'POST /machines/worker-1/slow {"seconds": 0.25}',
        'POST /machines/worker-1/partition {"from": ["manager-1", "worker-9"]}',
        'POST /clock {"speed": 10.0}',
    ]
    with pytest.raises(EngineFailed, match="no machine worker-9"):
        engine.plug(record, "worker-9", "fail")
    with pytest.raises(NotFound, match="has no machine 'worker-3'"):
        engine.plug(record, "worker-3", "fail")
    with pytest.raises(UsageError, match="a machine has no 'burn'; there are fail, heal"):
        engine.plug(record, "worker-1", "burn")
    with pytest.raises(UsageError, match="a partition has two sides"):
        engine.plug(record, "worker-1", "partition", others=["worker-2", "worker-9", "manager-1"])
    engine.down(record)

"""Folders of its own for every test, and an engine that starts nothing."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from labkit import environment
from labkit.engines import base
from labkit.engines.base import MachineInfo, Progress, Record, Request
from labkit.paths import Paths
from labkit.registry import Registry


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """Empty folders, and an environment that points nowhere."""
    runtime = tempfile.mkdtemp(prefix="lkF-", dir="/tmp")
    monkeypatch.setenv("LABKIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LABKIT_RUNTIME_DIR", f"{runtime}/r")
    for variable in environment.VARIABLES:
        monkeypatch.setenv(variable, "")  # so that it is put back: deleting what is not there is not remembered
        monkeypatch.delenv(variable)
    monkeypatch.setattr(environment, "_before", {})
    monkeypatch.setattr(environment, "_pointed", [])
    yield Paths.of()
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def registry(paths: Paths) -> Registry:
    return Registry(paths)


@dataclass
class FakeEngine:
    """Notes what it is asked for; while it starts it calls `meanwhile`, and raises what `broken` holds instead."""

    name: str = "embedded"
    running: set[str] = field(default_factory=set)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    broken: BaseException | None = None
    meanwhile: Callable[[], object] = lambda: None

    def up(self, request: Request, progress: Progress) -> Record:
        self.log.append(("up", request.name))
        if self.broken is not None:
            raise self.broken
        self.meanwhile()
        self.running.add(request.name)
        machines = tuple(
            MachineInfo(name, role, "up", "127.0.0.1", {"DOCKER_HOST": f"unix://{request.run}/{name}.sock"})
            for name, role in request.machine_names()
        )
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            pid=os.getpid(),
            env=dict(machines[0].env),
            endpoints={"docker": machines[0].docker_host},
            machines=machines,
            options={**request.sizes, "speed": request.speed},
        )

    def down(self, record: Record) -> None:
        self.log.append(("down", record.name))
        self.running.discard(record.name)

    def alive(self, record: Record) -> bool:
        return record.name in self.running

    def machines(self, record: Record) -> list[MachineInfo]:
        return [replace(machine) for machine in record.machines]

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        base.check_verb(record, machine, verb)
        self.log.append((verb, machine, options))

    def set_speed(self, record: Record, factor: float) -> None:
        self.log.append(("speed", factor))

    def describe(self, record: Record) -> dict[str, Any]:
        return {"notes": []}


@pytest.fixture
def engine(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Stands in for the embedded engine."""
    fake = FakeEngine()
    module = types.ModuleType("labkit_fake_engine")
    module.make = lambda: fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(base._ENGINES, ("embedded", ""), (module.__name__, "make"))
    return fake

"""What the real engines have in common: scripts of ``infra/`` do the work, and Docker is the only record.

People can run the scripts by hand as well; here they are run, their words passed on, their reports read. A machine's
containers are found by labels, so a kernel that knows nothing but the sandbox's name can end it.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from labkit.engines.base import MachineInfo, Progress, Record, Request, check_verb
from labkit.engines.hosts import client_of, host_engine, last_words, reachable, run, run_up, script
from labkit.engines.plugs import Plug, mark_of
from labkit.errors import EngineFailed, UsageError

Report = Mapping[str, Any]  # what `up` and `status` print: machines, notes, and what leads to them


class ScriptedEngine(ABC):
    """Starts real clusters with the scripts of a folder of ``infra/``."""

    name = "docker"
    folder: ClassVar[str]
    variables: ClassVar[Mapping[str, str]]  # options of `labkit.up(…, engine="docker")`, and what they set for `up`
    arguments: ClassVar[tuple[str, ...]] = ()  # options that become arguments of `up` instead
    kept: ClassVar[tuple[str, ...]] = ("notes", "network")  # of the report, in the record
    labels: ClassVar[tuple[str, ...]] = ("labkit.sandbox={name}", "labkit.machine")  # of its machines' containers
    plugs: ClassVar[type[Plug]]

    @abstractmethod
    def arguments_for(self, request: Request) -> list[str]:
        """What ``up`` is called with, beside the name and the state's folder."""

    @abstractmethod
    def environments(self, report: Report) -> dict[str, dict[str, str]]:
        """What points clients at each machine, by the machine's name."""

    @abstractmethod
    def endpoints(self, report: Report) -> dict[str, str]:
        """What :attr:`labkit.engines.base.Record.endpoints` says."""

    def up(self, request: Request, progress: Progress) -> Record:
        client = request.options.get("client") or host_engine(os.environ)
        variables = self._variables(request)
        command = [*script(self.folder, "up", request.name, request.state), *self.arguments_for(request)]
        report = run_up(command, {**client, **variables}, request.timeout, progress)
        machines = self._found(report, request.state, reachable(client))
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            env=machines[0].env,
            endpoints=self.endpoints(report),
            machines=tuple(machines),
            # Only a plain value survives in the record; notes are for `describe`.
            options={
                **request.options,
                **request.sizes,
                "client": client,
                **{key: report[key] for key in self.kept},
            },
        )

    def down(self, record: Record) -> None:
        """Removes everything that carries the sandbox's label, and the keys to it."""
        done = run(self._script("down", record), client_of(record), timeout=120)
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))

    def alive(self, record: Record) -> bool:
        """Whether any of its machines runs: failing some of them is what a sandbox is for."""
        filters = [word for label in self.labels for word in ("--filter", f"label={label.format(name=record.name)}")]
        try:
            found = run(["docker", "ps", "-q", *filters], client_of(record), 5)
        except EngineFailed:
            return False
        return found.returncode == 0 and bool(found.stdout.strip())

    def machines(self, record: Record) -> list[MachineInfo]:
        try:
            report = self.report(record)
        except EngineFailed:
            return [replace(machine, state="unknown") for machine in record.machines]
        return self._found(report, Path(record.state), any(machine.address for machine in record.machines))

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        """Does it to the machine's containers. ``heal`` returns before what runs in them answers again."""
        check_verb(record, machine, verb)
        self.plugs(record, machine).act(verb, **options)

    def describe(self, record: Record) -> dict[str, Any]:
        return {"notes": list(record.options.get("notes", ())), "speed": 1.0}

    def report(self, record: Record) -> Report:
        """What ``status`` says of the sandbox now."""
        done = run(self._script("status", record), client_of(record))
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))
        report: Report = json.loads(done.stdout)
        return report

    def _script(self, verb: str, record: Record) -> list[str]:
        return script(self.folder, verb, record.name, Path(record.state))

    def _variables(self, request: Request) -> dict[str, str]:
        """The script's variables for a request; an option that it does not have is said by name."""
        # A sandbox that is brought back is asked for with all that the record keeps.
        recorded = {*request.sizes, "speed", "client", *self.kept}
        found: dict[str, str] = {}
        for key, value in request.options.items():
            if key in self.variables:
                found[self.variables[key]] = value if isinstance(value, str) else " ".join(value)
            elif key not in self.arguments and key not in recorded:
                known = ", ".join([*self.variables, *self.arguments])
                raise UsageError(f"the docker engine has no option {key!r}; it has {known}")
        return found

    def _found(self, report: Report, state: Path, answers: bool) -> list[MachineInfo]:
        """The report's machines; those that run are what their plug's mark says."""
        environments = self.environments(report)
        found = []
        for machine in report["machines"]:
            name, condition = machine["name"], machine["state"]
            mark = mark_of(state, name)
            if condition == "up" and mark.exists():
                condition = mark.read_text().split()[0]
            address = machine["address"] if answers else ""
            found.append(MachineInfo(name, machine["role"], condition, address, environments[name]))
        return found

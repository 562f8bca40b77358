"""What env, ls and status do, without a parser: they stand in shell profiles, and the parser costs 0.3 s."""

from __future__ import annotations

import time
from typing import Any

from labkit.cli import output
from labkit.engines.base import Record
from labkit.errors import EngineFailed


def show_list(*, json: bool = False) -> int:
    """Prints the sandboxes; the exit code."""
    from labkit.lifecycle import sandboxes
    from labkit.sandbox import machines_in_words

    found = [(sandbox, sandbox.state) for sandbox in sandboxes()]
    if json:
        keys = ("name", "orchestrator", "engine", "created")
        output.as_json([{**{key: getattr(s.record, key) for key in keys}, "state": state} for s, state in found])
        return 0
    if not found:
        print(f"There is no sandbox. Start one with: {output.called()} up swarm")
        return 0
    now = time.time()
    rows = [
        (s.name, s.orchestrator, s.engine, state, machines_in_words(s.record), output.ago(now - s.record.created))
        for s, state in found
    ]
    output.table(("NAME", "ORCHESTRATOR", "ENGINE", "STATE", "MACHINES", "AGE"), rows)
    return 0


def show_status(name: str | None = None, *, json: bool = False) -> int:
    """Prints a sandbox's endpoints and machines; 0 if it is up, 1 if it is not."""
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    sandbox = Sandbox(choose(Registry(), name))
    found = sandbox.status()
    if json:
        output.as_json(found)
    else:
        process = f", process {found['pid']}" if found["pid"] else ""
        print(f"“{sandbox.name}”: {sandbox.orchestrator} on the {sandbox.engine} engine, {found['state']}{process}")
        for note in found.get("notes", ()):
            print(f"note: {note}")
        print()
        show_machines(found)
        if found.get("log"):
            print(f"\nlog: {found['log']}")
        if found.get("elsewhere"):
            print("\nPublished ports that could not be opened where they belong:")
            output.table(("ASKED FOR", "FOUND AT"), list(found["elsewhere"].items()))
        if found["state"] == "stopped":
            print(f"\nIts process has stopped; `{_up_again(sandbox.record)}` brings everything back.")
    return 0 if found["state"] == "up" else 1


def show_env(name: str | None = None, *, shell: str = "sh", machine: str | None = None) -> int:
    """Prints the lines that point a shell at a sandbox (the newest unless named), and nothing else."""
    from labkit.environment import shell_lines
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    registry = Registry()
    records = registry.all()
    record = records[-1] if name is None and records else choose(registry, name)
    lines = shell_lines(record.machine(machine).env if machine else record.env, shell)
    if Sandbox(record).state != "up":
        raise EngineFailed(f"“{record.name}” has stopped; `{_up_again(record)}` brings it back")
    print(lines)
    return 0


def show_machines(status: dict[str, Any], indent: str = "") -> None:
    """The table of a status's machines."""
    hosts = any(m["docker_host"] for m in status["machines"])
    columns = ("MACHINE", "ROLE", "STATE", "ADDRESS", *(("DOCKER_HOST",) if hosts else ()))
    rows = [
        (m["name"], m["role"] or "(none yet)", m["state"], m["address"] or "-", m["docker_host"] or "-")[: len(columns)]
        for m in status["machines"]
    ]
    output.table(columns, rows, indent)
    stopped = [one for one in status.get("components", ()) if one["state"] not in ("running", "starting")]
    for one in stopped:
        print(f"{indent}{one['name']} on {one['machine']} is {one['state']}")


def _up_again(record: Record) -> str:
    named = "" if record.name == record.orchestrator else f" --name {record.name}"
    return f"{output.called()} up {record.orchestrator}{named}"

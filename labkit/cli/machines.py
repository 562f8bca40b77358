"""fail, heal, pause, partition, slow, stop, start, speed: the plugs, the components and the clock of a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.sandbox import Sandbox


def _machines_of(typed: str = "") -> list[str]:
    """Sandboxes and machines, for completion."""
    from labkit.registry import Registry

    records = Registry().all()
    words = [record.name for record in records] + [m.name for record in records for m in record.machines]
    return list(dict.fromkeys(words))


def _components_of(typed: str = "") -> list[str]:
    """Sandboxes and their components, for completion."""
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    records = Registry().all()
    words = [record.name for record in records]
    words += [one.name for record in records for one in Sandbox(record).components]
    return list(dict.fromkeys(words))


_ARGUMENTS = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME] MACHINE…",
        help="The sandbox (not needed if there is only one) and its machines.",
        autocompletion=_machines_of,
    ),
]


def register(app: typer.Typer) -> None:
    for command in (fail, heal, pause, partition, slow, stop, start, speed):
        app.command()(command)


def _each(arguments: list[str]) -> tuple[Sandbox, list[str]]:
    """The sandbox and the machines: the first word names a sandbox unless it is a machine of the only one."""
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    registry = Registry()
    first, rest = arguments[0], arguments[1:]
    records = registry.all()
    if len(records) == 1 and first != records[0].name and any(m.name == first for m in records[0].machines):
        return Sandbox(records[0]), arguments
    sandbox = Sandbox(choose(registry, first))
    if not rest:
        there = ", ".join(m.name for m in sandbox.record.machines)
        raise UsageError(f"which machine of “{first}”? It has {there}")
    for machine in rest:
        sandbox.record.machine(machine)
    return sandbox, rest


def fail(arguments: _ARGUMENTS) -> None:
    """Power a machine off at once. `heal` starts it again.

    labkit fail swarm worker-1
    """
    sandbox, machines = _each(arguments)
    for machine in machines:
        sandbox.fail(machine)


def heal(arguments: _ARGUMENTS) -> None:
    """Undo whatever was done to a machine: it is on, reachable and quick again.

    labkit heal swarm worker-1
    """
    sandbox, machines = _each(arguments)
    for machine in machines:
        sandbox.heal(machine)


def pause(arguments: _ARGUMENTS) -> None:
    """Freeze a machine: its connections stay open and nobody gets an answer.

    labkit pause swarm worker-1
    """
    sandbox, machines = _each(arguments)
    for machine in machines:
        sandbox.pause(machine)


def partition(arguments: _ARGUMENTS) -> None:
    """Cut machines off from the others; those named together still reach each other.

    labkit partition swarm manager-1 worker-1
    """
    sandbox, machines = _each(arguments)
    sandbox.partition(*machines)


def slow(
    arguments: _ARGUMENTS,
    seconds: Annotated[float, typer.Option(help="How much longer every message takes, in sandbox seconds.")] = 0.5,
) -> None:
    """Delay every message to and from a machine.

    labkit slow swarm worker-1 --seconds 0.5
    """
    sandbox, machines = _each(arguments)
    for machine in machines:
        sandbox.slow(machine, seconds)


_COMPONENT = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME] COMPONENT",
        help="The sandbox (not needed if there is only one) and what of it.",
        autocompletion=_components_of,
    ),
]
_MACHINE = Annotated[
    str | None,
    typer.Option(help="On which machine, if it runs on several.", show_default=False, autocompletion=_machines_of),
]


def stop(arguments: _COMPONENT, machine: _MACHINE = None) -> None:
    """Stop a part of the orchestrator itself: kubelet, etcd, mesos-master, marathon… `start` starts it again.

    labkit stop kubernetes kube-scheduler

    labkit stop kubernetes kubelet --machine worker-1

    labkit stop marathon mesos-master --machine master-1
    """
    sandbox, component = _component(arguments)
    sandbox.stop(component, machine)


def start(arguments: _COMPONENT, machine: _MACHINE = None) -> None:
    """Start a part of the orchestrator that was stopped.

    labkit start kubernetes kube-scheduler
    """
    sandbox, component = _component(arguments)
    sandbox.start(component, machine)


def _component(arguments: list[str]) -> tuple[Sandbox, str]:
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    *name, component = arguments
    if len(name) > 1:
        raise UsageError("say one sandbox and one component")
    return Sandbox(choose(Registry(), name[0] if name else None)), component


def speed(
    name: Annotated[str, typer.Argument(help="The sandbox.")],
    factor: Annotated[float, typer.Argument(help="Sandbox seconds that pass in a second.")],
) -> None:
    """Change how fast a sandbox's time passes (embedded engine only).

    labkit speed swarm 10
    """
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    Sandbox(choose(Registry(), name)).speed(factor)

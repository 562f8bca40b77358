"""Which sandboxes ``python -m labkit.embedded`` can run: their arguments, and how the world of each is opened.

Light to import: it is what a process reads first. A world follows :class:`SandboxWorld`; everything heavy is imported
when one is opened.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from labkit.embedded.control import ControlledWorld
    from labkit.embedded.runtime.storage import Storage

    class SandboxWorld(ControlledWorld, Protocol):
        """A sandbox put together: what the process brings up, serves and closes."""

        name: str
        shutdown: asyncio.Event  # set once somebody has asked for the end

        async def bring_up(self) -> None:
            """Return once it is ready. Raises WorldError."""

        async def close(self) -> None:
            """Close everything; what is stored stays."""


class WorldError(Exception):
    """The sandbox cannot be brought up; the message says why in one line."""


@dataclass(frozen=True)
class Orchestrator:
    """One kind of sandbox.

    ``prepare`` is called with the arguments as soon as the state folder is ours, before anything heavy is imported;
    ``open`` gets what it returned. ``open`` raises WorldError.
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    open: Callable[[argparse.Namespace, Storage, Any], Awaitable[SandboxWorld]]
    prepare: Callable[[argparse.Namespace], Any] = lambda arguments: None


def count(least: int, most: int = 99) -> Callable[[str], int]:
    """A whole number between these two, for argparse."""

    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be between {least} and {most}")
        return value

    return read


# -- Docker Swarm


def _swarm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--managers", type=count(1), default=3)
    parser.add_argument("--workers", type=count(0), default=2)
    parser.add_argument("--plain", action="store_true", help="machines node-1…N in no swarm")


async def _open_swarm(arguments: argparse.Namespace, storage: Storage, prepared: Any) -> SandboxWorld:
    from labkit.embedded.swarm.world import GIB, Options, World

    options = Options(
        name=arguments.name,
        run=arguments.run.absolute(),
        managers=arguments.managers,
        workers=arguments.workers,
        plain=arguments.plain,
        speed=arguments.speed,
        cpus=arguments.cpus,
        memory=arguments.memory * GIB,
    )
    return await World.open(options, storage)


# -- Kubernetes


def _kubernetes_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=count(0, 1000), default=3)


def _prepare_kubernetes(arguments: argparse.Namespace) -> Any:
    from labkit.embedded.kubernetes import pki

    return pki.prepare(arguments.state.absolute() / "pki")


async def _open_kubernetes(arguments: argparse.Namespace, storage: Storage, prepared: Any) -> SandboxWorld:
    from labkit.embedded.kubernetes.world import GIB, Options, World

    options = Options(
        name=arguments.name,
        state=arguments.state.absolute(),
        workers=arguments.workers,
        speed=arguments.speed,
        cpus=arguments.cpus,
        memory=arguments.memory * GIB,
    )
    return await World.open(options, storage, prepared)


# -- Apache Mesos with Marathon


def _marathon_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--masters", type=count(1, 7), default=3)
    parser.add_argument("--agents", type=count(1, 200), default=3)


def _prepare_marathon(arguments: argparse.Namespace) -> Any:
    from labkit.embedded.marathon import credentials

    return credentials.prepare(arguments.state.absolute())


async def _open_marathon(arguments: argparse.Namespace, storage: Storage, prepared: Any) -> SandboxWorld:
    from labkit.embedded.marathon.world import GIB, Options, World

    options = Options(
        name=arguments.name,
        state=arguments.state.absolute(),
        run=arguments.run.absolute(),
        masters=arguments.masters,
        agents=arguments.agents,
        speed=arguments.speed,
        cpus=arguments.cpus,
        memory=arguments.memory * GIB,
    )
    return await World.open(options, storage, prepared)


ORCHESTRATORS: Mapping[str, Orchestrator] = {
    row.name: row
    for row in (
        Orchestrator("swarm", "Docker Swarm: every machine a Docker host with its own socket",
                     _swarm_arguments, _open_swarm),
        Orchestrator("kubernetes", "Kubernetes: one control-plane and workers, spoken to by kubectl",
                     _kubernetes_arguments, _open_kubernetes, _prepare_kubernetes),
        Orchestrator("marathon", "Apache Mesos with ZooKeeper, and Marathon on it",
                     _marathon_arguments, _open_marathon, _prepare_marathon),
    )
}  # fmt: skip

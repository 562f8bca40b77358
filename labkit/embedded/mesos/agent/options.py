"""What an agent is started with, as the flags of ``mesos-agent``."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import attributes as attribute_words
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.runtime.machines import Machine

if TYPE_CHECKING:
    from labkit.embedded.guard import Guard
    from labkit.embedded.runtime.dns import Resolver

Json = dict[str, Any]

VERSION = "1.11.0"
PORT = 5051
MIB = 1024 * 1024
FIRST_PORT, PORTS = 31000, 1000


@dataclass(frozen=True, slots=True)
class Options:
    """An agent's flags; times in sandbox seconds.

    ``guard`` says who may speak to its HTTP server (None: everybody), ``resolver`` what the containers of
    its machine ask for names.
    """

    work_dir: Path
    resources: Resources
    attributes: list[Json] = field(default_factory=list)
    hostname: str = ""  # "": the machine's address
    port: int = PORT
    # The real default is 1 s, for thousands of agents that must not all come at once. A lesson waits for it.
    registration_backoff: float = 0.1
    executor_shutdown_grace: float = 5.0
    recovery_timeout: float = 900.0
    max_completed: int = 150  # tasks that have ended and are still shown, of a framework
    guard: Guard | None = None
    resolver: Callable[[str], Resolver | None] = lambda machine: None
    rng: random.Random = field(default_factory=random.Random)


def for_machine(machine: Machine, number: int, work_dir: Path, *, each: int = PORTS, **given: Any) -> Options:
    """The options of the ``number``-th agent (from 1).

    Each agent has ports of its own, ``each`` of them, since a plain command listens on all addresses of this computer.
    """
    first = FIRST_PORT + each * (number - 1)
    memory, disk = machine.memory // MIB, machine.disk // MIB
    text = f"cpus:{machine.cpus:g};mem:{memory};disk:{disk};ports:[{first}-{first + each - 1}]"
    return Options(
        work_dir=work_dir / machine.name,
        resources=Resources.parse(text),
        attributes=attribute_words.of(machine.attributes.items()),
        **given,
    )

"""The agent itself: what it is told by the master, and what it tells."""

from __future__ import annotations

from typing import Any

from labkit.embedded.mesos.agent.options import Options
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


class Agent:
    """The agent of one machine. A stopped one leaves its executors running, and finds them again."""

    def __init__(
        self,
        machine: str,
        post: Post,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        catalogue: Catalogue,
        storage: Storage | None,
        ensemble: Any,
        options: Options,
        *,
        detector: Any = None,
    ) -> None:
        """``detector`` is given by tests; else it is made of the ensemble's session of this machine."""
        self.machine = machine
        self.options = options
        self.id = ""  # given by the first master that registers it, and kept
        self.running = False
        self.pid = Pid("slave(1)", machine, fleet.machine(machine).address, options.port)

    @property
    def registered(self) -> bool:
        """Does the leading master know it?"""
        return False

    async def start(self) -> None:
        """Start it, or have it start when the machine gets its power back."""

    async def stop(self) -> None:
        """End the agent, as ``systemctl stop mesos-agent``: executors go on, and are found again by ``start``."""

    async def close(self) -> None:
        """The sandbox goes down: end every task, too."""

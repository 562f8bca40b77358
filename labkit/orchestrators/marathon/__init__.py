"""Marathon and the Mesos below it, on any engine: what is there, and what may be done to it."""

from labkit.orchestrators.marathon.adapter import Marathon
from labkit.orchestrators.marathon.client import MarathonClient
from labkit.orchestrators.marathon.errors import MarathonError, MesosError, Unreachable
from labkit.orchestrators.marathon.mesos import MesosClient

__all__ = ["Marathon", "MarathonClient", "MarathonError", "MesosClient", "MesosError", "Unreachable"]

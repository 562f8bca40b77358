"""The master's HTTP API."""

from labkit.embedded.mesos.api.server import MasterServer

__all__ = ["MasterServer"]

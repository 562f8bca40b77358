"""A Mesos agent: it offers a machine's resources to the leading master and runs the tasks that come back."""

from labkit.embedded.mesos.agent.agent import Agent
from labkit.embedded.mesos.agent.options import Options

__all__ = ["Agent", "Options"]

"""A second framework beside Marathon: jobs of many short tasks, standing for Hadoop's MapReduce."""

from labkit.embedded.mesos.batch.framework import Batch, Options

__all__ = ["Batch", "Options"]

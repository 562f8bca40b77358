"""Who is offered what: hierarchical Dominant Resource Fairness."""

from labkit.embedded.mesos.allocator.hierarchical import Allocator, Offerable

__all__ = ["Allocator", "Offerable"]

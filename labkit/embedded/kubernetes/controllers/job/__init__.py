"""Jobs: pods that run until they have ended well, often enough."""

from labkit.embedded.kubernetes.controllers.job.controller import JobController

__all__ = ["JobController"]

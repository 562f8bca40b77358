"""Kubernetes through its API server, on any engine: what is there, and what may be done to it."""

from labkit.orchestrators.kubernetes.adapter import Kubernetes
from labkit.orchestrators.kubernetes.diary import Diary

__all__ = ["Diary", "Kubernetes"]

"""The node life cycle: who has not been heard of, what that means for scheduling, and how fast pods are given up."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.nodelifecycle.controller import NodeLifecycleController
from labkit.embedded.kubernetes.controllers.nodelifecycle.tainteviction import TaintEvictionController

__all__ = ["NodeLifecycleController", "TaintEvictionController"]

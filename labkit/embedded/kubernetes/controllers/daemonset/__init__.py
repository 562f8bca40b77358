"""DaemonSets: a pod on every node that allows it."""

from labkit.embedded.kubernetes.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]

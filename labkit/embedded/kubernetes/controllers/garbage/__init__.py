"""The garbage collector: what has lost its owners goes, in the order that the owner's deletion asked for."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.garbage.controller import GarbageCollector

__all__ = ["GarbageCollector"]

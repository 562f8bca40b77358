"""What is decided about objects before they are stored: a chain of small plug-ins, in the order of the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.admission import namespaces, nodes, priority, serviceaccounts, tolerations
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

__all__ = ["Admission"]

# (when an object is created) → may write to the object's top level, metadata and spec; raises what refuses it.
_ON_CREATE = (
    namespaces.on_create,
    nodes.on_create,
    serviceaccounts.on_create,
    tolerations.on_create,
    priority.on_create,
)


class Admission:
    """The chain. Each plug-in is a function that looks at the kind first, and mostly does nothing."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def create(self, kind: Kind, new: Json, options: WriteOptions) -> None:
        for plugin in _ON_CREATE:
            plugin(self._registry, kind, new, options)

    def update(self, kind: Kind, new: Json, old: Json, options: WriteOptions) -> None:
        priority.on_update(self._registry, kind, new, old, options)

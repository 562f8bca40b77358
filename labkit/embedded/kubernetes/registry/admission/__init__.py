"""What is decided about objects before they are stored: a chain of small plug-ins, in the order of the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kinds import KINDS, Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.admission import namespaces, nodes, priority, serviceaccounts, tolerations
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

__all__ = ["Admission"]

_PLUGINS = (namespaces, nodes, serviceaccounts, tolerations, priority)

# What each kind's new objects go through: a plug-in says with ``handles(kind)`` which are its own. ``on_create`` may
# write to the object's top level, metadata and spec; it raises what refuses it.
_ON_CREATE = {kind: tuple(plugin.on_create for plugin in _PLUGINS if plugin.handles(kind)) for kind in KINDS}


class Admission:
    """The chain."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def create(self, kind: Kind, new: Json, options: WriteOptions) -> None:
        for plugin in _ON_CREATE[kind]:
            plugin(self._registry, kind, new, options)

    def update(self, kind: Kind, new: Json, old: Json, options: WriteOptions) -> None:
        priority.on_update(self._registry, kind, new, old, options)

"""The namespace controller: what is in a namespace that is to go, goes before it."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.namespaces.controller import NamespaceController

__all__ = ["NamespaceController"]

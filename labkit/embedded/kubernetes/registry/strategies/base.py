"""The strategy of kinds that have nothing of their own, and what the others override."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import BACKGROUND, DeleteOptions
from labkit.embedded.kubernetes.schema.compile import checker

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry


Finish = Callable[[bool], None]


def _nothing(stored: bool) -> None:
    """Most kinds have nothing to give back."""


class Strategy:
    """How objects of one kind are written (``pkg/registry/<group>/<kind>/strategy.go``).

    Methods are handed objects whose top level, ``metadata``, ``spec`` and ``status`` are theirs to change; everything
    below is shared.
    """

    create_on_update = False  # PUT of something that is not there creates it
    unconditional_update = True  # PUT without a resourceVersion writes over what is there
    returns_deleted = False  # DELETE answers with the object, not with a Status
    generation = False  # metadata.generation counts the changes of spec
    garbage: str | None = BACKGROUND  # what becomes of dependents when nobody says; None: has none, takes no finalizer
    ttl: float | None = None  # seconds after the last write when it goes by itself

    def __init__(self, kind: Kind, registry: Registry) -> None:
        self.kind = kind
        self.registry = registry

    def prepare_for_create(self, new: Json) -> None:
        """Clear what a client may not say, fill in what the server does (``PrepareForCreate``)."""
        if self.kind.has_status:
            new["status"] = empty_status(self.kind)
        if self.generation:
            new["metadata"]["generation"] = 1

    def prepare_for_update(self, new: Json, old: Json) -> None:
        """The same for an update of the object itself: its status stays (``PrepareForUpdate``)."""
        if self.kind.has_status:
            _carry(new, old, "status")
        if self.generation and self.changed(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def changed(self, new: Json, old: Json) -> bool:
        """Whether an update is one for its controllers, so that the generation goes up."""
        return bool(new.get("spec") != old.get("spec"))

    def prepare_for_status(self, new: Json, old: Json) -> None:
        """The same for an update of ``status``: everything else but the metadata stays."""
        for part in [
            part for part in new if part not in ("kind", "apiVersion", "metadata", "status") and part not in old
        ]:
            del new[part]
        for part in old:
            if part not in ("kind", "apiVersion", "metadata", "status"):
                new[part] = old[part]

    def prepare_for_finalize(self, new: Json, old: Json) -> None:
        """The same for the ``finalize`` sub-resource, which only namespaces have."""

    def prepare_for_ephemeral_containers(self, new: Json, old: Json) -> None:
        """The same for the ``ephemeralcontainers`` sub-resource, which only pods have."""

    def begin_create(self, new: Json) -> Finish:
        """Allocate what the object needs; raise to refuse it. What is returned is called with whether it was stored."""
        return _nothing

    def begin_update(self, new: Json, old: Json) -> Finish:
        """The same for an update."""
        return _nothing

    def deleted(self, old: Json) -> None:
        """It is gone: release what it had."""

    def grace(self, old: Json, options: DeleteOptions) -> int | None:
        """Seconds that it is given to end; None: this kind goes at once (``CheckGracefulDelete``)."""
        return None

    def may_vanish(self, new: Json) -> bool:
        """Whether an object that is being deleted and has no finalizers left may go."""
        return True


@functools.cache
def empty_status(kind: Kind) -> Json:
    """The status of an object that has none: what Go writes of an empty struct (``{"replicas": 0}``)."""
    try:
        return checker(kind)({"metadata": {}, "status": {}}).obj.get("status") or {}
    except StatusError:  # a kind that says nothing without its spec
        return {}


def _carry(new: Json, old: Json, part: str) -> None:
    if part in old:
        new[part] = old[part]
    else:
        new.pop(part, None)

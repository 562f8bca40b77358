"""Namespaces, nodes, secrets, events and the other small ones of the core group."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import ORPHAN
from labkit.embedded.kubernetes.registry.strategies.base import Strategy

NAME_LABEL = "kubernetes.io/metadata.name"


class Namespaces(Strategy):
    """``spec.finalizers`` holds a namespace that is being deleted until its controller has emptied it."""

    def prepare_for_create(self, new: Json) -> None:
        new["status"] = {"phase": "Active"}
        spec = new["spec"] = dict(new.get("spec") or {})
        finalizers = spec.get("finalizers") or []
        if "kubernetes" not in finalizers:
            spec["finalizers"] = [*finalizers, "kubernetes"]
        self._label(new)

    def prepare_for_update(self, new: Json, old: Json) -> None:
        new["spec"] = {**new.get("spec", {}), "finalizers": (old.get("spec") or {}).get("finalizers", [])}
        if not new["spec"]["finalizers"]:
            del new["spec"]["finalizers"]
        new["status"] = old.get("status", {})
        self._label(new)

    def prepare_for_finalize(self, new: Json, old: Json) -> None:
        """The ``finalize`` sub-resource: only the finalizers of the spec."""
        finalizers = (new.get("spec") or {}).get("finalizers")
        new["spec"] = {"finalizers": finalizers} if finalizers else {}
        new["status"] = old.get("status", {})

    def may_vanish(self, new: Json) -> bool:
        return not (new.get("spec") or {}).get("finalizers")

    @staticmethod
    def _label(new: Json) -> None:
        metadata = new["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(NAME_LABEL) != metadata["name"]:
            metadata["labels"] = {**labels, NAME_LABEL: metadata["name"]}


class Nodes(Strategy):
    """A kubelet registers its node with a status, so creation keeps it."""

    def prepare_for_create(self, new: Json) -> None:
        new.setdefault("status", {})


class Secrets(Strategy):
    """``stringData`` is for writing only: it ends up in ``data``."""

    def prepare_for_create(self, new: Json) -> None:
        self._fold(new)

    def prepare_for_update(self, new: Json, old: Json) -> None:
        self._fold(new)
        if not new.get("type"):
            new["type"] = old.get("type", "Opaque")

    @staticmethod
    def _fold(new: Json) -> None:
        given = new.pop("stringData", None)
        if given:
            encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in given.items()}
            new["data"] = {**(new.get("data") or {}), **encoded}


class Events(Strategy):
    """They are owned by nothing, and go by themselves an hour after their last write (``--event-ttl``)."""

    create_on_update = True
    garbage = None
    ttl = 3600.0


class CreatedByPut(Strategy):
    create_on_update = True


class ReplicationControllers(Strategy):
    """Orphans its pods when nobody says otherwise: the first version of the API had it so."""

    generation = True
    garbage = ORPHAN


class Returned(Strategy):
    returns_deleted = True


class EndpointSlices(Strategy):
    """Its generation counts every change but those of metadata other than labels."""

    generation = True

    def changed(self, new: Json, old: Json) -> bool:
        if new["metadata"].get("labels") != old["metadata"].get("labels"):
            return True
        return any(new.get(part) != old.get(part) for part in {*new, *old} - {"metadata"})


class Leases(Strategy):
    create_on_update = True
    unconditional_update = False


class Budgets(Strategy):
    generation = True
    unconditional_update = False


class PriorityClasses(Strategy):
    def prepare_for_create(self, new: Json) -> None:
        new["metadata"]["generation"] = 1


STRATEGIES: Mapping[Kind, type[Strategy]] = {
    kinds.NAMESPACES: Namespaces,
    kinds.NODES: Nodes,
    kinds.SECRETS: Secrets,
    kinds.EVENTS: Events,
    kinds.ENDPOINTS: CreatedByPut,
    kinds.REPLICATION_CONTROLLERS: ReplicationControllers,
    kinds.SERVICE_ACCOUNTS: Returned,
    kinds.ENDPOINT_SLICES: EndpointSlices,
    kinds.LEASES: Leases,
    kinds.POD_DISRUPTION_BUDGETS: Budgets,
    kinds.PRIORITY_CLASSES: PriorityClasses,
}

"""TaintNodesByCondition: a new node takes no pods before its life cycle controller has found it ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

NOT_READY: Json = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def handles(kind: Kind) -> bool:
    return kind is kinds.NODES


def on_create(registry: Registry, kind: Kind, new: Json, options: WriteOptions) -> None:
    spec = new.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(taint.get("key") == NOT_READY["key"] and taint.get("effect") == NOT_READY["effect"] for taint in taints):
        spec["taints"] = [*taints, NOT_READY]

"""DefaultTolerationSeconds: pods stay on a node that is not ready or unreachable for five minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

# Shared by all pods, as nothing that is stored is ever changed.
_DEFAULTS = {
    key: {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS} for key in KEYS
}


def handles(kind: Kind) -> bool:
    return kind is kinds.PODS


def on_create(registry: Registry, kind: Kind, new: Json, options: WriteOptions) -> None:
    spec = new.setdefault("spec", {})
    given = spec.get("tolerations") or []
    missing = [_DEFAULTS[key] for key in KEYS if not any(_tolerates(one, key) for one in given)]
    if missing:
        spec["tolerations"] = [*given, *missing]


def _tolerates(toleration: Json, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")

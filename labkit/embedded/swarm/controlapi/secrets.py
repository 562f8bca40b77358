"""Secrets and configs (``controlapi/secret.go``, ``config.go``): twins but for their words and limits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.objects import Config, Json, Secret, Service
from labkit.embedded.swarm.specs import check_config, check_secret
from labkit.embedded.swarm.store import NameConflict, Tx


@dataclass(frozen=True)
class Kind:
    """What tells the twins apart."""

    cls: type[Secret] | type[Config]
    word: str  # secret
    key: str  # Secret, as in SecretID
    check: Callable[[Json], None]


SECRET = Kind(Secret, "secret", "Secret", check_secret)
CONFIG = Kind(Config, "config", "Config", check_config)


def create(tx: Tx, kind: Kind, spec: Json, id: str) -> Secret | Config:
    """Store a new one. Raises RpcError: refused, or the name is taken."""
    kind.check(spec)
    created = kind.cls(id=id, spec=spec)
    try:
        tx.create(created)
    except NameConflict:
        raise RpcError("AlreadyExists", f"{kind.word} {spec['Name']} already exists") from None
    return created


def update(tx: Tx, kind: Kind, id: str, version: int, spec: Json) -> None:
    """Change the labels; nothing else may change. Raises RpcError."""
    stored = tx.get(kind.cls, id)
    if stored is None:
        raise RpcError("NotFound", f"{kind.word} {id} not found")
    data = spec.get("Data")
    same_data = data is None or base64.b64decode(data) == base64.b64decode(stored.spec.get("Data", ""))
    if spec.get("Name", "") != stored.spec["Name"] or not same_data:
        raise RpcError("InvalidArgument", "only updates to Labels are allowed")
    tx.update(replace(stored, version=version, spec={**stored.spec, "Labels": spec["Labels"]}))


def remove(tx: Tx, kind: Kind, id: str) -> None:
    """Delete one that no service uses. Raises RpcError naming those that do."""
    stored = tx.get(kind.cls, id)
    if stored is None:
        raise RpcError("NotFound", f"could not find {kind.word} {id}")
    users = [
        service.name
        for service in tx.all(Service)
        for reference in service.spec["TaskTemplate"]["ContainerSpec"].get(f"{kind.key}s") or ()
        if reference[f"{kind.key}ID"] == id
    ]
    if users:
        plural = "service" if len(users) == 1 else "services"
        name = stored.spec["Name"]
        words = f"{kind.word} '{name}' is in use by the following {plural}: {', '.join(users)}"
        raise RpcError("InvalidArgument", words)
    tx.delete(kind.cls, id)

"""The cluster object: what a new swarm begins with, and what ``swarm update`` may make of it."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.errors import ApiError, BadRequest, RpcError
from labkit.embedded.swarm.node import ca
from labkit.embedded.swarm.node.tokens import make_join_token, make_unlock_key
from labkit.embedded.swarm.objects import Cluster, Json
from labkit.embedded.swarm.store import Tx

_NANO = 1_000_000_000
_DEFAULT_POOL = ("10.0.0.0/8",)

# As a fresh dockerd shows it.
DEFAULTS: Json = {
    "Name": "default",
    "Labels": {},
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {
        "SnapshotInterval": 10000,
        "KeepOldSnapshots": 0,
        "LogEntriesForSlowFollowers": 500,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
    },
    "Dispatcher": {"HeartbeatPeriod": 5 * _NANO},
    "CAConfig": {"NodeCertExpiry": 90 * 86400 * _NANO},
    "TaskDefaults": {},
    "EncryptionConfig": {"AutoLockManagers": False},
}

# What GET /swarm shows of a spec in which nothing is set: an update replaces the whole spec, with zeros for the rest.
_ZERO: Json = {
    "Name": "default",
    "Labels": {},
    "Orchestration": {"TaskHistoryRetentionLimit": 0},
    "Raft": {"KeepOldSnapshots": 0, "ElectionTick": 0, "HeartbeatTick": 0},
    "Dispatcher": {},
    "CAConfig": {},
    "TaskDefaults": {},
    "EncryptionConfig": {"AutoLockManagers": False},
}
_MIN_CERT_EXPIRY = 3600 * _NANO
_SHOWN_EVEN_IF_ZERO = (
    "TaskHistoryRetentionLimit",
    "KeepOldSnapshots",
    "ElectionTick",
    "HeartbeatTick",
    "AutoLockManagers",
)


def new_cluster(
    id: str, rng: random.Random, now: float, *, pools: list[str], subnet_size: int, data_path_port: int, lock: bool
) -> Cluster:
    """A swarm's first cluster object, with its root CA and join tokens."""
    root = ca.make_root(rng, now)
    digest = ca.digest(root)
    return Cluster(
        id=id,
        spec=copy.deepcopy(DEFAULTS),
        root_ca=root,
        worker_token=make_join_token(rng, digest),
        manager_token=make_join_token(rng, digest),
        unlock_key=make_unlock_key(rng) if lock else "",
        default_addr_pool=tuple(pools) or _DEFAULT_POOL,
        subnet_size=(subnet_size if pools else 0) or 24,
        data_path_port=data_path_port,
    )


def check_name(spec: Json) -> None:
    """There is only one swarm here, and its name is ``default``."""
    if spec.get("Name") not in (None, "", "default"):
        raise BadRequest('swarm spec must be named "default"')


def merged(given: Json, into: Json) -> Json:
    """What ``swarm init`` makes of its spec: what is set replaces the default, the rest stays."""
    spec = copy.deepcopy(into)
    if given.get("Labels"):
        spec["Labels"] = dict(given["Labels"])
    for part in ("Orchestration", "Raft", "Dispatcher", "CAConfig", "TaskDefaults"):
        for key, value in (given.get(part) or {}).items():
            if value or key in ("TaskHistoryRetentionLimit", "KeepOldSnapshots"):  # pointers: zero is something, too
                spec[part][key] = value
    lock = (given.get("EncryptionConfig") or {}).get("AutoLockManagers", False)
    spec["EncryptionConfig"]["AutoLockManagers"] = bool(lock)
    _check_externals(spec)
    return spec


def completed(given: Json) -> Json:
    """What ``swarm update`` makes of its spec: all that is not set is zero. Raises BadRequest, RpcError."""
    check_name(given)
    spec = copy.deepcopy(_ZERO)
    spec["Labels"] = dict(given.get("Labels") or {})
    for part in ("Orchestration", "Raft", "Dispatcher", "CAConfig", "TaskDefaults", "EncryptionConfig"):
        for key, value in (given.get(part) or {}).items():
            if value or key in _SHOWN_EVEN_IF_ZERO:
                spec[part][key] = value or spec[part].get(key, value)
    # The signing key goes in and never comes out again.
    spec["CAConfig"].pop("SigningCACert", None)
    spec["CAConfig"].pop("SigningCAKey", None)
    _check_externals(spec)
    expiry = spec["CAConfig"].get("NodeCertExpiry")
    if expiry is not None and expiry < _MIN_CERT_EXPIRY:
        raise RpcError("InvalidArgument", "minimum certificate expiry time is: 1h0m0s")
    if spec["Dispatcher"].get("HeartbeatPeriod", 0) < 0:
        raise RpcError("InvalidArgument", "heartbeat time period cannot be a negative duration")
    return spec


def _check_externals(spec: Json) -> None:
    for external in spec["CAConfig"].get("ExternalCAs") or ():
        if str(external.get("Protocol", "")).lower() != "cfssl":
            raise ApiError(f'invalid protocol: "{external.get("Protocol", "")}"')


def update(
    tx: Tx, rng: random.Random, version: int, spec: Json, *, worker: bool, manager: bool, unlock: bool
) -> Cluster:
    """Replace the cluster's spec (as :func:`completed` gives it) and rotate what is to be rotated."""
    cluster = tx.cluster()
    if cluster is None:
        raise RpcError("NotFound", "cluster not found")
    digest = ca.digest(cluster.root_ca)
    key = cluster.unlock_key
    if not spec["EncryptionConfig"]["AutoLockManagers"]:
        key = ""
    elif not key or unlock:
        key = make_unlock_key(rng)
    updated = replace(
        cluster,
        version=version,
        spec=spec,
        worker_token=make_join_token(rng, digest) if worker else cluster.worker_token,
        manager_token=make_join_token(rng, digest) if manager else cluster.manager_token,
        unlock_key=key,
    )
    tx.update(updated)
    return updated


def set_spec(tx: Tx, rng: random.Random, spec: Json) -> None:
    """Replace the spec whatever its version: ``swarm init`` puts in what it was given."""
    cluster = tx.cluster()
    if cluster is not None:
        update(tx, rng, cluster.version, spec, worker=False, manager=False, unlock=False)


def tls_info(cluster: Cluster) -> Json:
    """``TLSInfo`` of the cluster and of every node in it."""
    subject, key = ca.issuer(cluster.root_ca)
    return {"TrustRoot": cluster.root_ca, "CertIssuerSubject": subject, "CertIssuerPublicKey": key}


def shown(cluster: Cluster, meta: Json) -> dict[str, Any]:
    """The cluster as ``GET /info`` shows it; ``GET /swarm`` adds the join tokens. ``meta``: its id, version, times."""
    return {
        **meta,
        "Spec": cluster.spec,
        "TLSInfo": tls_info(cluster),
        "RootRotationInProgress": False,
        "DefaultAddrPool": list(cluster.default_addr_pool),
        "SubnetSize": cluster.subnet_size,
        "DataPathPort": cluster.data_path_port,
    }


# What GET /info holds for a manager that cannot read the cluster: a struct in which nothing is set.
NOT_KNOWN: Json = {
    "ID": "",
    "Version": {},
    "CreatedAt": "0001-01-01T00:00:00Z",
    "UpdatedAt": "0001-01-01T00:00:00Z",
    "Spec": {
        "Labels": None,
        "Orchestration": {},
        "Raft": {"ElectionTick": 0, "HeartbeatTick": 0},
        "Dispatcher": {},
        "CAConfig": {},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    },
    "TLSInfo": {},
    "RootRotationInProgress": False,
    "DefaultAddrPool": None,
    "SubnetSize": 0,
    "DataPathPort": 0,
}

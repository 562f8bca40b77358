"""The objects that the API server makes by itself as soon as it runs: namespaces, priorities, its own Service."""

from __future__ import annotations

import logging

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.door import Door, Unreachable
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.kubernetes.users import MASTERS, User

log = logging.getLogger(__name__)

API_SERVER = User("system:apiserver", (MASTERS,))
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PORT = 6443
UPKEEP = 10.0  # seconds between two looks at its own Service, as in pkg/controlplane/controller/kubernetesservice

PRIORITIES = (
    (
        "system-node-critical",
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
)


def ensure(registry: Registry, kind: Kind, namespace: str, obj: Json, manager: str = "kube-apiserver") -> bool:
    """Create it unless there is one of that name; True when it was made."""
    try:
        registry.get(kind, namespace, obj["metadata"]["name"])
        return False
    except NotFound:
        pass
    obj = {"kind": kind.kind, "apiVersion": kind.api_version, **obj}
    registry.create(kind, namespace, obj, WriteOptions(manager=manager, user=API_SERVER))
    return True


def put(registry: Registry, address: str, service: str) -> None:
    """Make what is missing. ``address`` is the API server's, ``service`` that of the Service ``kubernetes``."""
    for name in NAMESPACES:
        ensure(registry, kinds.NAMESPACES, "", {"metadata": {"name": name}})
    for name, value, words in PRIORITIES:
        obj = {"metadata": {"name": name}, "value": value, "description": words}
        ensure(registry, kinds.PRIORITY_CLASSES, "", obj)
    _put_service(registry, address, service)


async def keep_service(door: Door, machine: str, address: str, service: str) -> None:
    """Make the Service ``kubernetes`` again when somebody has deleted it: ``kubectl delete svc --all`` does."""
    while True:
        await door.clock.sleep(UPKEEP)
        if (held := door.hold(machine)) is not None:
            await held
        try:
            _put_service(door.enter(machine), address, service)
        except (StatusError, Unreachable) as error:  # etcd is away, or the machine is: the next look finds it back
            log.debug("nobody looks after the Service kubernetes: %s", error)


def _put_service(registry: Registry, address: str, service: str) -> None:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    spec = {
        "clusterIP": service,
        "clusterIPs": [service],
        "type": "ClusterIP",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": PORT}],
    }
    ensure(registry, kinds.SERVICES, "default", {"metadata": {"name": "kubernetes", "labels": labels}, "spec": spec})
    marked = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    port = {"name": "https", "port": PORT, "protocol": "TCP"}
    _replace(
        registry, kinds.ENDPOINTS,
        {"metadata": {"name": "kubernetes", "labels": marked},
         "subsets": [{"addresses": [{"ip": address}], "ports": [port]}]},
    )  # fmt: skip
    _replace(
        registry, kinds.ENDPOINT_SLICES,
        {"metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
         "addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
         "ports": [port]},
    )  # fmt: skip


def _replace(registry: Registry, kind: Kind, obj: Json) -> None:
    """The API server keeps its endpoints right, also after it has moved."""
    if ensure(registry, kind, "default", obj):
        return
    parts = {key: value for key, value in obj.items() if key != "metadata"}

    def change(found: Json) -> Json | None:
        return None if all(found.get(key) == value for key, value in parts.items()) else {**found, **parts}

    options = WriteOptions(manager="kube-apiserver", user=API_SERVER)
    registry.modify(kind, "default", "kubernetes", change, options)

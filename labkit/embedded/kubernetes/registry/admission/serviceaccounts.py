"""ServiceAccount: every pod is somebody, and finds its token where client libraries look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Forbidden
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, annotations_of
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"  # a static pod's picture in the API, made by its kubelet

# Shared by all pods, as nothing that is stored is ever changed.
_SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
        }
    },
]
_PROJECTED = {"sources": _SOURCES, "defaultMode": 420}


def handles(kind: Kind) -> bool:
    return kind is kinds.PODS


def on_create(registry: Registry, kind: Kind, new: Json, options: WriteOptions) -> None:
    spec = new.setdefault("spec", {})
    if MIRROR in annotations_of(new):
        _check_mirror(new)
        return
    name = spec.get("serviceAccountName") or DEFAULT
    account = registry.etcd.get(kinds.SERVICE_ACCOUNTS, (new["metadata"]["namespace"], name))
    if account is None:
        namespace = new["metadata"]["namespace"]
        problem = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise _forbidden(new, problem)
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    if _automounts(spec, account.obj):
        _mount(registry, spec)
    if not spec.get("imagePullSecrets") and account.obj.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account.obj["imagePullSecrets"]


def _automounts(spec: Json, account: Json) -> bool:
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    return wanted is not False


def _mount(registry: Registry, spec: Json) -> None:
    """Mount a token into each container that has nothing at that place."""
    volumes = spec.get("volumes") or []
    prefix = "kube-api-access-"
    # A pod that was read and created again brings its volume along.
    name = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(prefix)), "")
    known = bool(name)
    name = name or prefix + registry.names.suffix()
    mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
    needed = False
    for part in ("initContainers", "containers"):
        containers = spec.get(part)
        if not containers:
            continue
        mounted = []
        for container in containers:
            mounts = container.get("volumeMounts") or []
            if not any(one.get("mountPath") == MOUNT_PATH for one in mounts):
                container = {**container, "volumeMounts": [*mounts, mount]}
                needed = True
            mounted.append(container)
        spec[part] = mounted
    if needed and not known:
        spec["volumes"] = [*volumes, {"name": name, "projected": _PROJECTED}]


def _check_mirror(pod: Json) -> None:
    """A static pod cannot depend on objects of the API: it runs without it."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise _forbidden(pod, "a mirror pod may not reference service accounts")
    for volume in spec.get("volumes") or ():
        if "secret" in volume:
            raise _forbidden(pod, "a mirror pod may not reference secrets")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                raise _forbidden(pod, "a mirror pod may not use ServiceAccountToken volume projections")


def _forbidden(pod: Json, problem: str) -> Forbidden:
    return Forbidden("pods", "", pod["metadata"].get("name", ""), problem)

"""Static pods: manifests that a machine has by itself, and the mirrors by which the API server shows them.

The pod runs whether or not there is an API server; its mirror is made as soon as one answers. Deleting the mirror does
nothing to the pod: a new one is made.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Unreachable
from labkit.embedded.kubernetes.errors import AlreadyExists, StatusError
from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.times import rfc3339

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet
    from labkit.embedded.kubernetes.kubelet.worker import Worker

SEEN = "kubernetes.io/config.seen"
RETRY = 1.0


def uid_of(manifest: Json, node: str) -> str:
    """The same manifest on the same node gives the same pod."""
    return hashlib.md5(orjson.dumps([node, manifest], option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()


def from_manifest(manifest: Json, node: str, now: float) -> Json:
    """The pod that a manifest in ``/etc/kubernetes/manifests`` stands for on that node."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    digest = uid_of(manifest, node)
    stamp = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{metadata['name']}-{node}",
            "namespace": metadata.get("namespace") or "default",
            "uid": digest,
            "creationTimestamp": stamp,
            "annotations": {
                **(metadata.get("annotations") or {}),
                pods.CONFIG_HASH: digest,
                SEEN: stamp,
                pods.STATIC_SOURCE: "file",
            },
        },
        "spec": {
            **spec,
            "nodeName": node,
            "tolerations": spec.get("tolerations") or [{"operator": "Exists", "effect": "NoExecute"}],
        },
        "status": {"phase": "Pending"},
    }


def mirror_of(pod: Json, node: Json | None) -> Json:
    """What is created in the API server for it."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in ("uid", "creationTimestamp")}
    metadata["annotations"] = {**metadata["annotations"], pods.MIRROR: metadata["annotations"][pods.CONFIG_HASH]}
    if node is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"],
                "controller": True,
            }
        ]  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


class Mirrors:
    """Keeps the mirrors of one machine's static pods."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def ensure(self, worker: Worker) -> None:
        """Have a mirror of that pod, however long it takes."""
        kubelet = self._kubelet
        while not worker.over:
            metadata = worker.pod["metadata"]
            try:
                mirror = await kubelet.client.find(kinds.PODS, metadata["namespace"], metadata["name"])
                if mirror is not None and self._is_of(mirror, worker):
                    worker.mirror_uid = mirror["metadata"]["uid"]
                    worker.republish()
                    return
                if mirror is not None:  # of an older manifest
                    await kubelet.client.delete(
                        kinds.PODS, metadata["namespace"], metadata["name"], grace_period_seconds=0
                    )
                node = await kubelet.client.find(kinds.NODES, "", kubelet.name)
                await kubelet.client.create(kinds.PODS, metadata["namespace"], mirror_of(worker.pod, node))
                continue
            except (Unreachable, AlreadyExists, StatusError):
                pass
            await kubelet.clock.sleep(RETRY)

    async def remove(self, pod: Json) -> None:
        """The manifest is gone: take the mirror away, too."""
        metadata = pod["metadata"]
        while True:
            try:
                found = await self._kubelet.client.find(kinds.PODS, metadata["namespace"], metadata["name"])
                if found is not None and pods.is_mirror(found):
                    await self._kubelet.client.delete(
                        kinds.PODS, metadata["namespace"], metadata["name"], grace_period_seconds=0
                    )
                return
            except Unreachable:
                await self._kubelet.clock.sleep(RETRY)
            except StatusError:
                return

    def _is_of(self, mirror: Json, worker: Worker) -> bool:
        annotations = mirror["metadata"].get("annotations") or {}
        return bool(annotations.get(pods.MIRROR) == worker.pod["metadata"]["annotations"][pods.CONFIG_HASH])

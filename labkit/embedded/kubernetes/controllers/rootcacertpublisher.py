"""The root CA publisher: in every namespace, the certificate by which pods know the API server.

``pkg/controller/certificates/rootcacertpublisher``.
"""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.errors import AlreadyExists, Forbidden, NotFound
from labkit.embedded.kubernetes.objects import Json, annotations_of, edited, is_terminating, name_of, namespace_of

NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
WORDS = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the"
    " internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes"
    " clusters."
)


class RootCACertPublisher(Controller):
    name: ClassVar[str] = "root-ca-certificate-publisher-controller"
    source: ClassVar[str] = "root-ca-cert-publisher"

    def setup(self) -> None:
        self.namespaces = self.watch(kinds.NAMESPACES, self._namespace, lambda _, new: self._namespace(new))
        self.maps = self.watch(kinds.CONFIG_MAPS, None, lambda _, new: self._map(new), self._map)

    def _namespace(self, namespace: Json) -> None:
        self.queue.add(name_of(namespace))

    def _map(self, found: Json) -> None:
        if name_of(found) == NAME:
            self.queue.add(namespace_of(found))

    async def sync(self, key: str) -> None:
        namespace = self.namespaces.get("", key)
        if namespace is None or is_terminating(namespace):
            return
        data = {"ca.crt": self.config.root_ca}
        old = self.maps.get(key, NAME)
        try:
            if old is None:
                metadata: Json = {"name": NAME, "namespace": key, "annotations": {DESCRIPTION: WORDS}}
                new: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                await self.client.create(kinds.CONFIG_MAPS, key, new)
            elif old.get("data") != data or annotations_of(old).get(DESCRIPTION) != WORDS:
                new = edited(old)
                new["data"] = data
                new["metadata"]["annotations"] = {**annotations_of(old), DESCRIPTION: WORDS}
                await self.client.update(kinds.CONFIG_MAPS, new)
        except (AlreadyExists, Forbidden, NotFound):
            pass

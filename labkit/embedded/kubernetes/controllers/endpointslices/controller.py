"""The EndpointSlice controller: the pods of each Service, in slices of at most 100."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.index import by_node
from labkit.embedded.kubernetes.controllers.endpointslices.plan import plan
from labkit.embedded.kubernetes.controllers.endpointslices.wanted import BY_CONTROLLER, ZONE, Endpoint, of_service
from labkit.embedded.kubernetes.controllers.endpointslices.writing import Slices
from labkit.embedded.kubernetes.controllers.servicepods import ServicePodsController
from labkit.embedded.kubernetes.controllers.serving import has_selector
from labkit.embedded.kubernetes.objects import Json, Key, is_terminating, labels_of, name_of, spec_of


class EndpointSliceController(ServicePodsController):
    name: ClassVar[str] = "endpointslice-controller"

    def setup(self) -> None:
        super().setup()
        self._endpoint = Endpoint()
        self.pods.add_index("node", by_node)
        self._awaiting: dict[str, dict[Key, None]] = {}  # Services with pods on a node that is not known
        self.nodes = self.watch(kinds.NODES, self._node, self._node_changed)
        self.slices = Slices(self.client, self.informers[kinds.ENDPOINT_SLICES], BY_CONTROLLER, self.soon)
        self.watch(kinds.ENDPOINT_SLICES, self.slices.heard, self.slices.changed, self.slices.gone)

    async def sync(self, key: Key) -> None:
        service = self.services.get(*key)
        if service is None:
            # Its slices are the garbage collector's.
            self.forget(key)
            self._endpoint.forget(key)
            self.slices.forget(key)
            return
        if not has_selector(service):
            return
        pods = list(self.pods_of(key))
        wanted, lost = self._endpoint.wanted(service, pods, self.nodes.cache)
        for pod in lost:
            self._awaiting.setdefault(spec_of(pod).get("nodeName", ""), {})[key] = None
        self.listed(key, len(pods))
        todo = plan(of_service(service), self.slices.of(key), wanted)
        if is_terminating(service):
            todo.create.clear()  # the garbage collector would delete them at once
        changed_at = self.trigger_times.of(service, pods)
        if todo:
            todo.stamp(changed_at)
            await self.slices.write(key, todo)

    def _node(self, node: Json) -> None:
        for key in self._awaiting.pop(name_of(node), ()):
            self.soon(key)

    def _node_changed(self, old: Json, new: Json) -> None:
        if labels_of(old).get(ZONE) == labels_of(new).get(ZONE):
            return
        for pod in self.pods.by_index("node", name_of(new)):
            for key in self.selecting(pod):
                self.soon(key)

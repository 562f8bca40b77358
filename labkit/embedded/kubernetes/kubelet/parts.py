"""What a kubelet is given by the world it runs in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from labkit.embedded.kubernetes.kubelet.allowance import Allowance
from labkit.embedded.kubernetes.network.addresses import PodAddresses
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.dns import Resolver
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage


class Component(Protocol):
    """A part of Kubernetes that runs in a pod: the container's life is its life.

    ``start`` is awaited by the container's main program, ``stop`` is called when the container has ended, for whatever
    reason; both must be harmless when repeated.
    """

    async def start(self) -> object: ...

    async def stop(self) -> object: ...


def _no_component(name: str, machine: str, pod: Json, ip: str) -> Component | None:
    return None


def _no_token(pod: Json, audience: str, seconds: float) -> str:
    return ""


@dataclass(slots=True)
class Parts:
    """The sandbox around a kubelet. Only the first five are needed; the rest makes pods see more of a cluster."""

    clock: Clock
    fleet: Fleet
    network: Network
    catalogue: Catalogue
    addresses: PodAddresses
    storage: Storage | None = None
    rng: random.Random = field(default_factory=random.Random)
    # component ("kube-scheduler", "coredns"…), machine, pod, its address -> what the container runs; None: nothing
    component: Callable[[str, str, Json, str], Component | None] = _no_component
    # a service account's token for a pod: (pod, audience, seconds that it is good for)
    token: Callable[[Json, str, float], str] = _no_token
    ca: bytes = b""  # the cluster's certificate authority, as kube-root-ca.crt has it
    # the Services whose names a new pod finds in its environment, as this machine knows them; the same object while
    # they are the same
    services: Callable[[str], Sequence[Json]] = lambda machine: ()
    # the names that a pod can look up: (machine, namespace, DNS policy)
    resolver: Callable[[str, Json], Resolver] | None = None
    dns_address: str = ""  # of the cluster DNS, for /etc/resolv.conf
    max_pods: int = 110  # that one machine takes
    preloaded: Iterable[str] = ()  # images that every machine has from the start, as a node image has
    cluster_domain: str = "cluster.local"
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # machine -> labels that its node starts with
    allowance: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = Allowance(self.clock)

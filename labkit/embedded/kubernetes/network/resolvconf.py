"""``/etc/resolv.conf`` of a pod, and the order in which a name is tried by it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from labkit.embedded.kubernetes.objects import Json

NODE_SERVER = "127.0.0.11"  # what a machine asks: the (simulated) world outside
MAX_SERVERS = 3


@dataclass(frozen=True, slots=True)
class Lookup:
    """How names are looked up: ``cluster`` says whether the cluster's DNS is asked at all."""

    servers: tuple[str, ...]
    search: tuple[str, ...]
    options: tuple[str, ...]
    cluster: bool

    @property
    def ndots(self) -> int:
        for option in self.options:
            name, _, value = option.partition(":")
            if name == "ndots" and value.isdigit():
                return int(value)
        return 1

    def tries(self, name: str) -> list[str]:
        """The full names that are tried for ``name``, in order: a final dot says that it is one already."""
        if name.endswith("."):
            return [name[:-1]]
        expanded = [f"{name}.{domain}" for domain in self.search]
        return [name, *expanded] if name.count(".") >= self.ndots else [*expanded, name]

    def text(self) -> bytes:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {server}" for server in self.servers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines).encode()


def lookup_of(pod: Json, dns_address: str, domain: str = "cluster.local") -> Lookup:
    """By ``dnsPolicy`` and ``dnsConfig``, as ``pkg/kubelet/network/dns/dns.go``."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    lookup = _by_policy(policy, pod["metadata"].get("namespace", "default"), dns_address, domain)
    config = spec.get("dnsConfig")
    return _configured(lookup, config, dns_address) if config else lookup


@lru_cache(maxsize=256)
def _by_policy(policy: str, namespace: str, dns_address: str, domain: str) -> Lookup:
    """What a policy says; one for all pods of a namespace."""
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and dns_address:
        return Lookup((dns_address,), (f"{namespace}.svc.{domain}", f"svc.{domain}", domain), ("ndots:5",), True)
    return Lookup(() if policy == "None" else (NODE_SERVER,), (), (), False)


def _configured(lookup: Lookup, config: Json, dns_address: str) -> Lookup:
    """With a pod's ``dnsConfig``."""
    servers, search = list(lookup.servers), list(lookup.search)
    servers += [one for one in config.get("nameservers") or () if one not in servers]
    search += [one for one in config.get("searches") or () if one not in search]
    options = {option.partition(":")[0]: option for option in lookup.options}
    for option in config.get("options") or ():
        name, value = option["name"], option.get("value")
        options[name] = f"{name}:{value}" if value else name
    asks = lookup.cluster or dns_address in servers
    return Lookup(tuple(servers[:MAX_SERVERS]), tuple(search), tuple(options.values()), asks)


def resolv_conf(pod: Json, dns_address: str, domain: str = "cluster.local") -> bytes:
    return lookup_of(pod, dns_address, domain).text()

"""``/etc/resolv.conf`` of a pod, and the order in which a name is tried by it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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
    config = spec.get("dnsConfig") or {}
    servers: list[str] = []
    search: list[str] = []
    options: dict[str, str] = {}
    cluster = False
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and dns_address:
        namespace = pod["metadata"].get("namespace", "default")
        servers, cluster = [dns_address], True
        search = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]
        options = {"ndots": "5"}
    elif policy != "None":
        servers = [NODE_SERVER]
    servers += [one for one in config.get("nameservers") or () if one not in servers]
    search += [one for one in config.get("searches") or () if one not in search]
    for option in config.get("options") or ():
        options[option["name"]] = option.get("value") or ""
    written = tuple(f"{name}:{value}" if value else name for name, value in options.items())
    asks = cluster or dns_address in servers
    return Lookup(tuple(servers[:MAX_SERVERS]), tuple(search), written, asks)


def resolv_conf(pod: Json, dns_address: str, domain: str = "cluster.local") -> bytes:
    return lookup_of(pod, dns_address, domain).text()

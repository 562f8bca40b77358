"""The swarm's objects as the API shows them (``daemon/cluster/convert``, the way out)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Protocol

from labkit.embedded.swarm.host.wording import rfc3339nano
from labkit.embedded.swarm.objects import (
    Config,
    Json,
    Network,
    Node,
    Object,
    Secret,
    Service,
    Task,
    TaskState,
    TaskStatus,
)
from labkit.embedded.swarm.store import Reads


class Managers(Protocol):
    """What :func:`node` asks about a manager: the leader's :class:`SwarmNode`."""

    def reachability(self, node_id: str) -> str: ...

    def leader_node_id(self) -> str | None: ...


def meta(obj: Object) -> Json:
    """``Version``, ``CreatedAt``, ``UpdatedAt``."""
    return {
        "ID": obj.id,
        "Version": {"Index": obj.version},
        "CreatedAt": _time(obj.created_at),
        "UpdatedAt": _time(obj.updated_at),
    }


@lru_cache(maxsize=4096)
def _time(seconds: float) -> str:
    """Objects keep their times for long: with a thousand tasks to list, printing them would take most of the time."""
    return rfc3339nano(seconds)


# -- nodes


def node(obj: Node, managers: Managers | None, tls: Json) -> Json:
    """A node.

    Args:
        managers: tells who leads and who answers; None if nobody can tell.
        tls: the swarm's ``TLSInfo``, which every node reports as its own.
    """
    spec = obj.spec
    described = obj.description or {"Platform": {}, "Resources": {}, "Engine": {}}
    out = {
        **meta(obj),
        "Spec": {
            **({"Name": spec["Name"]} if spec.get("Name") else {}),
            "Labels": spec.get("Labels") or {},
            "Role": spec.get("Role", "worker"),
            "Availability": spec.get("Availability", "active"),
        },
        "Description": {**described, "TLSInfo": described.get("TLSInfo") or (tls if obj.description else {})},
        "Status": {"State": obj.state, **_given(Message=obj.message, Addr=obj.addr)},
    }
    if obj.raft_id is not None:
        status: Json = {}
        if managers is not None and managers.leader_node_id() == obj.id:
            status["Leader"] = True
        status["Reachability"] = "unknown" if managers is None else managers.reachability(obj.id)
        out["ManagerStatus"] = {**status, **_given(Addr=obj.manager_addr)}
    return out


def _given(**values: Any) -> Json:
    return {key: value for key, value in values.items() if value not in ("", None, 0)}


# -- services


def service(obj: Service, spec: Json | None = None) -> Json:
    """A service; ``spec`` replaces its own (with defaults filled in)."""
    out = {**meta(obj), "Spec": obj.spec if spec is None else spec}
    if obj.previous_spec is not None:
        out["PreviousSpec"] = obj.previous_spec
    out["Endpoint"] = endpoint(obj.endpoint)
    if obj.update_status:
        out["UpdateStatus"] = update_status(obj.update_status)
    return out


def endpoint(stored: Json) -> Json:
    """``Endpoint``: always with a ``Spec``, the rest only if there is any."""
    out: Json = {"Spec": stored.get("Spec") or {}}
    for key in ("Ports", "VirtualIPs"):
        if stored.get(key):
            out[key] = stored[key]
    return out


def update_status(stored: Json) -> Json:
    """Times are kept as seconds and shown as text."""
    return {
        key: _time(value) if isinstance(value, int | float) else value
        for key, value in stored.items()
        if value not in ("", None)
    }


# -- tasks


def networks_of(store: Reads) -> Callable[[str], Json]:
    """Shows a network by its id as tasks carry it, each only once for a whole list of tasks."""

    @cache
    def shown(id: str) -> Json:
        found = store.get(Network, id)
        return {"ID": id} if found is None else attached_network(found, store)

    return shown


def task(obj: Task, network_of: Callable[[str], Json]) -> Json:
    """A task; ``network_of`` is what :func:`networks_of` gives."""
    out = {
        **meta(obj),
        "Labels": {},
        "Spec": {key: value for key, value in obj.spec.items() if key != "Runtime"},
        "ServiceID": obj.service_id,
    }
    if obj.slot:
        out["Slot"] = obj.slot
    if obj.node_id:
        out["NodeID"] = obj.node_id
    out["Status"] = task_status(obj.status)
    out["DesiredState"] = obj.desired_state.word
    if obj.networks:
        out["NetworksAttachments"] = [attachment(item, network_of) for item in obj.networks]
    out["Volumes"] = None
    return out


def task_status(status: TaskStatus) -> Json:
    """``Status``; a container is only mentioned once there is one, or once there can be none any more."""
    out: Json = {"Timestamp": _time(status.timestamp), "State": status.state.word}
    if status.message:
        out["Message"] = status.message
    if status.err:
        out["Err"] = status.err
    if status.container_id or status.exit_code is not None or status.state == TaskState.REJECTED:
        out["ContainerStatus"] = {
            "ContainerID": status.container_id,
            "PID": status.pid,
            "ExitCode": status.exit_code or 0,
        }
    out["PortStatus"] = {"Ports": list(status.host_ports)} if status.host_ports else {}
    return out


def attachment(stored: Json, network_of: Callable[[str], Json]) -> Json:
    """``NetworksAttachments`` carries the whole network; the store keeps its id."""
    network = stored.get("Network", "")
    out = {"Network": network_of(network) if isinstance(network, str) else network}
    if stored.get("Addresses"):
        out["Addresses"] = stored["Addresses"]
    return out


def attached_network(obj: Network, store: Reads) -> Json:
    """A network as tasks carry it: SwarmKit's object, not the Engine's."""
    spec = obj.spec
    driver = _given(Name=spec.get("Driver", ""), Options=spec.get("Options") or None)
    out: Json = {
        **meta(obj),
        "Spec": {
            "Name": obj.name,
            "Labels": spec.get("Labels") or {},
            "DriverConfiguration": {} if spec.get("Ingress") else driver,
        },
    }
    for ours, theirs in (
        ("IPv6Enabled", "EnableIPv6"),
        ("Internal", "Internal"),
        ("Attachable", "Attachable"),
        ("Ingress", "Ingress"),
    ):
        if spec.get(theirs):
            out["Spec"][ours] = True
    if spec.get("IPAM") or spec.get("Ingress"):
        configs = _swarmkit_configs((spec.get("IPAM") or {}).get("Config") or ())
        out["Spec"]["IPAMOptions"] = {"Driver": {}, **({"Configs": configs} if configs else {})}
        if spec.get("IPAM"):
            out["Spec"]["IPAMOptions"]["Driver"] = _given(Name=spec["IPAM"].get("Driver", "default"))
    out["Spec"]["Scope"] = "swarm"
    out["DriverState"] = {"Name": spec.get("Driver") or "overlay", "Options": _vxlan(obj, store)}
    out["IPAMOptions"] = {"Driver": {"Name": "default"}}
    if obj.subnet:
        out["IPAMOptions"]["Configs"] = [{"Subnet": obj.subnet, **_given(Gateway=obj.gateway)}]
    return out


def _swarmkit_configs(configs: Any) -> list[Json]:
    names = (("Subnet", "Subnet"), ("Range", "IPRange"), ("Gateway", "Gateway"))
    return [{ours: config[theirs] for ours, theirs in names if config.get(theirs)} for config in configs]


# -- networks, secrets, configs


def network(obj: Network, store: Reads) -> Json:
    """A swarm-scoped network as a manager knows it: without the containers that only its hosts know."""
    spec = obj.spec
    configs: list[Json] = []
    if obj.subnet:
        configs.append({"Subnet": obj.subnet, **_given(Gateway=obj.gateway)})
    return {
        "Name": obj.name,
        "Id": obj.id,
        "Created": _time(obj.created_at),
        "Scope": "swarm",
        "Driver": spec.get("Driver") or "overlay",
        "EnableIPv4": True,
        "EnableIPv6": bool(spec.get("EnableIPv6")),
        "IPAM": {
            "Driver": (spec.get("IPAM") or {}).get("Driver") or "default",
            "Options": (spec.get("IPAM") or {}).get("Options"),
            "Config": configs,
        },
        "Internal": bool(spec.get("Internal")),
        "Attachable": bool(spec.get("Attachable")),
        "Ingress": bool(spec.get("Ingress")),
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": None,
        "Options": {**(spec.get("Options") or {}), **_vxlan(obj, store)},
        "Labels": spec.get("Labels") or None,
    }


def _vxlan(obj: Network, store: Reads) -> dict[str, str]:
    """Every overlay has a VXLAN id of its own; SwarmKit counts from 4096, which the first, ingress, gets."""
    older = sum(other.created_at < obj.created_at for other in store.all(Network))
    return {"com.docker.network.driver.overlay.vxlanid_list": str(4096 + older)}


def secret(obj: Secret) -> Json:
    """A secret, never with what it hides."""
    return {**meta(obj), "Spec": {key: value for key, value in obj.spec.items() if key != "Data"}}


def config(obj: Config) -> Json:
    """A config with its data."""
    return {**meta(obj), "Spec": obj.spec}

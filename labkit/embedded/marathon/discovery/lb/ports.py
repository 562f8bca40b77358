"""Service ports of an app, address and ports of a task, by the way the app is on the network (``utils.py``)."""

from __future__ import annotations

from typing import Any, Literal

Json = dict[str, Any]
Mode = Literal["host", "container", "container/bridge"]


def network_mode(app: Json) -> Mode:
    """As the definition says, in the form of Marathon 1.5 (``networks``) or an older one."""
    mode: Any = "container" if app.get("ipAddress") else "host"
    older = ((app.get("container") or {}).get("docker") or {}).get("network", "")
    mode = {"USER": "container", "BRIDGE": "container/bridge"}.get(older, mode)
    for network in app.get("networks") or ():
        mode = network.get("mode", "container")
    return mode if mode in ("container", "container/bridge") else "host"


def _mappings(app: Json) -> list[Json]:
    container = app.get("container") or {}
    return (container.get("docker") or {}).get("portMappings") or container.get("portMappings") or []


def service_ports(app: Json) -> list[int]:
    """The ports on which the app is found at the balancer, in the order of its own ports."""
    if network_mode(app) != "host":
        found = [each["servicePort"] for each in _mappings(app) if each.get("servicePort") is not None]
        if found:
            return found
    if "portDefinitions" in app:
        return [each["port"] for each in app["portDefinitions"] or () if each.get("port") is not None]
    return list(app.get("ports") or ())


def place(app: Json, task: Json) -> tuple[str, list[int]] | None:
    """Address and ports by which a task is reached: its agent's and host ports, or its own; None while it has none."""
    mode = network_mode(app)
    if mode == "container":
        addresses = task.get("ipAddresses") or [{}]
        ip = addresses[0].get("ipAddress", "")
        discovery = ((app.get("ipAddress") or {}).get("discovery") or {}).get("ports") or ()
        ports = [int(each["number"]) for each in discovery if "number" in each]
        ports = ports or [each["containerPort"] for each in _mappings(app) if "containerPort" in each]
    else:
        ip = task.get("host") or ""
        ports = list(task.get("ports") or ())
        ports = ports or [each["port"] for each in app.get("portDefinitions") or () if "port" in each]
        if mode == "container/bridge":
            ports = ports or [each["containerPort"] for each in _mappings(app) if "containerPort" in each]
    return (ip, ports) if ip and ports else None

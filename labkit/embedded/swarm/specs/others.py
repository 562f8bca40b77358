"""The smaller specs: nodes, swarm-scoped networks, secrets and configs."""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

from labkit.embedded.swarm.errors import BadRequest, RpcError
from labkit.embedded.swarm.objects import Json

from .names import check_name, check_secret_name
from .shapes import decode
from .tables import CONFIG_SPEC, NODE_SPEC, SECRET_SPEC

MAX_SECRET = 500 * 1024  # exclusive
MAX_CONFIG = 1000 * 1024  # exclusive


def node_spec(body: Any) -> Json:
    """A NodeSpec in its stored form. Raises BadRequest (``invalid Role: ""``)."""
    spec = decode(body, NODE_SPEC)
    for key, allowed in (("Role", ("worker", "manager")), ("Availability", ("active", "pause", "drain"))):
        given = spec.get(key, "")
        if given.lower() not in allowed:
            raise BadRequest(f'invalid {key}: "{given}"')
    out: Json = {"Name": spec["Name"]} if spec.get("Name") else {}
    return {
        **out,
        "Labels": spec.get("Labels") or {},
        "Role": spec["Role"].lower(),
        "Availability": spec["Availability"].lower(),
    }


def secret_spec(body: Any) -> Json:
    """A SecretSpec. Raises BadRequest on wrong types only; :func:`check_secret` checks what it says."""
    spec = decode(body, SECRET_SPEC)
    return {**spec, "Labels": spec.get("Labels") or {}}


def config_spec(body: Any) -> Json:
    """A ConfigSpec, like :func:`secret_spec`."""
    spec = decode(body, CONFIG_SPEC)
    return {**spec, "Labels": spec.get("Labels") or {}}


def check_secret(spec: Json) -> None:
    """Raises RpcError for a name or a payload that SwarmKit refuses."""
    check_secret_name(spec.get("Name", ""))
    if "Driver" in spec:
        if not spec["Driver"].get("Name"):
            raise RpcError("InvalidArgument", "secret driver must have a name")
        return
    size = len(base64.b64decode(spec.get("Data", "")))
    if not 0 < size < MAX_SECRET:
        words = f"secret data must be larger than 0 and less than {MAX_SECRET} bytes"
        raise RpcError("InvalidArgument", words)


def check_config(spec: Json) -> None:
    """Raises RpcError for a name or a payload that SwarmKit refuses."""
    check_secret_name(spec.get("Name", ""))
    size = len(base64.b64decode(spec.get("Data", "")))
    if size >= MAX_CONFIG or size == 0:
        words = f"config data must be larger than 0 and less than {MAX_CONFIG} bytes"
        raise RpcError("InvalidArgument", words)


def network_spec(create: Json) -> Json:
    """The body of ``POST /networks/create``, decoded, as the spec of a swarm-scoped network: it keeps that form."""
    spec: Json = {
        "Name": create.get("Name", ""),
        "Labels": create.get("Labels") or {},
        "Driver": create.get("Driver", ""),
    }
    for key in ("Options", "EnableIPv6", "Internal", "Attachable", "Ingress"):
        if create.get(key):
            spec[key] = create[key]
    if "IPAM" in create:
        spec["IPAM"] = {**create["IPAM"], "Driver": create["IPAM"].get("Driver") or "default"}
    return spec


def check_network(spec: Json) -> None:
    """Raises RpcError for what SwarmKit's ``validateNetworkSpec`` refuses."""
    if spec.get("Attachable") and spec.get("Ingress"):
        raise RpcError("InvalidArgument", "ingress network cannot be attachable")
    check_name(spec["Name"])
    driver = spec["Driver"]
    if not driver:
        raise RpcError("InvalidArgument", "driver name: if driver is specified name is required")
    if driver != "overlay":
        raise RpcError("NotFound", f'plugin "{driver}" not found')
    for config in (spec.get("IPAM") or {}).get("Config") or ():
        _check_ipam(config)


def _check_ipam(config: Json) -> None:
    subnet = _network(config.get("Subnet", ""))
    if subnet is None:
        raise RpcError("InvalidArgument", f"ipam configuration: invalid subnet {config.get('Subnet', '')}")
    if "IPRange" in config:
        inner = _network(config["IPRange"])
        if inner is None:
            raise RpcError("InvalidArgument", f"ipam configuration: invalid range {config['IPRange']}")
        if ipaddress.ip_address(config["IPRange"].partition("/")[0]) not in subnet:
            words = f"ipam configuration: subnet {config['Subnet']} does not contain range {config['IPRange']}"
            raise RpcError("InvalidArgument", words)
    if "Gateway" in config:
        try:
            gateway = ipaddress.ip_address(config["Gateway"])
        except ValueError:
            raise RpcError("InvalidArgument", f"ipam configuration: invalid gateway {config['Gateway']}") from None
        if gateway not in subnet:
            words = f"ipam configuration: subnet {config['Subnet']} does not contain gateway {config['Gateway']}"
            raise RpcError("InvalidArgument", words)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None

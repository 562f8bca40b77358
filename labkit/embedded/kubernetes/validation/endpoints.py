"""Rules of Endpoints and EndpointSlices: the addresses behind a Service."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.containers import PROTOCOLS
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    invalid,
    one_of,
    required,
    too_many,
    unchanged,
)
from labkit.embedded.kubernetes.validation.meta import complain, metadata, metadata_update


def not_special(address: str, path: str, out: Causes) -> None:
    """Addresses that no endpoint can have.

    The real one refuses 127.0.0.0/8 too. In a sandbox that is where machines, pods and services have theirs.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        out.append(invalid(path, address, "must be a valid IP address"))
        return
    if found.is_unspecified:
        out.append(invalid(path, address, f"may not be unspecified ({address})"))
    if found.is_loopback and found.version == 6:
        out.append(invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if found.is_link_local:
        out.append(invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if found.is_multicast and (address.startswith("224.0.0.") or address.lower().startswith("ff02:")):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        out.append(invalid(path, address, detail))


def endpoints(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _subsets(obj.get("subsets") or (), out)


def endpoints_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    if new.get("subsets") is not old.get("subsets"):
        _subsets(new.get("subsets") or (), out)


def _subsets(found: Sequence[Json], out: Causes) -> None:
    for index, subset in enumerate(found):
        at = f"subsets[{index}]"
        ready, others, ports = (subset.get(key) or () for key in ("addresses", "notReadyAddresses", "ports"))
        if not ready and not others:
            out.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for key, addresses in (("addresses", ready), ("notReadyAddresses", others)):
            for place, address in enumerate(addresses):
                _endpoint_address(address, f"{at}.{key}[{place}]", out)
        for place, port in enumerate(ports):
            _endpoint_port(port, len(ports) > 1, f"{at}.ports[{place}]", out)


def _endpoint_address(address: Json, path: str, out: Causes) -> None:
    found = address.get("ip") or ""
    words = formats.ip(found)
    for one in words:
        out.append(invalid(f"{path}.ip", found, one))
    if address.get("hostname"):
        complain(formats.dns_label, address["hostname"], f"{path}.hostname", out)
    if address.get("nodeName") is not None:
        complain(formats.dns_subdomain, address["nodeName"], f"{path}.nodeName", out)
    if not _is_usual(found):
        not_special(found, f"{path}.ip", out)


def _is_usual(address: str) -> bool:
    """Whether an address is one of the sandbox's own: nearly all are, and so need no closer look."""
    return address.startswith("127.") and not formats.ip(address)


def _endpoint_port(port: Json, needs_name: bool, path: str, out: Causes) -> None:
    name = port.get("name")
    if name:
        complain(formats.dns_label, name, f"{path}.name", out)
    elif needs_name:
        out.append(required(f"{path}.name"))
    number = port.get("port") or 0
    for words in formats.port_number(number):
        out.append(invalid(f"{path}.port", number, words))
    one_of(port.get("protocol") or "", PROTOCOLS, f"{path}.protocol", out)
    if port.get("appProtocol") is not None:
        complain(formats.qualified_name, port["appProtocol"], f"{path}.appProtocol", out)


def endpoint_slice(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _slice(obj, {}, out)


def endpoint_slice_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _slice(new, old, out)
    unchanged(new.get("addressType"), old.get("addressType"), "addressType", out)


def _slice(obj: Json, old: Json, out: Causes) -> None:
    kind = obj.get("addressType") or ""
    one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType", out)
    found = obj.get("endpoints") or ()
    if found is not old.get("endpoints"):
        if len(found) > 1000:
            out.append(too_many("endpoints", len(found), 1000))
        else:
            for index, endpoint in enumerate(found):
                _slice_endpoint(endpoint, kind, f"endpoints[{index}]", out)
    ports = obj.get("ports") or ()
    if ports is not old.get("ports"):
        _slice_ports(ports, out)


def _slice_endpoint(endpoint: Json, kind: str, path: str, out: Causes) -> None:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        out.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > 100:
        out.append(too_many(f"{path}.addresses", len(addresses), 100))
    for index, address in enumerate(addresses):
        if kind == "IPv4" and _is_usual(address):
            continue
        at = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            complain(formats.dns_subdomain, address.removesuffix("."), at, out)
        elif kind in ("IPv4", "IPv6"):
            if formats.ip(address) or (":" in address) != (kind == "IPv6"):
                out.append(invalid(at, address, f"must be a valid {kind} address"))
            not_special(address, at, out)
    if endpoint.get("hostname") is not None:
        complain(formats.dns_label, endpoint["hostname"], f"{path}.hostname", out)
    if endpoint.get("nodeName") is not None:
        complain(formats.dns_subdomain, endpoint["nodeName"], f"{path}.nodeName", out)
    zones = (endpoint.get("hints") or {}).get("forZones") or ()
    if len(zones) > 8:
        out.append(too_many(f"{path}.hints.forZones", len(zones), 8))


def _slice_ports(found: Sequence[Json], out: Causes) -> None:
    if len(found) > 20_000:
        out.append(too_many("ports", len(found), 20_000))
        return
    names: set[str] = set()
    for index, port in enumerate(found):
        at, name = f"ports[{index}]", port.get("name") or ""
        if name:
            complain(formats.dns_label, name, f"{at}.name", out)
        if name in names:
            out.append(duplicate(f"{at}.name", name))
        names.add(name)
        if port.get("port") is not None:
            for words in formats.port_number(port["port"]):
                out.append(invalid(f"{at}.port", port["port"], words))
        one_of(port.get("protocol") or "", PROTOCOLS, f"{at}.protocol", out)
        if port.get("appProtocol") is not None:
            complain(formats.qualified_name, port["appProtocol"], f"{at}.appProtocol", out)

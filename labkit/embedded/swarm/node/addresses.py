"""The addresses that ``swarm init`` and ``swarm join`` take, checked as in dockerd's ``daemon/cluster/listen_addr.go``.

A machine of a sandbox has one address, on ``eth0``. Whatever an address may be, the *statuses* are dockerd's too: some
of these errors it does not classify, so they come back as 500.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from labkit.embedded.swarm.errors import ApiError, BadRequest

PORT = 2377
DATA_PATH_PORT = 4789
_ANY = "0.0.0.0"
_INTERFACES = ("eth0",)
_LOOPBACK = "127.0.0.1"
_BAD_LISTEN = "listen address must be an IP address or network interface (with optional port number)"
_BAD_ADVERTISE = "advertise address must be a non-zero IP address or network interface (with optional port number)"
_BAD_DATA_PATH = "data path address must be a non-zero IP address or network interface (without a port number)"


def with_port(what: str, address: str) -> str:
    """``host:port`` with the defaults put in. Raises BadRequest naming ``what`` when it is empty."""
    if not address:
        raise BadRequest(f'invalid {what} "{address}": invalid empty address')
    host, port = _split(address.removeprefix("tcp://"))
    return join(host or _ANY, port or str(PORT))


def listen(address: str, own: str) -> tuple[str, str]:
    """Host and port of a listen address that :func:`with_port` has completed."""
    host, port = _split(address)
    return _resolve(host, own, _BAD_LISTEN, allow_any=True), port


def advertise(address: str, own: str, listen_port: str) -> str:
    """``ip:port`` that the others shall use; the machine's own address if nothing is said."""
    if not address:
        return join(own, listen_port)
    host, port = _split(address)
    return join(_resolve(host, own, _BAD_ADVERTISE), port or listen_port)


def data_path(address: str, own: str) -> str:
    """The address for data traffic, empty if nothing is said."""
    return _resolve(address, own, _BAD_DATA_PATH) if address else ""


def data_path_port(port: int) -> int:
    """The VXLAN port. Raises ApiError (500)."""
    if port and not 1024 <= port <= 49151:
        raise ApiError(f"Datapath port number is not in valid range (1024-49151) : {port}")
    return port or DATA_PATH_PORT


def check_pools(pools: Iterable[str], size: int) -> None:
    """``DefaultAddrPool`` and ``SubnetSize``. Raises ApiError (500), BadRequest for what is no CIDR."""
    pools = list(pools)
    size = size or 24
    if pools and size > 29:
        raise ApiError(f"subnet size is out of range: {size}")
    for pool in pools:
        try:
            network = ipaddress.ip_network(pool, strict=False)
        except ValueError:
            # A newer dockerd refuses it while it reads the request.
            raise BadRequest(f"invalid JSON: netip.ParsePrefix(\"{pool}\"): no '/'") from None
        if size < network.prefixlen:
            raise ApiError(f'invalid CIDR: "{pool}". Subnet size is too small for pool: {size}')


def join(host: str, port: str | int) -> str:
    """``host:port``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = address.rpartition(":")
    return (host, port) if colon and ":" not in host else (address, "")


def split(address: str) -> tuple[str, int]:
    """``ip:port`` taken apart."""
    host, port = _split(address)
    return host, int(port or PORT)


def _resolve(host: str, own: str, words: str, *, allow_any: bool = False) -> str:
    if host in _INTERFACES:
        return own
    if host == "lo":
        return _LOOPBACK
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise BadRequest(words) from None
    if ip.is_unspecified and not allow_any:
        raise BadRequest(words)
    return str(ip)

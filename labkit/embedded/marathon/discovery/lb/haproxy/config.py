"""HAProxy's configuration as text, made of services. Pure: the same services give the same text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon.discovery.lb.haproxy import templates
from labkit.embedded.marathon.discovery.lb.labels import BadLabel
from labkit.embedded.marathon.discovery.lb.model import Check, Server, Service
from labkit.embedded.marathon.discovery.lb.routes import app_rules, vhost_rules

MAX_SERVER_ID = 32767  # HAProxy keeps it in an int that may have 16 bits


def _as_it_is(ip: str, port: int) -> tuple[str, int]:
    return ip, port


@dataclass(frozen=True, slots=True)
class Places:
    """Where the balancer listens, and where what it needs is found."""

    address: str
    http_port: int = 80
    app_id_port: int = 9091
    stats_port: int = 9090
    stats_socket: str = "haproxy.sock"
    pages_socket: str = "pages.sock"
    speed: float = 1.0  # of the sandbox clock: HAProxy itself lives in real time
    locate: Callable[[str, int], tuple[str, int]] = _as_it_is


def write(services: Sequence[Service], places: Places) -> str:
    """The whole configuration. Raises :class:`BadLabel` when a template of a label cannot be filled."""
    parts = [
        templates.HEAD.format(
            stats_socket=places.stats_socket,
            pages_socket=places.pages_socket,
            address=places.address,
            stats_port=places.stats_port,
        )
    ]
    parts += [_piece(each, "USERLIST_HEAD", **_user(each)) for each in services if each.auth]
    parts.append(templates.HTTP_FRONTEND_HEAD.format(address=places.address, http_port=places.http_port))
    for rule in vhost_rules(services):
        parts += _vhost(rule.service)
    parts.append(templates.HTTP_FRONTEND_APPID_HEAD.format(address=places.address, app_id_port=places.app_id_port))
    parts += [_app_id(each) for each in app_rules(services).values()]
    parts += [_frontend(each, places) for each in services]
    for each in services:
        parts += _backend(each, places)
    return "".join(parts)


def listens(services: Iterable[Service], places: Places) -> set[tuple[str, int]]:
    """The addresses and ports that the configuration binds."""
    own = {(places.address, port) for port in (places.http_port, places.app_id_port, places.stats_port)}
    return own | {(bind_address(each, places.address), each.port) for each in services}


def bind_address(service: Service, own: str) -> str:
    """Only loopback addresses are taken from labels: nothing of a sandbox is open to a network."""
    return service.bind_addr if service.bind_addr.startswith("127.") else own


def server_ids(names: Iterable[str]) -> list[int]:
    """A number for each name that stays the same however many others there are (a hash, probed when it is taken)."""
    taken: set[int] = set()
    found = []
    for name in names:
        text = name
        while True:
            digest = hashlib.sha256(text.encode()).hexdigest()
            number = int(digest, 16) % MAX_SERVER_ID
            if number and number not in taken:
                break
            text = f"{text} {digest}"
        taken.add(number)
        found.append(number)
    return found


def cookie(server: Server) -> str:
    """What the cookie of a sticky service says of a server."""
    return hashlib.sha1(server.name.encode(), usedforsecurity=False).hexdigest()[:10]


# -- front ends


def _vhost(service: Service) -> list[str]:
    cleaned = f"{_clean(service.vhosts[0])}_{service.app_id[1:].replace('/', '_')}"
    name = "HTTP_FRONTEND_ACL_WITH_PATH" if service.path else "HTTP_FRONTEND_ACL"
    # Several hosts are several lines of one ACL, which match like one with alternatives.
    hosts = " ".join(service.vhosts)
    fields = {"cleanedUpHostname": cleaned, "hostname": hosts, "path": service.path, "appId": service.app_id}
    return [_piece(service, name, **fields)]


def _app_id(service: Service) -> str:
    fields = {"cleanedUpAppId": _clean(service.app_id), "hostname": ",".join(service.vhosts), "appId": service.app_id}
    return _piece(service, "HTTP_FRONTEND_APPID_ACL", **fields)


def _frontend(service: Service, places: Places) -> str:
    head = _piece(
        service,
        "FRONTEND_HEAD",
        bindAddr=bind_address(service, places.address),
        servicePort=service.port,
        sslCert="",
        bindOptions=f" {service.bind_options}" if service.bind_options else "",
        mode=service.mode,
    )
    return head + _piece(service, "FRONTEND_BACKEND_GLUE")


# -- back ends


def _backend(service: Service, places: Places) -> list[str]:
    parts = [_piece(service, "BACKEND_HEAD", balance=service.balance, mode=service.mode)]
    host = service.vhosts[0] if service.vhosts else places.address
    if service.mode == "http":
        parts.append(_piece(service, "BACKEND_HTTP_OPTIONS"))
        if service.auth:
            parts.append(templates.HTTP_AUTH.format(realm=service.auth[0], backend=service.name))
        if service.proxy_path:
            parts.append(_piece(service, "HTTP_BACKEND_PROXYPASS_GLUE", hostname=host, proxypath=service.proxy_path))
        if service.rev_proxy_path:
            parts.append(_piece(service, "HTTP_BACKEND_REVPROXY_GLUE", hostname=host, rootpath=service.rev_proxy_path))
        if service.root_redirect:
            parts.append(_piece(service, "HTTP_BACKEND_REDIR", hostname=host, redirpath=service.root_redirect))
    if service.allowed:
        allowed = templates.HTTP_ALLOWED if service.mode == "http" else templates.TCP_ALLOWED
        parts.append(allowed.format(networks=" ".join(service.allowed)))
    if service.sticky:
        parts.append(_piece(service, "BACKEND_STICKY_OPTIONS"))
    kind = _check_kind(service)
    if kind and service.check:
        parts.append(
            _piece(service, f"BACKEND_{kind}_HEALTHCHECK_OPTIONS", **_check(service.check, places.speed, None))
        )
    ids = server_ids(server.name for server in service.servers)
    for index, (server, number) in enumerate(zip(service.servers, ids, strict=True)):
        parts.append(_server(service, index, server, number, places))
    return parts


def _check_kind(service: Service) -> str:
    if service.check is None or service.check.protocol == "COMMAND":
        return ""
    return "TCP" if service.mode == "tcp" or service.check.is_tcp else "HTTP"


def _server(service: Service, index: int, server: Server, number: int, places: Places) -> str:
    checked = ""
    kind = _check_kind(service)
    if kind and service.check:
        port = service.check_ports[index] if service.check_ports else service.check.port
        fields = _check(service.check, places.speed, port)
        checked = " " + _piece(service, f"BACKEND_SERVER_{kind}_HEALTHCHECK_OPTIONS", **fields).strip()
    ip, real_port = places.locate(server.ip, server.port)
    return _piece(
        service,
        "BACKEND_SERVER_OPTIONS",
        host=server.host,
        host_ipv4=ip,
        port=real_port,
        serverName=server.name,
        serverId=number,
        cookieOptions=f" check cookie {cookie(server)}" if service.sticky else "",
        healthCheckOptions=checked,
        otherOptions=" disabled" if server.draining else "",
    )


def _check(check: Check, speed: float, port: int | None) -> dict[str, Any]:
    """The fields of a check's pieces; times in seconds of the computer's clock, not of the sandbox's.

    A timeout stays as it is: it is patience with this computer, which is no quicker in a fast sandbox.
    """
    return {
        "healthCheck": "",
        "healthCheckPortIndex": check.port_index,
        "healthCheckPort": port,
        "healthCheckProtocol": check.protocol,
        "healthCheckPath": check.path,
        "healthCheckTimeoutSeconds": _seconds(check.timeout),
        "healthCheckIntervalSeconds": _seconds(check.interval / speed),
        "healthCheckGracePeriodSeconds": _seconds(check.grace / speed),
        "healthCheckMaxConsecutiveFailures": check.failures,
        "healthCheckFalls": check.failures + 1,
        "healthCheckPortOptions": f" port {port}" if port else "",
    }


def _seconds(value: float) -> int:
    return max(1, round(value))  # HAProxy takes whole numbers only, and the templates say seconds


# -- pieces


def _user(service: Service) -> dict[str, str]:
    assert service.auth is not None
    return {"user": service.auth[1], "passwd": service.auth[2]}


def _piece(service: Service, name: str, **fields: object) -> str:
    """A template filled in; a label of the service may have replaced it."""
    given = dict(service.templates).get(name)
    try:
        text = (templates.TEMPLATES[name] if given is None else given).format(backend=service.name, **fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise BadLabel(f"HAPROXY_{{n}}_{name} of {service.app_id}", str(error)) from None
    within_a_line = name.startswith("BACKEND_SERVER_") and "HEALTHCHECK" in name
    return text if within_a_line else _line(text)


def _line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _clean(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9\-]", "_", name)

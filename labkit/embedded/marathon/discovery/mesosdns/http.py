"""The HTTP API of Mesos-DNS (``docs/docs/http.md``, ``resolver.go``): path in, status, media type and body out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from labkit.embedded.marathon.discovery.mesosdns.config import VERSION, Config
from labkit.embedded.marathon.discovery.mesosdns.records import Records, Zone

JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What is said to one request."""

    status: int
    content_type: str
    body: bytes


def answer(method: str, path: str, accept: str, zone: Zone, config: Config) -> Answer:
    """What the API says. Errors are in go-restful's words."""
    parts = [unquote(part) for part in path.split("?", 1)[0].split("/") if part]
    found = _route(parts, zone, config)
    if found is None:
        return Answer(404, _TEXT, b"404: Page Not Found")
    if method != "GET":
        return Answer(405, _TEXT, b"405: Method Not Allowed")
    if not any(each.split(";")[0].strip() in ("", "*/*", "application/*", JSON) for each in accept.split(",")):
        return Answer(406, _TEXT, b"406: Not Acceptable")
    return found()


def _route(parts: list[str], zone: Zone, config: Config) -> Callable[[], Answer] | None:
    match parts:
        case ["v1", "version"]:
            url = "https://github.com/mesosphere/mesos-dns"
            return lambda: _json({"Service": "Mesos-DNS", "URL": url, "Version": VERSION})
        case ["v1", "config"]:
            return lambda: _json(config.as_json(zone.serial))
        case ["v1", "hosts", host]:
            return lambda: _json(hosts(host, zone))
        case ["v1", "hosts", _, "ports"]:
            return lambda: Answer(501, _TEXT, b"To be implemented...")
        case ["v1", "services", service]:
            return lambda: _json(services(service, zone))
        case ["v1", "enumerate"] if config.enumeration_on:
            return lambda: _json({"frameworks": zone.frameworks or None})
        case ["v1", "axfr"] if config.enumeration_on:
            return lambda: _json(axfr(zone, config))
    return None


def hosts(host: str, zone: Zone) -> list[dict[str, str]]:
    """The addresses of a name; one row of empty strings when it has none."""
    name = _full(host)
    rows = [{"host": name, "ip": ip} for kind in (zone.a, zone.aaaa) for ip in kind.get(name, ())]
    return rows or [{"host": "", "ip": ""}]


def services(service: str, zone: Zone) -> list[dict[str, str]]:
    """Targets, addresses and ports of an SRV name; ``service`` is shown as it was asked for."""
    rows = []
    for value in zone.srv.get(_full(service), ()):
        host, _, port = value.rpartition(":")
        for kind in (zone.a, zone.aaaa):
            for ip in tuple(kind.get(host, ()))[:1]:
                rows.append({"service": service, "host": host, "ip": ip, "port": port})
    return rows or [{"service": "", "host": "", "ip": "", "port": ""}]


def axfr(zone: Zone, config: Config) -> dict[str, Any]:
    """The whole zone."""

    def shown(records: Records) -> dict[str, list[str]]:
        return {name: list(values) for name, values in records.items()}

    return {
        "TTL": config.ttl,
        "Serial": zone.serial,
        "RefreshSeconds": config.refresh_seconds,
        "Mname": config.soa_mname,
        "Rname": config.soa_rname,
        "Domain": config.domain,
        "Records": {"As": shown(zone.a), "AAAAs": shown(zone.aaaa), "SRVs": shown(zone.srv)},
    }


def _full(name: str) -> str:
    return name.lower().replace(".*", "").rstrip(".") + "."


def _json(body: Any) -> Answer:
    return Answer(200, JSON, orjson.dumps(body))

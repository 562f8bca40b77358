"""What is answered over DNS and HTTP (``resolver/resolver.go``, ``docs/docs/http.md`` of mesos-dns)."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from labkit.embedded.marathon.discovery.mesosdns import http
from labkit.embedded.marathon.discovery.mesosdns.answers import answer
from labkit.embedded.marathon.discovery.mesosdns.config import Config
from labkit.embedded.marathon.discovery.mesosdns.names import short_hash
from labkit.embedded.marathon.discovery.mesosdns.records import Zone, make_zone

from .states import discovery, state, task

CONFIG = Config(masters=("10.0.0.10:5050",), listener="10.0.0.10")
ZONE = make_zone(state(task("web", discovery=discovery("web", (31000, "tcp", "http")))), CONFIG, serial=7)
OWN = f"web-{short_hash('web.1')}-s0.marathon.mesos."


def ask(name: str, kind: str = "A", zone: Zone = ZONE, limit: int = 65535) -> DNSRecord:
    reply = answer(DNSRecord.question(name, kind).pack(), zone, CONFIG, random.Random(1), limit)
    assert reply is not None
    return DNSRecord.parse(reply)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers", "authority"),
    [
        ("web.marathon.mesos", "A", "NOERROR", ["10.0.0.20"], []),
        ("WEB.Marathon.Mesos", "A", "NOERROR", ["10.0.0.20"], []),
        ("web.marathon.mesos", "AAAA", "NOERROR", [], ["SOA"]),
        ("web.marathon.mesos", "TXT", "NOERROR", [], ["SOA"]),
        ("nope.marathon.mesos", "A", "NXDOMAIN", [], ["SOA"]),
        ("nope.marathon.mesos", "TXT", "NXDOMAIN", [], ["SOA"]),
        ("_nope._tcp.marathon.mesos", "SRV", "NOERROR", [], []),
        ("_web._tcp.marathon.mesos", "A", "NOERROR", [], ["SOA"]),
        ("mesos", "SOA", "NOERROR", [], ["SOA"]),
        ("mesos", "NS", "NOERROR", [], ["NS"]),
        ("example.com", "A", "REFUSED", [], []),
        ("20.0.0.10.in-addr.arpa", "PTR", "REFUSED", [], []),
    ],
)
def test_questions(name: str, kind: str, code: str, answers: list[str], authority: list[str]) -> None:
    found = ask(name, kind)
    assert RCODE[found.header.rcode] == code
    assert [str(record.rdata) for record in found.rr] == answers
    assert [QTYPE[record.rtype] for record in found.auth] == authority


def test_a_service_brings_the_address_of_its_target() -> None:
    found = ask("_http._web._tcp.marathon.mesos", "SRV")
    assert [str(record.rdata) for record in found.rr] == [f"0 1 31000 {OWN}"]
    assert [(str(record.rname), str(record.rdata), record.ttl) for record in found.ar] == [(OWN, "10.0.0.20", 60)]


def test_the_start_of_authority() -> None:
    (record,) = ask("nope.mesos").auth
    assert str(record.rdata).split() == ["ns1.mesos.", "root.ns1.mesos.", "7", "60", "600", "86400", "60"]


def test_long_answers_are_cut_and_say_so() -> None:
    many = Zone()
    for index in range(200):
        many.add("many.mesos.", f"10.1.0.{index}", "A")
    short = ask("many.mesos", zone=many, limit=512)
    assert short.header.tc == 1
    assert 20 < len(short.rr) < 40
    assert len(short.pack()) <= 512
    assert len(ask("many.mesos", zone=many).rr) == 200


def get(path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, Any]:
    found = http.answer(method, path, accept, ZONE, CONFIG)
    return found.status, orjson.loads(found.body) if found.content_type == http.JSON else found.body.decode()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v1/hosts/web.marathon.mesos", 200, [{"host": "web.marathon.mesos.", "ip": "10.0.0.20"}]),
        ("/v1/hosts/web.marathon.mesos.", 200, [{"host": "web.marathon.mesos.", "ip": "10.0.0.20"}]),
        ("/v1/hosts/nope.marathon.mesos", 200, [{"host": "", "ip": ""}]),
        ("/v1/hosts/web.marathon.mesos/ports", 501, "To be implemented..."),
        (
            "/v1/services/_web._tcp.marathon.mesos",
            200,
            [{"service": "_web._tcp.marathon.mesos", "host": OWN, "ip": "10.0.0.20", "port": "31000"}],
        ),
        ("/v1/services/nope", 200, [{"service": "", "host": "", "ip": "", "port": ""}]),
        (
            "/v1/version",
            200,
            {"Service": "Mesos-DNS", "URL": "https://github.com/mesosphere/mesos-dns", "Version": "v0.8.0"},
        ),
        ("/v2/nothing", 404, "404: Page Not Found"),
    ],
)
def test_the_http_api(path: str, status: int, body: object) -> None:
    assert get(path) == (status, body)


def test_the_http_api_in_whole() -> None:
    assert get("/v1/version", "POST")[0] == 405
    assert get("/v1/version", accept="text/html")[0] == 406
    (marathon,) = get("/v1/enumerate")[1]["frameworks"]
    assert marathon["name"] == "marathon"
    assert {"name": "web.marathon.mesos.", "host": "10.0.0.20", "rtype": "A"} in marathon["tasks"][0]["records"]
    zone = get("/v1/axfr")[1]
    assert zone["Records"]["As"]["leader.mesos."] == ["10.0.0.10"]
    assert (zone["Serial"], zone["Domain"], zone["RefreshSeconds"]) == (7, "mesos", 60)
    config = get("/v1/config")[1]
    assert (config["HttpPort"], config["Masters"], config["IPSources"]) == (
        8123,
        ["10.0.0.10:5050"],
        ["netinfo", "mesos", "host"],
    )

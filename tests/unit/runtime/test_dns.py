"""What containers find by name, and the real server that answers the same."""

from __future__ import annotations

import asyncio

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from labkit.embedded.runtime.dns import Resolver, Scope
from labkit.embedded.runtime.dnsserver import DnsServer, answer

from .conftest import Box

NAMES = {"web": ["10.0.0.2"], "tasks.web": ["10.0.0.3", "10.0.0.4", "10.0.0.5"], "empty": []}
SCOPE = Scope(
    "net",
    NAMES.get,
    reverse={"10.0.0.3": "web.1.abc.net"}.get,
    services={"_http._tcp.web": [("web.1", 80)]}.get,
)


def ask(name: str, kind: str = "A", resolver: Resolver | None = None) -> DNSRecord:
    reply = answer(DNSRecord.question(name, kind).pack(), resolver or Resolver([SCOPE]))
    assert reply is not None
    return DNSRecord.parse(reply)


def test_addresses_come_in_another_order_each_time() -> None:
    resolver = Resolver([SCOPE])
    firsts = [resolver.resolve("tasks.web")[0] for _ in range(6)]
    assert sorted(set(firsts)) == NAMES["tasks.web"]
    assert firsts[:3] == firsts[3:]


def test_names_are_found_in_any_case_and_in_the_first_scope_that_knows_them() -> None:
    other = Scope("other", {"web": ["1.1.1.1"], "db": ["2.2.2.2"]}.get)
    resolver = Resolver([SCOPE, other])
    assert resolver.resolve("WEB.") == ["10.0.0.2"]
    assert resolver.resolve("db") == ["2.2.2.2"]
    assert resolver.find("empty") == ([], 600)
    assert resolver.find("nope") is None
    resolver.scopes.clear()
    assert resolver.resolve("web") == []


def test_answers_carry_records_and_their_ttl() -> None:
    found = ask("tasks.web")
    assert found.header.rcode == RCODE.NOERROR
    assert sorted(str(record.rdata) for record in found.rr) == NAMES["tasks.web"]
    assert {record.ttl for record in found.rr} == {600}
    quick = Resolver([Scope("net", NAMES.get, ttl=0)])
    assert ask("web", resolver=quick).rr[0].ttl == 0


@pytest.mark.parametrize(
    ("name", "kind", "code", "records"),
    [
        ("nope", "A", RCODE.NXDOMAIN, []),
        ("empty", "A", RCODE.NOERROR, []),
        ("web", "AAAA", RCODE.NOERROR, []),
        ("_http._tcp.web", "SRV", RCODE.NOERROR, ["0 0 80 web.1."]),
        ("3.0.0.10.in-addr.arpa", "PTR", RCODE.NOERROR, ["web.1.abc.net."]),
        ("9.0.0.10.in-addr.arpa", "PTR", RCODE.NXDOMAIN, []),
    ],
)
def test_other_questions(name: str, kind: str, code: int, records: list[str]) -> None:
    found = ask(name, kind)
    assert found.header.rcode == code
    assert [str(record.rdata) for record in found.rr] == records


def test_long_answers_are_cut_for_those_who_take_only_short_ones() -> None:
    many = Resolver([Scope("net", lambda name: [f"10.0.1.{n}" for n in range(200)])])
    query = DNSRecord.question("web").pack()
    short = answer(query, many, limit=512)
    assert short is not None
    assert DNSRecord.parse(short).header.tc == 1
    whole = answer(query, many)
    assert whole is not None
    assert len(DNSRecord.parse(whole).rr) == 200


@pytest.mark.parametrize("junk", [b"", b"\0", b"x" * 40, bytes(12), bytes(range(200))])
def test_junk_is_not_answered(junk: bytes) -> None:
    assert answer(junk, Resolver([SCOPE])) is None


async def test_the_server_answers_over_udp_and_tcp(box: Box) -> None:
    machine = box.fleet.machine("one")
    server = await DnsServer.start(box.network, machine, Resolver([SCOPE]))
    host, port = server.address
    query = DNSRecord.question("web")
    loop = asyncio.get_running_loop()
    reply = await loop.run_in_executor(None, lambda: query.send(host, port, timeout=2))
    assert [str(record.rdata) for record in DNSRecord.parse(reply).rr] == ["10.0.0.2"]
    real = box.network.real(machine.address, 53)
    assert real is not None
    reply = await loop.run_in_executor(None, lambda: query.send(*real, tcp=True, timeout=2))
    assert DNSRecord.parse(reply).rr[0].rtype == QTYPE.A
    await server.close()
    assert box.network.real(machine.address, 53) is None
    assert box.network.real_udp(machine.address, 53) is None


async def test_a_server_that_gets_half_of_its_port_lets_go_of_it(box: Box) -> None:
    machine = box.fleet.machine("one")

    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    other = await box.network.listen(machine, machine.address, 5353, nobody)
    with pytest.raises(OSError, match="in use"):
        await DnsServer.start(box.network, machine, Resolver([SCOPE]), port=5353)
    other.shut()
    server = await DnsServer.start(box.network, machine, Resolver([SCOPE]), port=5353)
    await server.close()

"""The simulated world outside: what answers, what does not, and that nobody leaves this computer."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from labkit.embedded.runtime import outside
from labkit.embedded.runtime.dns import Resolver, Scope

from .conftest import Box, output

RESERVED = [ipaddress.IPv4Network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


async def online(box: Box, script: str, **more: Any) -> tuple[int, str]:
    """Run a script in a container that has a way out."""
    process = await box.run("alpine", ["sleep", "1000"], **more)
    assert process.ns.resolver is not None
    process.ns.resolver.outside = True
    return await box.within(process, script)


def test_addresses_belong_to_nobody_or_are_well_known() -> None:
    for place in outside.PLACES:
        reserved = any(ipaddress.IPv4Address(place.ip) in block for block in RESERVED)
        assert reserved or place.ip in ("8.8.8.8", "8.8.4.4", "1.1.1.1", "9.9.9.9")
        assert outside.place_at(place.ip) is place
        for name in (place.name, *place.aliases):
            assert place.ip in (outside.lookup(name) or ())


async def test_the_first_command_of_every_tutorial(box: Box) -> None:
    code, out = await online(box, "ping -c 3 docker.com")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "PING docker.com (192.0.2.10): 56 data bytes"
    assert lines[1].startswith("64 bytes from 192.0.2.10: seq=0 ttl=52 time=1")
    assert lines[-2] == "3 packets transmitted, 3 packets received, 0% packet loss"


async def test_an_unknown_name_stays_unknown_and_an_unknown_address_silent(box: Box) -> None:
    assert await online(box, "ping -c 1 no-such-host.example") == (1, "ping: bad address 'no-such-host.example'\n")
    code, out = await online(box, "ping -c 1 203.0.113.99")
    assert (code, "100% packet loss" in out) == (1, True)
    code, out = await online(box, "wget -qO- http://203.0.113.99/")
    assert (code, out) == (1, "wget: can't connect to remote host (203.0.113.99): No route to host\n")


async def test_a_page_says_that_it_is_simulated(box: Box) -> None:
    code, out = await online(box, "wget -qO- http://example.com")
    assert code == 0
    assert "<h1>example.com</h1>" in out
    assert "simulated" in out


async def test_closed_ports_are_refused(box: Box) -> None:
    code, out = await online(box, "wget -qO- http://github.com:8080/")
    assert (code, out) == (1, "wget: can't connect to remote host (198.51.100.20): Connection refused\n")


@pytest.mark.parametrize(("asked", "told"), [("docker.com", "Address: 192.0.2.10"), ("8.8.8.8", "name = dns.google")])
async def test_nslookup_finds_names_and_addresses(box: Box, asked: str, told: str) -> None:
    code, out = await online(box, f"nslookup {asked}")
    assert (code, told in out) == (0, True)


async def test_without_a_way_out_there_is_nothing_outside(box: Box) -> None:
    assert await box.sh("ping -c 1 docker.com") == (1, "ping: bad address 'docker.com'\n")
    assert (await box.sh("ping -c 1 8.8.8.8"))[1].endswith("ping: sendto: Network unreachable\n")


async def test_a_machine_that_is_cut_off_is_cut_off_from_there_too(box: Box) -> None:
    container = await box.run("alpine", ["sleep", "1000"])
    assert container.ns.resolver is not None
    container.ns.resolver.outside = True
    process = await container.exec(["ping", "8.8.8.8"])
    await box.clock.advance(3)
    answered = output(process).count("bytes from")
    assert answered >= 2
    box.fleet.partition(["one"])
    await box.clock.advance(5)
    assert output(process).count("bytes from") <= answered + 1
    box.fleet.heal("one")
    await box.clock.advance(5)
    assert output(process).count("bytes from") > answered + 1


async def test_slow_machines_hear_later(box: Box) -> None:
    box.fleet.slow("one", 0.2)
    _, out = await online(box, "ping -c 1 docker.com")
    assert float(out.partition("time=")[2].partition(" ")[0]) > 400


def test_names_inside_come_first() -> None:
    resolver = Resolver([Scope("net", {"github.com": ["127.16.16.2"]}.get)], outside=True)
    assert resolver.resolve("github.com") == ["127.16.16.2"]
    assert resolver.find("Docker.Com.") == (["192.0.2.10"], outside.TTL)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_are_http(method: str) -> None:
    head = f"{method} / HTTP/1.1\r\nHost: <b>x\r\n\r\n".encode()
    answer = outside.respond(outside.PLACES[0], head, 0.0)
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
    assert (b"&lt;b&gt;x" in body) == (method == "GET")
    assert (body == b"") == (method == "HEAD")

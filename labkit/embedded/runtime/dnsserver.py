"""A real DNS server for a :class:`~labkit.embedded.runtime.dns.Resolver`, over UDP and TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from labkit.embedded.runtime.dns import TTL, Resolver
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Listener, Network

if TYPE_CHECKING:
    from dnslib import DNSRecord

PORT = 53
MAX_QUERY = 4096  # bytes
_REVERSE = ".in-addr.arpa"
MAX_UDP = 512  # bytes of an answer to a client that did not say that it takes more
MAX_TCP = 65535


Answering = Callable[[bytes, int], Awaitable[bytes | None]]  # (query, longest answer) -> the answer


class DnsServer:
    """Answers A, SRV and PTR questions; for other types of a known name there is nothing.

    ``address`` is where it is found from outside the sandbox. Who has another way to answer gives ``answering``.
    """

    def __init__(
        self,
        network: Network,
        machine: Machine,
        ip: str,
        port: int,
        resolver: Resolver,
        answering: Answering | None = None,
    ) -> None:
        self._network = network
        self._machine = machine
        self.ip = ip
        self.port = port
        self.resolver = resolver
        self.address: tuple[str, int] = (ip, port)
        self._tcp: Listener | None = None
        self._answer = answering or self._resolved

    @classmethod
    async def start(
        cls,
        network: Network,
        machine: Machine,
        resolver: Resolver,
        ip: str = "",
        port: int = PORT,
        answering: Answering | None = None,
    ) -> DnsServer:
        """Listen on ``ip`` (the machine's own address unless given)."""
        server = cls(network, machine, ip or machine.address, port, resolver, answering)
        server.address = await network.listen_udp(machine, server.ip, port, server._datagram)
        try:
            server._tcp = await network.listen(machine, server.ip, port, server._stream)
        except OSError:  # somebody else has the port over TCP alone: leave the other half to him, too
            await server.close()
            raise
        return server

    async def close(self) -> None:
        self._network.close_udp(self.ip, self.port)
        if self._tcp is not None:
            self._tcp.shut()

    async def _datagram(self, query: bytes) -> bytes | None:
        return await self._answer(query, MAX_UDP)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            found = await self._answer(await reader.readexactly(size), MAX_TCP)
            if size > MAX_QUERY or found is None:
                return
            writer.write(len(found).to_bytes(2, "big") + found)
            await writer.drain()

    async def _resolved(self, query: bytes, limit: int) -> bytes | None:
        return answer(query, self.resolver, limit)


def answer(query: bytes, resolver: Resolver, limit: int = 65535) -> bytes | None:
    """The answer to a DNS message; None when it is not a question. Longer ones than ``limit`` are marked truncated."""
    from dnslib import OPCODE, RCODE, DNSError, DNSRecord

    try:
        asked = DNSRecord.parse(query)
    except DNSError:
        return None
    if asked.header.qr or not asked.questions:
        return None
    reply = asked.reply(ra=1, aa=1)
    if asked.header.opcode != OPCODE.QUERY:
        reply.header.rcode = RCODE.NOTIMP
    else:
        _fill(asked, reply, resolver)
    packed = bytes(reply.pack())
    if any(record.rtype == 41 for record in asked.ar):  # EDNS: it takes bigger ones
        limit = max(limit, 4096)
    return bytes(reply.truncate().pack()) if len(packed) > limit else packed


def _fill(asked: DNSRecord, reply: DNSRecord, resolver: Resolver) -> None:
    from dnslib import CNAME, PTR, QTYPE, RCODE, RR, SRV, A

    name = str(asked.q.qname).rstrip(".").lower()
    kind = asked.q.qtype
    if name.endswith(_REVERSE):
        ip = ".".join(reversed(name.removesuffix(_REVERSE).split(".")))
        found = resolver.reverse(ip)
        if found is None:
            reply.header.rcode = RCODE.NXDOMAIN
        elif kind in (QTYPE.PTR, QTYPE.ANY):
            reply.add_answer(RR(asked.q.qname, QTYPE.PTR, ttl=TTL, rdata=PTR(found)))
        return
    services = resolver.services(name)
    addresses = resolver.find(name)
    alias = resolver.alias(name)
    if services is None and addresses is None and alias is None:
        reply.header.rcode = RCODE.NXDOMAIN
        return
    owner = asked.q.qname
    if alias is not None and kind in (QTYPE.A, QTYPE.CNAME, QTYPE.ANY):
        reply.add_answer(RR(owner, QTYPE.CNAME, ttl=TTL, rdata=CNAME(alias)))
        owner = alias
    if addresses is not None and kind in (QTYPE.A, QTYPE.ANY):
        for ip in addresses[0]:
            reply.add_answer(RR(owner, QTYPE.A, ttl=addresses[1], rdata=A(ip)))
    if kind in (QTYPE.SRV, QTYPE.ANY):
        for target, port in services or ():
            reply.add_answer(RR(asked.q.qname, QTYPE.SRV, ttl=TTL, rdata=SRV(0, 0, port, target)))
            for ip in resolver.resolve(target):
                reply.add_ar(RR(target, QTYPE.A, ttl=TTL, rdata=A(ip)))

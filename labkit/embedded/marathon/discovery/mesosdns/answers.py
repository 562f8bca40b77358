"""The answer to a question about the zone (``resolver/resolver.go`` of mesos-dns v0.8.0), as bytes.

Its ways: a name that is not there is NXDOMAIN, but never for SRV, SOA and NS, which get an empty answer; SOA and NS go
into the authority section even when they were asked for; other names than those of the domain are REFUSED, because
nothing is forwarded.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from labkit.embedded.marathon.discovery.mesosdns.config import Config
from labkit.embedded.marathon.discovery.mesosdns.records import Zone
from labkit.embedded.marathon.discovery.mesosdns.tasks import is_ip

if TYPE_CHECKING:
    from dnslib import RR, DNSRecord

_EDNS = 41


def answer(query: bytes, zone: Zone, config: Config, rng: random.Random, limit: int = 65535) -> bytes | None:
    """The answer to a DNS message, at most ``limit`` bytes unless the asker takes more; None when it is no question."""
    from dnslib import OPCODE, RCODE, DNSError, DNSRecord

    try:
        asked = DNSRecord.parse(query)
    except DNSError:
        return None
    if asked.header.qr or not asked.questions:
        return None
    reply = asked.reply(ra=int(config.recurse_on), aa=1)
    name = str(asked.q.qname).lower().rstrip(".") + "."
    if asked.header.opcode != OPCODE.QUERY:
        reply.header.rcode = RCODE.NOTIMP
    elif name != f"{config.domain}." and not name.endswith(f".{config.domain}."):
        reply.header.aa = 0
        reply.header.rcode = RCODE.REFUSED
    else:
        _Answering(asked, reply, zone, config).fill(name.replace(".*", ""))
        rng.shuffle(reply.rr)
    if limit < 65535:
        limit = max([limit, *(record.rclass for record in asked.ar if record.rtype == _EDNS)])
    return _cut(reply, limit, config.set_truncate_bit)


class _Answering:
    def __init__(self, asked: DNSRecord, reply: DNSRecord, zone: Zone, config: Config) -> None:
        self.owner = asked.q.qname
        self.kind = asked.q.qtype
        self.reply = reply
        self.zone = zone
        self.config = config

    def fill(self, name: str) -> None:
        from dnslib import QTYPE, RCODE

        asked, anything = self.kind, self.kind == QTYPE.ANY
        if anything or asked == QTYPE.SRV:
            self._services(name)
        if anything or asked == QTYPE.A:
            self._addresses(name, QTYPE.A)
        if anything or asked == QTYPE.AAAA:
            self._addresses(name, QTYPE.AAAA)
        if anything or asked == QTYPE.SOA:
            self._authority()
        if anything or asked == QTYPE.NS:
            self._nameserver()
        if self.reply.rr or asked in (QTYPE.SOA, QTYPE.NS, QTYPE.SRV):
            return
        self.reply.header.rcode = RCODE.NOERROR if self.zone.knows(name) else RCODE.NXDOMAIN
        self._authority()

    def _addresses(self, name: str, kind: int) -> None:
        for record in self._hosts(name, kind):
            self.reply.add_answer(record)

    def _hosts(self, name: str, kind: int) -> list[RR]:
        from dnslib import AAAA, QTYPE, RR, A

        values, rdata = (self.zone.a, A) if kind == QTYPE.A else (self.zone.aaaa, AAAA)
        return [
            RR(name, kind, ttl=self.config.ttl, rdata=rdata(value)) for value in values.get(name, ()) if is_ip(value)
        ]

    def _services(self, name: str) -> None:
        from dnslib import QTYPE, RR, SRV

        added: set[str] = set()
        for value in self.zone.srv.get(name, ()):
            target, _, port = value.rpartition(":")
            rdata = SRV(0, self.config.srv_weight, int(port), target)
            self.reply.add_answer(RR(self.owner, QTYPE.SRV, ttl=self.config.ttl, rdata=rdata))
            if target not in added:  # one address for each target, whatever there are
                added.add(target)
                for kind in (QTYPE.A, QTYPE.AAAA):
                    for record in self._hosts(target, kind)[:1]:
                        self.reply.add_ar(record)

    def _authority(self) -> None:
        from dnslib import QTYPE, RR, SOA

        config = self.config
        times = (self.zone.serial, config.soa_refresh, config.soa_retry, config.soa_expire, config.ttl)
        rdata = SOA(config.soa_mname, config.soa_rname, times)
        self.reply.add_auth(RR(self.owner, QTYPE.SOA, ttl=config.ttl, rdata=rdata))

    def _nameserver(self) -> None:
        from dnslib import NS, QTYPE, RR

        self.reply.add_auth(RR(self.owner, QTYPE.NS, ttl=self.config.ttl, rdata=NS(self.config.soa_mname)))


def _cut(reply: DNSRecord, limit: int, truncate_bit: bool) -> bytes:
    """The message, without the last answers when it would be longer than ``limit``."""
    packed = bytes(reply.pack())
    if len(packed) <= limit:
        return packed
    reply.header.tc = int(truncate_bit)
    reply.ar = []
    answers = reply.rr
    fits, too_many = 0, len(answers) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        reply.rr = answers[:middle]
        if len(reply.pack()) <= limit:
            fits = middle
        else:
            too_many = middle
    reply.rr = answers[:fits]
    return bytes(reply.pack())

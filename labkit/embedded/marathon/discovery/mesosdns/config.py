"""The configuration of Mesos-DNS: its defaults, and how ``/v1/config`` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon.discovery.mesosdns.names import Label, rfc952, rfc1123

Json = dict[str, Any]

VERSION = "v0.8.0"
DNS_PORT = 53
UNPRIVILEGED_DNS_PORT = 8053  # what the sample configuration of mesos-dns listens on
HTTP_PORT = 8123


@dataclass(frozen=True, slots=True)
class Config:
    """Defaults as ``NewConfig`` of mesos-dns has them, except that nothing is forwarded to the world outside."""

    masters: tuple[str, ...] = ()  # ip:port, in the order of master0, master1…
    zk: str = ""
    listener: str = "0.0.0.0"  # the machine's address, once it runs
    port: int = DNS_PORT
    http_port: int = HTTP_PORT
    domain: str = "mesos"
    refresh_seconds: int = 60
    ttl: int = 60
    srv_weight: int = 1
    soa_mname: str = "ns1.mesos."
    soa_rname: str = "root.ns1.mesos."
    soa_refresh: int = 60
    soa_retry: int = 600
    soa_expire: int = 86400
    ip_sources: tuple[str, ...] = ("netinfo", "mesos", "host")
    enforce_rfc952: bool = False
    recurse_on: bool = True
    set_truncate_bit: bool = True
    enumeration_on: bool = True
    # Name and address of what a cluster has Marathon run, and what stands beside it here: known as if it were a task.
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> Label:
        """How names of tasks and frameworks become labels."""
        return rfc952 if self.enforce_rfc952 else rfc1123

    def as_json(self, serial: int) -> Json:
        """``GET /v1/config``, the keys as Go writes the fields of ``records.Config``."""
        return {
            "RefreshSeconds": self.refresh_seconds,
            "Port": self.port,
            "Timeout": 5,
            "StateTimeoutSeconds": 300,
            "ZkDetectionTimeout": 30,
            "HttpPort": self.http_port,
            "TTL": self.ttl,
            "SRVRecordDefaultWeight": self.srv_weight,
            "SOASerial": serial,
            "SOARefresh": self.soa_refresh,
            "SOARetry": self.soa_retry,
            "SOAExpire": self.soa_expire,
            "SOAMinttl": self.ttl,
            "SOAMname": self.soa_mname,
            "SOARname": self.soa_rname,
            "Masters": list(self.masters) or None,
            "ZoneResolvers": {},
            "Resolvers": [],
            "IPSources": list(self.ip_sources),
            "Zk": self.zk,
            "Domain": self.domain,
            "File": "",
            "Listener": self.listener,
            "HTTPListener": self.listener,
            "RecurseOn": self.recurse_on,
            "DnsOn": True,
            "HttpOn": True,
            "ExternalOn": False,
            "EnforceRFC952": self.enforce_rfc952,
            "SetTruncateBit": self.set_truncate_bit,
            "EnumerationOn": self.enumeration_on,
            "MesosHTTPSOn": False,
            "CACertFile": "",
            "CertFile": "",
            "KeyFile": "",
            "MesosCredentials": {"Principal": "", "Secret": ""},
            "IAMConfigFile": "",
            "MesosAuthentication": "",
        }

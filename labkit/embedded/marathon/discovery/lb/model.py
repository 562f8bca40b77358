"""What is balanced: services, each an app's service port, and the servers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Server:
    """One task's port. Ordered as marathon-lb orders servers: by host, then port."""

    host: str
    port: int
    ip: str
    task_id: str = field(default="", compare=False)
    draining: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """``10_0_0_1_31000``, with the host in front when it is another name of the machine."""
        text = f"{self.ip}_{self.port}" if self.host == self.ip else f"{self.host}_{self.ip}_{self.port}"
        return "".join(c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in text)


@dataclass(frozen=True, slots=True)
class Check:
    """The health check that the balancer makes itself, in the words of the app's definition."""

    protocol: str
    path: str = "/"
    port: int | None = None
    port_index: int | None = None
    interval: float = 60.0  # seconds
    timeout: float = 20.0
    grace: float = 300.0
    failures: int = 3

    @property
    def is_tcp(self) -> bool:
        """Is a connection all that it asks for?"""
        return self.protocol in ("TCP", "MESOS_TCP")


@dataclass(frozen=True, slots=True)
class Service:
    """An app's service port with what its labels say of it."""

    app_id: str
    port: int
    servers: tuple[Server, ...] = ()
    groups: tuple[str, ...] = ()
    enabled: bool = True
    mode: str = "tcp"  # "http" or "tcp"
    balance: str = "roundrobin"
    vhosts: tuple[str, ...] = ()
    path: str = ""
    weight: int = 0
    sticky: bool = False
    bind_addr: str = "*"
    bind_options: str = ""
    auth: tuple[str, str, str] | None = None  # realm, user, password as crypt(3) has it
    allowed: tuple[str, ...] = ()  # networks of which it may be used; empty: all
    proxy_path: str = ""  # is taken off the front of paths
    rev_proxy_path: str = ""  # is put in front of paths in Location
    root_redirect: str = ""  # where GET / goes
    check: Check | None = None
    check_ports: tuple[int, ...] = ()  # of each server, if another port of the task is checked
    templates: tuple[tuple[str, str], ...] = ()  # overridden by labels: template -> text
    notes: tuple[str, ...] = ()  # what was asked for and is not done

    @property
    def name(self) -> str:
        """The back end's name, ``shop_web_10000``."""
        return f"{self.app_id[1:].replace('/', '_')}_{self.port}"

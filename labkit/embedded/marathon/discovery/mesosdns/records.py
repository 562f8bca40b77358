"""The zone: all records that a master's state makes (``records/generator.go`` of mesos-dns v0.8.0)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.embedded.marathon.discovery.mesosdns import tasks
from labkit.embedded.marathon.discovery.mesosdns.config import Config
from labkit.embedded.marathon.discovery.mesosdns.names import agent_tail, fragment, short_hash

Json = dict[str, Any]
Kind = Literal["A", "AAAA", "SRV"]
Records = dict[str, dict[str, None]]  # a name with its final dot -> values, each once, in the order they were made


class NoLeader(Exception):
    """The state is of a master that knows no leader: the old zone is kept."""

    def __init__(self) -> None:
        super().__init__("empty master")


@dataclass(slots=True)
class Zone:
    """Records by name; SRV values are ``target:port``."""

    a: Records = field(default_factory=dict)
    aaaa: Records = field(default_factory=dict)
    srv: Records = field(default_factory=dict)
    frameworks: list[Json] = field(default_factory=list)  # what ``/v1/enumerate`` tells
    serial: int = 0
    by_task: dict[str, list[str]] = field(default_factory=dict)  # a task's id -> names that are made of it

    def of(self, kind: Kind) -> Records:
        """The records of that kind."""
        return self.a if kind == "A" else self.aaaa if kind == "AAAA" else self.srv

    def add(self, name: str, value: str, kind: Kind) -> bool:
        """Add it, unless it is there or empty. Returns whether it is new."""
        if not value:
            return False
        values = self.of(kind).setdefault(name, {})
        if value in values:
            return False
        values[value] = None
        return True

    def knows(self, name: str) -> bool:
        """Is there a record of any kind of that name?"""
        return name in self.a or name in self.srv or name in self.aaaa


def make_zone(
    state: Json, config: Config, serial: int = 0, lookup: Callable[[str], Sequence[str]] = lambda host: ()
) -> Zone:
    """The records of a state. ``lookup`` resolves host names of frameworks and agents. Raises :class:`NoLeader`."""
    if not state.get("leader"):
        raise NoLeader
    return _Maker(config, serial, lookup).make(state)


class _Maker:
    def __init__(self, config: Config, serial: int, lookup: Callable[[str], Sequence[str]]) -> None:
        self.config = config
        self.lookup = lookup
        self.zone = Zone(serial=serial)
        self.label = config.label
        self.domain = config.domain
        self.agents: dict[str, list[str]] = {}

    def make(self, state: Json) -> Zone:
        for framework in state.get("frameworks") or ():
            self._framework(framework)
        self._agents(state.get("slaves") or [])
        self._ip(self.config.soa_mname, self.config.listener)
        self._masters(state["leader"])
        for framework in state.get("frameworks") or ():
            self._tasks(framework)
        for name, ip in self.config.beside:
            if not self.zone.knows(f"{name}.{self.domain}."):  # an app of that name is the one that is meant
                self._ip(f"{name}.{self.domain}.", ip)
        return self.zone

    def _ip(self, name: str, ip: str) -> bool:
        if not tasks.is_ip(ip):
            return False
        return self.zone.add(name, ip, "AAAA" if ":" in ip else "A")

    def _ips(self, host: str) -> list[str]:
        return [host] if tasks.is_ip(host) else list(self.lookup(host)) if host else []

    # -- what is not a task

    def _framework(self, framework: Json) -> None:
        """``marathon.mesos``, and where its driver listens. Frameworks of the HTTP API have no PID, so no port."""
        host, port = tasks.host_port(framework.get("pid") or "")
        name = f"{fragment(framework.get('name', ''), self.label)}.{self.domain}."
        ips = self._ips(host or framework.get("hostname") or "")
        for ip in ips:
            self._ip(name, ip)
        if ips and port:
            self.zone.add(f"_framework._tcp.{name}", f"{name}:{port}", "SRV")

    def _agents(self, agents: list[Json]) -> None:
        name = f"slave.{self.domain}."
        for agent in agents:
            host, port = tasks.host_port(agent.get("pid") or "")
            ips = self._ips(host)
            for ip in ips:
                self._ip(name, ip)
            if ips:
                self.zone.add(f"_slave._tcp.{self.domain}.", f"{name}:{port}", "SRV")
            self.agents[agent["id"]] = ips or [fragment(host, self.label)]

    def _masters(self, leader: str) -> None:
        ip, port = tasks.host_port(leader)
        if not tasks.is_ip(ip):
            return
        all_of_them, leading = f"master.{self.domain}.", f"leader.{self.domain}."
        self._ip(leading, ip)
        self._ip(all_of_them, ip)
        for protocol in ("tcp", "udp"):
            self.zone.add(f"_leader._{protocol}.{self.domain}.", f"{leading}:{port}", "SRV")
        index, numbered = 0, False
        for master in self.config.masters:
            host = master.rpartition(":")[0]
            is_leader = master == f"{ip}:{port}"
            if (is_leader and numbered) or (not is_leader and not self._ip(all_of_them, host)):
                continue  # listed twice
            self._ip(f"master{index}.{self.domain}.", host)
            index += 1
            numbered = numbered or is_leader
        if not numbered:  # the leader is none of those that are configured
            self._ip(f"master{index}.{self.domain}.", ip)

    # -- tasks

    def _tasks(self, framework: Json) -> None:
        shown: list[Json] = []
        self.zone.frameworks.append({"tasks": shown, "name": framework.get("name", "")})
        name = fragment(framework.get("name", ""), self.label)
        for task in framework.get("tasks") or ():
            if task.get("state") == "TASK_RUNNING" and task.get("slave_id") in self.agents:
                row: Json = {"name": task.get("name", ""), "id": task["id"], "records": []}
                shown.append(row)
                wanted = tasks.discovery_name(task)
                # A discovery name is also taken as it stands ("web.shop"), which mesos-dns keeps for old clients.
                for label in dict.fromkeys((wanted, self.label(wanted)) if wanted else (self.label(row["name"]),)):
                    self._task(task, label, name, row)

    def _task(self, task: Json, label: str, framework: str, row: Json) -> None:
        agent_ips = self.agents[task["slave_id"]]
        tail = f".{self.domain}."
        canonical = f"{label}-{short_hash(task['id'])}-{agent_tail(task['slave_id'])}.{framework}"
        plain = f"{label}.{framework}"
        for ip in tasks.addresses(task, agent_ips, self.config.ip_sources):
            self._of_task(plain + tail, ip, row)
            self._of_task(canonical + tail, ip, row)
        for ip in agent_ips:
            self._of_task(f"{plain}.slave{tail}", ip, row)
            self._of_task(f"{canonical}.slave{tail}", ip, row)
        discovers = bool(tasks.discovery_name(task))
        for port in tasks.ports(task):
            for protocol, part in itertools.product(("tcp", "udp"), (".slave",) if discovers else (".slave", "")):
                self._service(f"_{label}._{protocol}.{framework}{part}{tail}", f"{canonical}.slave{tail}:{port}", row)
        if discovers:
            for number, protocol, port_name in tasks.discovery_ports(task):
                for name in self._service_names(label, protocol, port_name, framework):
                    self._service(name + tail, f"{canonical}{tail}:{number}", row)

    def _service_names(self, label: str, protocol: str, port_name: str, framework: str) -> Iterator[str]:
        spoken = self.label(protocol)
        named = self.label(port_name)
        for each in (spoken,) if spoken else ("tcp", "udp"):
            yield f"_{label}._{each}.{framework}"
            if named:
                yield f"_{named}._{label}._{each}.{framework}"

    def _of_task(self, name: str, value: str, row: Json) -> None:
        # An agent known by a name stands in an A record as it is, as in the real one; the DNS leaves it out.
        kind: Kind = "AAAA" if ":" in value else "A"
        self._insert(name, value, kind, row)

    def _service(self, name: str, target: str, row: Json) -> None:
        self._insert(name, target, "SRV", row)

    def _insert(self, name: str, value: str, kind: Kind, row: Json) -> None:
        if self.zone.add(name, value, kind):
            row["records"].append({"name": name, "host": value, "rtype": kind})
        names = self.zone.by_task.setdefault(row["id"], [])
        if name not in names:
            names.append(name)

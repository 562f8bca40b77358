"""Everything that a look at the cluster asks for, all at once: a look takes as long as its slowest answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
import requests

from labkit.errors import ClusterError
from labkit.orchestrators.base import Machine
from labkit.orchestrators.marathon import zookeeper
from labkit.orchestrators.marathon.client import MarathonClient
from labkit.orchestrators.marathon.errors import mesos_error
from labkit.orchestrators.marathon.mesos import MesosClient
from labkit.orchestrators.marathon.servers import Server, Servers

READ = 2.0  # seconds for one server's answer: one that is paused must not stop the picture
AGAIN = 3.0  # seconds until a master or a member that did not answer is asked once more

# What is read of Marathon, and of Mesos' leading master.
MARATHON = {
    "apps": ("/v2/apps", {"embed": ["apps.counts", "apps.deployments", "apps.lastTaskFailure"]}),
    "tasks": ("/v2/tasks", None),
    "queue": ("/v2/queue", {"embed": "lastUnusedOffers"}),
    "deployments": ("/v2/deployments", None),
    "info": ("/v2/info", None),
}
MESOS = {"state": "/state", "roles": "/roles"}
HAPROXY = "/haproxy?stats;csv"
DNS = "/v1/enumerate"


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, as the environments of the machines say it."""

    marathons: tuple[str, ...]
    masters: Mapping[str, Server]  # by node name
    balancers: tuple[str, ...]
    names: tuple[str, ...]
    members: Mapping[str, str]  # of the ZooKeeper ensemble: host:port → node name
    agents: tuple[str, ...] = ()  # machines that an agent is meant to run on

    @property
    def mesos_urls(self) -> tuple[str, ...]:
        return tuple(server.with_credentials for server in self.masters.values())

    @classmethod
    def of(cls, machines: Sequence[Machine]) -> Places:
        """Raises ClusterError when no machine leads to a Marathon and a Mesos master."""

        def every(variable: str) -> tuple[str, ...]:
            texts = [part.strip() for m in machines for part in m.env.get(variable, "").split(",")]
            return tuple(dict.fromkeys(text for text in texts if text))

        masters: dict[str, Server] = {}
        for machine in machines:
            urls = [part for part in machine.env.get("MESOS_URL", "").split(",") if part.strip()]
            for server in map(Server.of, urls):
                own = machine.role == "master" and len(urls) == 1
                if server not in masters.values():
                    masters[machine.name if own else server.netloc] = server
        if not every("MARATHON_URL") or not masters:
            raise ClusterError("none of the machines leads to Marathon and a Mesos master (MARATHON_URL, MESOS_URL)")
        members = _members(every("ZOOKEEPER"), masters)
        agents = tuple(machine.name for machine in machines if machine.role == "agent")
        return cls(every("MARATHON_URL"), masters, every("MARATHON_LB_URL"), every("MESOS_DNS_URL"), members, agents)


@dataclass(slots=True)
class Raw:
    """What a look brought: bodies of those that answered, errors of those that did not."""

    bodies: dict[str, bytes] = field(default_factory=dict)  # by the keys of MARATHON and MESOS, and "haproxy", "dns"
    leader: str = ""  # netloc of the master that answered /state itself
    masters: dict[str, bool] = field(default_factory=dict)  # node name → it answers
    members: dict[str, str] = field(default_factory=dict)  # host:port → what zookeeper.ask says
    marathon_error: str = ""
    mesos_error: str = ""


class Sources:
    """Reads all of them. One look at a time."""

    def __init__(self, places: Places, clock: Callable[[], float] = time.monotonic) -> None:
        self.places = places
        self.marathon = MarathonClient(places.marathons, timeout=READ)
        self.mesos = MesosClient(places.mesos_urls, READ)
        self._balancer = _maybe("marathon-lb", places.balancers)
        self._names = _maybe("Mesos-DNS", places.names)
        self._pool = ThreadPoolExecutor(12, "labkit-marathon")
        self._clock = clock
        self._silent: dict[str, float] = {}  # who did not answer → when
        self._members: dict[str, str] = dict.fromkeys(places.members, "")

    def read(self) -> Raw:
        """Everything now. Raises nothing that comes from the network."""
        raw = Raw()
        said = {key: self._pool.submit(self._body, self.marathon.servers, *MARATHON[key]) for key in MARATHON}
        state = self._pool.submit(self._leading)
        roles = self._pool.submit(self._body, self.mesos.servers, MESOS["roles"], None)
        extra = {
            key: self._pool.submit(self._quietly, key, servers, path)
            for key, servers, path in (("haproxy", self._balancer, HAPROXY), ("dns", self._names, DNS))
            if servers is not None
        }
        alive = {name: self._pool.submit(self._answers, server) for name, server in self.places.masters.items()}
        members = {member: self._pool.submit(self._member, member) for member in self._members}
        for key, asked in said.items():
            raw.marathon_error = self._take(raw, key, asked) or raw.marathon_error
        raw.mesos_error = self._take(raw, "roles", roles)
        try:
            raw.leader, raw.bodies["state"] = state.result()
        except ClusterError as error:
            raw.mesos_error = str(error)
        for key, read in extra.items():
            if (body := read.result()) is not None:
                raw.bodies[key] = body
        raw.masters = {name: asked.result() for name, asked in alive.items()}
        raw.members = {member: asked.result() for member, asked in members.items()}
        return raw

    def learn_members(self, state: Mapping[str, Any]) -> None:
        """The ensemble that the leading master is told to use, where nobody else says which there is."""
        zk = str((state.get("flags") or {}).get("zk") or "")
        if zk.startswith("zk://") and not self.places.members:
            self._members = {member: self._members.get(member, "") for member in zookeeper.members(zk)}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        for service in (self.marathon, self.mesos, self._balancer, self._names):
            if service is not None:
                service.close()

    # -- on the pool's threads ---------------------------------------------------------------------------------------

    @staticmethod
    def _body(servers: Servers, path: str, params: Any) -> bytes:
        return servers.request("GET", path, params).content

    def _leading(self) -> tuple[str, bytes]:
        answer = self.mesos.answer(MESOS["state"])
        return answer.server.netloc, answer.content

    @staticmethod
    def _take(raw: Raw, key: str, asked: Future[bytes]) -> str:
        try:
            raw.bodies[key] = asked.result()
        except ClusterError as error:
            return str(error)
        return ""

    def _quietly(self, key: str, servers: Servers, path: str) -> bytes | None:
        """What is pleasant to have: without it, the picture shows what was last seen."""
        if self._resting(key):
            return None
        try:
            body = servers.request("GET", path).content
        except ClusterError:
            self._silent[key] = self._clock()
            return None
        self._silent.pop(key, None)
        return body

    def _answers(self, server: Server) -> bool:
        """Whether a master is there: each answers ``/health``, also one that does not lead."""
        key = server.netloc
        if self._resting(key):
            return False
        try:
            response = self.mesos.servers.send(server, "GET", "/health", timeout=READ / 2)
        except requests.RequestException:
            self._silent[key] = self._clock()
            return False
        self._silent.pop(key, None)
        return response.status_code < 500

    def _member(self, member: str) -> str:
        if self._resting(member):
            return "down"
        found = zookeeper.ask(member)
        if found == "down":
            self._silent[member] = self._clock()
        return found

    def _resting(self, key: str) -> bool:
        return self._clock() - self._silent.get(key, -AGAIN) < AGAIN


def _members(found: Sequence[str], masters: Mapping[str, Server]) -> dict[str, str]:
    """Which node each member of the ensemble is on: that of its address; where all share one, the masters in order."""
    hosts = [server.host for server in masters.values()]
    names = list(masters)
    one_host = len({member.rpartition(":")[0] for member in found}) == 1 < len(names)
    on: dict[str, str] = {}
    for number, member in enumerate(found):
        host = member.rpartition(":")[0]
        if hosts.count(host) == 1:
            on[member] = names[hosts.index(host)]
        else:
            on[member] = names[number] if one_host and number < len(names) else member
    return on


def _maybe(what: str, urls: Sequence[str]) -> Servers | None:
    return Servers(what, urls, READ, mesos_error) if urls else None


def parsed(body: bytes | None, otherwise: Any) -> Any:
    """JSON of a body; ``otherwise`` for none, or for what is none."""
    if not body:
        return otherwise
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return otherwise

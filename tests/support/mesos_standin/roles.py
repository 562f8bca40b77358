"""What each image runs: one of labkit's servers, as its flags say, with the others in containers of their own."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from labkit.embedded.guard import Guard
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Detector, Session

from . import flags as flag
from .door import MasterOverHttp
from .network import ANYWHERE, HostNetwork, addresses, neighbours, surroundings
from .registry import SharedRegistry
from .wires import TcpPost
from .zkclient import RealEnsemble

Json = dict[str, Any]
GIB = 1024**3


class _Detecting:
    """The leading master's MasterInfo, from ZooKeeper."""

    def __init__(self, ensemble: RealEnsemble, own: str, path: str) -> None:
        self.detector = Detector(ensemble.session(own), path, "json.info_")

    @property
    def address(self) -> str | None:
        leader = self.detector.leader
        return None if leader is None else str(orjson.loads(leader)["address"]["ip"])


def _guard(users: dict[str, str], network: HostNetwork, fleet: Any) -> Guard:
    """As of the embedded one, which is also called by its machines' names: here those are addresses."""
    return Guard(users, names=list(fleet.machines))


def _json(path: str) -> Json:
    found: Json = orjson.loads(Path(path).read_bytes())
    return found


def _storage(folder: str) -> Storage:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Storage(Path(folder) / "labkit.db")


async def master(environ: Mapping[str, str], arguments: list[str]) -> None:
    from labkit.embedded.marathon.parts import Served
    from labkit.embedded.mesos.api.server import MasterServer
    from labkit.embedded.mesos.master import Master, Options

    given = flag.read("mesos-master", environ)
    own, zk = flag.own_address(given), flag.zk(given["zk"])
    fleet, clock, network = await surroundings(own, 1.0, GIB)
    ensemble = RealEnsemble(fleet, clock, zk.addresses)
    options = Options(
        port=int(given.get("port", "5050")),
        cluster=given.get("cluster", ""),
        quorum=int(given["quorum"]),
        zk=given["zk"],
        zk_path=zk.path,
        restart_after=None,  # Docker starts the container again
    )
    post: Any = TcpPost()
    session = ensemble.session(own)
    registry: Any = SharedRegistry(session)
    await registry.begin()
    ends: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(why: str) -> None:
        if not ends.done():
            ends.set_result(why)

    # Docker starts the process again; the registry's node has nobody else to watch it here.
    session.on_state(lambda state: end("session expired") if state == "expired" else None)
    one = Master(
        own,
        post,
        fleet,
        clock,
        registry,
        ensemble,  # type: ignore[arg-type]  # as much of one as it uses
        options,
        random.Random(),
        exited=end,
    )
    server = MasterServer(one, network, _guard(flag.credentials(given["credentials"]), network, fleet))
    await Served(one, server).start()
    raise SystemExit(await ends)


async def agent(environ: Mapping[str, str], arguments: list[str]) -> None:
    from labkit.embedded.mesos import attributes
    from labkit.embedded.mesos.agent import Agent
    from labkit.embedded.mesos.agent.options import Options
    from labkit.embedded.mesos.resources import Resources
    from labkit.embedded.runtime.images.catalogue import Catalogue

    given = flag.read("mesos-agent", environ)
    own, zk = flag.own_address(given), flag.zk(given["master"])
    _has_docker(given)
    users = flag.credentials(given["http_credentials"])
    if not flag.credentials(given["credential"]).items() <= users.items():
        raise flag.WrongFlags("the agent's credential is not among those whom it lets in")
    fleet, clock, network = await surroundings(own, 4.0, 4 * GIB)
    options = Options(
        work_dir=Path(given["work_dir"]),
        resources=Resources.parse(given["resources"]),
        attributes=attributes.parse(given["attributes"]),
        hostname=given["hostname"],
        port=int(given.get("port", "5051")),
        guard=_guard(users, network, fleet),
    )
    post: Any = TcpPost()
    ensemble = RealEnsemble(fleet, clock, zk.addresses)
    one = Agent(own, post, fleet, clock, network, Catalogue(), _storage(given["work_dir"]), ensemble, options)
    await one.start()


def _has_docker(given: Mapping[str, str]) -> None:
    """The machine's own dockerd must answer, over the socket and by the client that the flags name."""
    client = given["docker"]
    if os.system(f"{client} -H unix://{given['docker_socket']} version >/dev/null"):
        raise flag.WrongFlags(f"{client} reaches no dockerd at {given['docker_socket']}")


async def marathon(environ: Mapping[str, str], arguments: list[str]) -> None:
    from labkit.embedded.marathon.core.marathon import Marathon
    from labkit.embedded.marathon.core.options import Options

    given = flag.read("marathon", environ)
    own, zk, masters_zk = flag.own_address(given), flag.zk(given["zk"]), flag.zk(given["master"])
    if zk.path != "/marathon":
        raise flag.WrongFlags(f"labkit's Marathon keeps its state in /marathon, not in {zk.path}")
    user, _, password = given["http_credentials"].partition(":")
    principal = given.get("mesos_authentication_principal", "")
    if "mesos_authentication" not in given or given.get("mesos_authentication_secret") != password:
        raise flag.WrongFlags("Marathon would not be let in at the masters")
    fleet, clock, network = await surroundings(own, 1.0, GIB)
    ensemble = RealEnsemble(fleet, clock, zk.addresses)
    masters = {address: MasterOverHttp(address, principal, password) for address in fleet.machines}

    def driver(machine: str, session: Session, framework: Json, received: Any, up: Any, down: Any) -> SchedulerDriver:
        detector = Detector(session, masters_zk.path, "json.info_")
        return SchedulerDriver(
            machine,
            fleet,
            clock,
            lambda: masters,
            detector,
            framework,
            received,
            connected=up,
            disconnected=down,
            principal=principal,
        )

    options = Options(mesos_user=given.get("mesos_user", "root"), principal=principal)
    one = Marathon(
        own,
        fleet,
        clock,
        network,
        ensemble,  # type: ignore[arg-type]
        driver,
        options,
        middlewares=(_guard({user: password}, network, fleet).varied(realm="Mesosphere"),),
    )
    await one.start()


async def mesos_dns(environ: Mapping[str, str], arguments: list[str]) -> None:
    import aiohttp

    from labkit.embedded.marathon.discovery.mesosdns import Config, MesosDns

    parser = argparse.ArgumentParser("mesos-dns")
    parser.add_argument("-config", required=True)
    given = _json(parser.parse_args(arguments).config)
    zk = flag.zk(given["zk"])
    own = str(given["masters"][0]).partition(":")[0]  # it runs on the first master's machine
    user = given["mesosCredentials"]
    fleet, clock, network = await surroundings(own, 1.0, GIB)
    leading = _Detecting(RealEnsemble(fleet, clock, zk.addresses), own, zk.path)
    session = aiohttp.ClientSession(auth=aiohttp.BasicAuth(user["principal"], user["secret"]))

    async def state() -> Json:
        try:
            async with session.get(f"http://{leading.address}:5050/state") as answer:
                answer.raise_for_status()
                found: Json = await answer.json()
                return found
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error

    config = Config(
        masters=tuple(given["masters"]),
        zk=given["zk"],
        port=given["port"],
        http_port=given["httpport"],
        domain=given["domain"],
        refresh_seconds=given["refreshSeconds"],
        ttl=given["ttl"],
        ip_sources=tuple(given["IPSources"]),
    )
    machine = Machine(name=own, address=ANYWHERE)
    one = MesosDns(machine, fleet, clock, network, leader=lambda: leading.address, state=state, config=config)
    await one.start()


async def marathon_lb(environ: Mapping[str, str], arguments: list[str]) -> None:
    from labkit.embedded.marathon.discovery.lb import HttpMarathon, MarathonLb, Options
    from labkit.embedded.marathon.discovery.lb.dial import Dialler

    if not environ.get("PORTS"):
        raise flag.WrongFlags("marathon-lb's `run` wants PORTS")
    parser = argparse.ArgumentParser("marathon-lb")
    parser.add_argument("mode", choices=["sse"])
    parser.add_argument("--marathon", "-m", nargs="+", required=True)
    parser.add_argument("--auth-credentials", required=True)
    parser.add_argument("--group", nargs="+", required=True)
    parser.add_argument("--health-check", "-H", action="store_true")
    given = parser.parse_args(arguments)
    # Tasks are on the other agents' network, and it is not said which of this machine's that is.
    own, *others = addresses()
    fleet, clock, network = await surroundings(own, 1.0, GIB)
    for address in (one for other in others for one in neighbours(other)):
        if address not in fleet.machines:
            fleet.add(Machine(name=address, address=address))
    user, _, password = given.auth_credentials.partition(":")
    source = HttpMarathon(given.marathon, Dialler(fleet, network, own), (user, password))
    machine = Machine(name=own, address=ANYWHERE)
    options = Options(groups=tuple(given.group), engine="haproxy")
    await MarathonLb(machine, fleet, clock, network, source, Path("/run/lb"), options).start()


ROLES = {
    "mesos-master": master,
    "mesos-agent": agent,
    "marathon": marathon,
    "mesos-dns": mesos_dns,
    "marathon-lb": marathon_lb,
}

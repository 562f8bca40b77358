"""Clusters that exist elsewhere. labkit looks at them and acts through their API; it never owns their machines."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labkit.engines.base import MachineInfo, NoComponents, Progress, Record, Request, check_verb
from labkit.errors import ClusterError, EngineFailed, LabkitError, Refused, UsageError
from labkit.orchestrators.base import Orchestrator
from labkit.paths import Paths

# What takes running tasks away from somebody. On a cluster that labkit did not make, each has to be allowed by name.
DRILLS: Mapping[str, str] = {
    "drain": "drain a node",
    "kill": "kill a task",
    "remove": "remove a workload",
    "scale": "scale to fewer tasks",
    "update": "change a workload's image",
}


class AttachedEngine(NoComponents):
    """The engine of clusters that somebody else runs: it only remembers where they are."""

    name = "attached"

    def up(self, request: Request, progress: Progress) -> Record:
        raise EngineFailed("labkit cannot start a cluster that is not its own; labkit.attach(…) looks at one that runs")

    def down(self, record: Record) -> None:
        """Nothing: the registry forgets the record, the cluster lives on."""

    def alive(self, record: Record) -> bool:
        return True  # as far as labkit is concerned; whether it answers is seen by looking

    def machines(self, record: Record) -> list[MachineInfo]:
        found = []
        for machine in record.machines:
            try:
                _info(machine.name, machine.env)
                found.append(machine)
            except ClusterError:
                found.append(replace(machine, state="unknown"))
        return found

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        check_verb(record, machine, verb)
        raise Refused(f"“{record.name}” is attached: labkit did not start its machines, so it cannot {verb} one")

    def describe(self, record: Record) -> dict[str, Any]:
        allowed = ", ".join(record.options.get("allow", ())) or "nothing that takes running tasks away"
        return {"notes": [f"attached; allowed: {allowed}"]}


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where an attached cluster is and what may be done to it, found to answer."""

    orchestrator: str
    suggested_name: str
    env: Mapping[str, str]
    machine: MachineInfo
    allow: tuple[str, ...]
    source: Mapping[str, str]

    def record(self, name: str, paths: Paths) -> Record:
        return Record(
            name=name,
            orchestrator=self.orchestrator,
            engine=AttachedEngine.name,
            created=time.time(),
            state=str(paths.state_of(name)),
            run=str(paths.run_of(name)),
            env=dict(self.env),
            endpoints={"docker": self.env["DOCKER_HOST"]},
            machines=(self.machine,),
            options={**self.source, "allow": list(self.allow)},
        )


def attachment(
    orchestrator: str,
    *,
    context: str | None,
    host: str | None,
    tls: str | os.PathLike[str] | None,
    allow: str | Iterable[str],
) -> Attachment:
    """Looks where the cluster is and asks whether it is a swarm's manager.

    Raises UsageError for what makes no sense, ClusterError if nobody answers or it manages no swarm.
    """
    if (context is None) == (host is None):
        raise UsageError("say where it is: context= (of `docker context ls`) or host= (ssh://, tcp://, unix://)")
    allowed = check_allow(allow)
    if context is not None:
        env, source, suggested = _of_context(context), {"context": context}, context
    else:
        env, source, suggested = _of_host(str(host), tls), {"host": str(host)}, orchestrator
    info = _info(suggested, env)
    swarm = info.get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        state = swarm.get("LocalNodeState") or "inactive"
        raise ClusterError(f"the Docker engine at {env['DOCKER_HOST']} is not a swarm manager (swarm: {state})")
    machine = MachineInfo(info.get("Name") or suggested, "manager", "up", swarm.get("NodeAddr", ""), env)
    name = re.sub(r"[^a-z0-9]+", "-", suggested.lower()).strip("-")[:32].strip("-")
    return Attachment(orchestrator, name or orchestrator, env, machine, allowed, source)


def check_allow(allow: str | Iterable[str]) -> tuple[str, ...]:
    """The drills that are allowed, each known."""
    names = tuple(allow.replace(",", " ").split() if isinstance(allow, str) else allow)
    for name in names:
        if name not in DRILLS:
            raise UsageError(f"there is nothing called {name!r} to allow; there are {', '.join(DRILLS)}")
    return names


def _info(name: str, env: Mapping[str, str]) -> Mapping[str, Any]:
    from labkit.orchestrators.connection import Connection

    # ssh has to log in first.
    connection = Connection(name, env, 20.0 if env["DOCKER_HOST"].startswith("ssh:") else 3.0)
    try:
        info: Mapping[str, Any] = connection.get_json("/info")
        return info
    finally:
        connection.close()


def _of_context(context: str) -> dict[str, str]:
    """The environment of a docker context, from the CLI's own store.

    Not through docker-py: where there is no ``config.json`` (`docker context create` makes none) it looks for the store
    in the current folder, and its "default" follows DOCKER_HOST, which in this process may point at a sandbox.
    """
    if context == "default":
        return {"DOCKER_HOST": "unix:///var/run/docker.sock"}
    store = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "contexts"
    folder = hashlib.sha256(context.encode()).hexdigest()
    try:
        meta = json.loads((store / "meta" / folder / "meta.json").read_text("utf-8"))
        env = {"DOCKER_HOST": str(meta["Endpoints"]["docker"]["Host"])}
    except FileNotFoundError:
        raise UsageError(f"there is no docker context {context!r}; `docker context ls` lists those there are") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabkitError(f"the docker context {context!r} cannot be read: {error}") from error
    certificates = store / "tls" / folder / "docker"  # with the very file names that DOCKER_CERT_PATH wants
    if (certificates / "cert.pem").exists():
        env |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    return env


def _of_host(host: str, tls: str | os.PathLike[str] | None) -> dict[str, str]:
    if not host.startswith(("ssh://", "tcp://", "unix://")):
        raise UsageError(f"{host!r} is no Docker host; write ssh://user@machine, tcp://machine:2376 or unix:///path")
    env = {"DOCKER_HOST": host}
    if tls is not None:
        folder = Path(tls).expanduser().absolute()
        missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if not (folder / name).is_file()]
        if missing:
            raise UsageError(f"{folder} has no {', '.join(missing)}; tls= needs ca.pem, cert.pem and key.pem")
        env |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
    return env


class Guarded:
    """An adapter for a cluster that is not labkit's own: drills that were not allowed by name are refused.

    Everything else, looking above all, goes straight through.
    """

    def __init__(self, adapter: Orchestrator, cluster: str, allow: Iterable[str]) -> None:
        self._adapter = adapter
        self._cluster = cluster
        self._allow = frozenset(allow)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def _check(self, drill: str) -> None:
        if drill not in self._allow:
            raise Refused(
                f"“{self._cluster}” is attached and may be somebody's production: to {DRILLS[drill]}, "
                f"attach it with allow=[{drill!r}] (labkit attach … --allow {drill})"
            )

    def scale(self, workload: str, replicas: int) -> None:
        if "scale" not in self._allow:
            snapshot = self._adapter.snapshot(None)
            there = snapshot.workload_named(workload)
            if snapshot.error or (there is not None and replicas < there.desired):
                self._check("scale")
        self._adapter.scale(workload, replicas)

    def drain(self, node: str) -> None:
        self._check("drain")
        self._adapter.drain(node)

    def kill(self, task_id: str) -> None:
        self._check("kill")
        self._adapter.kill(task_id)

    def remove(self, workload: str) -> None:
        self._check("remove")
        self._adapter.remove(workload)

    def update(self, workload: str, image: str) -> None:
        self._check("update")
        self._adapter.update(workload, image)

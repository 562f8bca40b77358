"""Clusters that exist elsewhere. labkit looks at them and acts through their API; it never owns their machines."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.engines.base import MachineInfo, NoComponents, Progress, Record, Request, check_verb
from labkit.errors import EngineFailed, Refused, UsageError
from labkit.orchestrators.base import Orchestrator
from labkit.paths import Paths

# What takes running tasks away from somebody. On a cluster that labkit did not make, each has to be allowed by name.
DRILLS: Mapping[str, str] = {
    "drain": "drain a node",
    "kill": "kill a task",
    "relabel": "change a pod's labels",
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
        """The registry forgets the record, the cluster lives on; what was written to reach it goes."""
        shutil.rmtree(record.state, ignore_errors=True)

    def alive(self, record: Record) -> bool:
        return True  # as far as labkit is concerned; whether it answers is seen by looking

    def machines(self, record: Record) -> list[MachineInfo]:
        answers = _answers(record.orchestrator)
        return [m if answers(m) else replace(m, state="unknown") for m in record.machines]

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        check_verb(record, machine, verb)
        raise Refused(f"“{record.name}” is attached: labkit did not start its machines, so it cannot {verb} one")

    def describe(self, record: Record) -> dict[str, Any]:
        allowed = ", ".join(record.options.get("allow", ())) or "nothing that takes running tasks away"
        return {"notes": [f"attached; allowed: {allowed}"]}


# Where each kind is looked for, and by which arguments of `attach`; what to say when it is given another one.
_HOMES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "swarm": (
        "labkit.engines.attached_swarm",
        ("context", "host", "tls"),
        "a swarm is attached by context= or host=",
    ),
    "kubernetes": (
        "labkit.engines.attached_kubernetes",
        ("context", "kubeconfig"),
        "a Kubernetes cluster is attached by a context of your kubeconfig: context=, kubeconfig=",
    ),
    "marathon": (
        "labkit.engines.attached_marathon",
        ("url", "mesos"),
        "Marathon is attached by its URL: url=, and mesos= for the Mesos below it",
    ),
}


def _answers(orchestrator: str) -> Callable[[MachineInfo], bool]:
    answers: Callable[[MachineInfo], bool] = importlib.import_module(_HOMES[orchestrator][0]).answers
    return answers


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where an attached cluster is and what may be done to it, found to answer."""

    orchestrator: str
    suggested_name: str
    env: Mapping[str, str]
    endpoints: Mapping[str, str]
    machine: MachineInfo
    allow: tuple[str, ...]
    source: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)  # what must lie in its folder, by name; {state} in env

    def record(self, name: str, paths: Paths) -> Record:
        """Writes what has to be kept, and returns the record. ``{state}`` in the environment is the folder."""
        state = paths.state_of(name)
        for file, text in self.files.items():
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(
                state / file, "w", opener=lambda path, flags: os.open(path, flags, 0o600), encoding="utf-8"
            ) as out:
                out.write(text)

        def placed(env: Mapping[str, str]) -> dict[str, str]:
            return {key: value.replace("{state}", str(state)) for key, value in env.items()}

        return Record(
            name=name,
            orchestrator=self.orchestrator,
            engine=AttachedEngine.name,
            created=time.time(),
            state=str(paths.state_of(name)),
            run=str(paths.run_of(name)),
            env=placed(self.env),
            endpoints=dict(self.endpoints),
            machines=(replace(self.machine, env=placed(self.machine.env)),),
            options={**self.source, "allow": list(self.allow)},
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # it may hold a key


def attachment(
    orchestrator: str,
    *,
    context: str | None = None,
    host: str | None = None,
    tls: str | os.PathLike[str] | None = None,
    kubeconfig: str | os.PathLike[str] | None = None,
    url: str | None = None,
    mesos: str | None = None,
    allow: str | Iterable[str],
) -> Attachment:
    """Looks where the cluster is and asks whether it is one of that kind.

    Raises UsageError for what makes no sense, ClusterError if nobody answers or it is something else.
    """
    allowed = check_allow(allow)
    given = {"context": context, "host": host, "tls": tls, "kubeconfig": kubeconfig, "url": url, "mesos": mesos}
    module, takes, hint = _HOMES[orchestrator]
    for key, value in given.items():
        if value is not None and key not in takes:
            owners = " and ".join(name.capitalize() for name, (_, keys, _) in _HOMES.items() if key in keys)
            raise UsageError(f"{key}= is for {owners}; {hint}")
    find: Callable[..., Attachment] = importlib.import_module(module).attachment
    return find(*(given[key] for key in takes), allowed)


def suggested(name: str, otherwise: str) -> str:
    """A context's name as one of ours."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-") or otherwise


def check_allow(allow: str | Iterable[str]) -> tuple[str, ...]:
    """The drills that are allowed, each known."""
    names = tuple(allow.replace(",", " ").split() if isinstance(allow, str) else allow)
    for name in names:
        if name not in DRILLS:
            raise UsageError(f"there is nothing called {name!r} to allow; there are {', '.join(DRILLS)}")
    return names


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

    def restart(self, workload: str) -> None:
        self._check("update")
        self._adapter.restart(workload)  # type: ignore[attr-defined]  # only asked of adapters that have it

    def roll_back(self, workload: str) -> None:
        self._check("update")
        self._adapter.roll_back(workload)  # type: ignore[attr-defined]

    def relabel(self, task_id: str, label: str, value: str | None) -> None:
        self._check("relabel")
        self._adapter.relabel(task_id, label, value)  # type: ignore[attr-defined]

    def remove(self, workload: str) -> None:
        self._check("remove")
        self._adapter.remove(workload)

    def update(self, workload: str, image: str) -> None:
        self._check("update")
        self._adapter.update(workload, image)

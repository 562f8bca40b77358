"""What an engine is: something that stands a cluster up, names its endpoints, pulls its plugs and takes it down.

An engine knows nothing of workloads or tasks; those are read through the official client by
:mod:`labkit.orchestrators`, which in turn cannot tell which engine it talks to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from labkit.engines.shapes import shape_of
from labkit.errors import LabkitError, NotFound, UsageError

Progress = Callable[[str], None]

# What may be done to a machine's plug, and what each means; an engine that cannot do one says so in `plug`.
VERBS = {
    "fail": "power off at once",
    "heal": "undo whatever was done to it",
    "pause": "freeze: it keeps its connections and answers nobody",
    "partition": "cut from the other machines' network",
    "slow": "every message to and from it takes longer",
}


COMPONENT_VERBS = ("stop", "start")


@dataclass(frozen=True, slots=True)
class Request:
    """What :func:`labkit.up` was asked for, complete and checked, plus the two folders that are the sandbox's own."""

    name: str
    orchestrator: str
    sizes: Mapping[str, Any]  # every argument of its shape: {"managers": 3, "workers": 2, "plain": False}
    speed: float
    timeout: float  # seconds until a start counts as failed
    state: Path  # survives; the engine may put anything here (database, certificates, log)
    run: Path  # short and private; sockets go here
    options: Mapping[str, Any] = field(default_factory=dict)

    def machine_names(self) -> list[tuple[str, str]]:
        """(name, role) of every machine, in order."""
        return shape_of(self.orchestrator).machines(self.sizes)


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """A machine of a sandbox as its engine sees it (a node is what the *orchestrator* sees)."""

    name: str
    role: str  # it was started with: "manager" | "control-plane" | "worker" | "master" | "agent" | "" (plain)
    state: str  # "up" | "down" | "paused" | "partitioned" | "slow" | "unknown"
    address: str  # where its published ports answer; "" if they do not from here
    env: Mapping[str, str] = field(default_factory=dict)  # what points its clients at it: DOCKER_HOST, MESOS_URL…

    @property
    def docker_host(self) -> str:
        """The URL of this machine's own Docker engine, "" when it cannot be reached from here."""
        return self.env.get("DOCKER_HOST", "")

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "env": dict(self.env), "docker_host": self.docker_host}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MachineInfo:
        return cls(**{f.name: data[f.name] for f in fields(cls)})


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """A part of the orchestrator itself that can be stopped and started by name: ``kube-scheduler``, ``kubelet``."""

    name: str
    machine: str
    state: str  # "running" | "starting" | "stopped" | "unknown"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Record:
    """What the registry remembers of a sandbox: enough for any kernel, terminal or script to find and to end it."""

    name: str
    orchestrator: str
    engine: str
    created: float  # seconds since the epoch
    state: str  # the sandbox's folders, absolute: another session may have other XDG variables
    run: str
    pid: int = 0  # 0: no process of its own (docker, attached), or not started yet
    pid_started: float = 0.0  # process ids are used again; the start time tells ours from a stranger's
    ready: bool = True  # False while it is being started
    env: Mapping[str, str] = field(default_factory=dict)  # what points a CLI at it
    endpoints: Mapping[str, str] = field(default_factory=dict)  # by what answers there: {"docker": "unix:///…"}
    machines: tuple[MachineInfo, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # managers, workers, plain, speed; and the engine's own

    def as_dict(self) -> dict[str, Any]:
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **data,
            "env": dict(self.env),
            "endpoints": dict(self.endpoints),
            "machines": [m.as_dict() for m in self.machines],
            "options": dict(self.options),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record of :meth:`as_dict`; keys that this version does not know are dropped."""
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        values["machines"] = tuple(MachineInfo.from_dict(m) for m in values.get("machines", ()))
        return cls(**values)

    def machine(self, name: str) -> MachineInfo:
        """The machine of that name; NotFound lists those there are."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        there = ", ".join(m.name for m in self.machines)
        raise NotFound(f"“{self.name}” has no machine {name!r}; it has {there}")


class Engine(Protocol):
    """Stands clusters up. Engines are stateless: everything they need later is in the record they return."""

    name: str

    def up(self, request: Request, progress: Progress) -> Record:
        """Starts the cluster, or starts it again from ``request.state``; returns when every node is ready.

        Raises :class:`labkit.errors.EngineFailed` with the engine's own last words. Whatever the failed start made is
        gone by then, except state that was there before.
        """

    def down(self, record: Record) -> None:
        """Ends the cluster and removes everything that :meth:`up` made, also after a start that was cut short."""

    def alive(self, record: Record) -> bool:
        """Whether the cluster runs. Quick: never waits for a machine that does not answer."""

    def machines(self, record: Record) -> list[MachineInfo]:
        """Every machine as it is now."""

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        """Does one of :data:`VERBS` to a machine (``seconds=`` for slow, ``others=[names]`` for partition)."""

    def components(self, record: Record) -> list[ComponentInfo]:
        """The parts of the orchestrator that can be stopped by name; none where it has none, or they are not ours."""

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        """Stops or starts (:data:`COMPONENT_VERBS`) a component that :meth:`components` lists."""

    def describe(self, record: Record) -> dict[str, Any]:
        """What else there is to tell: ``notes`` in plain words, ``speed``."""


class NoComponents:
    """For engines that run nothing which has components to stop."""

    def components(self, record: Record) -> list[ComponentInfo]:
        return []

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        raise UsageError(
            f"“{record.name}” has no components to {verb}: it is a {record.orchestrator} {record.engine} one"
        )


def find_component(components: Iterable[ComponentInfo], name: str, machine: str | None) -> ComponentInfo:
    """The component of that name, on that machine if there are several. NotFound and UsageError say what there is."""
    there = list(components)
    named = [one for one in there if one.name == name]
    if not named:
        names = ", ".join(dict.fromkeys(one.name for one in there)) or "none"
        raise NotFound(f"there is no component {name!r}; there are {names}")
    found = [one for one in named if machine in (None, one.machine)]
    if len(found) != 1:
        machines = ", ".join(one.machine for one in named)
        raise UsageError(f"{name} runs on {machines}; " + (f"not on {machine}" if machine else "say on which machine"))
    return found[0]


def check_verb(record: Record, machine: str, verb: str) -> MachineInfo:
    """The machine that a plug verb is for; a clear error for either that does not exist."""
    if verb not in VERBS:
        raise UsageError(f"a machine has no {verb!r}; there are {', '.join(VERBS)}")
    return record.machine(machine)


# (engine, orchestrator) → module and class. The real ones differ in what they run, the others do not.
_ENGINES = {
    ("embedded", ""): ("labkit.engines.embedded", "EmbeddedEngine"),
    ("docker", "swarm"): ("labkit.engines.docker", "DockerEngine"),
    ("docker", "kubernetes"): ("labkit.engines.kind", "KindEngine"),
    ("docker", "marathon"): ("labkit.engines.marathon_compose", "ComposeEngine"),
    ("attached", ""): ("labkit.engines.attached", "AttachedEngine"),
}
STARTABLE = ("embedded", "docker")


def engine_for(name: str, orchestrator: str) -> Engine:
    """The engine of that name for an orchestrator. Loaded on demand: the real ones bring their clients with them."""
    import importlib

    found = _ENGINES.get((name, orchestrator)) or _ENGINES.get((name, ""))
    if found is None and any(engine == name for engine, _ in _ENGINES):
        *most, last = [repr(which) for engine, which in _ENGINES if engine == name]
        raise UsageError(f"the {name} engine cannot run {orchestrator!r} yet; it runs {', '.join(most)} and {last}")
    if found is None:
        raise UsageError(f"there is no engine {name!r}; there are {' and '.join(STARTABLE)}")
    module, attribute = found
    try:
        engine: Engine = getattr(importlib.import_module(module), attribute)()
    except ImportError as error:
        raise LabkitError(f"the engine {name!r} cannot be loaded: {error}") from error
    return engine

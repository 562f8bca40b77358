"""A cluster one holds: its engine, its orchestrator's client and its live view, the same on every engine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from labkit import environment
from labkit.engines.base import ComponentInfo, Engine, MachineInfo, Record, engine_for, find_component
from labkit.engines.shapes import check_sizes, shape_of
from labkit.errors import NotFound, UsageError
from labkit.orchestrators.base import Orchestrator, orchestrator_for
from labkit.registry import Registry

if TYPE_CHECKING:
    from labkit.live import Live
    from labkit.model import Snapshot
    from labkit.placement import Why


class Sandbox:
    """A cluster with its engine, its orchestrator's client and its live view.

    Usable as a context manager, which takes it down at the end. Holding one keeps nothing alive: the cluster lives
    until :meth:`down`, whatever becomes of this process.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._engine: Engine = engine_for(record.engine, record.orchestrator)
        self._actions: Orchestrator | None = None
        self._live: Live | None = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def orchestrator(self) -> str:
        return self._record.orchestrator

    @property
    def engine(self) -> str:
        return self._record.engine

    @property
    def record(self) -> Record:
        return self._record

    @property
    def env(self) -> dict[str, str]:
        """What points a command-line client at it: ``{"DOCKER_HOST": "unix:///…"}``, ``{"KUBECONFIG": "…"}``."""
        return dict(self._record.env)

    @property
    def machines(self) -> list[MachineInfo]:
        """Its machines as they are now."""
        if self.state == "up":
            return self._engine.machines(self._record)
        return [replace(machine, state="down") for machine in self._record.machines]

    @property
    def state(self) -> str:
        """``"up"``, ``"stopped"`` (its process died; `up` brings everything back) or ``"starting"``."""
        if not self._record.ready:
            return "starting" if Registry().locked(self.name) else "stopped"
        return "up" if self._engine.alive(self._record) else "stopped"

    def status(self) -> dict[str, Any]:
        """Everything about it as plain data, for scripts: ``labkit status --json`` prints this."""
        record, state = self._record, self.state
        running = state == "up"
        return {
            "name": record.name,
            "orchestrator": record.orchestrator,
            "engine": record.engine,
            "state": state,
            "pid": record.pid if running and record.pid else None,
            "created": record.created,
            "endpoints": dict(record.endpoints),
            "env": dict(record.env),
            "machines": [m.as_dict() for m in self.machines],
            "options": dict(record.options),
            **(self._engine.describe(record) if running else {}),
        }

    # -- the official client --------------------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        """The official client: a ``docker.DockerClient`` for the first machine, a ``kubernetes.client.ApiClient``, a
        :class:`labkit.orchestrators.marathon.MarathonClient` (Marathon's own API over requests).

        When you fail the machine it talks to, it fails with it, as a real one would; ``client_of("manager-2")`` of a
        swarm talks to another. Pictures and checks find a manager that answers by themselves.
        """
        return self.actions.client

    def client_of(self, machine: str) -> Any:
        """A ``docker.DockerClient`` for one machine's own engine; the same one each time it is asked for.

        Machines of a Kubernetes cluster have none; :attr:`client` talks to their API server.
        """
        from labkit.orchestrators.connection import docker_client

        env = self._record.machine(machine).env
        if "DOCKER_HOST" not in env:
            raise UsageError(f"{machine} has no Docker engine that can be reached; use “{self.name}”'s .client")
        with self._lock:
            if machine not in self._clients:
                self._clients[machine] = docker_client(env)
            return self._clients[machine]

    @property
    def actions(self) -> Orchestrator:
        """Scale, drain, activate, pause, kill, deploy, update, remove: what the dashboard's buttons do."""
        with self._lock:
            if self._actions is None:
                adapter = orchestrator_for(self.orchestrator, lambda: self._record.machines)
                if self.engine == "attached":
                    from labkit.engines.attached import Guarded

                    adapter = Guarded(adapter, self.name, self._record.options.get("allow", ()))
                self._actions = adapter
            return self._actions

    # -- looking --------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The cluster now, as plain data (:class:`labkit.model.Snapshot`)."""
        return self.actions.snapshot(None)

    @property
    def live(self) -> Live:
        """The watcher: newest snapshot, history, and who is told of changes. Started when it is first asked for."""
        with self._lock:
            if self._live is None:
                from labkit.live import Live

                self._live = Live(self.actions)
                self._live.start()
            return self._live

    def dashboard(self) -> Any:
        """Graph, controls and event log, live; show it as the last line of a cell."""
        from labkit import widgets

        return widgets.dashboard(self)

    def graph(self) -> Any:
        """Only the live network graph."""
        from labkit import widgets

        return widgets.graph(self)

    def why(self, task: str) -> Why:
        """Why a pod (a Marathon task, an app) is where it is, or waits, node by node (:class:`labkit.placement.Why`).

        ``task`` is its name or id. Of Kubernetes it is, on the embedded engine, what the scheduler kept of its
        decision, with scores; a real scheduler keeps nothing, so there its rules are applied again to the cluster as
        it is now. Marathon's launch queue itself remembers why it did not use the last offer of each agent.
        """
        why: Callable[..., Why] | None = getattr(self.actions, "why", None)
        if why is None:
            raise UsageError(
                f"only Kubernetes' scheduler and Marathon can be asked why; “{self.name}” is a {self.orchestrator} one"
            )
        explain: Callable[..., dict[str, Any] | None] | None = getattr(self._engine, "explain", None)
        if explain is None:
            return why(task)
        return why(task, lambda namespace, name: explain(self._record, namespace, name))

    # -- the plug -------------------------------------------------------------------------------------------------

    def fail(self, machine: str) -> None:
        """Pulls a machine's plug: everything on it stops at once."""
        self._plug(machine, "fail")

    def heal(self, machine: str) -> None:
        """Undoes whatever was done to a machine, and starts it if it was off."""
        self._plug(machine, "heal")

    def pause(self, machine: str) -> None:
        """Freezes a machine: its connections stay open and nobody gets an answer."""
        self._plug(machine, "pause")

    def partition(self, *machines: str) -> None:
        """Cuts machines off from the others; those named together still reach each other."""
        if not machines:
            raise UsageError("partition() takes the names of one or more machines")
        for name in machines:
            self._record.machine(name)
        self._plug(machines[0], "partition", others=list(machines[1:]))

    def slow(self, machine: str, seconds: float = 0.5) -> None:
        """Delays every message to and from a machine by this many (sandbox) seconds."""
        self._plug(machine, "slow", seconds=float(seconds))

    def _plug(self, machine: str, verb: str, **options: Any) -> None:
        self._engine.plug(self._record, machine, verb, **options)
        if self._live is not None:
            self._live.poke()

    # -- the orchestrator's own parts -------------------------------------------------------------------------------

    @property
    def components(self) -> list[ComponentInfo]:
        """What the orchestrator itself is made of and can be stopped by name; empty where nothing of it can."""
        return self._engine.components(self._record)

    def stop(self, component: str, machine: str | None = None) -> None:
        """Stops a part of the orchestrator (``kube-scheduler``; ``kubelet`` with its machine) until :meth:`start`."""
        self._component(component, machine, "stop")

    def start(self, component: str, machine: str | None = None) -> None:
        """Starts a component that was stopped."""
        self._component(component, machine, "start")

    def _component(self, component: str, machine: str | None, verb: str) -> None:
        if machine is not None:
            self._record.machine(machine)
        there = self.components
        if not there:
            self._engine.component(self._record, machine or "", component, verb)
            return
        found = find_component(there, component, machine)
        self._engine.component(self._record, found.machine, found.name, verb)
        if self._live is not None:
            self._live.poke()

    def speed(self, factor: float) -> None:
        """Sets how many sandbox seconds pass in a second (embedded engine only)."""
        check_sizes({"speed": factor})
        set_speed: Callable[[Record, float], None] | None = getattr(self._engine, "set_speed", None)
        if set_speed is None:
            raise UsageError(f"“{self.name}” is a real cluster: only the embedded engine's time can be changed")
        set_speed(self._record, float(factor))
        self._record = replace(self._record, options={**self._record.options, "speed": float(factor)})
        registry = Registry()
        with registry.lock(self.name):
            if registry.get(self.name) is not None:
                registry.save(self._record)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends this process's connections and threads; the cluster lives on."""
        with self._lock:
            live, self._live = self._live, None
            actions, self._actions = self._actions, None
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()
        if live is not None:
            live.stop()
        if actions is not None:
            actions.close()

    def down(self) -> None:
        """Takes the cluster down and removes everything it had (an attached one is only forgotten)."""
        from labkit.lifecycle import down

        self.close()
        try:
            down(self.name)
        except NotFound:
            environment.leave(self._record)  # somebody else took it down already: that is what was wanted

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<labkit {self.orchestrator} “{self.name}” on the {self.engine} engine: {self._in_words()}>"

    def _repr_html_(self) -> str:
        from html import escape

        variable = shape_of(self.orchestrator).variables[0]
        where = escape(self.env.get(variable, ""))
        return (
            f"<div><b>{escape(self.orchestrator)}</b> “{escape(self.name)}” on the {escape(self.engine)} engine: "
            f"{escape(self._in_words())}<br><code>{variable}={where}</code></div>"
        )

    def _in_words(self) -> str:
        return f"{self.state}, {machines_in_words(self._record)}"


def machines_in_words(record: Record) -> str:
    """ "3 managers, 2 workers", "1 control plane, 3 workers", "5 plain hosts", "1 endpoint"."""
    if record.engine == "attached":
        return "1 endpoint"
    roles = Counter(machine.role for machine in record.machines)
    return ", ".join(_count(number, _ROLES.get(role, role)) for role, number in roles.items())


_ROLES = {"": "plain host", "control-plane": "control plane"}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""Real Kubernetes: every node is a container that kind made on this computer's own Docker engine.

The work is done by ``infra/kind/up``, ``down`` and ``status``, which people can run by hand as well; this module runs
them, passes their words on, pulls plugs, and stops and starts components where they really are: static pods by moving
their manifests away, the kubelet through systemd, kube-proxy by freezing its process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labkit.engines.base import COMPONENT_VERBS, ComponentInfo, MachineInfo, Progress, Record, Request, check_verb
from labkit.engines.hosts import host_engine, infra, last_words, reachable, run, run_up
from labkit.errors import EngineFailed, UsageError

# Options of `labkit.up(…, engine="docker", image=…)` and the variables of infra/kind/up that they set.
_VARIABLES = {"image": "LABKIT_KIND_NODE_IMAGE", "images": "LABKIT_KIND_IMAGES"}

# What the record keeps beside them; a sandbox that is brought back is asked for with all of it.
_RECORDED = frozenset({"workers", "speed", "client", "notes"})

_MANIFESTS = "/etc/kubernetes/manifests"
_PARKED = "/etc/kubernetes/labkit-stopped"
_STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

# One line a component, "name state", from inside a node: one `docker exec` a node instead of one a component.
_ASK = f"""
for c in {" ".join(_STATIC)}; do
  if [ -e {_MANIFESTS}/$c.yaml ]; then echo $c running; elif [ -e {_PARKED}/$c.yaml ]; then echo $c stopped; fi
done
if systemctl is-active -q kubelet; then echo kubelet running; else echo kubelet stopped; fi
for p in /proc/[0-9]*; do
  [ "$(cat $p/comm 2>/dev/null)" = kube-proxy ] || continue
  if grep -q '^State:.*T' $p/status; then echo kube-proxy stopped; else echo kube-proxy running; fi
done
"""


def _in_node(name: str, verb: str) -> str:
    """The shell command that stops or starts a component inside its node. Doing it twice changes nothing."""
    if name == "kubelet":
        return f"systemctl {verb} kubelet"
    if name == "kube-proxy":
        # Ended, it would be started again by the kubelet. Frozen, its last rules stay, as they do when it is gone.
        return f"pkill -{'STOP' if verb == 'stop' else 'CONT'} -x kube-proxy"
    source, target = (_MANIFESTS, _PARKED) if verb == "stop" else (_PARKED, _MANIFESTS)
    return f"mkdir -p {_PARKED}; [ -e {target}/{name}.yaml ] || mv {source}/{name}.yaml {target}/"


class KindEngine:
    """Starts real clusters with the scripts of ``infra/kind``. A machine is called as its node is."""

    name = "docker"

    def up(self, request: Request, progress: Progress) -> Record:
        """Creates the cluster, or starts its nodes again; takes 30 to 90 s, more when the node's image is pulled first.

        Options: ``image`` (the node's), ``images`` (loaded into every node).
        """
        client = request.options.get("client") or host_engine(os.environ)
        variables = _variables(request.options)
        report = run_up(
            [*_script("up", request.name, request.state), "--workers", str(request.sizes["workers"])],
            {**client, **variables},
            request.timeout,
            progress,
        )
        env = {"KUBECONFIG": report["kubeconfig"]}
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            env=env,
            endpoints={"kubernetes": report["server"]},
            machines=tuple(_machines(report, request.state, reachable(client))),
            options={**request.options, **request.sizes, "client": client, "notes": report["notes"]},
        )

    def down(self, record: Record) -> None:
        """Deletes the cluster and its kubeconfig."""
        done = run(_script("down", record.name, Path(record.state)), _client(record), timeout=120)
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))

    def alive(self, record: Record) -> bool:
        """Whether any of its nodes runs: failing some of them is what a sandbox is for."""
        label = f"label=io.x-k8s.kind.cluster=labkit-{record.name}"
        try:
            found = run(["docker", "ps", "-q", "--filter", label], _client(record), 5)
        except EngineFailed:
            return False
        return found.returncode == 0 and bool(found.stdout.strip())

    def machines(self, record: Record) -> list[MachineInfo]:
        done = run(_script("status", record.name, Path(record.state)), _client(record))
        if done.returncode:
            return [_with_state(machine, "unknown") for machine in record.machines]
        return _machines(json.loads(done.stdout), Path(record.state), any(m.address for m in record.machines))

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        """Stops, freezes or cuts off a node's container. ``heal`` returns before its kubelet answers again."""
        check_verb(record, machine, verb)
        _Plug(record, machine).act(verb, **options)

    def components(self, record: Record) -> list[ComponentInfo]:
        return [found for machine in self.machines(record) for found in self._components_of(record, machine)]

    def _components_of(self, record: Record, machine: MachineInfo) -> list[ComponentInfo]:
        if machine.state in ("down", "paused", "unknown"):
            names = [*(_STATIC if machine.role == "control-plane" else ()), "kubelet", "kube-proxy"]
            return [ComponentInfo(name, machine.name, "unknown") for name in names]
        lines = _docker(record, "exec", machine.name, "sh", "-c", _ASK).splitlines()
        return [ComponentInfo(name, machine.name, state) for name, state in dict(map(str.split, lines)).items()]

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        record.machine(machine)
        if verb not in COMPONENT_VERBS:
            raise UsageError(f"a component has no {verb!r}; there are {' and '.join(COMPONENT_VERBS)}")
        _docker(record, "exec", machine, "sh", "-c", _in_node(name, verb))

    def describe(self, record: Record) -> dict[str, Any]:
        return {"notes": list(record.options.get("notes", ())), "speed": 1.0}


class _Plug:
    """One node's plug. What docker cannot tell afterwards (slow, cut off) is noted in a file."""

    def __init__(self, record: Record, machine: str) -> None:
        self.record = record
        self.machine = machine
        self.mark = _mark(Path(record.state), machine)

    def act(self, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "fail": self.fail,
            "heal": self.heal,
            "pause": self.pause,
            "partition": self.partition,
            "slow": self.slow,
        }
        verbs[verb](**options)

    def fail(self) -> None:
        state = self._state()
        if state == "paused":  # a frozen process does not even die
            self._docker("unpause", self.machine)
        if state != "down":
            self._docker("kill", self.machine)

    def pause(self) -> None:
        state = self._state()
        if state == "down":
            raise UsageError(f"{self.machine} is down; heal it first")
        if state != "paused":
            self._docker("pause", self.machine)

    def partition(self, others: list[str] | None = None) -> None:
        """Sends what is for the others nowhere. kind's network hands out addresses anew, so it stays plugged in.

        ``others`` are the machines on the same side of the cut.
        """
        together = [self.machine, *(others or ())]
        away = [address for m in self.record.machines if m.name not in together for address in self._addresses(m.name)]
        if not away:
            raise UsageError("a partition has two sides: name some of the machines, not all")
        for machine in together:
            plug = _Plug(self.record, machine)
            for address in away:
                plug._inside("ip", "route", "replace", "blackhole", address, hint="cannot cut a node off here")
            plug._note("partitioned " + " ".join(away))

    def slow(self, seconds: float = 0.5) -> None:
        if self._state() != "up":
            raise UsageError(f"{self.machine} is not up; heal it first")
        self._inside(
            *("tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", f"{int(seconds * 1000)}ms"),
            hint="slowing a real machine needs sch_netem in the kernel; embedded machines do it",
        )
        self._note(f"slow {seconds}")

    def heal(self) -> None:
        state = self._state()
        if state == "paused":
            self._docker("unpause", self.machine)
        if self.mark.exists():
            if state != "down":  # routes and delays do not outlive a stop
                self._undo_mark()
            self.mark.unlink()
        if state == "down":
            self._docker("start", self.machine)

    def _undo_mark(self) -> None:
        what, *addresses = self.mark.read_text().split()
        if what == "slow":
            self._inside("tc", "qdisc", "del", "dev", "eth0", "root", hint="the delay could not be taken away")
        for address in addresses if what == "partitioned" else ():
            self._inside("ip", "route", "del", "blackhole", address, hint=f"{address} could not be connected again")

    def _note(self, words: str) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(words)

    def _state(self) -> str:
        form = "{{if .State.Paused}}paused{{else if .State.Running}}up{{else}}down{{end}}"
        return self._docker("inspect", "-f", form, self.machine).strip()

    def _addresses(self, container: str) -> list[str]:
        """Of both families: kind's network has IPv6 too, and a kubelet takes what answers."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}"
        addresses = self._docker("inspect", "-f", form, container).split()
        return addresses or [self.record.machine(container).address]  # one that is off has none

    def _inside(self, *command: str, hint: str) -> str:
        try:
            return self._docker("exec", self.machine, *command)
        except EngineFailed as error:
            raise EngineFailed(f"{hint} ({error})") from error

    def _docker(self, *arguments: str) -> str:
        return _docker(self.record, *arguments)


def _docker(record: Record, *arguments: str) -> str:
    done = run(["docker", *arguments], _client(record))
    if done.returncode:
        raise EngineFailed(last_words(done.stderr.splitlines()))
    return done.stdout


def _variables(options: Mapping[str, Any]) -> dict[str, str]:
    """The script's variables for a request; an option that it does not have is said by name."""
    found = {}
    for key, value in options.items():
        if key in _VARIABLES:
            found[_VARIABLES[key]] = value if isinstance(value, str) else " ".join(value)
        elif key not in _RECORDED:
            raise UsageError(f"the docker engine has no option {key!r}; it has {', '.join(_VARIABLES)}")
    return found


def _script(verb: str, name: str, state: Path) -> list[str]:
    # Through bash: a wheel does not keep the executable bit.
    return ["bash", str(infra("kind") / verb), "--name", name, "--state", str(state)]


def _client(record: Record) -> dict[str, str]:
    """The engine that the sandbox was started on, whatever this process's own variables say now."""
    client = record.options.get("client")
    return dict(client) if client is not None else host_engine(os.environ)


def _mark(state: Path, machine: str) -> Path:
    return state / "plugs" / machine


def _machines(report: Mapping[str, Any], state: Path, answers: bool) -> list[MachineInfo]:
    env = {"KUBECONFIG": report["kubeconfig"]}
    found = []
    for machine in report["machines"]:
        condition = machine["state"]
        mark = _mark(state, machine["name"])
        if condition == "up" and mark.exists():
            condition = mark.read_text().split()[0]
        address = machine["address"] if answers else ""
        found.append(MachineInfo(machine["name"], machine["role"], condition, address, env))
    return found


def _with_state(machine: MachineInfo, state: str) -> MachineInfo:
    return MachineInfo(machine.name, machine.role, state, machine.address, machine.env)

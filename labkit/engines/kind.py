"""Real Kubernetes: every node is a container that kind made on this computer's own Docker engine.

The work is done by ``infra/kind/up``, ``down`` and ``status`` (:mod:`labkit.engines.scripted`). Components are stopped
and started where they really are: static pods by moving their manifests away, the kubelet through systemd, kube-proxy
by freezing its process. A component runs when its process is there.
"""

from __future__ import annotations

from types import MappingProxyType

from labkit.engines.base import COMPONENT_VERBS, ComponentInfo, MachineInfo, Record, Request
from labkit.engines.hosts import QUICK, docker
from labkit.engines.plugs import Plug
from labkit.engines.scripted import Report, ScriptedEngine
from labkit.errors import UsageError

_MANIFESTS = "/etc/kubernetes/manifests"
_PARKED = "/etc/kubernetes/labkit-stopped"
_STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

# Seconds that are waited for a kubelet to do what it was told, before it is answered all the same. What it starts again
# it may put off for minutes (CrashLoopBackOff); nobody is kept waiting for that, the component's state tells.
_SETTLE = {"stop": 60, "start": 10}

# Which processes there are, by the names that the kernel keeps: fifteen characters of them.
_RUNS = 'runs() { grep -qsx "$(printf %.15s $1)" /proc/[0-9]*/comm; }'

# One line a component, "name state", from inside a node: one `docker exec` a node instead of one a component.
_ASK = f"""
{_RUNS}
for c in {" ".join(_STATIC)}; do
  if runs $c; then echo $c running
  elif [ -e {_MANIFESTS}/$c.yaml ] && systemctl is-active -q kubelet; then echo $c starting
  elif [ -e {_MANIFESTS}/$c.yaml ] || [ -e {_PARKED}/$c.yaml ]; then echo $c stopped; fi
done
if systemctl is-active -q kubelet; then kubelet=running proxy=starting; else kubelet=stopped proxy=stopped; fi
for p in /proc/[0-9]*; do
  [ "$(cat $p/comm 2>/dev/null)" = kube-proxy ] || continue
  if grep -q '^State:.*T' $p/status; then proxy=stopped; else proxy=running; fi
done
echo kubelet $kubelet
echo kube-proxy $proxy
"""


def _in_node(name: str, verb: str) -> str:
    """The shell command that stops or starts a component inside its node. Doing it twice changes nothing.

    A static pod follows its manifest a moment later: a controller-manager that was only told to go would still replace
    what the learner deletes next. So it is waited for, where there is a kubelet that does it.
    """
    if name == "kubelet":
        return f"systemctl {verb} kubelet"
    if name == "kube-proxy":
        # Ended, it would be started again by the kubelet. Frozen, its last rules stay, as they do when it is gone.
        return f"pkill -{'STOP' if verb == 'stop' else 'CONT'} -x kube-proxy"
    source, target = (_MANIFESTS, _PARKED) if verb == "stop" else (_PARKED, _MANIFESTS)
    moved = f"mkdir -p {_PARKED}; [ -e {target}/{name}.yaml ] || mv {source}/{name}.yaml {target}/ || exit"
    unsettled = f"runs {name}" if verb == "stop" else f"! runs {name}"
    begun = "now() { date +%s; }; begun=$(now)"
    waited = f"while {unsettled} && systemctl is-active -q kubelet && [ $(($(now) - begun)) -lt {_SETTLE[verb]} ]"
    return f"{moved}; {_RUNS}; {begun}; {waited}; do sleep 0.1; done"


class NodePlug(Plug):
    """A node's plug. kind's network hands out addresses anew, so the node stays plugged in and packets go nowhere."""

    cut_failed = "cannot cut a node off here"
    slow_failed = "slowing a real machine needs sch_netem in the kernel; embedded machines do it"

    def marks_of(self, machine: str) -> list[str]:
        """Its addresses of both families: kind's network has IPv6 too, and a kubelet takes what answers."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}"
        addresses = self.docker("inspect", "-f", form, machine).split()
        return addresses or [self.record.machine(machine).address]  # one that is off has none

    def address_of(self, mark: str) -> str:
        return mark


class KindEngine(ScriptedEngine):
    """Creates real clusters, or starts the nodes of one again; takes 30 to 90 s, more when the image is pulled first.

    A machine is called as its node is. Options: ``image`` (the node's), ``images`` (loaded into every node).
    """

    folder = "kind"
    variables = MappingProxyType({"image": "LABKIT_KIND_NODE_IMAGE", "images": "LABKIT_KIND_IMAGES"})
    kept = ("notes",)
    labels = ("io.x-k8s.kind.cluster=labkit-{name}",)
    plugs = NodePlug

    def arguments_for(self, request: Request) -> list[str]:
        return ["--workers", str(request.sizes["workers"])]

    def environments(self, report: Report) -> dict[str, dict[str, str]]:
        return {machine["name"]: {"KUBECONFIG": report["kubeconfig"]} for machine in report["machines"]}

    def endpoints(self, report: Report) -> dict[str, str]:
        return {"kubernetes": report["server"]}

    def components(self, record: Record) -> list[ComponentInfo]:
        return [found for machine in self.machines(record) for found in self._components_of(record, machine)]

    def _components_of(self, record: Record, machine: MachineInfo) -> list[ComponentInfo]:
        if machine.state in ("down", "paused", "unknown"):
            names = [*(_STATIC if machine.role == "control-plane" else ()), "kubelet", "kube-proxy"]
            return [ComponentInfo(name, machine.name, "unknown") for name in names]
        lines = docker(record, "exec", machine.name, "sh", "-c", _ASK).splitlines()
        return [ComponentInfo(name, machine.name, state) for name, state in dict(map(str.split, lines)).items()]

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        record.machine(machine)
        if verb not in COMPONENT_VERBS:
            raise UsageError(f"a component has no {verb!r}; there are {' and '.join(COMPONENT_VERBS)}")
        docker(record, "exec", machine, "sh", "-c", _in_node(name, verb), timeout=QUICK + _SETTLE[verb])

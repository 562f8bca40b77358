"""A machine as a Node: what the kubelet registers and reports. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.times import rfc3339
from labkit.embedded.runtime.machines import Machine

KUBELET_VERSION = "v1.36.1"
RUNTIME_VERSION = "containerd://2.1.4"
KERNEL_VERSION = "6.12.41+deb13-amd64"
OS_IMAGE = "Debian GNU/Linux 12 (bookworm)"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
EXCLUDE_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers"
PORT = 10250  # of the kubelet's own API

# type, status while all is well, reason, message: pkg/kubelet/nodestatus/setters.go
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
_GOOD_NEWS = {  # the reasons of events when a condition becomes what it should be
    "MemoryPressure": "NodeHasSufficientMemory",
    "DiskPressure": "NodeHasNoDiskPressure",
    "PIDPressure": "NodeHasSufficientPID",
    "Ready": "NodeReady",
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def register(
    machine: Machine, labels: Mapping[str, str], pod_cidr: str, max_pods: int, *, control_plane: bool, status: Json
) -> Json:
    """The Node that a kubelet makes of its machine when it finds none."""
    arch = architecture(machine)
    all_labels = {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": machine.os,
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": machine.name,
        "kubernetes.io/os": machine.os,
    }
    spec: Json = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]} if pod_cidr else {}
    if control_plane:
        all_labels |= {CONTROL_PLANE: "", EXCLUDE_BALANCERS: ""}
        spec["taints"] = [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.name,
            "labels": {**all_labels, **machine.attributes, **labels},
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
        "status": status,
    }


def architecture(machine: Machine) -> str:
    return _ARCHITECTURES.get(machine.arch, machine.arch)


def capacity(machine: Machine, max_pods: int) -> Json:
    """What it has; all of it may be used by pods, as on kind."""
    return {
        "cpu": f"{math.floor(machine.cpus):d}" if machine.cpus == int(machine.cpus) else f"{machine.cpus * 1000:.0f}m",
        "ephemeral-storage": f"{machine.disk // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{machine.memory // 1024}Ki",
        "pods": str(max_pods),
    }


def status(machine: Machine, boot: str, images: list[Json], max_pods: int, before: Json, now: float) -> Json:
    """The whole status, as it is to be now. ``before`` is what it was, for the times of transitions."""
    has = capacity(machine, max_pods)
    known = {one["type"]: one for one in before.get("conditions") or ()}
    stamp = rfc3339(now)
    own = [_condition(*row, known.get(row[0]), stamp) for row in _CONDITIONS]
    others = [one for kind, one in known.items() if kind not in {row[0] for row in _CONDITIONS}]
    return {
        **before,
        "capacity": has,
        "allocatable": has,
        "conditions": others + own,
        "addresses": [
            {"type": "InternalIP", "address": machine.address},
            {"type": "Hostname", "address": machine.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}},
        "nodeInfo": {
            "machineID": _made_up("machine", machine.name)[:32],
            "systemUUID": as_uuid(_made_up("system", machine.name)),
            "bootID": as_uuid(_made_up("boot", machine.name + boot)),
            "kernelVersion": KERNEL_VERSION,
            "osImage": OS_IMAGE,
            "containerRuntimeVersion": RUNTIME_VERSION,
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": machine.os,
            "architecture": architecture(machine),
        },
        "images": images,
    }


def _condition(kind: str, value: str, reason: str, message: str, before: Json | None, stamp: str) -> Json:
    since = before["lastTransitionTime"] if before is not None and before["status"] == value else stamp
    return {
        "type": kind,
        "status": value,
        "lastHeartbeatTime": stamp,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


def good_news(before: Json) -> list[str]:
    """The reasons of the events about conditions that were not well in ``before`` and are now.

    Readiness is news only when something else was known of it (``pkg/kubelet/nodestatus``).
    """
    known = {one["type"]: one["status"] for one in before.get("conditions") or ()}
    unsaid = {"Ready": "True"}
    return [_GOOD_NEWS[kind] for kind, value, *_ in _CONDITIONS if known.get(kind, unsaid.get(kind)) != value]


def has_changed(before: Json, after: Json) -> bool:
    """Is there more in it than newer heartbeats? Then it is written before its five minutes are over."""
    return _without_times(before) != _without_times(after)


def _without_times(status: Json) -> Json:
    conditions = [
        {key: value for key, value in one.items() if key != "lastHeartbeatTime"}
        for one in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def lease(node: Json | None, name: str, now: str) -> Json:
    """The Lease by which it shows that it lives."""
    metadata: Json = {"name": name, "namespace": "kube-node-lease"}
    if node is not None:
        metadata["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        ]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    }


def _made_up(kind: str, name: str) -> str:
    return hashlib.sha256(f"labkit {kind} {name}".encode()).hexdigest()


def as_uuid(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"

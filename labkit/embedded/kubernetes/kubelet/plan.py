"""What is to be done for a pod now. Pure: the spec and what runs, in; what to start and to end, out.

As ``computePodActions`` of ``pkg/kubelet/kuberuntime/kuberuntime_manager.go``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.objects import Json


class Plan(NamedTuple):
    """One step for a pod."""

    sandbox: bool = False  # it needs a sandbox first
    start: tuple[Json, ...] = ()  # containers (their specs) to be started, in this order
    changed: tuple[Container, ...] = ()  # run, but from another image than the spec now names
    left: tuple[Container, ...] = ()  # run on although the pod's work is done: sidecars, ephemeral containers
    finished: bool = False  # everything has ended and nothing is to be started again


def plan(pod: Json, sandbox: Sandbox | None, has_started: Callable[[Container], bool]) -> Plan:
    """The next step. ``has_started`` says whether a running container's startup probe is content (or it has none)."""
    if sandbox is None or not sandbox.ready:
        return Plan(finished=True) if sandbox is not None and not _worth_a_sandbox(pod, sandbox) else Plan(sandbox=True)
    begun = any(sandbox.current(one["name"]) is not None for one in pods.containers(pod))
    # Whatever state the pod is in: to look at one that does not come up is what they are for.
    start = [one for one in pods.ephemeral_containers(pod) if sandbox.latest(one["name"]) is None]
    if not begun:
        waits, failed = _initialize(pod, sandbox, has_started, start)
        if failed:
            return _finish(pod, sandbox)
        if waits:
            return Plan(start=tuple(start))
    else:
        start += [one for one in pods.init_containers(pod) if pods.is_sidecar(one) and not _runs(sandbox, one)]
    main = [one for one in pods.containers(pod) if _wanted(pod, sandbox, one)]
    if not main and not any(_runs(sandbox, one) for one in pods.containers(pod)):
        return _finish(pod, sandbox)
    return Plan(start=(*start, *main), changed=tuple(_changed(pod, sandbox)))


def _initialize(
    pod: Json, sandbox: Sandbox, has_started: Callable[[Container], bool], start: list[Json]
) -> tuple[bool, bool]:
    """Go through the init containers; true, when one of them must get on first, and true, when one failed for good."""
    for one in pods.init_containers(pod):
        latest = sandbox.current(one["name"])
        if pods.is_sidecar(one):
            if latest is None or not latest.running:
                start.append(one)
                return True, False
            if not has_started(latest):
                return True, False
        elif latest is None:
            start.append(one)
            return True, False
        elif latest.running:
            return True, False
        elif latest.exit_code != 0:
            if pods.restart_policy(pod) == "Never":
                return True, True
            start.append(one)
            return True, False
    return False, False


def _runs(sandbox: Sandbox, spec: Json) -> bool:
    latest = sandbox.current(spec["name"])
    return latest is not None and latest.running


def _wanted(pod: Json, sandbox: Sandbox, spec: Json) -> bool:
    """Is this container to be started (again)?"""
    policy = pods.restart_policy(pod)
    latest = sandbox.latest(spec["name"])
    if latest is None:
        return True
    if latest.sandbox != sandbox.attempt:  # it ran in a sandbox that died
        return not (policy == "OnFailure" and latest.exit_code == 0)
    if latest.running:
        return False
    return pods.is_restarted(policy, spec, latest.exit_code)


def _worth_a_sandbox(pod: Json, sandbox: Sandbox) -> bool:
    """A pod whose sandbox died gets another one, unless nothing would be started in it."""
    policy = pods.restart_policy(pod)
    if policy == "Never":
        return not sandbox.containers
    if policy == "OnFailure":
        latest = [sandbox.latest(one["name"]) for one in pods.containers(pod)]
        return any(one is None or one.exit_code != 0 for one in latest)
    return True


def _changed(pod: Json, sandbox: Sandbox) -> list[Container]:
    found = []
    for spec in pods.containers(pod):
        latest = sandbox.current(spec["name"])
        if latest is not None and latest.running and latest.spec_hash != spec_hash(spec):
            found.append(latest)
    return found


def _finish(pod: Json, sandbox: Sandbox) -> Plan:
    """Nothing is left to be done but to end those that look around, and the sidecars, the last one first."""
    running = [
        latest
        for one in (*pods.ephemeral_containers(pod), *reversed(pods.init_containers(pod)))
        if (latest := sandbox.current(one["name"])) is not None and latest.running
    ]
    return Plan(left=tuple(running), finished=not running)


def spec_hash(spec: Json) -> int:
    """Tells whether a container must be made anew. Of what may be changed in a pod, that is the image."""
    return _hash(str(spec.get("image")))


@lru_cache(maxsize=1024)
def _hash(text: str) -> int:
    total = 0
    for char in text:
        total = (total * 131 + ord(char)) & 0x7FFFFFFF
    return total

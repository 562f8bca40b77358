"""Reading pods: what their specs say, with the defaults of the API filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.embedded.kubernetes.objects import Json

STATIC_SOURCE = "kubernetes.io/config.source"
MIRROR = "kubernetes.io/config.mirror"
CONFIG_HASH = "kubernetes.io/config.hash"


def containers(pod: Json) -> list[Json]:
    found: list[Json] = pod["spec"].get("containers") or []
    return found


def init_containers(pod: Json) -> list[Json]:
    found: list[Json] = pod["spec"].get("initContainers") or []
    return found


def ephemeral_containers(pod: Json) -> list[Json]:
    """Those that ``kubectl debug`` has added to look around: started once, never again."""
    found: list[Json] = pod["spec"].get("ephemeralContainers") or []
    return found


def every_container(pod: Json) -> Iterator[Json]:
    """Init containers, then the others, the ephemeral ones last."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def is_sidecar(container: Json) -> bool:
    """An init container that goes on running: ``restartPolicy: Always`` of its own."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Json) -> str:
    return str(pod["spec"].get("restartPolicy") or "Always")


def is_restarted(policy: str, container: Json, exit_code: int | None, *, init: bool = False) -> bool:
    """Whether a container that has ended so is to be started again; an init container is not once it succeeded."""
    if init and not is_sidecar(container):
        return exit_code != 0 and policy != "Never"
    if is_sidecar(container):
        return True
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def is_on_host_network(pod: Json) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def is_static(pod: Json) -> bool:
    """Whether it came from a manifest on the machine; its mirror in the API server counts, too."""
    annotations = pod["metadata"].get("annotations") or {}
    return annotations.get(STATIC_SOURCE, "api") != "api"


def is_mirror(pod: Json) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def grace_period(pod: Json) -> float:
    """Seconds that its containers have to end when it is deleted."""
    metadata, spec = pod["metadata"], pod["spec"]
    given: Any = metadata.get("deletionGracePeriodSeconds")
    if given is None:
        given = spec.get("terminationGracePeriodSeconds")
    return float(30 if given is None else given)


def full_name(pod: Json) -> str:
    """``web_default(1b4e…)``, as the kubelet's messages name it."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata.get('namespace', '')}({metadata.get('uid', '')})"


def hostname_of(pod: Json, node: str) -> str:
    """What ``hostname`` says inside; the kernel takes 63 characters at most."""
    if is_on_host_network(pod):
        return node
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def field_path(pod: Json, name: str) -> str:
    """``spec.containers{web}``: how events say which container they are about."""
    for part in ("initContainers", "ephemeralContainers"):
        if any(one["name"] == name for one in pod["spec"].get(part) or ()):
            return f"spec.{part}{{{name}}}"
    return f"spec.containers{{{name}}}"

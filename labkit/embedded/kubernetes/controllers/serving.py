"""What pods offer to the Services that select them: common to Endpoints and EndpointSlices.

``staging/src/k8s.io/endpointslice/{utils.go,util/}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    condition_of,
    is_pod_finished,
    is_pod_ready,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
)

LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS = "service.kubernetes.io/headless"

SECONDS_PER_ENDPOINT = 0.0002
"""How long a Service is left alone after it was brought in order, for each of its endpoints: 0.2 s for 1,000. The real
controllers are slowed down by their client's limit of 20 requests a second, and gather changes meanwhile."""


def has_selector(service: Json) -> bool:
    """Whether its endpoints are the controllers' business: it selects pods."""
    spec = spec_of(service)
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_headless(service: Json) -> bool:
    return spec_of(service).get("clusterIP") in (None, "", "None")


def is_listed(pod: Json, *, terminating: bool) -> bool:
    """Whether it has an address to be listed; ``terminating`` pods are in slices, in Endpoints they are not."""
    if is_pod_finished(pod) or not status_of(pod).get("podIP"):
        return False
    return terminating or not is_terminating(pod)


def ports_of(service: Json, pod: Json) -> list[Json]:
    """The ports of a Service as they are on this pod. One whose name the pod does not know is left out."""
    found = []
    for port in spec_of(service).get("ports") or ():
        protocol = port.get("protocol", "TCP")
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named(pod, target, protocol)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "port": number, "protocol": protocol}
        if "appProtocol" in port:
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def _named(pod: Json, name: str, protocol: str) -> int | None:
    for container in _serving_containers(pod):
        for port in container.get("ports") or ():
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _serving_containers(pod: Json) -> Iterator[Json]:
    spec = spec_of(pod)
    yield from spec.get("containers") or ()
    yield from (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")


def hostname_of(pod: Json, service: Json) -> str:
    """The name that the pod has of its own within a headless Service; "" when it has none."""
    spec = spec_of(pod)
    hostname = spec.get("hostname") or ""
    return hostname if hostname and spec.get("subdomain") == name_of(service) else ""


def target_of(pod: Json) -> Json:
    """``targetRef``: the pod behind an address."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata.get("uid", "")}


def offers_else(old: Json, new: Json) -> bool:
    """Whether a change of a pod matters to those who list it."""
    if old is new:
        return False
    before, after = status_of(old), status_of(new)
    return (
        before.get("podIP") != after.get("podIP")
        or is_pod_ready(old) != is_pod_ready(new)
        or is_terminating(old) != is_terminating(new)
        or is_pod_finished(old) != is_pod_finished(new)
        or labels_of(old) != labels_of(new)
        or spec_of(old).get("nodeName") != spec_of(new).get("nodeName")
        or old["metadata"].get("uid") != new["metadata"].get("uid")
    )


class TriggerTimes:
    """Since when a Service's endpoints should be other ones: what ``last-change-trigger-time`` says.

    The earliest of those changes of readiness that were not seen yet; for a Service that is new, its creation. Nobody
    knows when a pod went, so a change for that reason has no time.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, dict[str, str]] = {}

    def of(self, service: Json, pods: Iterable[Json]) -> str:
        """The time as the API writes it, or "". Asking makes the changes seen."""
        key = key_of(service)
        before = self._seen.get(key)
        now: dict[str, str] = {}
        changed = ""
        for pod in pods:
            at = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
            if not at:
                continue
            name = name_of(pod)
            now[name] = at
            if before is not None and at > before.get(name, "") and (not changed or at < changed):
                changed = at
        self._seen[key] = now
        return str(service["metadata"].get("creationTimestamp", "")) if before is None else changed

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._seen.pop(key, None)

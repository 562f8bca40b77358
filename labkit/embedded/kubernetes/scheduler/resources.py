"""What pods ask for and nodes have, in whole numbers: CPU in thousandths, everything else in units.

Rounded up, as ``resource.Quantity``'s ``MilliValue`` and ``Value`` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from labkit.embedded.kubernetes import quantity
from labkit.embedded.kubernetes.objects import Json

Resources = dict[str, int]

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL = "ephemeral-storage"
PODS = "pods"

DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container that asks for none counts for in the scores (``pkg/scheduler/util/pod_resources.go``), so that
pods without requests spread too."""


@lru_cache(maxsize=4096)
def amount(name: str, text: Any) -> int:
    """``("cpu", "250m")`` → 250, ``("memory", "1Ki")`` → 1024."""
    parsed = quantity.parse(text)
    return parsed.milli if name == CPU else parsed.value


def amounts(resources: Mapping[str, Any] | None) -> Resources:
    return {name: amount(name, text) for name, text in (resources or {}).items()}


def _add(total: Resources, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Resources, least: Mapping[str, int]) -> None:
    for name, value in least.items():
        if value > total.get(name, 0):
            total[name] = value


def _asked(container: Json, defaults: Mapping[str, int]) -> Resources:
    return {**defaults, **amounts((container.get("resources") or {}).get("requests"))}


def of_pod(spec: Mapping[str, Any], defaults: Mapping[str, int] | None = None) -> Resources:
    """What a pod needs of its node at most at any time (``component-helpers/resource.PodRequests``).

    Containers run together, init containers one after the other; those with ``restartPolicy: Always`` (sidecars) stay.
    Requests of the pod as a whole stand in for its containers'; overhead comes on top. ``defaults`` are what a
    container counts for that does not ask.
    """
    defaults = defaults or {}
    total: Resources = {}
    for container in spec.get("containers") or ():
        _add(total, _asked(container, defaults))
    sidecars: Resources = {}
    most: Resources = {}
    for container in spec.get("initContainers") or ():
        asked = _asked(container, defaults)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = dict(sidecars)
        else:
            _add(asked, sidecars)
        _raise(most, asked)
    _raise(total, most)
    total.update(amounts((spec.get("resources") or {}).get("requests")))
    _add(total, amounts(spec.get("overhead")))
    return total


def for_scores(spec: Mapping[str, Any]) -> tuple[int, int]:
    """CPU and memory as the scores count them."""
    counted = of_pod(spec, {CPU: DEFAULT_CPU, MEMORY: DEFAULT_MEMORY})
    return counted[CPU], counted[MEMORY]

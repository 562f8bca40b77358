"""Requests and limits of containers, for the runtime and for the downward API."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from labkit.embedded.kubernetes import quantity
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.namespaces import Limits

_NONE = Limits()


@lru_cache(maxsize=1024)
def number(text: Any) -> float:
    """A quantity as a number: ``250m`` → 0.25."""
    return quantity.parse(text).nanos / 1e9


def limits_of(container: Json) -> Limits:
    """What the runtime holds it to."""
    given = (container.get("resources") or {}).get("limits")
    if not given:
        return _NONE
    return Limits(memory=math.ceil(number(given.get("memory", 0))), cpus=number(given.get("cpu", 0)))


def field(resource: str, divisor: str, container: Json, machine: Machine) -> str:
    """``limits.memory`` with a divisor of ``1Mi``, as the downward API writes it: rounded up to a whole number."""
    part, _, name = resource.partition(".")
    given = (container.get("resources") or {}).get(part) or {}
    capacity = {"cpu": machine.cpus, "memory": machine.memory, "ephemeral-storage": machine.disk}
    value = number(given[name]) if name in given else (capacity.get(name, 0.0) if part == "limits" else 0.0)
    unit = number(divisor) or 1.0
    return str(math.ceil(value / unit))

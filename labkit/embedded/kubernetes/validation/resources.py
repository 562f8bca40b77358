"""Rules of quantities of resources: what containers ask for, what nodes have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.quantity import Quantity, parse
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import (
    NEGATIVE,
    NOT_INTEGER,
    Causes,
    duplicate,
    forbidden,
    invalid,
    not_found,
    required,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import complain

NameRule = Callable[[str, str, Causes], None]

_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_QUOTA = frozenset({
    "cpu", "memory", "ephemeral-storage", "storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas",
    "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps", "services.nodeports",
    "services.loadbalancers",
})  # fmt: skip
# Counts of objects: no fractions of these.
_WHOLE = frozenset({
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
    "services.nodeports", "services.loadbalancers",
})  # fmt: skip
_POD_LEVEL = ("cpu", "memory")
_HUGE = "hugepages-"
_MILLI = 1_000_000


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource of a domain of its own: ``example.com/dongle``."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not formats.qualified_name(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    """Whether requests may be less than limits: true for Kubernetes' own, but for huge pages."""
    return is_native(name) and not name.startswith(_HUGE)


def resource_name(name: str, path: str, out: Causes) -> None:
    before = len(out)
    complain(formats.qualified_name, name, path, out)
    if len(out) == before and "/" not in name and name not in _QUOTA and not name.startswith(_HUGE):
        out.append(invalid(path, name, "must be a standard resource type or fully qualified"))


def container_resource_name(name: str, path: str, out: Causes) -> None:
    if name in _CONTAINER:
        return
    resource_name(name, path, out)
    if "/" not in name:
        if not name.startswith(_HUGE):
            out.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        out.append(invalid(path, name, "doesn't follow extended resource name standard"))


def pod_resource_name(name: str, path: str, out: Causes) -> None:
    """Resources of a whole pod (``spec.resources``): cpu, memory and huge pages."""
    before = len(out)
    resource_name(name, path, out)
    if len(out) == before and name not in _POD_LEVEL and not name.startswith(_HUGE):
        out.append(unsupported(path, name, _POD_LEVEL))


def quantity_of(name: str, value: str, path: str, out: Causes) -> Quantity:
    """A quantity that is not negative and, of things that are counted, whole."""
    found = parse(value)
    if found.nanos < 0:
        out.append(invalid(path, value, NEGATIVE))
    if (name in _WHOLE or is_extended(name)) and found.nanos % (1000 * _MILLI):
        out.append(invalid(path, value, NOT_INTEGER))
    return found


def amounts(found: Mapping[str, str], path: str, out: Causes) -> None:
    """Quantities by resource, as a node's capacity is."""
    for name, value in found.items():
        quantity_of(name, value, f"{path}.{name}", out)


def requirements(
    found: Json, claims: Collection[str], path: str, out: Causes, name_rule: NameRule = container_resource_name
) -> None:
    """``resources`` of a container (or, with another rule for names, of a pod)."""
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    capped = {}
    for name, value in limits.items():
        at = f"{path}.limits[{name}]"
        name_rule(name, at, out)
        capped[name] = quantity_of(name, value, at, out)
        _huge_pages(name, value, at, out)
    for name, value in requests.items():
        at = f"{path}.requests[{name}]"
        name_rule(name, at, out)
        asked = quantity_of(name, value, at, out)
        if name in capped:
            if asked.nanos != capped[name].nanos and not may_overcommit(name):
                out.append(invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limits[name]}"))
            elif asked.nanos > capped[name].nanos:
                detail = f"must be less than or equal to {name} limit of {limits[name]}"
                out.append(invalid(f"{path}.requests", value, detail))
        elif not may_overcommit(name):
            out.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        _huge_pages(name, value, at, out)
    named = limits.keys() | requests.keys()
    if any(name.startswith(_HUGE) for name in named) and not named & {"cpu", "memory"}:
        out.append(forbidden(path, "HugePages require cpu or memory"))
    if found.get("claims"):
        _claims(found["claims"], claims, f"{path}.claims", out)


def _huge_pages(name: str, value: str, path: str, out: Causes) -> None:
    if not name.startswith(_HUGE):
        return
    try:
        page = parse(name.removeprefix(_HUGE)).nanos
    except ValueError:
        page = 0
    amount = parse(value).nanos
    if page <= 0 or amount % page:
        out.append(invalid(path, value, f"{value} is not positive integer multiple of {name}"))


def _claims(found: list[Json], known: Collection[str], path: str, out: Causes) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(found):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            out.append(required(at))
            continue
        request = claim.get("request") or ""
        key = f"{name}/{request}" if request else name
        if request:
            complain(formats.dns_label, request, f"{at}.request", out)
        if name in seen or key in seen or (not request and any(one.startswith(f"{name}/") for one in seen)):
            out.append(duplicate(at, key if key in seen else name))
        seen.add(key)
        if name not in known:
            detail = "must be one of the names in pod.spec.resourceClaims"
            detail += f": {', '.join(sorted(known))}" if known else " which is empty"
            out.append(not_found(at, name, detail))

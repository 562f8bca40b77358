"""Rules of the downward API: what of itself a pod may give to its containers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.quantity import parse
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import Causes, invalid, required, unsupported
from labkit.embedded.kubernetes.validation.meta import complain

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
# What the API knows as a label of a field at all; anything else is not even converted.
_KNOWN = frozenset({
    *ENV_FIELDS, "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase",
    "spec.host",
})  # fmt: skip
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_SUBSCRIPTED = re.compile(r"(.+)\['(.*)'\]")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SIZE_NAMES = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}


def field_selector(found: Json, allowed: Sequence[str], path: str, out: Causes) -> None:
    """``fieldRef``."""
    version, field = found.get("apiVersion") or "", found.get("fieldPath") or ""
    if not version:
        out.append(required(f"{path}.apiVersion"))
        return
    if not field:
        out.append(required(f"{path}.fieldPath"))
        return
    subscripted = _SUBSCRIPTED.fullmatch(field)
    name = subscripted[1] if subscripted else field
    if version != "v1":
        _unconvertible(field, f"unsupported pod version: {version}", path, out)
    elif name not in _KNOWN:
        words = (
            f"field label not supported: {field}"
            if not subscripted
            else f"field label does not support subscript: {field}"
        )
        _unconvertible(field, words, path, out)
    elif subscripted:
        if name == "metadata.annotations":
            complain(formats.qualified_name, subscripted[2].lower(), path, out)
        elif name == "metadata.labels":
            complain(formats.qualified_name, subscripted[2], path, out)
        else:
            _unconvertible(field, f"field label does not support subscript: {field}", path, out)
    elif name not in allowed:
        out.append(unsupported(f"{path}.fieldPath", name, allowed))


def _unconvertible(field: str, problem: str, path: str, out: Causes) -> None:
    out.append(invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {problem}"))


def resource_selector(found: Json, path: str, out: Causes, *, of_volume: bool = False) -> None:
    """``resourceFieldRef``."""
    resource = found.get("resource") or ""
    if of_volume and not found.get("containerName"):
        out.append(required(f"{path}.containerName"))
    elif not resource:
        out.append(required(f"{path}.resource"))
    elif resource not in _RESOURCES and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        out.append(unsupported(f"{path}.resource", resource, _RESOURCES))
    divisor = found.get("divisor") or "0"
    if not parse(divisor).nanos:
        return
    what = resource.partition(".")[2]
    if what == "cpu":
        if divisor not in ("1m", "1"):
            detail = "only divisor's values 1m and 1 are supported with the cpu resource"
            out.append(invalid(f"{path}.divisor", resource, detail))
    elif (what in _SIZE_NAMES or what.startswith("hugepages-")) and divisor not in _SIZES:
        name = _SIZE_NAMES.get(what, "hugepages")
        detail = f"only divisor's values {', '.join(_SIZES)} are supported with the {name} resource"
        out.append(invalid(f"{path}.divisor", resource, detail))

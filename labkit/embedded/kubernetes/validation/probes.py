"""Rules of probes and of life-cycle hooks: what is asked of a container, and how."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    forbidden,
    invalid,
    none_negative,
    required,
    unsupported,
)

_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")


def probe(found: Json, name: str, grace: int | None, path: str, out: Causes) -> None:
    """A probe; ``name`` is its field (``livenessProbe``), ``path`` where that stands."""
    _handler(found, grace, path, out)
    none_negative(found, _NUMBERS, path, out)
    seconds = found.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        out.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0"))
    if name == "readinessProbe":
        if seconds is not None:
            detail = "must not be set for readinessProbes"
            out.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, detail))
    elif found.get("successThreshold", 0) != 1:
        out.append(invalid(f"{path}.successThreshold", found.get("successThreshold", 0), "must be 1"))


def lifecycle(found: Json, grace: int | None, path: str, out: Causes) -> None:
    for hook in ("postStart", "preStop"):
        if found.get(hook) is not None:
            _handler(found[hook], grace, f"{path}.{hook}", out)


def port(value: Any, path: str, out: Causes) -> None:
    """A number or the name of a port."""
    words = formats.port_name(value) if isinstance(value, str) else formats.port_number(value or 0)
    for one in words:
        out.append(invalid(path, value or 0 if not isinstance(value, str) else value, one))


def _handler(found: Json, grace: int | None, path: str, out: Causes) -> None:
    chosen = [key for key in _HANDLERS if found.get(key) is not None]
    if not chosen:
        out.append(required(path, "must specify a handler type"))
        return
    first, *others = chosen
    if first == "sleep":
        _sleep(found[first], grace, f"{path}.{first}", out)
    else:
        _HANDLERS[first](found[first], f"{path}.{first}", out)
    for key in others:
        out.append(forbidden(f"{path}.{key}", "may not specify more than 1 handler type"))


def _exec(found: Json, path: str, out: Causes) -> None:
    if not found.get("command"):
        out.append(required(f"{path}.command"))


def _http(found: Json, path: str, out: Causes) -> None:
    if not found.get("path"):
        out.append(required(f"{path}.path"))
    port(found.get("port"), f"{path}.port", out)
    scheme = found.get("scheme") or ""
    if scheme not in _SCHEMES:
        out.append(unsupported(f"{path}.scheme", scheme, _SCHEMES))
    for header in found.get("httpHeaders") or ():
        for words in formats.header_name(header.get("name") or ""):
            out.append(invalid(f"{path}.httpHeaders", header.get("name") or "", words))


def _tcp(found: Json, path: str, out: Causes) -> None:
    port(found.get("port"), f"{path}.port", out)


def _sleep(found: Json, grace: int | None, path: str, out: Causes) -> None:
    seconds = found.get("seconds") or 0
    if grace is not None and not 0 <= seconds <= grace:
        detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        out.append(invalid(path, seconds, detail))


_HANDLERS = {"exec": _exec, "httpGet": _http, "tcpSocket": _tcp, "grpc": _tcp, "sleep": _exec}

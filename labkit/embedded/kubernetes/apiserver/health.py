"""``/healthz``, ``/livez`` and ``/readyz``: is the API server well, and each of the checks that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.apiserver.answers import Answer, text

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.apiserver.calls import Call
    from labkit.embedded.kubernetes.apiserver.server import ApiServer

Check = Callable[["ApiServer"], bool]


def _fine(server: ApiServer) -> bool:
    return True


def _etcd(server: ApiServer) -> bool:
    return server.etcd.running


_HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-system-namespaces-controller",
    "start-kubernetes-service-cidr-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-legacy-token-tracking-controller",
    "apiservice-discovery-controller",
    "apiservice-openapiv3-controller",
)
_BASE: dict[str, Check] = {"ping": _fine, "log": _fine, "etcd": _etcd}
_STARTED: dict[str, Check] = {f"poststarthook/{name}": _fine for name in _HOOKS}

CHECKS: dict[str, dict[str, Check]] = {
    "healthz": {**_BASE, **_STARTED},
    "livez": {**_BASE, **_STARTED},
    "readyz": {**_BASE, "etcd-readiness": _etcd, "informer-sync": _fine, **_STARTED, "shutdown": _fine},
}

PATHS = [f"/{name}" for name in CHECKS] + [f"/{name}/{check}" for name, checks in CHECKS.items() for check in checks]


def answer(call: Call) -> Answer | None:
    """The answer at ``/healthz`` and below; None when there is no such check."""
    name, _, one = call.path.strip("/").partition("/")
    checks = CHECKS.get(name)
    if checks is None:
        return None
    if one:
        check = checks.get(one)
        if check is None:
            return None
        if check(call.server):
            return text(200, "ok")
        return text(500, f"internal server error: {one} failed: reason withheld\n")
    excluded = set(call.query.all("exclude"))
    lines, failed = [], False
    for each, check in checks.items():
        if each in excluded:
            excluded.discard(each)
            lines.append(f"[+]{each} excluded: ok\n")
        elif check(call.server):
            lines.append(f"[+]{each} ok\n")
        else:
            failed = True
            lines.append(f"[-]{each} failed: reason withheld\n")
    if excluded:
        names = ", ".join(f'"{item}"' for item in sorted(excluded))
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}\n")
    if failed:
        return text(500, f"{''.join(lines)}{name} check failed\n")
    return text(200, f"{''.join(lines)}{name} check passed\n" if "verbose" in call.query else "ok")

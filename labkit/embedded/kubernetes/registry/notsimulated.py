"""What an object may say, and the embedded engine does not do: told to whoever creates it, as a warning.

Only what would otherwise go by in silence; what fails with words of its own (a volume, say) is left to them.
"""

from __future__ import annotations

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

_WITH_TEMPLATE = frozenset(
    (kinds.REPLICATION_CONTROLLERS, kinds.REPLICA_SETS, kinds.DEPLOYMENTS, kinds.DAEMON_SETS, kinds.JOBS)
)
_FIELDS = {
    kinds.SERVICES: ("trafficDistribution",),
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def not_simulated(kind: Kind, obj: Json) -> list[str]:
    """A line for each field of a valid object that has no effect here."""
    spec: Json = obj.get("spec") or {}
    paths = [f"spec.{name}" for name in _FIELDS.get(kind, ()) if name in spec]
    if kind is kinds.PODS:
        paths += _of_pod(spec, "spec")
    elif kind in _WITH_TEMPLATE:
        template: Json = spec.get("template") or {}
        paths += _of_pod(template.get("spec") or {}, "spec.template.spec")
    return [f"{path} is not simulated by the embedded engine" for path in paths]


def _of_pod(spec: Json, path: str) -> list[str]:
    paths = []
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            paths += [
                f"{path}.{field}[{index}].{probe}.grpc" for probe in _PROBES if "grpc" in (container.get(probe) or ())
            ]
    return paths

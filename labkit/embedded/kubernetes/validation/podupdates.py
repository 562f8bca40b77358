"""What may change of a pod: little of its spec, and of its status not what has ended.

``ValidatePodUpdate``, ``ValidatePodStatusUpdate`` and ``ValidatePodEphemeralContainersUpdate`` of
``pkg/apis/core/validation/validation.go``.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.difference import difference
from labkit.embedded.kubernetes.validation.fields import Causes, between, duplicate, forbidden, invalid, unchanged
from labkit.embedded.kubernetes.validation.meta import complain, metadata_update
from labkit.embedded.kubernetes.validation.pods import MIRROR, metadata_and_spec, pod_annotations
from labkit.embedded.kubernetes.validation.security import MAX_ID

_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def pod_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _annotations_update(new, old, out)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before or after == before:
        return  # it was checked when it came
    metadata_and_spec(new, out)
    for key in ("containers", "initContainers"):
        if len(after.get(key) or ()) != len(before.get(key) or ()):
            out.append(forbidden(f"spec.{key}", "pod updates may not add or remove containers"))
            return
    if not _deadline_update(after, before, out):
        return
    _tolerations_update(after.get("tolerations") or [], before.get("tolerations") or [], out)
    _gates_update(after, before, out)
    munged = _munged(after, before)
    if before.get("schedulingGates"):
        munged = _gated(munged, before, out)
    if munged != before:
        words = f"pod updates may not change fields other than {','.join(_UPDATABLE)}\n"
        out.append(forbidden("spec", words + difference(before, munged, "core.PodSpec")))


def _annotations_update(new: Json, old: Json, out: Causes) -> None:
    after = (new.get("metadata") or {}).get("annotations") or {}
    before = (old.get("metadata") or {}).get("annotations") or {}
    if after is before:
        return
    if MIRROR in before and after.get(MIRROR) != before[MIRROR]:
        at = f"metadata.annotations[{MIRROR}]"
        out.append(forbidden(at, "may not remove or update mirror pod annotation"))
    elif MIRROR in after and MIRROR not in before:
        out.append(forbidden(f"metadata.annotations[{MIRROR}]", "may not add mirror pod annotation"))
    if after:
        pod_annotations(after, new.get("spec") or {}, "metadata.annotations", out)


def _deadline_update(after: Json, before: Json, out: Causes) -> bool:
    """A pod's deadline may come nearer, not go away. False: that is reason enough to refuse."""
    path = "spec.activeDeadlineSeconds"
    new, old = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is None:
        if old is not None:
            out.append(invalid(path, None, "must not update from a positive integer to nil value"))
        return True
    if not 0 <= new <= MAX_ID:
        out.append(invalid(path, new, between(0, MAX_ID)))
        return False
    if old is not None and old < new:
        out.append(invalid(path, new, "must be less than or equal to previous value"))
        return False
    return True


def _tolerations_update(after: list[Json], before: list[Json], out: Causes) -> None:
    for old in before:
        if not any({**old, "tolerationSeconds": None} == {**new, "tolerationSeconds": None} for new in after):
            detail = "existing toleration can not be modified except its tolerationSeconds"
            out.append(forbidden("spec.tolerations", detail))
            return


def _gates_update(after: Json, before: Json, out: Causes) -> None:
    known = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    for index, gate in enumerate(after.get("schedulingGates") or ()):
        if gate.get("name") not in known:
            words = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            out.append(forbidden(f"spec.schedulingGates[{index}].name", words))


def _munged(after: Json, before: Json) -> Json:
    """The new spec with all that may change put back: what is left of a difference may not be."""
    munged = dict(after)
    for key in ("containers", "initContainers"):
        if after.get(key):
            munged[key] = [
                {**container, "image": old.get("image", "")}
                for container, old in zip(after[key], before[key], strict=True)
            ]
    for key in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _put_back(munged, before, key)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _put_back(munged: Json, before: Json, key: str) -> None:
    if key in before:
        munged[key] = before[key]
    else:
        munged.pop(key, None)


def _gated(munged: Json, before: Json, out: Causes) -> Json:
    """While gates keep a pod from being scheduled, it may be told more about where to go."""
    new, old = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in old.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        out.append(invalid("spec.nodeSelector", new, detail))
    munged = dict(munged)
    _put_back(munged, before, "nodeSelector")
    after_affinity, before_affinity = munged.get("affinity") or {}, before.get("affinity") or {}
    if after_affinity.get("nodeAffinity") != before_affinity.get("nodeAffinity"):
        _affinity_update(after_affinity.get("nodeAffinity") or {}, before_affinity.get("nodeAffinity") or {}, out)
        affinity = dict(after_affinity)
        _put_back(affinity, before_affinity, "nodeAffinity")
        munged["affinity"] = affinity
        if not affinity:
            _put_back(munged, before, "affinity")
    return munged


def _affinity_update(after: Json, before: Json, out: Causes) -> None:
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{key}.nodeSelectorTerms"
    old = (before.get(key) or {}).get("nodeSelectorTerms") or []
    new = (after.get(key) or {}).get("nodeSelectorTerms") or []
    if not old:
        return
    if len(old) != len(new):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        out.append(invalid(path, new, detail))
        return
    for index, (one, other) in enumerate(zip(new, old, strict=True)):
        for rows in ("matchExpressions", "matchFields"):
            kept = other.get(rows) or []
            if (one.get(rows) or [])[: len(kept)] != kept:
                out.append(invalid(f"{path}[{index}]", one, "only additions are allowed (no mutations or deletions)"))


# -- status


def pod_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _annotations_update(new, old, out)
    after, before = new.get("status") or {}, old.get("status") or {}
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    for index, condition in enumerate(after.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS:
            complain(formats.qualified_name, kind, f"metadata.conditions[{index}].Type", out)  # sic
    if spec is not old_spec and spec.get("nodeName") != old_spec.get("nodeName"):
        out.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = after.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        complain(formats.dns_subdomain, nominated, "status.nominatedNodeName", out)
    unchanged(after.get("qosClass") or "", before.get("qosClass") or "", "status.qosClass", out)
    policy = old_spec.get("restartPolicy")
    _terminated(after, before, "containerStatuses", policy, out)
    sidecars = {one.get("name") for one in old_spec.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    _terminated(after, before, "initContainerStatuses", policy, out, sidecars)
    _terminated(after, before, "ephemeralContainerStatuses", "Never", out)
    _addresses(after, "podIPs", out)
    if after.get("hostIPs"):
        first = after["hostIPs"][0].get("ip")
        if after.get("hostIP") != first:
            out.append(invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
        _addresses(after, "hostIPs", out)


def _terminated(
    after: Json, before: Json, field: str, policy: str | None, out: Causes, may_run_again: Any = ()
) -> None:
    """A container that ended and is not to be restarted stays ended."""
    if policy == "Always" or after.get(field) is before.get(field):
        return
    for index, old in enumerate(before.get(field) or ()):
        ended = (old.get("state") or {}).get("terminated")
        if ended is None or old.get("name") in may_run_again:
            continue
        if ended.get("exitCode") and policy == "OnFailure":
            continue
        for new in after.get(field) or ():
            if new.get("name") == old.get("name") and (new.get("state") or {}).get("terminated") is None:
                words = "may not be transitioned to non-terminated state"
                out.append(forbidden(f"status.{field}[{index}].state", words))


def _addresses(status: Json, field: str, out: Causes) -> None:
    """At most one address of each family, none twice."""
    found = [entry.get("ip") or "" for entry in status.get(field) or ()]
    for index, address in enumerate(found):
        complain(formats.ip, address, f"status.{field}[{index}]", out)
    if len(found) > 1:
        families = {":" in address for address in found}
        if len(families) < 2 or len(found) > 2:
            detail = "may specify no more than one IP for each IP family"
            out.append(invalid(f"status.{field}", status[field], detail))
        for index, address in enumerate(found):
            if address in found[:index]:
                out.append(duplicate(f"status.{field}[{index}]", status[field][index]))


def ephemeral_update(new: Json, old: Json, out: Causes) -> None:
    """``pods/ephemeralcontainers``: they come, and neither change nor go."""
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    metadata_and_spec(new, out)
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        out[:] = [forbidden("[]", "static pods do not support ephemeral containers")]
        return
    path = "spec.ephemeralContainers"
    now = {container.get("name"): container for container in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in now:
            out.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif now[name] != container:
            words = f'existing ephemeral containers "{name}" may not be changed\n'
            out.append(forbidden(path, words + difference(container, now[name], "core.EphemeralContainer")))

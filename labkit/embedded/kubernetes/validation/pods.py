"""Rules of pods and of the templates that pods are made from (``pkg/apis/core/validation/validation.go``)."""

from __future__ import annotations

import re
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.quantity import Quantity, parse
from labkit.embedded.kubernetes.validation import formats, placement, resources, security
from labkit.embedded.kubernetes.validation.containers import (
    Surroundings,
    containers,
    ephemeral_containers,
    init_containers,
    trimmed_image,
)
from labkit.embedded.kubernetes.validation.difference import difference
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    between,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
    unchanged,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import (
    check_annotations,
    check_labels,
    complain,
    metadata,
    metadata_update,
)
from labkit.embedded.kubernetes.validation.security import MAX_ID
from labkit.embedded.kubernetes.validation.volumes import volumes

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_INT32 = re.compile(r"0|-?[1-9][0-9]*")
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
# Names of a pod's own that other objects have; what form each has.
_NAMES: tuple[tuple[str, formats.Form], ...] = (
    ("serviceAccountName", formats.dns_subdomain),
    ("nodeName", formats.dns_subdomain),
    ("hostname", formats.dns_label),
    ("subdomain", formats.dns_label),
    ("priorityClassName", formats.dns_subdomain),
    ("runtimeClassName", formats.dns_subdomain),
)


# -- create


def pod(obj: Json, out: Causes) -> None:
    """A new pod."""
    _metadata_and_spec(obj, out)
    spec = obj.get("spec") or {}
    if spec.get("ephemeralContainers"):
        out.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        out.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))


def _metadata_and_spec(obj: Json, out: Causes) -> None:
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    metadata(meta, formats.dns_subdomain, True, out)
    if meta.get("annotations"):
        _pod_annotations(meta["annotations"], spec, "metadata.annotations", out)
    pod_spec(spec, "spec", out, of_pod=True)
    if not spec.get("serviceAccountName"):
        _no_tokens(spec, out)
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            trimmed_image(container, f"spec.{key}[{index}]", out)


def _no_tokens(spec: Json, out: Causes) -> None:
    """A pod of no service account has no token."""
    for index, volume in enumerate(spec.get("volumes") or ()):
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                at = f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken"
                out.append(forbidden(at, "must not be specified when serviceAccountName is not set"))


def _pod_annotations(found: Json, spec: Json, path: str, out: Causes) -> None:
    """Annotations that mean something for pods."""
    mirror, cost = found.get(MIRROR), found.get(DELETION_COST)
    if mirror is not None and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        out.append(invalid(f"{path}[{MIRROR}]", mirror, detail))
    if cost is not None and not (_INT32.fullmatch(cost) and -(2**31) <= int(cost) < 2**31):
        out.append(invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))


def template(found: Json, path: str, out: Causes) -> None:
    """``spec.template`` of what makes pods."""
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    # The real one forgets the "metadata" of these paths.
    check_labels(meta.get("labels") or {}, f"{path}.labels", out)
    if meta.get("annotations"):
        check_annotations(meta["annotations"], f"{path}.annotations", out)
        _pod_annotations(meta["annotations"], spec, f"{path}.annotations", out)
    pod_spec(spec, f"{path}.spec", out)
    if spec.get("ephemeralContainers"):
        out.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))


def pod_spec(spec: Json, path: str, out: Causes, *, of_pod: bool = False) -> None:
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        out.append(required(f"{path}.terminationGracePeriodSeconds"))
    known = volumes(spec["volumes"], f"{path}.volumes", out) if spec.get("volumes") else {}
    claims = _claims(spec.get("resourceClaims") or (), f"{path}.resourceClaims", out)
    policy = spec.get("restartPolicy") or ""
    around = Surroundings(known, claims, grace, policy, spec.get("hostUsers") is not False)
    regular = spec.get("containers") or []
    containers(regular, around, f"{path}.containers", out)
    if spec.get("initContainers"):
        init_containers(spec["initContainers"], regular, around, f"{path}.initContainers", out)
    if spec.get("ephemeralContainers"):
        ephemeral_containers(spec["ephemeralContainers"], spec, around, f"{path}.ephemeralContainers", out)
    if spec.get("resources"):
        _pod_resources(spec, claims, f"{path}.resources", out)
    if spec.get("hostNetwork"):
        _host_network(regular, f"{path}.containers", out, of_pod)
    one_of(policy, RESTART_POLICIES, f"{path}.restartPolicy", out)
    one_of(spec.get("dnsPolicy") or "", DNS_POLICIES, f"{path}.dnsPolicy", out)
    if spec.get("nodeSelector"):
        check_labels(spec["nodeSelector"], f"{path}.nodeSelector", out)
    if spec.get("securityContext"):
        security.pod_context(spec["securityContext"], spec, f"{path}.securityContext", out)
    if spec.get("affinity"):
        placement.affinity(spec["affinity"], f"{path}.affinity", out)
    if spec.get("dnsConfig") or spec.get("dnsPolicy") == "None":
        _dns(spec, f"{path}.dnsConfig", out)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        where = f"{path}.readinessGates[{index}].conditionType"
        complain(formats.qualified_name, gate.get("conditionType") or "", where, out)
    _gates(spec.get("schedulingGates") or (), f"{path}.schedulingGates", out)
    if spec.get("topologySpreadConstraints"):
        placement.spread(spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints", out)
    if not around.host_users:
        _own_users(spec, path, out)
    for key, form in _NAMES:
        value = spec.get(key)
        if value:
            complain(form, value, f"{path}.{key}", out)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_ID:
        out.append(invalid(f"{path}.activeDeadlineSeconds", deadline, between(1, MAX_ID)))
    if spec.get("tolerations"):
        placement.tolerations(spec["tolerations"], f"{path}.tolerations", out)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        at = f"{path}.hostAliases[{index}]"
        complain(formats.ip, alias.get("ip") or "", f"{at}.ip", out)
        for place, name in enumerate(alias.get("hostnames") or ()):
            complain(formats.dns_subdomain, name, f"{at}.hostnames[{place}]", out)
    if spec.get("preemptionPolicy") is not None:
        one_of(spec["preemptionPolicy"], PREEMPTION_POLICIES, f"{path}.preemptionPolicy", out)
    if spec.get("overhead"):
        resources.requirements({"limits": spec["overhead"]}, (), f"{path}.overhead", out)
    system = (spec.get("os") or {}).get("name")
    if spec.get("os") is not None and system not in ("linux", "windows"):
        one_of(system or "", ("linux", "windows"), f"{path}.os.name", out)


def _claims(found: Any, path: str, out: Causes) -> set[str]:
    """Resource claims; their names."""
    names: set[str] = set()
    for index, claim in enumerate(found):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            out.append(required(f"{at}.name"))
        elif name in names:
            out.append(duplicate(f"{at}.name", name))
        else:
            complain(formats.dns_label, name, f"{at}.name", out)
            names.add(name)
        sources = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(key) is not None]
        if len(sources) > 1:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            out.append(invalid(at, claim, detail))
        if not sources:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            out.append(invalid(at, claim, detail))
        for key in sources:
            complain(formats.dns_subdomain, claim[key], f"{at}.{key}", out)
    return names


def _pod_resources(spec: Json, claims: set[str], path: str, out: Causes) -> None:
    """Resources of the whole pod must hold those of its containers."""
    found = spec["resources"]
    if found.get("claims") is not None:
        out.append(forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    resources.requirements(found, claims, path, out, resources.pod_resource_name)
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    sums: dict[str, int] = {}
    for index, container in enumerate(spec.get("containers") or ()):
        own = container.get("resources") or {}
        for name, value in (own.get("requests") or {}).items():
            sums[name] = sums.get(name, 0) + parse(value).nanos
        for name, value in (own.get("limits") or {}).items():
            if name in limits and parse(value).nanos > parse(limits[name]).nanos:
                detail = f"must be less than or equal to pod limits of {limits[name]}"
                out.append(invalid(f"{path}.containers[{index}][{name}].limits", value, detail))
    for name, total in sums.items():
        given = requests.get(name, "0")
        if total > parse(given).nanos:
            aggregate = Quantity(total)
            detail = f"must be greater than or equal to aggregate container requests of {aggregate}"
            out.append(invalid(f"{path}.requests[{name}]", given, detail))


def _host_network(found: list[Json], path: str, out: Causes, of_pod: bool) -> None:
    for index, container in enumerate(found):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (of_pod or host) and host != port.get("containerPort"):
                at = f"{path}[{index}].ports[{place}].hostPort"
                out.append(invalid(at, host, "must match `containerPort` when `hostNetwork` is true"))


def _dns(spec: Json, path: str, out: Causes) -> None:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            out.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            out.append(required(f"{path}.nameservers", detail))
            return
    config = config or {}
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        out.append(invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        complain(formats.ip, server, f"{path}.nameservers[{index}]", out)
    if len(searches) > 32:
        out.append(invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        detail = "must not have more than 2048 characters (including spaces) in the search list"
        out.append(invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            complain(formats.dns_subdomain_with_underscore, name, f"{path}.searches[{index}]", out)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            out.append(required(f"{path}.options[{index}]", "must not be empty"))


def _gates(found: Any, path: str, out: Causes) -> None:
    names: set[str] = set()
    for index, gate in enumerate(found):
        name = gate.get("name") or ""
        complain(formats.qualified_name, name, f"{path}[{index}]", out)
        if name in names:
            out.append(duplicate(f"{path}[{index}]", name))
        names.add(name)


def _own_users(spec: Json, path: str, out: Causes) -> None:
    """A pod with users of its own shares no other namespace with the host."""
    for key, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(key):
            out.append(forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false"))


# -- update


def pod_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _annotations_update(new, old, out)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before or after == before:
        return  # it was checked when it came
    _metadata_and_spec(new, out)
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
        _pod_annotations(after, new.get("spec") or {}, "metadata.annotations", out)


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
        if condition.get("type") not in _SYSTEM_CONDITIONS:
            where = f"metadata.conditions[{index}].Type"  # sic
            complain(formats.qualified_name, condition.get("type") or "", where, out)
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


# -- sub-resources


def binding(obj: Json, out: Causes) -> None:
    """``pods/binding``: the target must be a node."""
    target = obj.get("target") or {}
    kind = target.get("kind")
    if kind and kind != "Node":
        out.append(unsupported("target.kind", kind, ("Node", "<empty>")))
    if not target.get("name"):
        out.append(required("target.name"))


def ephemeral_update(new: Json, old: Json, out: Causes) -> None:
    """``pods/ephemeralcontainers``: they come, and neither change nor go."""
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _metadata_and_spec(new, out)
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

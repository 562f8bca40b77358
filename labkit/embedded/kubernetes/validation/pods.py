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
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    between,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
)
from labkit.embedded.kubernetes.validation.meta import (
    check_annotations,
    check_labels,
    complain,
    metadata,
)
from labkit.embedded.kubernetes.validation.security import MAX_ID
from labkit.embedded.kubernetes.validation.volumes import volumes

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_INT32 = re.compile(r"0|-?[1-9][0-9]*")
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
    metadata_and_spec(obj, out)
    spec = obj.get("spec") or {}
    if spec.get("ephemeralContainers"):
        out.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        out.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))


def metadata_and_spec(obj: Json, out: Causes) -> None:
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    metadata(meta, formats.dns_subdomain, True, out)
    if meta.get("annotations"):
        pod_annotations(meta["annotations"], spec, "metadata.annotations", out)
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


def pod_annotations(found: Json, spec: Json, path: str, out: Causes) -> None:
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
        pod_annotations(meta["annotations"], spec, f"{path}.annotations", out)
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

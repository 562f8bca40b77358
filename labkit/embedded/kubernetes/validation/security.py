"""Rules of security contexts, of pods and of containers."""

from __future__ import annotations

import re

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    between,
    duplicate,
    invalid,
    required,
    too_long,
    unsupported,
)
from labkit.embedded.kubernetes.validation.volumes import local_path

MAX_ID = 2**31 - 1
_SYSCTL = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def _ids(found: Json, path: str, out: Causes, *keys: str) -> None:
    for key in keys:
        value = found.get(key)
        if value is not None and not 0 <= value <= MAX_ID:
            out.append(invalid(f"{path}.{key}", value, between(0, MAX_ID)))


def _chosen(value: str | None, supported: tuple[str, ...], path: str, out: Causes) -> None:
    if value is not None and value not in supported:
        out.append(unsupported(path, value, supported))


def pod_context(found: Json, spec: Json, path: str, out: Causes) -> None:
    """``spec.securityContext`` of a pod."""
    _ids(found, path, out, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(found.get("supplementalGroups") or ()):
        if not 0 <= group <= MAX_ID:
            out.append(invalid(f"{path}.supplementalGroups[{index}]", group, between(0, MAX_ID)))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        out.append(invalid(f"{path}.shareProcessNamespace", True, detail))
    _sysctls(found, spec, f"{path}.sysctls", out)
    _chosen(found.get("fsGroupChangePolicy"), ("Always", "OnRootMismatch"), f"{path}.fsGroupChangePolicy", out)
    _seccomp(found.get("seccompProfile"), f"{path}.seccompProfile", out)
    _app_armor(found.get("appArmorProfile"), f"{path}.appArmorProfile", out)
    _chosen(found.get("supplementalGroupsPolicy"), ("Merge", "Strict"), f"{path}.supplementalGroupsPolicy", out)
    _chosen(found.get("seLinuxChangePolicy"), ("MountOption", "Recursive"), f"{path}.seLinuxChangePolicy", out)


def _sysctls(found: Json, spec: Json, path: str, out: Causes) -> None:
    names: set[str] = set()
    for index, sysctl in enumerate(found.get("sysctls") or ()):
        at, name = f"{path}[{index}].name", sysctl.get("name") or ""
        if not name:
            out.append(required(at))
        elif len(name) > 253 or not re.match(_SYSCTL, name):
            out.append(invalid(at, name, f"must have at most 253 characters and match regex {_SYSCTL}"))
        elif name in names:
            out.append(duplicate(at, name))
        plain = name.replace("/", ".")
        if spec.get("hostNetwork") and plain.startswith("net."):
            out.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and plain.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            out.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))
        names.add(name)


def container_context(found: Json, path: str, out: Causes, *, host_users: bool) -> None:
    """``securityContext`` of a container."""
    _ids(found, path, out, "runAsUser", "runAsGroup")
    mount = found.get("procMount")
    _chosen(mount, ("Default", "Unmasked"), f"{path}.procMount", out)
    if host_users and mount == "Unmasked":
        out.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    _seccomp(found.get("seccompProfile"), f"{path}.seccompProfile", out)
    if found.get("allowPrivilegeEscalation") is False:
        if found.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            out.append(invalid(path, found, detail))
        if "CAP_SYS_ADMIN" in ((found.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            out.append(invalid(path, found, detail))
    _app_armor(found.get("appArmorProfile"), f"{path}.appArmorProfile", out)


def _seccomp(found: Json | None, path: str, out: Causes) -> None:
    if found is None:
        return
    _profile_type(found.get("type"), "seccompProfile", path, out)
    local = found.get("localhostProfile")
    if found.get("type") == "Localhost":
        if local is None:
            out.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            local_path(local, f"{path}.localhostProfile", out)
    elif local is not None:
        out.append(invalid(f"{path}.localhostProfile", found, "can only be set when seccomp type is Localhost"))


def _app_armor(found: Json | None, path: str, out: Causes) -> None:
    if found is None:
        return
    _profile_type(found.get("type"), "appArmorProfile", path, out)
    local, at = found.get("localhostProfile"), f"{path}.localhostProfile"
    if found.get("type") == "Localhost":
        if not local:
            out.append(required(at, "must be set when AppArmor type is Localhost"))
        elif local.strip() != local:
            out.append(invalid(at, local, "must not be padded with whitespace"))
        if local and len(local) > 4095:
            out.append(too_long(at, 4095))
    elif local is not None and found.get("type") in _PROFILES:
        out.append(invalid(at, local, "can only be set when AppArmor type is Localhost"))


def _profile_type(kind: str | None, name: str, path: str, out: Causes) -> None:
    if not kind:
        out.append(required(f"{path}.type", f"type is required when {name} is set"))
    elif kind not in _PROFILES:
        out.append(unsupported(f"{path}.type", kind, _PROFILES))

"""Rules of containers: names, images, ports, environment, mounts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, probes, resources, security
from labkit.embedded.kubernetes.validation.downward import ENV_FIELDS, field_selector, resource_selector
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    not_found,
    one_of,
    required,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import complain
from labkit.embedded.kubernetes.validation.volumes import local_path

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RESIZE_RESOURCES = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
# What an ephemeral container may not have, in the order of Go's struct; of the first ones an empty value is none.
_EMPTY_IS_NONE = ("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules")
_NOT_EPHEMERAL = (*_EMPTY_IS_NONE, *_PROBES, "lifecycle")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of a pod its containers are checked against."""

    volumes: Mapping[str, Json]
    claims: Collection[str] = ()
    grace: int | None = None
    restart_policy: str = "Always"
    host_users: bool = True


def containers(found: Sequence[Json], around: Surroundings, path: str, out: Causes) -> None:
    if not found:
        out.append(required(path))
        return
    names: set[str] = set()
    for index, container in enumerate(found):
        at = f"{path}[{index}]"
        _common(container, around, at, out)
        name = container.get("name") or ""
        if name in names:
            out.append(duplicate(f"{at}.name", name))
        names.add(name)
        _watched(container, around, at, out)
        if container.get("restartPolicy") is not None:
            # restart rules of ordinary containers are a feature that is off by default
            out.append(forbidden(f"{at}.restartPolicy", "may not be set for non-init containers"))
    _host_ports(found, path, out)


def init_containers(
    found: Sequence[Json], others: Sequence[Json], around: Surroundings, path: str, out: Causes
) -> None:
    names = {container.get("name") or "" for container in others}
    for index, container in enumerate(found):
        at, name = f"{path}[{index}]", container.get("name") or ""
        _common(container, around, at, out)
        policy = container.get("restartPolicy")
        if policy is not None and policy != "Always":
            out.append(unsupported(f"{at}.restartPolicy", policy, ("Always",)))
        if name in names:
            out.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        _host_ports([container], path, out)
        if policy == "Always":
            _watched(container, around, at, out)
            continue
        for key in ("lifecycle", *_PROBES):
            if container.get(key) is not None:
                out.append(forbidden(f"{at}.{key}", "may not be set for init containers without restartPolicy=Always"))


def ephemeral_containers(found: Sequence[Json], spec: Json, around: Surroundings, path: str, out: Causes) -> None:
    others = {container.get("name") for key in ("containers", "initContainers") for container in spec.get(key) or ()}
    names = set(others)
    for index, container in enumerate(found):
        at, name = f"{path}[{index}]", container.get("name") or ""
        _common(container, around, at, out)
        trimmed_image(container, at, out)
        if name in names:
            out.append(duplicate(f"{at}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            out.append(not_found(f"{at}.targetContainerName", target))
        for key in _NOT_EPHEMERAL:
            given = container.get(key)
            if given or (given is not None and key not in _EMPTY_IS_NONE):
                out.append(forbidden(f"{at}.{key}", "cannot be set for an Ephemeral Container"))
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for key in ("subPath", "subPathExpr"):
                if mount.get(key):
                    where = f"{at}.volumeMounts[{place}].{key}"
                    out.append(forbidden(where, "cannot be set for an Ephemeral Container"))


def trimmed_image(container: Json, path: str, out: Causes) -> None:
    """Pods may have no blanks around an image; their templates may."""
    image = container.get("image") or ""
    if image.strip() != image:
        out.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))


def _common(container: Json, around: Surroundings, path: str, out: Causes) -> None:
    """What holds for containers of each kind."""
    name = container.get("name")
    if not name:
        out.append(required(f"{path}.name"))
    else:
        complain(formats.dns_label, name, f"{path}.name", out)
    if not container.get("image"):
        out.append(required(f"{path}.image"))
    one_of(container.get("terminationMessagePolicy") or "", _MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", out)
    if container.get("ports"):
        _ports(container["ports"], f"{path}.ports", out)
    if container.get("env"):
        _env(container["env"], f"{path}.env", out)
    if container.get("envFrom"):
        _env_from(container["envFrom"], f"{path}.envFrom", out)
    if container.get("volumeMounts"):
        _mounts(container, around.volumes, f"{path}.volumeMounts", out)
    if container.get("volumeDevices"):
        _devices(container, around.volumes, f"{path}.volumeDevices", out)
    one_of(container.get("imagePullPolicy") or "", PULL_POLICIES, f"{path}.imagePullPolicy", out)
    if container.get("resources"):
        resources.requirements(container["resources"], around.claims, f"{path}.resources", out)
    if container.get("resizePolicy"):
        _resize(container["resizePolicy"], around.restart_policy, f"{path}.resizePolicy", out)
    if container.get("securityContext"):
        at = f"{path}.securityContext"
        security.container_context(container["securityContext"], at, out, host_users=around.host_users)


def _watched(container: Json, around: Surroundings, path: str, out: Causes) -> None:
    """Probes and hooks, of containers that go on running."""
    if container.get("lifecycle") is not None:
        probes.lifecycle(container["lifecycle"], around.grace, f"{path}.lifecycle", out)
    for name in _PROBES:
        found = container.get(name)
        if found is not None:
            probes.probe(found, name, around.grace, f"{path}.{name}", out)


def _ports(found: Sequence[Json], path: str, out: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(found):
        at, name = f"{path}[{index}]", port.get("name")
        if name:
            words = formats.port_name(name)
            for one in words:
                out.append(invalid(f"{at}.name", name, one))
            if not words:
                if name in names:
                    out.append(duplicate(f"{at}.name", name))
                names.add(name)
        number = port.get("containerPort") or 0
        if not number:
            out.append(required(f"{at}.containerPort"))
        for key in ("containerPort", "hostPort"):
            value = port.get(key) or 0
            if value and not 1 <= value <= 65535:
                out.append(invalid(f"{at}.{key}", value, formats.port_number(value)[0]))
        one_of(port.get("protocol") or "", PROTOCOLS, f"{at}.protocol", out)


def _host_ports(found: Sequence[Json], path: str, out: Causes) -> None:
    """Two containers of a pod cannot have one port of the node."""
    taken: set[str] = set()
    for index, container in enumerate(found):
        for place, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if key in taken:
                    out.append(duplicate(f"{path}[{index}].ports[{place}].hostPort", key))
                taken.add(key)


# -- environment

_SOURCES_WORDS = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"


def _env(found: Sequence[Json], path: str, out: Causes) -> None:
    for index, variable in enumerate(found):
        at, name = f"{path}[{index}]", variable.get("name")
        if not name:
            out.append(required(f"{at}.name"))
        else:
            complain(formats.env_name, name, f"{at}.name", out)
        source = variable.get("valueFrom")
        if source is not None:
            _value_from(source, variable.get("value") or "", f"{at}.valueFrom", out)


def _value_from(source: Json, value: str, path: str, out: Causes) -> None:
    chosen = [key for key, found in source.items() if found is not None]
    for key in chosen:
        found, at = source[key], f"{path}.{key}"
        if key == "fieldRef":
            field_selector(found, ENV_FIELDS, at, out)
        elif key == "resourceFieldRef":
            resource_selector(found, at, out)
        elif key in ("configMapKeyRef", "secretKeyRef"):
            complain(formats.dns_subdomain, found.get("name") or "", f"{at}.name", out)
            if not found.get("key"):
                out.append(required(f"{at}.key"))
            else:
                complain(formats.config_key, found["key"], f"{at}.key", out)
    if not chosen:
        out.append(invalid(path, "", _SOURCES_WORDS))
    elif value:
        out.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(chosen) > 1:
        out.append(invalid(path, "", "may not have more than one field specified at a time"))


def _env_from(found: Sequence[Json], path: str, out: Causes) -> None:
    for index, source in enumerate(found):
        at = f"{path}[{index}]"
        if source.get("prefix"):
            complain(formats.env_name, source["prefix"], f"{at}.prefix", out)
        chosen = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
        for key in chosen:
            name = source[key].get("name")
            if not name:
                out.append(required(f"{at}.{key}.name"))
            else:
                for words in formats.prefixed(formats.dns_subdomain, name):
                    out.append(invalid(f"{at}.{key}.name", name, words))
        # the real one reports these two at the list
        if not chosen:
            out.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(chosen) > 1:
            out.append(invalid(path, "", "may not have more than one field specified at a time"))


# -- volumes in containers


def _mounts(container: Json, volumes: Mapping[str, Json], path: str, out: Causes) -> None:
    devices = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or ()}
    points: set[str] = set()
    for index, mount in enumerate(container["volumeMounts"]):
        at, name, point = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            out.append(required(f"{at}.name"))
        if name not in volumes:
            out.append(not_found(f"{at}.name", name))
        if not point:
            out.append(required(f"{at}.mountPath"))
        if point in points:
            out.append(invalid(f"{at}.mountPath", point, "must be unique"))
        points.add(point)
        if name in devices:
            out.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if point in devices.values():
            out.append(invalid(f"{at}.mountPath", point, "must not already exist as a path in volumeDevices"))
        # Sub-paths and propagation are reported at the list, without an index, as the real one does.
        for key in ("subPath", "subPathExpr"):
            if mount.get(key):
                local_path(mount[key], f"{path}.{key}", out)
        if mount.get("subPath") and mount.get("subPathExpr"):
            detail = "subPathExpr and subPath are mutually exclusive"
            out.append(invalid(f"{at}.subPathExpr", mount["subPathExpr"], detail))
        propagation = mount.get("mountPropagation")
        if propagation is not None:
            _propagation(propagation, container, f"{path}.mountPropagation", out)


def _propagation(value: str, container: Json, path: str, out: Causes) -> None:
    if value not in _PROPAGATIONS:
        out.append(unsupported(path, value, _PROPAGATIONS))
    if value == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        out.append(forbidden(path, detail))


def _devices(container: Json, volumes: Mapping[str, Json], path: str, out: Causes) -> None:
    mounts = {mount.get("name"): mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    seen: dict[str, set[Any]] = {"name": set(), "devicePath": set()}
    for index, device in enumerate(container["volumeDevices"]):
        at = f"{path}[{index}]"
        volume = volumes.get(device.get("name") or "")
        for key in ("name", "devicePath"):
            value = device.get(key) or ""
            if not value:
                out.append(required(f"{at}.{key}"))
            if value in seen[key]:
                out.append(invalid(f"{at}.{key}", value, "must be unique"))
            seen[key].add(value)
        name = device.get("name") or ""
        if volume is None:
            out.append(not_found(f"{at}.name", name))
        elif not (volume.get("persistentVolumeClaim") or volume.get("ephemeral")):
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            out.append(invalid(f"{at}.name", name, detail))
        if name in mounts:
            out.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if device.get("devicePath") in mounts.values():
            detail = "must not already exist as a path in volumeMounts"
            out.append(invalid(f"{at}.devicePath", device["devicePath"], detail))


def _resize(found: Sequence[Json], restart_policy: str, path: str, out: Causes) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(found):
        resource, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if resource in seen:
            out.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        one_of(resource, _RESIZE_RESOURCES, path, out)
        one_of(restart, _RESIZE_POLICIES, path, out)
        if restart_policy == "Never" and restart != "NotRequired":
            out.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))

"""Defaults of pods and of pod templates (``pkg/apis/core/v1/defaults.go``)."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.defaults.sharing import each, each_within, filled, put, within
from labkit.embedded.kubernetes.objects import Json

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_SPEC: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Json = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Json = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_MODE: Json = {"defaultMode": DEFAULT_MODE}
_TCP: Json = {"protocol": "TCP"}
_V1: Json = {"apiVersion": "v1"}


def pod(obj: Json) -> Json:
    """A pod: the defaults of its spec, and those that templates do not have."""
    spec = obj.get("spec")
    if spec is None:
        return obj
    new = pod_spec(spec)
    new = each_within(new, "containers", _requests)
    new = each_within(new, "initContainers", _requests)
    if "enableServiceLinks" not in new:
        new = {**new, "enableServiceLinks": True}
    if new.get("hostNetwork"):
        new = each_within(new, "containers", _host_ports)
        new = each_within(new, "initContainers", _host_ports)
    return put(obj, "spec", new)


def template(obj: Json) -> Json:
    """``spec.template`` of what makes pods."""
    return within(obj, "spec", pod_spec)


def pod_spec(spec: Json) -> Json:
    new = _account(filled(spec, _SPEC))
    for key in _CONTAINERS:
        if key in new:
            new = put(new, key, each(new[key], _container))
    if "volumes" in new:
        new = put(new, "volumes", each(new["volumes"], _volume))
    return new


def _account(spec: Json) -> Json:
    """``serviceAccount`` is the old name of ``serviceAccountName``; both are always written (conversion.go)."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if not name or (spec.get("serviceAccountName") == name and spec.get("serviceAccount") == name):
        return spec
    return {**spec, "serviceAccountName": name, "serviceAccount": name}


def _container(container: Json) -> Json:
    new = filled(container, _CONTAINER)
    if "imagePullPolicy" not in new:
        latest = is_latest(new.get("image") or "")
        new = {**new, "imagePullPolicy": "Always" if latest else "IfNotPresent"}
    if "ports" in new:
        new = put(new, "ports", each(new["ports"], _port))
    if "env" in new:
        new = put(new, "env", each(new["env"], _variable))
    for key in _PROBES:
        if key in new:
            new = put(new, key, _probe(new[key]))
    if "lifecycle" in new:
        new = put(new, "lifecycle", _lifecycle(new["lifecycle"]))
    return new


def is_latest(image: str) -> bool:
    """Whether an image is named with the tag ``latest``, or with neither tag nor digest, which means the same."""
    if "@" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _port(port: Json) -> Json:
    return port if "protocol" in port else {**port, **_TCP}


def _variable(variable: Json) -> Json:
    source = variable.get("valueFrom")
    return variable if not source else put(variable, "valueFrom", _references(source))


def _references(source: Json) -> Json:
    """What ``fieldRef`` and ``resourceFieldRef`` have in any place."""
    new = source
    if new.get("fieldRef") is not None:
        new = put(new, "fieldRef", filled(new["fieldRef"], _V1))
    if new.get("resourceFieldRef") is not None:
        new = put(new, "resourceFieldRef", filled(new["resourceFieldRef"], {"divisor": "0"}))
    return new


def _probe(probe: Json) -> Json:
    new = _handler(filled(probe, _PROBE))
    if new.get("grpc") is not None:
        new = put(new, "grpc", filled(new["grpc"], {"service": ""}))
    return new


def _handler(handler: Json) -> Json:
    found = handler.get("httpGet")
    return handler if found is None else put(handler, "httpGet", filled(found, {"path": "/", "scheme": "HTTP"}))


def _lifecycle(lifecycle: Json) -> Json:
    return within(within(lifecycle, "postStart", _handler), "preStop", _handler)


def _requests(container: Json) -> Json:
    """Limits are requests too, unless others are asked for. Of pods alone, not of templates."""
    resources = container.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return container
    requests = filled(resources.get("requests") or {}, limits)
    return put(container, "resources", put(resources, "requests", requests))


def _host_ports(container: Json) -> Json:
    """On the host's network, a container's port is the host's."""
    return each_within(container, "ports", _host_port)


def _host_port(port: Json) -> Json:
    return port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort", 0)}


# -- volumes


def _volume(volume: Json) -> Json:
    for key in volume:
        if key != "name":
            change = _VOLUMES.get(key)
            return within(volume, key, change) if change else volume
    return {**volume, "emptyDir": {}}


def _with_mode(source: Json) -> Json:
    return filled(source, _MODE)


def _downward(source: Json) -> Json:
    return each_within(source, "items", _references)


def _projected(source: Json) -> Json:
    return each_within(filled(source, _MODE), "sources", _projection)


def _projection(source: Json) -> Json:
    new = within(source, "downwardAPI", _downward)
    return within(new, "serviceAccountToken", _token)


def _token(source: Json) -> Json:
    return filled(source, {"expirationSeconds": TOKEN_SECONDS})


def _image(source: Json) -> Json:
    policy = "Always" if is_latest(source.get("reference") or "") else "IfNotPresent"
    return filled(source, {"pullPolicy": policy})


def _claim(source: Json) -> Json:
    return within(source, "volumeClaimTemplate", _claim_template)


def _claim_template(template: Json) -> Json:
    return within(template, "spec", lambda spec: filled(spec, {"volumeMode": "Filesystem"}))


def _with(**defaults: Any) -> Any:
    def change(source: Json) -> Json:
        return filled(source, defaults)

    return change


_VOLUMES = {
    "configMap": _with_mode,
    "secret": _with_mode,
    "downwardAPI": lambda source: _downward(filled(source, _MODE)),
    "projected": _projected,
    "hostPath": _with(type=""),
    "image": _image,
    "ephemeral": _claim,
    "iscsi": _with(iscsiInterface="default"),
    "rbd": _with(pool="rbd", user="admin", keyring="/etc/ceph/keyring"),
    "azureDisk": _with(cachingMode="ReadWrite", fsType="ext4", readOnly=False, kind="Shared"),
    "scaleIO": _with(storageMode="ThinProvisioned", fsType="xfs"),
}

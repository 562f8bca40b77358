"""The fields of ``Config`` and ``HostConfig``: their Go type and what the engine shows where nothing was given.

A container keeps only what was given and differs from these; ``docker inspect`` puts them back.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.objects import Json


class Field(NamedTuple):
    """``type`` is what Go's decoder would name; a field without a shown default is left out when it is empty."""

    type: str
    default: Any = None
    shown: bool = True


CONFIG: dict[str, Field] = {
    "Hostname": Field("string", ""),
    "Domainname": Field("string", ""),
    "User": Field("string", ""),
    "AttachStdin": Field("bool", False),
    "AttachStdout": Field("bool", False),
    "AttachStderr": Field("bool", False),
    "ExposedPorts": Field("map", {}, shown=False),
    "Tty": Field("bool", False),
    "OpenStdin": Field("bool", False),
    "StdinOnce": Field("bool", False),
    "Env": Field("[]string", []),
    "Cmd": Field("[]string"),
    "Healthcheck": Field("object", None, shown=False),
    "Image": Field("string", ""),
    "Volumes": Field("map"),
    "WorkingDir": Field("string", ""),
    "Entrypoint": Field("[]string"),
    "NetworkDisabled": Field("bool", False, shown=False),
    "MacAddress": Field("string", "", shown=False),
    "OnBuild": Field("[]string"),
    "Labels": Field("map[string]string", {}),
    "StopSignal": Field("string", "", shown=False),
    "StopTimeout": Field("int", None, shown=False),
    "Shell": Field("[]string", None, shown=False),
}

HOST: dict[str, Field] = {
    "Binds": Field("[]string"),
    "ContainerIDFile": Field("string", ""),
    "LogConfig": Field("object", {"Type": "json-file", "Config": {}}),
    "NetworkMode": Field("string", "bridge"),
    "PortBindings": Field("map", {}),
    "RestartPolicy": Field("object", {"Name": "no", "MaximumRetryCount": 0}),
    "AutoRemove": Field("bool", False),
    "VolumeDriver": Field("string", ""),
    "VolumesFrom": Field("[]string"),
    "ConsoleSize": Field("array", [0, 0]),
    "Annotations": Field("map[string]string", None, shown=False),
    "CapAdd": Field("[]string"),
    "CapDrop": Field("[]string"),
    "CgroupnsMode": Field("string", "private"),
    "Dns": Field("[]string", []),
    "DnsOptions": Field("[]string", []),
    "DnsSearch": Field("[]string", []),
    "ExtraHosts": Field("[]string"),
    "GroupAdd": Field("[]string"),
    "IpcMode": Field("string", "private"),
    "Cgroup": Field("string", ""),
    "Links": Field("[]string"),
    "OomScoreAdj": Field("int", 0),
    "PidMode": Field("string", ""),
    "Privileged": Field("bool", False),
    "PublishAllPorts": Field("bool", False),
    "ReadonlyRootfs": Field("bool", False),
    "SecurityOpt": Field("[]string"),
    "StorageOpt": Field("map[string]string", None, shown=False),
    "Tmpfs": Field("map[string]string", None, shown=False),
    "UTSMode": Field("string", ""),
    "UsernsMode": Field("string", ""),
    "ShmSize": Field("int64", 67108864),
    "Sysctls": Field("map[string]string", None, shown=False),
    "Runtime": Field("string", "runc"),
    "Isolation": Field("string", ""),
    "CpuShares": Field("int64", 0),
    "Memory": Field("int64", 0),
    "NanoCpus": Field("int64", 0),
    "CgroupParent": Field("string", ""),
    "BlkioWeight": Field("uint16", 0),
    "BlkioWeightDevice": Field("array", []),
    "BlkioDeviceReadBps": Field("array", []),
    "BlkioDeviceWriteBps": Field("array", []),
    "BlkioDeviceReadIOps": Field("array", []),
    "BlkioDeviceWriteIOps": Field("array", []),
    "CpuPeriod": Field("int64", 0),
    "CpuQuota": Field("int64", 0),
    "CpuRealtimePeriod": Field("int64", 0),
    "CpuRealtimeRuntime": Field("int64", 0),
    "CpusetCpus": Field("string", ""),
    "CpusetMems": Field("string", ""),
    "Devices": Field("array", []),
    "DeviceCgroupRules": Field("[]string"),
    "DeviceRequests": Field("array"),
    "MemoryReservation": Field("int64", 0),
    "MemorySwap": Field("int64", 0),
    "MemorySwappiness": Field("int64"),
    "OomKillDisable": Field("bool"),
    "PidsLimit": Field("int64"),
    "Ulimits": Field("array", []),
    "CpuCount": Field("int64", 0),
    "CpuPercent": Field("int64", 0),
    "IOMaximumIOps": Field("uint64", 0),
    "IOMaximumBandwidth": Field("uint64", 0),
    "Mounts": Field("array", None, shown=False),
    "Init": Field("bool", None, shown=False),
    "MaskedPaths": Field(
        "[]string",
        [
            "/proc/asound",
            "/proc/acpi",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
            "/sys/devices/virtual/powercap",
        ],
    ),
    "ReadonlyPaths": Field("[]string", ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
}

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)
_ACCEPTS: dict[str, str] = {
    "string": "string",
    "bool": "bool",
    "[]string": "array",
    "array": "array",
    "map": "object",
    "map[string]string": "object",
    "object": "object",
}


def _kind(value: Any) -> str:
    return next(word for kind, word in _KINDS if isinstance(value, kind))


def _mismatch(kind: str, struct: str, name: str, wanted: str) -> BadRequest:
    return BadRequest(
        f"invalid JSON: json: cannot unmarshal {kind} into Go struct field {struct}.{name} of type {wanted}"
    )


def take(given: Json, table: dict[str, Field], struct: str) -> Json:
    """The fields of ``table`` that ``given`` sets to something else than the default, in their own types.

    Names match whatever their case is, as Go's decoder has it, and what is unknown is dropped. Raises
    :class:`BadRequest` in Go's words for a value of the wrong type (``struct`` is the Go type named in them).
    """
    lower = {name.lower(): name for name in table}
    out: Json = {}
    for given_name, value in given.items():
        name = given_name if given_name in table else lower.get(given_name.lower())
        if name is None or value is None:
            continue
        field = table[name]
        kind, wanted = _kind(value), _ACCEPTS.get(field.type, "number")
        if kind == "string" and name in ("Cmd", "Entrypoint", "Shell"):
            value, kind = [value], "array"  # strslice takes a plain string
        if kind != wanted or (wanted == "number" and isinstance(value, float) and not value.is_integer()):
            shown = f"number {value}" if kind == "number" and wanted == "number" else kind
            raise _mismatch(shown, struct, name, _go_type(name, field))
        if wanted == "number":
            value = int(value)
        if field.type == "[]string":
            _check_items(value, struct, name)
        elif field.type == "map[string]string":
            _check_items(list(value.values()), struct, name)
        if value != field.default:
            out[name] = value
    return out


def _check_items(values: list[Any], struct: str, name: str) -> None:
    for item in values:
        if item is not None and not isinstance(item, str):
            raise _mismatch(_kind(item), struct, name, "string")


_GO_TYPES = {
    "LogConfig": "container.LogConfig",
    "RestartPolicy": "container.RestartPolicy",
    "Healthcheck": "container.HealthConfig",
    "ExposedPorts": "nat.PortSet",
    "PortBindings": "nat.PortMap",
    "Volumes": "map[string]struct {}",
    "Mounts": "[]mount.Mount",
    "Devices": "[]container.DeviceMapping",
    "Ulimits": "[]*units.Ulimit",
    "NetworkMode": "container.NetworkMode",
}


def _go_type(name: str, field: Field) -> str:
    return _GO_TYPES.get(name, field.type)


def full(kept: Json, table: dict[str, Field]) -> Json:
    """All fields, in the engine's order, with the defaults where ``kept`` has nothing."""
    out: Json = {}
    for name, field in table.items():
        if name in kept:
            out[name] = kept[name]
        elif field.shown:
            out[name] = copy.copy(field.default)
    return out

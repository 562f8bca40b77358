"""The fields of ``Config`` and ``HostConfig``: their Go type and what the engine shows where nothing was given.

A container keeps only what was given and differs from these; ``docker inspect`` puts them back.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.specs.shapes import (
    ANY,
    BOOL,
    INT,
    INT64,
    STRING,
    STRING_MAP,
    STRINGS,
    UINT64,
    ListOf,
    MapOf,
    Scalar,
    Struct,
    always,
    decode,
    pointer,
    text,
)
from labkit.embedded.swarm.specs.tables import HEALTH, MOUNT


class Field(NamedTuple):
    """``kind`` is a Go type of :mod:`labkit.embedded.swarm.specs.shapes`; not ``shown``: appears only if given."""

    kind: Any
    default: Any = None
    shown: bool = True


_BINDING = Struct("nat.PortBinding", HostIp=STRING, HostPort=STRING)
_LOG = Struct("container.LogConfig", Type=STRING, Config=STRING_MAP)
_RESTART = Struct("container.RestartPolicy", Name=text("container.RestartPolicyMode"), MaximumRetryCount=always(INT))
_ULIMIT = Struct("units.Ulimit", Name=always(STRING), Hard=always(INT64), Soft=always(INT64))


CONFIG: dict[str, Field] = {
    "Hostname": Field(STRING, ""),
    "Domainname": Field(STRING, ""),
    "User": Field(STRING, ""),
    "AttachStdin": Field(BOOL, False),
    "AttachStdout": Field(BOOL, False),
    "AttachStderr": Field(BOOL, False),
    "ExposedPorts": Field(MapOf(Struct("struct {}")), {}, shown=False),
    "Tty": Field(BOOL, False),
    "OpenStdin": Field(BOOL, False),
    "StdinOnce": Field(BOOL, False),
    "Env": Field(STRINGS, []),
    "Cmd": Field(STRINGS),
    "Healthcheck": Field(HEALTH, None, shown=False),
    "Image": Field(STRING, ""),
    "Volumes": Field(MapOf(Struct("struct {}"))),
    "WorkingDir": Field(STRING, ""),
    "Entrypoint": Field(STRINGS),
    "NetworkDisabled": Field(BOOL, False, shown=False),
    "MacAddress": Field(STRING, "", shown=False),
    "OnBuild": Field(STRINGS),
    "Labels": Field(STRING_MAP, {}),
    "StopSignal": Field(STRING, "", shown=False),
    "StopTimeout": Field(INT, None, shown=False),
    "Shell": Field(STRINGS, None, shown=False),
}

HOST: dict[str, Field] = {
    "Binds": Field(STRINGS),
    "ContainerIDFile": Field(STRING, ""),
    "LogConfig": Field(_LOG, {"Type": "json-file", "Config": {}}),
    "NetworkMode": Field(STRING, "bridge"),
    "PortBindings": Field(MapOf(ListOf(_BINDING)), {}),
    "RestartPolicy": Field(_RESTART, {"Name": "no", "MaximumRetryCount": 0}),
    "AutoRemove": Field(BOOL, False),
    "VolumeDriver": Field(STRING, ""),
    "VolumesFrom": Field(STRINGS),
    "ConsoleSize": Field(ListOf(UINT64), [0, 0]),
    "Annotations": Field(STRING_MAP, None, shown=False),
    "CapAdd": Field(STRINGS),
    "CapDrop": Field(STRINGS),
    "CgroupnsMode": Field(STRING, "private"),
    "Dns": Field(STRINGS, []),
    "DnsOptions": Field(STRINGS, []),
    "DnsSearch": Field(STRINGS, []),
    "ExtraHosts": Field(STRINGS),
    "GroupAdd": Field(STRINGS),
    "IpcMode": Field(STRING, "private"),
    "Cgroup": Field(STRING, ""),
    "Links": Field(STRINGS),
    "OomScoreAdj": Field(INT, 0),
    "PidMode": Field(STRING, ""),
    "Privileged": Field(BOOL, False),
    "PublishAllPorts": Field(BOOL, False),
    "ReadonlyRootfs": Field(BOOL, False),
    "SecurityOpt": Field(STRINGS),
    "StorageOpt": Field(STRING_MAP, None, shown=False),
    "Tmpfs": Field(STRING_MAP, None, shown=False),
    "UTSMode": Field(STRING, ""),
    "UsernsMode": Field(STRING, ""),
    "ShmSize": Field(INT64, 67108864),
    "Sysctls": Field(STRING_MAP, None, shown=False),
    "Runtime": Field(STRING, "runc"),
    "Isolation": Field(STRING, ""),
    "CpuShares": Field(INT64, 0),
    "Memory": Field(INT64, 0),
    "NanoCpus": Field(INT64, 0),
    "CgroupParent": Field(STRING, ""),
    "BlkioWeight": Field(Scalar("uint16", "integer"), 0),
    "BlkioWeightDevice": Field(ListOf(ANY), []),
    "BlkioDeviceReadBps": Field(ListOf(ANY), []),
    "BlkioDeviceWriteBps": Field(ListOf(ANY), []),
    "BlkioDeviceReadIOps": Field(ListOf(ANY), []),
    "BlkioDeviceWriteIOps": Field(ListOf(ANY), []),
    "CpuPeriod": Field(INT64, 0),
    "CpuQuota": Field(INT64, 0),
    "CpuRealtimePeriod": Field(INT64, 0),
    "CpuRealtimeRuntime": Field(INT64, 0),
    "CpusetCpus": Field(STRING, ""),
    "CpusetMems": Field(STRING, ""),
    "Devices": Field(ListOf(ANY), []),
    "DeviceCgroupRules": Field(STRINGS),
    "DeviceRequests": Field(ListOf(ANY)),
    "MemoryReservation": Field(INT64, 0),
    "MemorySwap": Field(INT64, 0),
    "MemorySwappiness": Field(INT64),
    "OomKillDisable": Field(BOOL),
    "PidsLimit": Field(INT64),
    "Ulimits": Field(ListOf(_ULIMIT, pointers=True), []),
    "CpuCount": Field(INT64, 0),
    "CpuPercent": Field(INT64, 0),
    "IOMaximumIOps": Field(UINT64, 0),
    "IOMaximumBandwidth": Field(UINT64, 0),
    "Mounts": Field(ListOf(MOUNT), None, shown=False),
    "Init": Field(BOOL, None, shown=False),
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
    "ReadonlyPaths": Field(STRINGS, ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
}

_WORDS = ("Cmd", "Entrypoint", "Shell")  # strslice.StrSlice: a plain string is taken as a list of one


def take(given: Json, table: dict[str, Field], struct: str) -> Json:
    """The fields of ``table`` that ``given`` sets to something else than the default.

    Raises :class:`BadRequest` in the words of Go's decoder for a value of the wrong type; ``struct`` is the Go type
    that they name.
    """
    prepared = {key: [value] if key in _WORDS and isinstance(value, str) else value for key, value in given.items()}
    decoded = decode(prepared, Struct(struct, **{name: pointer(field.kind) for name, field in table.items()}))
    return {name: value for name, value in decoded.items() if value != table[name].default}


def full(kept: Json, table: dict[str, Field]) -> Json:
    """All fields, in the engine's order, with the defaults where ``kept`` has nothing."""
    out: Json = {}
    for name, field in table.items():
        if name in kept:
            out[name] = kept[name]
        elif field.shown:
            out[name] = copy.copy(field.default)
    return out

"""``POST /containers/create``: what was asked for, checked and put in the form in which a container keeps it.

The rules and words are those of moby's ``runconfig`` and ``daemon/container.go``; nothing here looks at a host.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.runtime.durations import go_duration
from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.objects import Json

from .fields import CONFIG, HOST, take
from .restarts import check_policy
from .wording import quoted

MIN_MEMORY = 6 * 1024 * 1024
_MIN_HEALTH = 1_000_000  # nanoseconds

_MODES = {
    "rw": "rw", "ro": "rw", "z": "label", "Z": "label", "copy": "copy", "nocopy": "copy",
    "consistent": "consistency", "cached": "consistency", "delegated": "consistency",
    "private": "spread", "rprivate": "spread", "slave": "spread", "rslave": "spread",
    "shared": "spread", "rshared": "spread",
}  # fmt: skip
VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A volume, a tmpfs or (refused where there is no such path) a bind, as asked for."""

    type: str
    source: str
    target: str
    read_only: bool = False
    mode: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    driver: str = "local"
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Created:
    """A request that passed: sparse ``config`` and ``host`` (see :mod:`.fields`), networks and mounts to make."""

    config: Json
    host: Json
    networks: dict[str, Json]
    mounts: tuple[MountPoint, ...]

    @property
    def network_mode(self) -> str:
        return str(self.host.get("NetworkMode", "bridge"))


def parse(body: Any, *, cpus: float, api_version: tuple[int, int] = (1, 50)) -> Created:
    """Check a request body for a host with ``cpus`` processors. Raises :class:`BadRequest` in dockerd's words."""
    if not isinstance(body, dict):
        raise BadRequest("config cannot be empty in order to create a container")
    host_given = body.get("HostConfig") or {}
    if not isinstance(host_given, dict):
        raise BadRequest(
            "invalid JSON: json: cannot unmarshal string into Go struct field CreateRequest.HostConfig of type "
            "container.HostConfig"
        )
    config = take(body, CONFIG, "container.CreateRequest")
    if not config:
        raise BadRequest("config cannot be empty in order to create a container")
    host = take(host_given, HOST, "container.HostConfig")
    _check_network_mode(config, host)
    networks = _networks(body, host, api_version)
    if host.get("NetworkMode") == "default":
        host["NetworkMode"] = "bridge"
    verify(host, config, cpus)
    if (host.get("PidsLimit") or 0) <= 0:
        host.pop("PidsLimit", None)
    return Created(config, host, networks, mounts(config, host))


def _check_network_mode(config: Json, host: Json) -> None:
    mode = host.get("NetworkMode", "")
    if mode.startswith("container:"):
        for field_name, words in (
            (config.get("Hostname"), "hostname and the network mode"),
            (host.get("PortBindings"), "port publishing and the container type network mode"),
            (config.get("ExposedPorts"), "port exposing and the container type network mode"),
            (host.get("ExtraHosts"), "custom host-to-IP mapping and the network mode"),
            (host.get("Dns"), "dns and the network mode"),
        ):  # fmt: skip
            if field_name:
                raise BadRequest(f"conflicting options: {words}")
    if host.get("UTSMode") == "host" and config.get("Hostname"):
        raise BadRequest("conflicting options: hostname and the UTS mode")


def _networks(body: Json, host: Json, api_version: tuple[int, int]) -> dict[str, Json]:
    given = ((body.get("NetworkingConfig") or {}).get("EndpointsConfig")) or {}
    if not isinstance(given, dict):
        raise BadRequest(
            "invalid JSON: json: cannot unmarshal string into Go struct field "
            "CreateRequest.NetworkingConfig.EndpointsConfig of type map[string]*network.EndpointSettings"
        )
    networks = {("bridge" if name == "default" else name): dict(settings or {}) for name, settings in given.items()}
    if len(networks) > 1 and api_version < (1, 44):
        raise BadRequest("Container cannot be created with multiple network endpoints: " + ", ".join(networks))
    mode = host.get("NetworkMode", "bridge")
    if mode == "default":
        mode = "bridge"
    if not mode.startswith("container:") and mode not in networks:
        networks = {mode: {}, **networks}
    return networks


def verify(host: Json, config: Json | None, cpus: float) -> None:
    """``verifyContainerSettings``: limits, restart policy, ports, health check. Raises :class:`BadRequest`."""
    if config is not None:
        workdir = config.get("WorkingDir", "")
        if workdir and not workdir.startswith("/"):
            raise BadRequest(f"the working directory '{workdir}' is invalid, it needs to be an absolute path")
        for entry in config.get("Env") or ():
            if not entry or entry.startswith("="):
                raise BadRequest(f"invalid environment variable: {entry}")
        _check_health(config.get("Healthcheck"))
    _check_ports(host.get("PortBindings") or {})
    policy = host.get("RestartPolicy") or {}
    check_policy(policy)
    if host.get("AutoRemove") and (policy.get("Name") or "no") != "no":
        raise BadRequest("can't create 'AutoRemove' container with restart policy")
    _check_limits(host, cpus)


def _check_health(health: Any) -> None:
    if not health:
        return
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        value = health.get(name) or 0
        if value and value < _MIN_HEALTH:
            raise BadRequest(f"{name} in Healthcheck cannot be less than {go_duration(_MIN_HEALTH / 1e9)}")
    if (health.get("Retries") or 0) < 0:
        raise BadRequest("Retries in Healthcheck cannot be negative")


def split_port(text: str) -> tuple[str, str]:
    """``80/tcp`` to ``("80", "tcp")``."""
    port, _, protocol = text.partition("/")
    return port, protocol or "tcp"


def _check_ports(bindings: Json) -> None:
    for key, wanted in bindings.items():
        port, _ = split_port(key)
        if not port.isdigit() or not 0 <= int(port) <= 65535:
            raise BadRequest(f"invalid port specification: {quoted(port)}")
        for binding in wanted or ():
            first, _, last = str((binding or {}).get("HostPort") or "").partition("-")
            for number in (first, last or first):
                if number and (not number.isdigit() or int(number) > 65535):
                    raise BadRequest(f"invalid port specification: {quoted(str(binding.get('HostPort')))}")


def _check_limits(host: Json, cpus: float) -> None:
    memory, swap = host.get("Memory", 0), host.get("MemorySwap", 0)
    reservation = host.get("MemoryReservation", 0)
    nano = host.get("NanoCpus", 0)
    period, quota = host.get("CpuPeriod", 0), host.get("CpuQuota", 0)
    whole = int(cpus) or 1
    wrong: tuple[tuple[bool, str], ...] = (
        (0 != memory < MIN_MEMORY, "Minimum memory limit allowed is 6MB"),
        (
            memory > 0 and 0 < swap < memory,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            memory == 0 and swap > 0,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (0 < reservation < MIN_MEMORY, "Minimum memory reservation allowed is 6MB"),
        (
            memory > 0 and memory < reservation,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (nano > 0 and period > 0, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (nano > 0 and quota > 0, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (
            nano < 0 or nano > whole * 1_000_000_000,
            f"range of CPUs is from 0.01 to {whole}.00, as there are only {whole} CPUs available",
        ),
        (
            period != 0 and not 1000 <= period <= 1_000_000,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (0 < quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (host.get("ShmSize", 0) < 0, "SHM size can not be less than 0"),
    )
    for is_wrong, words in wrong:
        if is_wrong:
            raise BadRequest(words)


def mounts(config: Json, host: Json) -> tuple[MountPoint, ...]:
    """Binds, mounts, tmpfs and the image's anonymous volumes of a request. Raises :class:`BadRequest`."""
    found: dict[str, MountPoint] = {}

    def add(point: MountPoint) -> None:
        if point.target in found:
            raise BadRequest(f"Duplicate mount point: {point.target}")
        found[point.target] = point

    for raw in host.get("Binds") or ():
        add(_bind(raw))
    for given in host.get("Mounts") or ():
        add(_mount(given))
    for target in host.get("Tmpfs") or {}:
        if target not in found:
            found[target] = MountPoint("tmpfs", "", posixpath.normpath(target))
    for target in config.get("Volumes") or {}:
        if posixpath.normpath(target) not in found:
            add(MountPoint("volume", "", posixpath.normpath(target)))
    return tuple(found.values())


def _bind(raw: str) -> MountPoint:
    parts = raw.split(":", 3)
    spec_error = BadRequest(f"invalid volume specification: '{raw}'")
    if not parts[0] or len(parts) > 3:
        raise spec_error
    if len(parts) == 1:
        source, target, mode = "", parts[0], ""
    elif len(parts) == 2:
        if _valid_mode(parts[1]):
            raise spec_error
        source, target, mode = parts[0], parts[1], ""
    else:
        source, target, mode = parts
    if not _valid_mode(mode):
        raise BadRequest(f"invalid mode: {mode}")
    if not target.startswith("/"):
        raise BadRequest(
            f"invalid volume specification: '{raw}': invalid mount config for type "
            f"\"{_kind(source)}\": invalid mount path: '{target}' mount path must be absolute"
        )
    _check_source(_kind(source), source)
    return MountPoint(_kind(source), source, posixpath.normpath(target), "ro" in mode.split(","), mode)


def _kind(source: str) -> str:
    return "bind" if source.startswith("/") else "volume"


def _valid_mode(mode: str) -> bool:
    if not mode:
        return True
    groups = [_MODES.get(word) for word in mode.split(",")]
    return None not in groups and len(groups) == len(set(groups))


def _check_source(kind: str, source: str) -> None:
    if kind == "volume" and source and not VOLUME_NAME.fullmatch(source):
        raise BadRequest(
            f"create {source}: {quoted(source)} includes invalid characters for a local volume name, only "
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def _mount(given: Json) -> MountPoint:
    kind = given.get("Type") or ""
    source, target = given.get("Source") or "", given.get("Target") or ""

    def wrong(words: str) -> BadRequest:
        return BadRequest(f"invalid mount config for type {quoted(kind)}: {words}")

    if not target:
        raise wrong("field Target must not be empty")
    if posixpath.normpath(target) == "/":
        raise wrong("invalid specification: destination can't be '/'")
    if not target.startswith("/"):
        raise wrong(f"invalid mount path: '{target}' mount path must be absolute")
    if kind == "bind":
        if not source:
            raise wrong("field Source must not be empty")
        if not source.startswith("/"):
            raise wrong(f"invalid mount path: '{source}' mount path must be absolute")
        # A machine of the sandbox has no files of its own, and the real host's are none of a container's business.
        raise wrong(f"bind source path does not exist: {source}")
    if kind == "tmpfs" and source:
        raise wrong("field Source must not be specified")
    if kind == "volume" and given.get("ReadOnly") and not source:
        raise wrong("must not set ReadOnly mode when using anonymous volumes")
    if kind not in ("volume", "tmpfs"):
        raise wrong("mount type unknown")
    if kind == "volume":
        _check_source(kind, source)
    options = given.get("VolumeOptions") or {}
    driver = options.get("DriverConfig") or {}
    return MountPoint(
        kind,
        source,
        posixpath.normpath(target),
        bool(given.get("ReadOnly")),
        "z" if kind == "volume" else "",
        dict(options.get("Labels") or {}),
        driver.get("Name") or "local",
        dict(driver.get("Options") or {}),
    )


_CONTAINER_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def check_name(name: str) -> None:
    """Raise :class:`BadRequest` unless ``name`` may be a container's."""
    if not _CONTAINER_NAME.fullmatch(name):
        raise BadRequest(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def merge_image(config: Json, image_config: Json) -> Json:
    """``config`` completed from the image's, as moby's ``Merge``. Raises :class:`BadRequest` with no command."""
    out = dict(config)
    for name in ("User", "WorkingDir", "StopSignal"):
        if not out.get(name) and image_config.get(name):
            out[name] = image_config[name]
    if image_config.get("ExposedPorts"):
        out["ExposedPorts"] = {**image_config["ExposedPorts"], **(out.get("ExposedPorts") or {})}
    if image_config.get("Env"):
        given = out.get("Env") or []
        named = {entry.partition("=")[0] for entry in given}
        out["Env"] = [*given, *(entry for entry in image_config["Env"] if entry.partition("=")[0] not in named)]
    if image_config.get("Labels"):
        out["Labels"] = {**image_config["Labels"], **(out.get("Labels") or {})}
    if not out.get("Entrypoint"):
        if not out.get("Cmd") and image_config.get("Cmd"):
            out["Cmd"] = image_config["Cmd"]
        # --entrypoint "" arrives as [""]: it clears the image's entrypoint instead of taking it.
        if out.get("Entrypoint") is None and image_config.get("Entrypoint"):
            out["Entrypoint"] = image_config["Entrypoint"]
    out["Healthcheck"] = _merge_health(out.get("Healthcheck"), image_config.get("Healthcheck"))
    if not out["Healthcheck"]:
        del out["Healthcheck"]
    if image_config.get("Volumes"):
        out["Volumes"] = {**image_config["Volumes"], **(out.get("Volumes") or {})}
    if out.get("Entrypoint") == [""]:
        out["Entrypoint"] = []
    if not (out.get("Entrypoint") or out.get("Cmd")):
        raise BadRequest("no command specified")
    return out


def _merge_health(given: Json | None, image: Json | None) -> Json | None:
    if not given or not image:
        return given or image
    if given.get("Test"):
        return {**{key: value for key, value in image.items() if key != "Test"}, **_set(given)}
    return {**image, **_set(given)}


def _set(health: Json) -> Json:
    return {key: value for key, value in health.items() if value}


def host_port_range(text: str) -> tuple[int, int]:
    """``8080`` or ``8080-8090``; ``(0, 0)`` leaves the choice to the host. Raises :class:`ApiError` for no number."""
    first, _, last = text.partition("-")
    if not text:
        return 0, 0
    try:
        return int(first), int(last or first)
    except ValueError:
        raise ApiError(
            f"error parsing HostPort value ({text}): strconv.ParseUint: parsing {quoted(first)}: invalid syntax"
        ) from None

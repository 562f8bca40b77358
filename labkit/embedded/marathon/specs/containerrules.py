"""Which containers make sense (``AppValidation.validContainer`` and ``validVolume``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from labkit.embedded.marathon.specs.config import EXTERNAL_VOLUMES, SECRETS, Config
from labkit.embedded.marathon.specs.constraintrules import volume_constraint_error

Json = dict[str, Any]
Errors = Iterable[tuple[str, str]]

NO_PERSISTENT_VOLUMES = "local persistent volumes are not supported by the embedded engine"


def unique(values: Iterable[Any]) -> bool:
    found = list(values)
    return len(set(found)) == len(found)


def _feature(config: Config, name: str) -> Errors:
    if name not in config.features:
        yield "", f"Feature {name} is not enabled. Enable with --enable_features {name})"


def container_rules(container: Json, networks: list[Json], secrets: Mapping[str, Json], config: Config) -> Errors:
    """Paths begin with ``/container``."""
    yield from _port_mappings(container.get("portMappings") or (), networks)
    volumes = container["volumes"]
    names = [each["external"]["name"] for each in volumes if "name" in each.get("external", ())]
    if not unique(names):
        yield "/container/volumes", "Volume names must be unique"
    for index, volume in enumerate(volumes):
        for path, error in _volume(volume, secrets, config):
            yield f"/container/volumes({index}){path}", error
    if any(set(each) >= {"secret"} for each in volumes):
        for _, error in _feature(config, SECRETS):
            yield "/container/volumes", error
    docker = container.get("docker")
    if container["type"] == "DOCKER":
        if docker is None:
            yield "/container/docker", "not defined"
        elif "pullConfig" in docker:
            yield "/container/docker/pullConfig", "pullConfig is not supported with Docker containerizer"
        if "linuxInfo" in container:
            yield "/container/linuxInfo", "must be empty"
    else:
        yield from _linux_info(container.get("linuxInfo") or {})
    if container["type"] == "MESOS" and docker is not None and "pullConfig" in docker:
        if SECRETS not in config.features:
            yield "/container/docker/pullConfig", "must be empty"
        for _, error in _feature(config, SECRETS):
            yield "/container/docker/pullConfig", error
        if docker["pullConfig"]["secret"] not in secrets:
            yield "/container/docker/pullConfig", "pullConfig.secret must refer to an existing secret"


def _linux_info(info: Json) -> Errors:
    """``state/LinuxInfo.scala``."""
    seccomp, ipc = info.get("seccomp"), info.get("ipcInfo")
    if seccomp is not None and seccomp["unconfined"] == ("profileName" in seccomp):
        known = "can NOT be true when Profile is" if seccomp["unconfined"] else "must be true when Profile is NOT"
        yield "/container/linuxInfo/seccomp", f"Seccomp unconfined {known} defined"
    if ipc is not None and ipc["mode"] == "SHARE_PARENT" and "shmSize" in ipc:
        yield "/container/linuxInfo/ipcInfo", "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT"


def _port_mappings(mappings: Collection[Json], networks: list[Json]) -> Errors:
    if not unique(each["name"] for each in mappings if "name" in each):
        yield "/container/portMappings", "Port names must be unique."
    several = sum(each["mode"] == "container" for each in networks) > 1
    names = [each["name"] for each in networks if "name" in each]
    for index, mapping in enumerate(mappings):
        path = f"/container/portMappings({index})"
        wanted = mapping.get("networkNames") or ()
        if several and "hostPort" in mapping and len(wanted) != 1:
            yield (
                path,
                "networkNames must be a single item list when hostPort is specified and more than 1 container network "
                "is defined",
            )
        for at, name in enumerate(wanted):
            if name not in names:
                yield f"{path}/networkNames({at})", f"is not one of ({','.join(names)})"


def _volume(volume: Json, secrets: Mapping[str, Json], config: Config) -> Errors:
    if "persistent" in volume:
        yield from _persistent(volume)
    elif "external" in volume:
        yield from _feature(config, EXTERNAL_VOLUMES)
        if "name" not in volume["external"]:
            yield "/external/name", "must not be empty"
        if "provider" not in volume["external"]:
            yield "/external/provider", "not defined"
    elif "secret" in volume and volume["secret"] not in secrets:
        yield "", "volume.secret must refer to an existing secret"


def _persistent(volume: Json) -> Errors:
    info = volume["persistent"]
    if volume["containerPath"] in (".", ".."):
        yield "/containerPath", "can not be one of (.,..)"
    if "/" in volume["containerPath"]:
        yield "/containerPath", 'value must not contain "/"'
    if volume["mode"] != "RW":
        yield "/mode", f"got {volume['mode'].capitalize()}, expected Rw"
    if info["size"] <= 0:
        yield "/persistent/size", f"got {info['size']}, expected more than 0"
    kind = info.get("type", "root")
    if kind != "mount" and "maxSize" in info:
        yield "/persistent", "Only mount volumes can have maxSize"
    if kind == "root" and info["constraints"]:
        yield "/persistent", "Constraints on root volumes are not supported"
    if info.get("maxSize", info["size"] + 1) <= info["size"]:
        yield "/persistent", "Max size must be larger than size"
    for index, each in enumerate(info["constraints"]):
        error = volume_constraint_error(each)
        if error is not None:
            yield f"/persistent/constraints({index})", error
    # To be taken away when there are reservations.
    yield "/persistent", NO_PERSISTENT_VOLUMES

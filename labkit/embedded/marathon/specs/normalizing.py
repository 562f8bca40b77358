"""Deprecated ways to say something become today's, and defaults that depend on other fields are filled in.

``api/v2/AppNormalization.scala`` of Marathon, in its order: the order matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.marathon.specs import paths, uris
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.errors import Misnormalized

Json = dict[str, Any]

HOST, BRIDGE, CONTAINER = "host", "container/bridge", "container"

DEFAULT_PORT_DEFINITION: Json = {"port": 0, "name": "default", "protocol": "tcp"}
DEFAULT_PORT_MAPPING: Json = {
    "containerPort": 0,
    "labels": {},
    "name": "default",
    "protocol": "tcp",
    "servicePort": 0,
}
UNNAMED_PORT_MAPPING: Json = {key: value for key, value in DEFAULT_PORT_MAPPING.items() if key != "name"}


def canonical_ids(app: Json, base: str = paths.ROOT) -> Json:
    """With absolute ids, seen from a group."""
    found = dict(app)
    if "id" in found:
        found["id"] = paths.absolute(found["id"], base)
    if "dependencies" in found:
        found["dependencies"] = list(dict.fromkeys(paths.absolute(each, base) for each in found["dependencies"]))
    return found


# -- of deprecated fields


def _fetch(app: Json) -> list[Json] | None:
    given, fetch = app.get("uris"), app.get("fetch")
    if not given:
        return fetch
    if fetch:
        raise Misnormalized("cannot specify both uris and fetch fields")
    return [{"uri": each, "extract": uris.is_archive(each), "executable": False, "cache": False} for each in given]


def _labelled(network: Json, labels: Json | None) -> Json:
    return {**network, "labels": labels} if labels else network


_DOCKER_NETWORKS: dict[str, Callable[[Json], Json]] = {
    "HOST": lambda ip: {"mode": HOST},
    "USER": lambda ip: _labelled(
        {**({"name": ip["networkName"]} if "networkName" in ip else {}), "mode": CONTAINER}, ip.get("labels")
    ),
    "BRIDGE": lambda ip: _labelled({"mode": BRIDGE}, ip.get("labels")),
}


def _networks(app: Json, config: Config) -> list[Json] | None:
    """From ``ipAddress`` and ``container.docker.network``; those that were given if there is neither."""
    ip = app.get("ipAddress")
    docker = ((app.get("container") or {}).get("docker") or {}).get("network")
    given = app.get("networks")
    if ip is None and docker is None:
        return given
    if given:
        raise Misnormalized("cannot mix deprecated and canonical network APIs")
    if docker is None:
        assert ip is not None
        # Nobody should name the bridge, but those who do get it.
        docker = "BRIDGE" if ip.get("networkName") == config.mesos_bridge_name else "USER"
    make = _DOCKER_NETWORKS.get(docker)
    if make is None:
        raise Misnormalized(f"unsupported docker network type {docker.capitalize()}")
    return [make(ip or {})]


def _migrate_docker_port_mappings(container: Json) -> Json:
    docker = container.get("docker")
    if not docker or "portMappings" not in docker:
        return container
    found = {**container, "docker": {key: value for key, value in docker.items() if key != "portMappings"}}
    if "portMappings" not in container:
        found["portMappings"] = docker["portMappings"]
    elif docker["portMappings"]:
        raise Misnormalized("cannot specify both portMappings and docker.portMappings")
    return found


def _migrate_ip_discovery(container: Json, ip: Json) -> Json:
    ports = (ip.get("discovery") or {}).get("ports")
    if not ports:
        return container
    if container["type"] != "MESOS":
        raise Misnormalized(f"ipAddress.discovery.ports do not apply for container type {container['type']}")
    if "portMappings" in container:
        raise Misnormalized("container.portMappings and ipAddress.discovery.ports must not both be set")
    mappings = [
        {
            "containerPort": each["number"],
            "labels": each.get("labels") or {},
            "name": each["name"],
            "protocol": each["protocol"],
            "servicePort": 0,
        }
        for each in ports
    ]
    return {**container, "portMappings": mappings}


def _drop_docker_network(container: Json) -> Json:
    docker = container.get("docker")
    if not docker or "network" not in docker:
        return container
    return {**container, "docker": {key: value for key, value in docker.items() if key != "network"}}


def _migrated_container(app: Json) -> Json | None:
    container = app.get("container")
    ip = app.get("ipAddress")
    if container is None:
        if ip is None:
            return None
        container = {"type": "MESOS", "volumes": []}
    return _drop_docker_network(_migrate_ip_discovery(_migrate_docker_port_mappings(container), ip or {}))


def _with_port_mappings(container: Json, networks: list[Json], definitions: list[Json] | None) -> Json:
    """None on the host's network; one by default; at least as many as there are port definitions."""
    if not networks or any(each["mode"] == HOST for each in networks):
        return _without(container, "portMappings")
    mappings = container.get("portMappings")
    if mappings is None:
        mappings = [DEFAULT_PORT_MAPPING]
    missing = len(definitions or ()) - len(mappings)
    return {**container, "portMappings": [*mappings, *[UNNAMED_PORT_MAPPING] * missing]}


def _port_definitions(app: Json) -> list[Json] | None:
    found: list[Json] | None = app.get("portDefinitions")
    if found is None and "ports" in app:
        found = [{"port": port, "protocol": "tcp"} for port in app["ports"]]
    return found


def _health_checks(checks: list[Json]) -> list[Json]:
    """Those that name no port mean the first."""
    return [
        {**each, "portIndex": 0}
        if each["protocol"] != "COMMAND" and "port" not in each and "portIndex" not in each
        else each
        for each in checks
    ]


def _readiness_checks(checks: list[Json]) -> list[Json]:
    return [
        each if "httpStatusCodesForReady" in each else {**each, "httpStatusCodesForReady": [200]} for each in checks
    ]


def _without(value: Json, *names: str) -> Json:
    return {key: each for key, each in value.items() if key not in names}


def _put(app: Json, **fields: Any) -> Json:
    """Fields that are None are left out."""
    for name, value in fields.items():
        if value is None:
            app.pop(name, None)
        else:
            app[name] = value
    return app


_DEPRECATED = ("uris", "ipAddress", "ports")


def from_deprecated(app: Json, config: Config) -> Json:
    """A whole app in today's words (``forDeprecated``)."""
    networks = _networks(app, config) or []
    migrated = _port_definitions(app)
    elsewhere = any(each["mode"] != HOST for each in networks)
    container = _migrated_container(app)
    if container is not None:
        container = _with_port_mappings(container, networks, migrated)
    checks = app.get("healthChecks")
    definitions = None if elsewhere else [DEFAULT_PORT_DEFINITION] if migrated is None else migrated
    if checks and (definitions or (container or {}).get("portMappings")):
        # Marathon looks at the ports that were given, not at the default one, and then changes its mind when it reads
        # the app from its store: a mere scaling would replace every task.
        checks = _health_checks(checks)
    residency = app.get("residency")
    if residency is None and any("persistent" in each for each in (app.get("container") or {}).get("volumes", ())):
        residency = {"relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER"}
    readiness = app.get("readinessChecks")
    return _put(
        _without(app, *_DEPRECATED),
        id=paths.absolute(app["id"]),
        fetch=_fetch(app) or None,
        networks=networks,
        container=container,
        portDefinitions=definitions,
        healthChecks=checks or None,
        residency=residency,
        readinessChecks=_readiness_checks(readiness) if readiness else None,
    )


def update_from_deprecated(update: Json, config: Config) -> Json:
    """Parts of an app in today's words (``forDeprecatedUpdates``): no defaults yet, those come with the whole."""
    found = _put(
        _without(update, *_DEPRECATED),
        fetch=_fetch(update),
        networks=_networks(update, config),
        container=_migrated_container(update),
        portDefinitions=_port_definitions(update),
    )
    if "healthChecks" in found:
        found["healthChecks"] = _health_checks(found["healthChecks"])
    if "readinessChecks" in found:
        found["readinessChecks"] = _readiness_checks(found["readinessChecks"])
    if "networks" in found:
        found["networks"] = _named(found["networks"], config)
    return _put(found, container=_bridged(found.get("container"), found.get("networks") or []))


# -- of what is valid


def _named(networks: list[Json], config: Config) -> list[Json]:
    found = []
    for each in networks:
        if each["mode"] == CONTAINER and "name" not in each:
            if config.default_network_name is None:
                raise Misnormalized("container network name is not defined")
            each = {**each, "name": config.default_network_name}
        found.append(each)
    return found


def _bridged(container: Json | None, networks: list[Json]) -> Json | None:
    """Behind a bridge every port needs one of the agent; apart from the host's network there is always a container."""
    if container is None:
        if all(each["mode"] == HOST for each in networks):
            return None
        container = {"type": "MESOS", "volumes": [], "portMappings": [DEFAULT_PORT_MAPPING]}
    if any(each["mode"] == BRIDGE for each in networks) and container.get("portMappings"):
        mappings = [each if "hostPort" in each else {**each, "hostPort": 0} for each in container["portMappings"]]
        container = {**container, "portMappings": mappings}
    return container


def with_defaults(app: Json, config: Config) -> Json:
    """What depends on other fields (``forPostValidation``), and what reading it back would show (``AppConversion``)."""
    networks = _named(app["networks"], config) or [{"mode": HOST}]
    container = _bridged(app.get("container"), networks)
    volumes = (container or {}).get("volumes", ())
    resident = any("persistent" in each for each in volumes)
    found = _put(
        dict(app),
        networks=networks,
        container=None if container is None else _shown_container(container, networks),
        healthChecks=[_shown_health_check(each) for each in app.get("healthChecks", ())] or None,
        requirePorts=app["requirePorts"] and all(each["mode"] == HOST for each in networks),
    )
    found.setdefault(
        "unreachableStrategy", "disabled" if resident else {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}
    )
    if not resident:
        found.pop("residency", None)
    found.setdefault(
        "upgradeStrategy",
        {"maximumOverCapacity": 0.0, "minimumHealthCapacity": 0.5}
        if resident or any("external" in each for each in volumes)
        else {"maximumOverCapacity": 1.0, "minimumHealthCapacity": 1.0},
    )
    if any(each["mode"] != HOST for each in networks):
        found.pop("portDefinitions", None)
    else:
        found.setdefault("portDefinitions", [])
    found["networks"] = [each if each["mode"] == CONTAINER else _without(each, "name") for each in networks]
    found["constraints"] = [[each[0], each[1].upper(), *each[2:]] for each in app.get("constraints", ())]
    return {key: value for key, value in found.items() if key != "constraints" or value}


def _shown_container(container: Json, networks: list[Json]) -> Json:
    found = dict(container)
    if all(each["mode"] == HOST for each in networks):
        found.pop("portMappings", None)
    else:
        found.setdefault("portMappings", [])
    if found["type"] == "DOCKER":
        found.pop("linuxInfo", None)
    elif "docker" in found:
        # Mesos' own containerizer knows neither.
        docker = _without(found["docker"], "parameters", "privileged")
        found["docker"] = {**docker, "parameters": [], "privileged": False}
    return found


_OF_PROTOCOL = {
    "COMMAND": ("command",),
    "HTTP": ("ignoreHttp1xx", "path", "port", "portIndex"),
    "HTTPS": ("ignoreHttp1xx", "path", "port", "portIndex"),
    "TCP": ("port", "portIndex"),
    "MESOS_HTTP": ("path", "port", "portIndex"),
    "MESOS_HTTPS": ("path", "port", "portIndex"),
    "MESOS_TCP": ("port", "portIndex"),
}
_ANY_PROTOCOL = ("gracePeriodSeconds", "intervalSeconds", "maxConsecutiveFailures", "timeoutSeconds", "protocol")


def _shown_health_check(check: Json) -> Json:
    """Only what its protocol knows is kept; the delay is Mesos', Marathon's own checks show its default."""
    protocol = check["protocol"]
    found = {key: value for key, value in check.items() if key in _ANY_PROTOCOL or key in _OF_PROTOCOL[protocol]}
    by_mesos = protocol == "COMMAND" or protocol.startswith("MESOS")
    found["delaySeconds"] = check["delaySeconds"] if by_mesos else 15
    found["ipProtocol"] = check["ipProtocol"] if protocol.startswith("MESOS") else "IPv4"
    if protocol in ("HTTP", "HTTPS"):
        found.setdefault("ignoreHttp1xx", False)
    return found

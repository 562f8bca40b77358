"""Which apps make sense (``api/v2/validation/AppValidation.scala``, ``state/AppDefinition.scala``).

A rule looks at an app in today's words and adds ``(path, error)`` for what is wrong. ``RULES`` is all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon.specs import paths, uris
from labkit.embedded.marathon.specs.app import SINGLE_INSTANCE
from labkit.embedded.marathon.specs.config import ANY_ROLE, GPU_RESOURCES, SECRETS, Config
from labkit.embedded.marathon.specs.constraintrules import constraint_errors
from labkit.embedded.marathon.specs.containerrules import container_rules, unique
from labkit.embedded.marathon.specs.errors import Details

Json = dict[str, Any]

HOST, BRIDGE, CONTAINER = "host", "container/bridge", "container"
MESOS_PROTOCOLS = ("COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP")

BAD_PORT_INDEX = "Health check port indices must address an element of the ports array or container port mappings."

BAD_CHECK_PORT_INDEX = "check port index must address an element of the ports array or container port mappings."


# A limit of this engine's own: each instance that waits for an offer is an object, and Marathon has no limit at all.
MOST_INSTANCES = 20_000
TOO_MANY_INSTANCES = f"must not be more than {MOST_INSTANCES} on the embedded engine"


@dataclass(frozen=True, slots=True)
class Rules:
    """What an app is judged by, besides itself."""

    config: Config
    roles: tuple[str, ...]  # that it may have


def feature(config: Config, name: str) -> str | None:
    return None if name in config.features else f"Feature {name} is not enabled. Enable with --enable_features {name})"


Rule = Callable[[Json, Rules], Iterable[tuple[str, str]]]


def _networks(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    networks = app["networks"]
    modes = [each["mode"] for each in networks]
    names = [each["name"] for each in networks if "name" in each]
    unnamed = sum(each["mode"] == CONTAINER and "name" not in each for each in networks)
    if any(each["mode"] == HOST and (each.get("name") or each.get("labels")) for each in networks):
        yield "/networks", "Host networks may not have names or labels"
    if any(each["mode"] == BRIDGE and each.get("name") for each in networks):
        yield "/networks", "Bridge networks may not have names"
    if unnamed > 1 or len(set(names)) < len(names):
        yield "/networks", "Duplicate networks are not allowed"
    if len(set(modes)) > 1 or modes.count(HOST) > 1 or modes.count(BRIDGE) > 1:
        yield "/networks", "May specify a single host network, single bridge network, or else 1-to-n container networks"
    if unnamed and rules.config.default_network_name is None:
        yield "/networks", "Network name must be specified when container network is selected."
    container = app.get("container") or {}
    if HOST in modes and container.get("portMappings"):
        yield "/", "portMappings are not allowed with host-networking"
    if set(modes) - {HOST} and app.get("portDefinitions"):
        yield "/", "portDefinitions are only allowed with host-networking"
    if container.get("type") == "DOCKER" and modes.count(CONTAINER) > 1:
        yield "/", "may only specify a single container network when using the Docker container engine"


def _port_definitions(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    definitions = app.get("portDefinitions") or ()
    if not unique(each["name"] for each in definitions if "name" in each):
        yield "/portDefinitions", "Port names must be unique."
    if not unique(each["port"] for each in definitions if each["port"]):
        yield "/portDefinitions", "Ports must be unique."
    for index, each in enumerate(definitions):
        # Those of the deprecated ``ports``: nobody has looked at them yet.
        if each["port"] < 0:
            yield f"/portDefinitions({index})/port", f"got {each['port']}, expected 0 or more"
        elif each["port"] > 65535:
            yield f"/portDefinitions({index})/port", f"got {each['port']}, expected 65535 or less"


def _command(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    cmd, args = "cmd" in app, bool(app.get("args"))
    container = app.get("container")
    runnable = container is not None and "docker" in container
    if cmd == args and (cmd or not runnable):
        yield "/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
    if len(app.get("cmd", "  ")) <= 1:
        yield "/", "must not be an empty string"


def port_count(app: Json) -> int:
    container = app.get("container") or {}
    return len(container.get("portMappings") or app.get("portDefinitions") or ())


def _health_checks(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    checks = app.get("healthChecks") or ()
    ports = port_count(app)
    docker = (app.get("container") or {}).get("type") == "DOCKER"
    for index, check in enumerate(checks):
        path, protocol = f"/healthChecks({index})", check["protocol"]
        if "command" not in check and protocol != "COMMAND":
            at = check.get("portIndex")
            if not (at < ports if at is not None else "port" in check or ports == 1):
                yield path, BAD_PORT_INDEX
        if "command" in check and protocol != "COMMAND":
            yield path, f"illegal protocol {protocol} specified with command"
        if "command" not in check and protocol == "COMMAND":
            yield path, "illegal protocol COMMAND specified without command"
        if check["ipProtocol"] != "IPv4" and not (protocol in MESOS_PROTOCOLS[1:] and docker):
            yield path, "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks"
    commands = sum("command" in check for check in checks)
    by_mesos = sum("command" in check or check["protocol"] in MESOS_PROTOCOLS for check in checks)
    if by_mesos - commands > 1:
        yield "/", "AppDefinition can contain at most one Mesos health check"


def _check(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    check = app.get("check")
    if check is None:
        return
    if sum(kind in check for kind in ("http", "tcp", "exec")) != 1:
        yield "/check", "illegal RAML Check: expected one of http, tcp or exec checks"
    if (app.get("container") or {}).get("type") == "DOCKER":
        yield "/", "AppDefinition must not use 'checks' if using docker"
    for kind in ("http", "tcp"):
        if kind in check:
            at, ports = check[kind].get("portIndex"), port_count(app)
            if not (at < ports if at is not None else "port" in check[kind] or ports == 1):
                yield (
                    "/check",
                    BAD_CHECK_PORT_INDEX,
                )


def _fetch(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    for index, each in enumerate(app.get("fetch") or ()):
        if not uris.is_valid(each["uri"]):
            yield f"/fetch({index})/uri", uris.INVALID


def _resource_limits(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    for name, limit in (app.get("resourceLimits") or {}).items():
        if isinstance(limit, str):
            if limit != "unlimited":
                yield (
                    f"/resourceLimits/{name}",
                    f"'{limit}' is an invalid resource limit. It must be 'unlimited' or a number",
                )
        elif limit < app[name]:
            yield (
                f"/resourceLimits/{name}",
                f"resource limit must be greater than or equal to requested resource ({app[name]})",
            )


def _secrets(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    disabled = feature(rules.config, SECRETS)
    secrets = app.get("secrets") or {}
    if secrets and disabled:
        yield "/secrets", disabled
    env = app.get("env") or {}
    for index, name in enumerate(env):
        if not name:
            yield f"/env/keys({index})", "must not be empty"
    if disabled and any(isinstance(value, dict) for value in env.values()):
        yield "/env", "use of secret-references in the environment requires the secrets feature to be enabled"
    for name, value in env.items():
        if isinstance(value, dict) and value["secret"] not in secrets:
            yield f"/env/{name}/secret", "references an undefined secret"


_ROLE_CHARACTERS = {
    "\t": "horizontal tab (\\x09)",
    "\n": "line feed (\\x0a)",
    "\v": "vertical tab (\\x0b)",
    "\f": "form feed (\\x0c)",
    "\r": "carriage return (\\x0d)",
    " ": "space (\\x20)",
    "/": "slash (\\x2f)",
    "\x7f": "backspace (\\x7f)",
}


def _roles(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    role = app["role"]
    if role not in rules.roles:
        yield "/role", f"got {role}, expected one of: [{', '.join(rules.roles)}]"
    accepted = app.get("acceptedResourceRoles")
    if accepted is None:
        return
    path = "/acceptedResourceRoles"
    if not accepted:
        yield path, "must not be empty"
    for index, each in enumerate(accepted):
        if each in ("", ".", ".."):
            yield f"{path}({index})", f'A role name must not be "{each}".'
        if each.startswith("-"):
            yield f"{path}({index})", "A role name must not start with a '-'."
        for character, name in _ROLE_CHARACTERS.items():
            if character in each:
                yield f"{path}({index})", f"A role name must not include a {name} character."
    if "residency" in app and accepted != [ANY_ROLE]:
        yield path, 'A resident app must have `acceptedResourceRoles = ["*"]`.'
    if not set(accepted) <= {ANY_ROLE, role}:
        yield path, f"acceptedResourceRoles can only contain {' and '.join(sorted({ANY_ROLE, role}))}"


def _gpus(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    if not app["gpus"]:
        return
    if (app.get("container") or {}).get("type") == "DOCKER":
        yield "/", "GPU resources only work with the Mesos containerizer"
    if disabled := feature(rules.config, GPU_RESOURCES):
        yield "/", disabled


def _migration(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    labels = app.get("labels") or {}
    version = labels.get("DCOS_MIGRATION_API_VERSION")
    complete = labels.get("DCOS_PACKAGE_FRAMEWORK_NAME") and labels.get("DCOS_MIGRATION_API_PATH")
    if version and not (version == "v1" and complete):
        yield (
            "/",
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined"
            " when using DCOS_MIGRATION_API_VERSION",
        )


def _readiness_checks(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    checks = app.get("readinessChecks") or ()
    if len(checks) > 1:
        yield "/readinessChecks/size", f"got {len(checks)}, expected 1 or less"
    container = app.get("container") or {}
    ports = container["portMappings"] if "portMappings" in container else app.get("portDefinitions") or ()
    names = {each.get("name") for each in ports}
    for index, check in enumerate(checks):
        path = f"/readinessChecks({index})"
        if check["portName"] not in names:
            yield f"{path}/portName", f"No port definition reference for portName {check['portName']}"
        if check["timeoutSeconds"] >= check["intervalSeconds"]:
            yield (
                f"{path}/timeoutSeconds",
                f"got {check['timeoutSeconds']}, expected less than {check['intervalSeconds']}",
            )


def _instances(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    if app["instances"] > MOST_INSTANCES:
        yield "/instances", TOO_MANY_INSTANCES
    strategy = app.get("upgradeStrategy") or {}
    single = (app.get("labels") or {}).get(SINGLE_INSTANCE) == "true"
    if single and app["instances"] > 1:
        yield "/", "Single instance app may only have one instance"
    for name in ("minimumHealthCapacity", "maximumOverCapacity"):
        wrong = single or ("residency" in app and name == "maximumOverCapacity")
        # Without a strategy a single instance gets the default one, which is wrong for it, too.
        value = strategy.get(name, 1.0 if single else 0.0)
        if wrong and value != 0.0:
            yield f"/upgradeStrategy/{name}", f"got {value}, expected 0.0"


def _unreachable(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    strategy = app.get("unreachableStrategy")
    if "residency" in app and isinstance(strategy, dict):
        yield "/", "unreachableStrategy must be disabled for resident tasks"
    if isinstance(strategy, dict) and strategy["inactiveAfterSeconds"] > strategy["expungeAfterSeconds"]:
        yield (
            "/unreachableStrategy/inactiveAfterSeconds",
            f"inactiveAfterSeconds ({strategy['inactiveAfterSeconds']}) must be less or equal to expungeAfterSeconds, "
            f"which is {strategy['expungeAfterSeconds']}",
        )


def _constraints(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    for index, each in enumerate(app.get("constraints") or ()):
        for error in constraint_errors(each):
            yield f"/constraints({index})", error


def _ids(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    for error in paths.errors(app["id"]):
        yield "/id", error
    if app["id"] == paths.ROOT:
        yield "/id", paths.EMPTY
        yield "/", "must not be root"
    for index, each in enumerate(app.get("dependencies") or ()):
        for error in paths.errors(each):
            yield f"/dependencies({index})", error


def _container(app: Json, rules: Rules) -> Iterable[tuple[str, str]]:
    if app.get("container") is not None:
        yield from container_rules(app["container"], app["networks"], app.get("secrets") or {}, rules.config)


RULES: tuple[Rule, ...] = (
    _container,
    _port_definitions,
    _command,
    _health_checks,
    _check,
    _fetch,
    _resource_limits,
    _secrets,
    _roles,
    _gpus,
    _migration,
    _readiness_checks,
    _instances,
    _unreachable,
    _constraints,
    _networks,
    _ids,
)


def errors(app: Json, config: Config, roles: Collection[str]) -> Details:
    """All that is wrong with an app in today's words."""
    rules = Rules(config, tuple(roles))
    return [each for rule in RULES for each in rule(app, rules)]


# -- before that: what deprecated fields must not say


def deprecated_errors(app: Json) -> Details:
    """``validateOldAppAPI``: only of fields that are no longer there once they are translated."""
    found: Details = []
    container = app.get("container") or {}
    docker = container.get("docker") or {}
    forbidden = ("credential",) if container.get("type") == "DOCKER" else ("credential", "network", "portMappings")
    found += [(f"/container/docker/{name}", "must be empty") for name in forbidden if name in docker]
    if container.get("type") == "MESOS" and docker.get("parameters"):
        found.append(("/container/docker/parameters", "must be empty"))
    if not unique(each["name"] for each in docker.get("portMappings") or () if "name" in each):
        found.append(("/container/docker/portMappings", "Port names must be unique."))
    ip = app.get("ipAddress")
    if container.get("type") == "DOCKER" and ip and "discovery" in ip:
        found.append(("/ipAddress", "ipAddress/discovery is not allowed for Docker containers"))
    given = app.get("uris") or []
    found += [(f"/uris({index})", uris.INVALID) for index, each in enumerate(given) if not uris.is_valid(each)]
    if given and app.get("fetch"):
        found.append(("/uris", "may not be set in conjunction with fetch"))
    definitions, ports = app.get("portDefinitions"), app.get("ports")
    for wrong, error in (
        ("network" in docker and app.get("networks"), "must not specify both container.docker.network and networks"),
        (ip is not None and app.get("networks"), "must not specify both networks and ipAddress"),
        (not unique(port for port in ports or () if port), "ports must be unique"),
        (ip is not None and (ports or definitions), "cannot specify both an IP address and port"),
        (
            ports is not None and definitions is not None and [each["port"] for each in definitions] != ports,
            "cannot specify both ports and port definitions",
        ),
    ):
        if wrong:
            found.append(("/", error))
    return found

"""Which apps are refused, where, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.specs import AppRejected, Config, Group, empty_root, parse_app

Json = dict[str, Any]

IMAGE = {"type": "DOCKER", "docker": {"image": "nginx"}}
BRIDGE = [{"mode": "container/bridge"}]
PORT_INDEX = "Health check port indices must address an element of the ports array or container port mappings."
ONE_OF = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
MODES = "May specify a single host network, single bridge network, or else 1-to-n container networks"


def errors(fields: Json, config: Config | None = None, root: Group | None = None) -> list[tuple[str, str]]:
    try:
        parse_app({"id": "/a", **fields}, root or empty_root(), config or Config(), "v1")
    except AppRejected as error:
        return error.details
    return []


REFUSED: list[tuple[Json, str, str]] = [
    ({}, "/", ONE_OF),
    ({"cmd": "sleep 1", "args": ["sleep"]}, "/", ONE_OF),
    ({"cmd": "sleep 1", "args": ["sleep"], "container": IMAGE}, "/", ONE_OF),
    ({"container": {"volumes": []}}, "/container/docker", "not defined"),
    ({"container": {"type": "MESOS"}}, "/", ONE_OF),
    (
        {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {"profileName": "strict", "unconfined": True}}}},
        "/container/linuxInfo/seccomp",
        "Seccomp unconfined can NOT be true when Profile is defined",
    ),
    (
        {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {}}}},
        "/container/linuxInfo/seccomp",
        "Seccomp unconfined must be true when Profile is NOT defined",
    ),
    (
        {"container": {"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 8}}}},
        "/container/linuxInfo/ipcInfo",
        "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT",
    ),
    ({"ports": [0, -1]}, "/portDefinitions(1)/port", "got -1, expected 0 or more"),
    ({"ports": [65536]}, "/portDefinitions(0)/port", "got 65536, expected 65535 or less"),
    ({"instances": 2_147_483_647}, "/instances", "must not be more than 20000 on the embedded engine"),
    ({"cmd": "x"}, "/", "must not be an empty string"),
    ({"id": "/", "cmd": "ls -l"}, "/id", "Path must contain at least one path element"),
    ({"id": "/", "cmd": "ls -l"}, "/", "must not be root"),
    (
        {"id": "/a/tasks", "cmd": "ls -l"},
        "/id",
        "must not end with any of the following reserved keywords: restart, tasks, versions, ., ..",
    ),
    (
        {"cmd": "ls -l", "dependencies": ["/B"]},
        "/dependencies(0)",
        r"must fully match regular expression "
        r"'^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'",
    ),
    # constraints
    ({"constraints": [["hostname"]]}, "/constraints(0)", "Each constraint must have either 2 or 3 fields"),
    ({"constraints": [["", "UNIQUE"]]}, "/constraints(0)", "illegal constraint specification"),
    (
        {"constraints": [["a", "IN", "b"]]},
        "/constraints(0)",
        "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
    ),
    ({"constraints": [["a", "UNIQUE", "b"]]}, "/constraints(0)", "UNIQUE does not accept a value"),
    ({"constraints": [["a", "MAX_PER"]]}, "/constraints(0)", "MAX_PER requires an integer value"),
    ({"constraints": [["a", "MAX_PER", "x"]]}, "/constraints(0)", "MAX_PER requires an integer value"),
    (
        {"constraints": [["a", "GROUP_BY", "x"]]},
        "/constraints(0)",
        "GROUP BY must define an integer value or else no value at all",
    ),
    (
        {"constraints": [["a", "LIKE"]]},
        "/constraints(0)",
        "LIKE and UNLIKE require a non-empty, regular expression value",
    ),
    ({"constraints": [["a", "UNLIKE", "["]]}, "/constraints(0)", "is not a valid regular expression"),
    (
        {"constraints": [["a", "IS", "{a,b}"]]},
        "/constraints(0)",
        "IS only supports Mesos text and float values "
        "(see http://mesos.apache.org/documentation/latest/attributes-resources/)",
    ),
    # ports
    (
        {"portDefinitions": [{"port": 80, "name": "a"}, {"port": 80, "name": "a"}]},
        "/portDefinitions",
        "Ports must be unique.",
    ),
    ({"portDefinitions": [{"name": "a"}, {"name": "a"}]}, "/portDefinitions", "Port names must be unique."),
    ({"ports": [80, 80]}, "/", "ports must be unique"),
    ({"ports": [80], "portDefinitions": [{"port": 81}]}, "/", "cannot specify both ports and port definitions"),
    ({"ports": [80], "ipAddress": {}}, "/", "cannot specify both an IP address and port"),
    (
        {"container": {**IMAGE, "portMappings": [{"name": "a"}, {"name": "a"}]}, "networks": BRIDGE},
        "/container/portMappings",
        "Port names must be unique.",
    ),
    (
        {"container": {**IMAGE, "portMappings": [{"networkNames": ["b"]}]}, "networks": [{"name": "a"}]},
        "/container/portMappings(0)/networkNames(0)",
        "is not one of (a)",
    ),
    (
        {"container": {"type": "MESOS", "portMappings": [{"hostPort": 0}]}, "networks": [{"name": "a"}, {"name": "b"}]},
        "/container/portMappings(0)",
        "networkNames must be a single item list when hostPort is specified and more than 1 container network "
        "is defined",
    ),
    # networks
    ({"networks": [{"mode": "host", "name": "a"}]}, "/networks", "Host networks may not have names or labels"),
    ({"networks": [{"mode": "container/bridge", "name": "a"}]}, "/networks", "Bridge networks may not have names"),
    ({"networks": [{"name": "a"}, {"name": "a"}]}, "/networks", "Duplicate networks are not allowed"),
    ({"networks": [{"mode": "host"}, {"mode": "container/bridge"}]}, "/networks", MODES),
    ({"networks": [{"mode": "host"}, {"mode": "host"}]}, "/networks", MODES),
    ({"networks": [{}]}, "/networks", "Network name must be specified when container network is selected."),
    (
        {"networks": [{"name": "a"}, {"name": "b"}], "container": IMAGE},
        "/",
        "may only specify a single container network when using the Docker container engine",
    ),
    ({"networks": BRIDGE, "ipAddress": {}}, "/", "must not specify both networks and ipAddress"),
    (
        {"networks": BRIDGE, "container": {"docker": {"image": "i", "network": "BRIDGE"}}},
        "/",
        "must not specify both container.docker.network and networks",
    ),
    (
        {"ipAddress": {"discovery": {"ports": [{"name": "a"}]}}, "container": IMAGE},
        "/ipAddress",
        "ipAddress/discovery is not allowed for Docker containers",
    ),
    # containers
    (
        {"container": {"docker": {"image": "i", "credential": {"principal": "p"}}}},
        "/container/docker/credential",
        "must be empty",
    ),
    (
        {"container": {"type": "MESOS", "docker": {"image": "i", "network": "HOST"}}},
        "/container/docker/network",
        "must be empty",
    ),
    (
        {"container": {"type": "MESOS", "docker": {"image": "i", "parameters": [{"key": "a", "value": "b"}]}}},
        "/container/docker/parameters",
        "must be empty",
    ),
    (
        {"container": {"docker": {"image": "i", "pullConfig": {"secret": "s"}}}},
        "/container/docker/pullConfig",
        "pullConfig is not supported with Docker containerizer",
    ),
    (
        {"container": {"type": "MESOS", "docker": {"image": "i", "pullConfig": {"secret": "s"}}}},
        "/container/docker/pullConfig",
        "Feature secrets is not enabled. Enable with --enable_features secrets)",
    ),
    (
        {"container": {**IMAGE, "volumes": [{"containerPath": "/a", "secret": "s"}]}},
        "/container/volumes(0)",
        "volume.secret must refer to an existing secret",
    ),
    (
        {"container": {**IMAGE, "volumes": [{"containerPath": "/a", "external": {"name": "v"}, "mode": "RW"}]}},
        "/container/volumes(0)",
        "Feature external_volumes is not enabled. Enable with --enable_features external_volumes)",
    ),
    (
        {"container": {**IMAGE, "volumes": [{"containerPath": "/a", "persistent": {"size": 0}, "mode": "RO"}]}},
        "/container/volumes(0)/containerPath",
        'value must not contain "/"',
    ),
    (
        {"container": {**IMAGE, "volumes": [{"containerPath": "a", "persistent": {"size": 1}, "mode": "RW"}]}},
        "/container/volumes(0)/persistent",
        "local persistent volumes are not supported by the embedded engine",
    ),
    # health checks
    ({"healthChecks": [{"portIndex": 1}]}, "/healthChecks(0)", PORT_INDEX),
    ({"healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 1}]}, "/healthChecks(0)", PORT_INDEX),
    ({"healthChecks": [{"protocol": "MESOS_HTTP"}], "portDefinitions": []}, "/healthChecks(0)", PORT_INDEX),
    ({"healthChecks": [{}], "portDefinitions": []}, "/healthChecks(0)", PORT_INDEX),
    (
        {"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}]},
        "/",
        "AppDefinition can contain at most one Mesos health check",
    ),
    (
        {"healthChecks": [{"protocol": "MESOS_TCP", "ipProtocol": "IPv6"}]},
        "/healthChecks(0)",
        "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
    ),
    (
        {"healthChecks": [{"protocol": "TCP", "command": {"value": "true"}}]},
        "/healthChecks(0)",
        "illegal protocol TCP specified with command",
    ),
    ({"check": {}}, "/check", "illegal RAML Check: expected one of http, tcp or exec checks"),
    (
        {"check": {"exec": {"command": {"shell": "true"}}}, "container": IMAGE},
        "/",
        "AppDefinition must not use 'checks' if using docker",
    ),
    (
        {"check": {"tcp": {"portIndex": 3}}},
        "/check",
        "check port index must address an element of the ports array or container port mappings.",
    ),
    ({"readinessChecks": [{}]}, "/readinessChecks(0)/portName", "No port definition reference for portName http-api"),
    (
        {"readinessChecks": [{"portName": "default", "intervalSeconds": 5, "timeoutSeconds": 5}]},
        "/readinessChecks(0)/timeoutSeconds",
        "got 5, expected less than 5",
    ),
    ({"readinessChecks": [{}, {"name": "b"}]}, "/readinessChecks/size", "got 2, expected 1 or less"),
    # the rest
    ({"fetch": [{"uri": "a b"}]}, "/fetch(0)/uri", "URI has invalid syntax."),
    ({"uris": ["http://a/{b}"]}, "/uris(0)", "URI has invalid syntax."),
    ({"uris": ["a"], "fetch": [{"uri": "b"}]}, "/uris", "may not be set in conjunction with fetch"),
    (
        {"secrets": {"s": {"source": "x"}}},
        "/secrets",
        "Feature secrets is not enabled. Enable with --enable_features secrets)",
    ),
    (
        {"env": {"A": {"secret": "s"}}},
        "/env",
        "use of secret-references in the environment requires the secrets feature to be enabled",
    ),
    ({"env": {"A": {"secret": "s"}}}, "/env/A/secret", "references an undefined secret"),
    ({"env": {"": "x"}}, "/env/keys(0)", "must not be empty"),
    ({"acceptedResourceRoles": []}, "/acceptedResourceRoles", "must not be empty"),
    ({"acceptedResourceRoles": ["dev"]}, "/acceptedResourceRoles", "acceptedResourceRoles can only contain *"),
    (
        {"acceptedResourceRoles": ["a b"]},
        "/acceptedResourceRoles(0)",
        "A role name must not include a space (\\x20) character.",
    ),
    ({"acceptedResourceRoles": ["-a"]}, "/acceptedResourceRoles(0)", "A role name must not start with a '-'."),
    ({"role": "dev"}, "/role", "got dev, expected one of: [*]"),
    ({"gpus": 1}, "/", "Feature gpu_resources is not enabled. Enable with --enable_features gpu_resources)"),
    ({"gpus": 1, "container": IMAGE}, "/", "GPU resources only work with the Mesos containerizer"),
    (
        {"resourceLimits": {"mem": 1}},
        "/resourceLimits/mem",
        "resource limit must be greater than or equal to requested resource (128.0)",
    ),
    (
        {"resourceLimits": {"cpus": "much"}},
        "/resourceLimits/cpus",
        "'much' is an invalid resource limit. It must be 'unlimited' or a number",
    ),
    (
        {"unreachableStrategy": {"inactiveAfterSeconds": 2, "expungeAfterSeconds": 1}},
        "/unreachableStrategy/inactiveAfterSeconds",
        "inactiveAfterSeconds (2) must be less or equal to expungeAfterSeconds, which is 1",
    ),
    (
        {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2},
        "/",
        "Single instance app may only have one instance",
    ),
    (
        {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}},
        "/upgradeStrategy/maximumOverCapacity",
        "got 1.0, expected 0.0",
    ),
    (
        {"labels": {"DCOS_MIGRATION_API_VERSION": "v1"}},
        "/",
        "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION",
    ),
    (
        {"residency": {}, "unreachableStrategy": {}},
        "/",
        "unreachableStrategy must be disabled for resident tasks",
    ),
    (
        {"residency": {}, "acceptedResourceRoles": ["a"]},
        "/acceptedResourceRoles",
        'A resident app must have `acceptedResourceRoles = ["*"]`.',
    ),
]


@pytest.mark.parametrize(("fields", "path", "error"), REFUSED)
def test_refused(fields: Json, path: str, error: str) -> None:
    runnable = {} if {"cmd", "args", "container"} & set(fields) or not fields else {"cmd": "sleep 1"}
    assert (path, error) in errors({**runnable, **fields})


TAKEN: list[Json] = [
    {"cmd": "ls"},
    {"args": ["ls"]},
    {"container": IMAGE},
    {"container": IMAGE, "cmd": "ls -l"},
    {"container": IMAGE, "args": ["ls"]},
    {"cmd": "ls", "container": {"type": "MESOS"}},
    {"cmd": "ls", "container": {"type": "MESOS", "linuxInfo": {"seccomp": {"profileName": "strict"}}}},
    {"cmd": "ls", "container": {"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 8}}}},
    {"container": {"type": "MESOS", "docker": {"image": "i", "forcePullImage": True}}},
    {"container": {**IMAGE, "volumes": [{"containerPath": "/a", "hostPath": "/b", "mode": "RO"}]}},
    {"cmd": "ls", "constraints": [["a", "UNIQUE"], ["a", "CLUSTER"], ["a", "CLUSTER", "x"], ["a", "GROUP_BY"]]},
    {
        "cmd": "ls",
        "constraints": [["a", "group_by", "3"], ["a", "LIKE", "x.*"], ["a", "MAX_PER", "2"], ["a", "IS", "1.0"]],
    },
    {"cmd": "ls", "acceptedResourceRoles": ["*"]},
    {"cmd": "ls", "healthChecks": [{"port": 8080}, {"protocol": "COMMAND", "command": {"value": "true"}}]},
    {"cmd": "ls", "portDefinitions": [], "healthChecks": [{"port": 80}]},
    {"container": IMAGE, "healthChecks": [{"protocol": "MESOS_TCP", "ipProtocol": "IPv6"}]},
    {"cmd": "ls", "check": {"exec": {"command": {"argv": ["a"]}}}},
    {"cmd": "ls", "fetch": [{"uri": "http://a/b?c=d#e"}, {"uri": "/a/b"}, {"uri": "a%20b"}]},
    {"cmd": "ls", "resourceLimits": {"cpus": "unlimited", "mem": 129}},
    {"cmd": "ls", "unreachableStrategy": "disabled"},
    {"cmd": "ls", "networks": [{"name": "a"}, {"name": "b"}]},
    {
        "cmd": "ls",
        "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"},
        "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0},
    },
]


@pytest.mark.parametrize("fields", TAKEN)
def test_taken(fields: Json) -> None:
    assert errors(fields) == []


@pytest.mark.parametrize(
    ("constraint", "error"),
    [
        ([], "Missing field and operator"),
        (["path", "LIKE"], "Unsupported constraint path,LIKE"),
        (["rack", "LIKE", "a"], "Unsupported constraint rack,LIKE,a"),
        (["path", "NEAR", "a"], "unknown constraint operator NEAR"),
        (["path", "IS", "a"], "Operator must be one of LIKE, UNLIKE"),
        (["path", "UNLIKE", "["], "Invalid regular expression"),
        (["path", "LIKE", "/mnt/.*"], None),
    ],
)
def test_constraints_of_volumes(constraint: list[str], error: str | None) -> None:
    persistent = {"type": "mount", "size": 1, "constraints": [constraint]}
    volume = {"containerPath": "d", "mode": "RW", "persistent": persistent}
    found = dict(errors({"cmd": "ls", "container": {"type": "MESOS", "volumes": [volume]}}))
    assert found.get("/container/volumes(0)/persistent/constraints(0)") == error


def test_volumes_of_storage_plugins() -> None:
    capability = {"accessMode": "SINGLE_NODE_WRITER", "accessType": "mount"}
    external = {"name": "v", "provider": "csi", "options": {"pluginName": "p", "capability": capability}}
    volume = {"containerPath": "/d", "mode": "RW", "external": external}
    found = errors({"cmd": "ls", "container": {"type": "MESOS", "volumes": [volume]}})
    feature = "Feature external_volumes is not enabled. Enable with --enable_features external_volumes)"
    assert found == [("/container/volumes(0)", feature)]


def test_features_can_be_enabled() -> None:
    config = Config(features=frozenset({"secrets", "gpu_resources"}))
    fields = {"cmd": "ls", "gpus": 1, "secrets": {"s": {"source": "x"}}, "env": {"A": {"secret": "s"}}}
    assert errors(fields, config) == []


ENFORCED = empty_root().put(Group("/dev", enforce_role=True), "v0")
FREE = empty_root().put(Group("/dev"), "v0")


@pytest.mark.parametrize(
    ("root", "role", "expected"),
    [
        (FREE, None, []),
        (FREE, "dev", []),
        (FREE, "*", []),
        (FREE, "qa", [("/role", "got qa, expected one of: [*, dev]")]),
        (ENFORCED, None, []),
        (ENFORCED, "*", [("/role", "got *, expected one of: [dev]")]),
    ],
)
def test_roles_of_groups(root: Group, role: str | None, expected: list[tuple[str, str]]) -> None:
    fields = {"id": "/dev/a", "cmd": "ls"} | ({"role": role} if role else {})
    assert errors(fields, root=root) == expected


def test_the_default_role_of_a_group() -> None:
    assert parse_app({"id": "/dev/x/a", "cmd": "ls"}, ENFORCED, Config(), "v1").role == "dev"
    assert parse_app({"id": "/dev/x/a", "cmd": "ls"}, FREE, Config(), "v1").role == "*"

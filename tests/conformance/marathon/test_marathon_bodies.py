"""Bodies of apps by the types of the RAML: what is valid is stored as given, with defaults; what is not is refused."""

# ruff: noqa: E501  # tables of cases, one a line

from __future__ import annotations

import json
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon

Json = dict[str, Any]

TYPES = "marathon/docs/docs/rest-api/public/api/v2/types"
APP = f"{TYPES}/app.raml#App"

DOCKER: Json = {"type": "DOCKER", "docker": {"image": "nginx:1.27"}}
UCR: Json = {"type": "MESOS", "docker": {"image": "nginx:1.27"}}
BRIDGE: Json = {"networks": [{"mode": "container/bridge"}]}
HTTP_API: Json = {"portDefinitions": [{"port": 0, "name": "http-api"}]}


def _stored(marathon: Marathon, **fields: Any) -> Json:
    """Post it, and read it again."""
    answer = marathon.call("POST", "/v2/apps", marathon.body(**{"instances": 0, **fields}))
    assert answer.status_code == 201, answer.text
    marathon.deployed(answer)
    return marathon.app()


def _within(given: Any, stored: Any, path: str = "") -> None:
    """Everything that was given is stored so; more may have been added."""
    if isinstance(given, dict):
        for key, value in given.items():
            assert key in stored, f"{path}/{key} is not stored"
            _within(value, stored[key], f"{path}/{key}")
    elif isinstance(given, list):
        assert len(given) == len(stored), f"{path}: {given} became {stored}"
        for index, value in enumerate(given):
            _within(value, stored[index], f"{path}({index})")
    else:
        assert given == stored, f"{path}: {given!r} became {stored!r}"


# -- defaults


@holds(APP, f"{TYPES}/killSelection.raml#KillSelection", f"{TYPES}/unreachableStrategy.raml#UnreachableEnabled")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpus", 1), ("mem", 128), ("disk", 0), ("gpus", 0), ("instances", 1), ("backoffSeconds", 1),
        ("backoffFactor", 1.15), ("maxLaunchDelaySeconds", 300), ("requirePorts", False), ("executor", ""),
        ("killSelection", "YOUNGEST_FIRST"), ("networks", [{"mode": "host"}]),
        ("upgradeStrategy", {"minimumHealthCapacity": 1, "maximumOverCapacity": 1}),
        ("unreachableStrategy", {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}),
    ],
)  # fmt: skip
def test_what_an_app_is_by_default(marathon: Marathon, field: str, value: Any) -> None:
    answer = marathon.call("POST", "/v2/apps", {"id": marathon.id(), "cmd": "exec sleep 1000", "constraints": NOWHERE})
    assert answer.status_code == 201, answer.text
    assert marathon.app()[field] == value


NOWHERE = [["rack", "CLUSTER", "no-such-rack"]]  # so that what has to have an instance runs nowhere


@holds(APP)
def test_a_port_is_there_by_default(marathon: Marathon) -> None:
    (port,) = _stored(marathon)["portDefinitions"]
    assert (port["protocol"], port["name"]) == ("tcp", "default")
    assert 10000 <= port["port"] <= 20000


@holds(f"{TYPES}/app.raml#AppInfo", f"{TYPES}/versionInfo.raml#VersionInfo")
def test_what_is_added(marathon: Marathon) -> None:
    app = _stored(marathon)
    assert [app[key] for key in ("tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy")] == [0, 0, 0, 0]
    assert (app["tasks"], app["deployments"]) == ([], [])
    assert app["version"].endswith("Z")
    assert app["versionInfo"] == {"lastScalingAt": app["version"], "lastConfigChangeAt": app["version"]}


@holds(f"{TYPES}/healthCheck.raml#AppHealthCheck")
def test_a_health_check_by_default(marathon: Marathon) -> None:
    (check,) = _stored(marathon, healthChecks=[{"path": "/health", "portIndex": 0}])["healthChecks"]
    defaults = {
        "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3, "timeoutSeconds": 20,
        "delaySeconds": 15, "protocol": "HTTP", "ipProtocol": "IPv4",
    }  # fmt: skip
    _within({**defaults, "path": "/health", "portIndex": 0}, check)


@holds(f"{TYPES}/readinessCheck.raml#ReadinessCheck")
def test_a_readiness_check_by_default(marathon: Marathon) -> None:
    (check,) = _stored(marathon, **HTTP_API, readinessChecks=[{}])["readinessChecks"]
    _within(
        {
            "name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "http-api", "intervalSeconds": 30,
            "timeoutSeconds": 10, "httpStatusCodesForReady": [200], "preserveLastResponse": False,
        },
        check,
    )  # fmt: skip


@holds(f"{TYPES}/artifact.raml#Artifact")
def test_an_artifact_by_default(marathon: Marathon) -> None:
    (artifact,) = _stored(marathon, fetch=[{"uri": "http://127.0.0.1/x.tgz"}])["fetch"]
    assert artifact == {"uri": "http://127.0.0.1/x.tgz", "extract": True, "executable": False, "cache": False}


@holds(f"{TYPES}/appContainer.raml#Container", f"{TYPES}/appContainer.raml#DockerContainer")
def test_a_container_by_default(marathon: Marathon) -> None:
    container = _stored(marathon, cmd=None, container={"docker": {"image": "nginx"}})["container"]
    _within({"type": "DOCKER", "docker": {"image": "nginx", "forcePullImage": False, "privileged": False}}, container)
    assert container["volumes"] == []


@holds(f"{TYPES}/appContainer.raml#ContainerPortMapping", "marathon/docs/docs/networking.md#port-mappings")
def test_a_port_mapping_by_default(marathon: Marathon) -> None:
    app = _stored(marathon, cmd=None, container={**DOCKER, "portMappings": [{"containerPort": 80}]}, **BRIDGE)
    (mapping,) = app["container"]["portMappings"]
    _within({"containerPort": 80, "hostPort": 0, "protocol": "tcp"}, mapping)
    assert 10000 <= mapping["servicePort"] <= 20000
    assert "portDefinitions" not in app


@holds(f"{TYPES}/appContainer.raml#Container")
def test_a_bridged_container_gets_a_port_unless_it_says_no(marathon: Marathon) -> None:
    app = _stored(marathon, cmd=None, container=DOCKER, **BRIDGE)
    assert len(app["container"]["portMappings"]) == 1
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"container": {**DOCKER, "portMappings": []}})
    assert marathon.app()["container"]["portMappings"] == []


# -- stored as given

VALID: list[tuple[str, str, Json]] = [
    ("a command", APP, {"cmd": "echo hello"}),
    ("arguments", APP, {"cmd": None, "args": ["sleep", "1000"]}),
    ("resources", APP, {"cpus": 0.25, "mem": 64.5, "disk": 10}),
    ("little", APP, {"cpus": 0.001, "mem": 0}),
    ("limits", f"{TYPES}/resources.raml#ResourceLimits", {"resourceLimits": {"cpus": "unlimited", "mem": 512.0}}),
    ("executor resources", f"{TYPES}/resources.raml#ExecutorResources", {"executorResources": {"cpus": 0.2, "mem": 64, "disk": 10}}),
    ("environment", f"{TYPES}/environmentVariable.raml#LegacyEnvVars", {"env": {"COLOUR": "blue", "with-dash": "", "1": "x"}}),
    ("labels", f"{TYPES}/label.raml#KVLabels", {"labels": {"tier": "front", "HAPROXY_GROUP": "external", "a.b/c": ""}}),
    ("user", APP, {"user": "nobody"}),
    ("back-off", APP, {"backoffSeconds": 2, "backoffFactor": 2.5, "maxLaunchDelaySeconds": 30}),
    ("no back-off", APP, {"backoffSeconds": 0, "backoffFactor": 1.0, "maxLaunchDelaySeconds": 0}),
    ("upgrade strategy", f"{TYPES}/app.raml#UpgradeStrategy", {"upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25}}),
    ("unreachable strategy", f"{TYPES}/unreachableStrategy.raml#UnreachableEnabled", {"unreachableStrategy": {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120}}),
    ("unreachable disabled", f"{TYPES}/unreachableStrategy.raml#UnreachableDisabled", {"unreachableStrategy": "disabled"}),
    ("kill selection", f"{TYPES}/killSelection.raml#KillSelection", {"killSelection": "OLDEST_FIRST"}),
    ("grace", APP, {"taskKillGracePeriodSeconds": 7}),
    ("fetch", f"{TYPES}/artifact.raml#Artifact", {"fetch": [{"uri": "file:///etc/hosts", "extract": False, "executable": True, "cache": False, "destPath": "hosts"}]}),
    ("dependencies", APP, {"dependencies": ["/x/y", "/x/z"]}),
    ("roles", APP, {"acceptedResourceRoles": ["*"]}),
    ("tty", APP, {"tty": True}),
    ("port definitions", f"{TYPES}/network.raml#PortDefinition", {"portDefinitions": [{"port": 10101, "protocol": "tcp", "name": "web", "labels": {"a": "b"}}, {"port": 10102, "protocol": "udp,tcp", "name": "both"}]}),
    ("no ports", APP, {"portDefinitions": []}),
    ("required ports", APP, {"requirePorts": True, "portDefinitions": [{"port": 31001, "protocol": "tcp", "name": "a"}]}),
    ("host network", f"{TYPES}/network.raml#NetworkMode", {"networks": [{"mode": "host"}]}),
    ("container network", f"{TYPES}/network.raml#Network", {"cmd": None, "container": DOCKER, "networks": [{"mode": "container", "name": "blue", "labels": {"k": "v"}}]}),
    ("docker", f"{TYPES}/appContainer.raml#DockerContainer", {"cmd": None, "container": {"type": "DOCKER", "docker": {"image": "nginx", "forcePullImage": True, "privileged": True, "parameters": [{"key": "hostname", "value": "h"}]}}}),
    ("an image by Mesos", f"{TYPES}/appContainer.raml#EngineType", {"cmd": None, "container": UCR}),
    ("a folder of the host", f"{TYPES}/volumes.raml#AppHostVolume", {"container": {**DOCKER, "volumes": [{"containerPath": "/data", "hostPath": "/tmp", "mode": "RO"}]}}),
    ("seccomp", f"{TYPES}/linux.raml#Seccomp", {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {"profileName": "strict", "unconfined": False}}}}),
    ("shared memory", f"{TYPES}/linux.raml#IPCInfo", {"container": {"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 64}}}}),
    ("port mappings", f"{TYPES}/appContainer.raml#ContainerPortMapping", {"cmd": None, "container": {**DOCKER, "portMappings": [{"containerPort": 80, "hostPort": 0, "servicePort": 10103, "protocol": "tcp", "name": "web", "labels": {"VIP_0": "a:80"}}, {"containerPort": 0, "hostPort": 0, "servicePort": 10104, "protocol": "udp", "name": "peers"}]}, **BRIDGE}),
    *[
        (f"constraint {operator}", f"{TYPES}/constraint.raml#ConstraintOperator", {"constraints": [["rack", operator, *value]]})
        for operator, value in (
            ("UNIQUE", []), ("CLUSTER", []), ("CLUSTER", ["rack-1"]), ("GROUP_BY", []), ("GROUP_BY", ["2"]),
            ("LIKE", ["rack-[12]"]), ("UNLIKE", ["rack-1"]), ("MAX_PER", ["2"]), ("IS", ["rack-1"]),
        )
    ],
    ("constraint hostname", f"{TYPES}/constraint.raml#AppConstraint", {"constraints": [["hostname", "UNIQUE"], ["@hostname", "LIKE", ".*"]]}),
    *[
        (f"health by {protocol}", f"{TYPES}/healthCheck.raml#AppHealthCheckProtocol", {"healthChecks": [{"protocol": protocol, "portIndex": 0, "path": "/h"}]})
        for protocol in ("HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS")
    ],
    ("health by TCP", f"{TYPES}/healthCheck.raml#AppHealthCheck", {"healthChecks": [{"protocol": "TCP", "port": 80}, {"protocol": "MESOS_TCP", "portIndex": 0}]}),
    ("health by a command", f"{TYPES}/healthCheck.raml#AppCommandCheck", {"healthChecks": [{"protocol": "COMMAND", "command": {"value": "true"}, "maxConsecutiveFailures": 0}]}),
    ("health in detail", f"{TYPES}/healthCheck.raml#AppHealthCheck", {"healthChecks": [{"protocol": "HTTP", "portIndex": 0, "path": "/", "ignoreHttp1xx": True, "gracePeriodSeconds": 1, "intervalSeconds": 2, "timeoutSeconds": 1, "maxConsecutiveFailures": 5}]}),
    ("check by http", f"{TYPES}/check.raml#AppHttpCheck", {"check": {"http": {"portIndex": 0, "path": "/", "scheme": "HTTPS"}, "intervalSeconds": 5, "timeoutSeconds": 3, "delaySeconds": 1}}),
    ("check by tcp", f"{TYPES}/check.raml#AppTcpCheck", {"check": {"tcp": {"portIndex": 0}}}),
    ("check by a command", f"{TYPES}/check.raml#AppCheck", {"check": {"exec": {"command": {"shell": "true"}}}}),
    ("readiness", f"{TYPES}/readinessCheck.raml#ReadinessCheck", {"portDefinitions": [{"port": 10105, "name": "http-api"}], "readinessChecks": [{"name": "warm", "path": "/ready", "portName": "http-api", "intervalSeconds": 5, "timeoutSeconds": 2, "httpStatusCodesForReady": [200, 204], "preserveLastResponse": True}]}),
    ("names with dots", f"{TYPES}/stringTypes.raml#PathId", {"labels": {"dotted": "a.b"}}),
]  # fmt: skip


@holds(APP, *sorted({page for _, page, _ in VALID}))
@pytest.mark.parametrize(
    "given", [fields for _, _, fields in VALID], ids=[name.replace(" ", "-") for name, _, _ in VALID]
)
def test_it_is_stored_as_given(marathon: Marathon, given: Json) -> None:
    stored = _stored(marathon, **given)
    _within({key: value for key, value in given.items() if value is not None}, stored)
    version = marathon.get(f"/v2/apps{marathon.id()}/versions/{stored['version']}")
    _within({key: value for key, value in given.items() if value is not None}, version)


@holds(f"{TYPES}/stringTypes.raml#PathId")
@pytest.mark.parametrize("name", ["a", "a-b", "a.b", "0", "a1.b-2/c", "very/deep/down/below", "x" * 63])
def test_ids_that_are_fine(marathon: Marathon, name: str) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(name, instances=0))
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == marathon.id(name)


# -- the words of the past


@holds("marathon/docs/docs/upgrade/network-api-migration.md#example-definitions")
def test_ports_become_port_definitions(marathon: Marathon) -> None:
    stored = _stored(marathon, ports=[10111, 10112])
    assert [one["port"] for one in stored["portDefinitions"]] == [10111, 10112]


@holds(
    "marathon/docs/docs/upgrade/network-api-migration.md#example-definitions",
    f"{TYPES}/appContainer.raml#DockerNetwork",
)
@pytest.mark.parametrize(("network", "mode"), [("BRIDGE", {"mode": "container/bridge"}), ("HOST", {"mode": "host"})])
def test_a_docker_network_becomes_a_network(marathon: Marathon, network: str, mode: Json) -> None:
    stored = _stored(marathon, cmd=None, container={"type": "DOCKER", "docker": {"image": "nginx", "network": network}})
    assert stored["networks"] == [mode]
    assert "network" not in stored["container"]["docker"]


@holds(f"{TYPES}/appContainer.raml#DockerContainer")
def test_port_mappings_of_docker_move_up(marathon: Marathon) -> None:
    docker = {"image": "nginx", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}
    stored = _stored(marathon, cmd=None, container={"type": "DOCKER", "docker": docker})
    assert [one["containerPort"] for one in stored["container"]["portMappings"]] == [80]


@holds(APP)
def test_uris_become_fetch(marathon: Marathon) -> None:
    stored = _stored(marathon, uris=["http://127.0.0.1/a.tgz", "http://127.0.0.1/b.txt"])
    assert [(one["uri"], one["extract"]) for one in stored["fetch"]] == [
        ("http://127.0.0.1/a.tgz", True),
        ("http://127.0.0.1/b.txt", False),
    ]
    assert "uris" not in stored


# -- refused

INVALID: list[tuple[str, Json, str, str]] = [
    # what, the body, the path in the answer, words of the reason
    ("types", {"cpus": "much"}, "/cpus", "error.expected.jsnumber"),
    ("types", {"instances": "1"}, "/instances", "error.expected"),
    ("types", {"instances": 1.5}, "/instances", "error.expected"),
    ("types", {"cmd": 5}, "/cmd", "error.expected.jsstring"),
    ("types", {"env": {"A": 1}}, "/env/A/secret", "error"),
    ("types", {"labels": {"a": 1}}, "/labels/a", "error.expected.jsstring"),
    ("types", {"args": "sleep"}, "/args", "error.expected.jsarray"),
    ("types", {"constraints": "rack"}, "/constraints", "error.expected.jsarray"),
    ("types", {"container": []}, "/container", "error.expected.jsobject"),
    ("types", {"requirePorts": "yes"}, "/requirePorts", "error.expected.jsboolean"),
    ("least", {"cpus": 0}, "/cpus", "error.min"),
    ("least", {"mem": -1}, "/mem", "error.min"),
    ("least", {"disk": -1}, "/disk", "error.min"),
    ("least", {"gpus": -1}, "/gpus", "error.min"),
    ("least", {"instances": -1}, "/instances", "error.min"),
    ("least", {"backoffFactor": 0.9}, "/backoffFactor", "error.min"),
    ("least", {"backoffSeconds": -1}, "/backoffSeconds", "error.min"),
    ("least", {"maxLaunchDelaySeconds": -1}, "/maxLaunchDelaySeconds", "error.min"),
    ("least", {"taskKillGracePeriodSeconds": -1}, "/taskKillGracePeriodSeconds", "error.min"),
    ("least", {"cmd": ""}, "/cmd", "error.minLength"),
    ("range", {"upgradeStrategy": {"minimumHealthCapacity": 1.5, "maximumOverCapacity": 0}}, "/upgradeStrategy/minimumHealthCapacity", "error.max"),
    ("range", {"upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": -1}}, "/upgradeStrategy/maximumOverCapacity", "error.min"),
    ("missing", {"upgradeStrategy": {"minimumHealthCapacity": 1}}, "/upgradeStrategy/maximumOverCapacity", "error.path.missing"),
    ("words", {"killSelection": "RANDOM"}, "/killSelection", "error"),
    ("words", {"unreachableStrategy": "never"}, "/unreachableStrategy", "error"),
    ("words", {"networks": [{"mode": "user"}]}, "/networks(0)/mode", "error"),
    ("words", {"container": {"type": "LXC"}}, "/container/type", "error"),
    ("words", {"healthChecks": [{"protocol": "ICMP"}]}, "/healthChecks(0)/protocol", "error"),
    ("words", {"portDefinitions": [{"port": 0, "protocol": "sctp"}]}, "/portDefinitions(0)/protocol", "error"),
    ("ports", {"portDefinitions": [{"port": 65536}]}, "/portDefinitions(0)/port", "error.max"),
    ("ports", {"portDefinitions": [{"port": -1}]}, "/portDefinitions(0)/port", "error.min"),
    ("ports", {"portDefinitions": [{"port": 0, "name": "Not Valid"}]}, "/portDefinitions(0)/name", "error.pattern"),
    ("missing", {"cmd": None, "container": {"type": "DOCKER", "docker": {}}}, "/container/docker/image", "error.path.missing"),
    ("missing", {"fetch": [{}]}, "/fetch(0)/uri", "error.path.missing"),
    ("missing", {"container": {**DOCKER, "volumes": [{"containerPath": "/x"}]}}, "/container/volumes(0)/mode", "error.path.missing"),
    ("readiness", {**HTTP_API, "readinessChecks": [{"timeoutSeconds": 0}]}, "/readinessChecks(0)/timeoutSeconds", "error.min"),
    ("readiness", {**HTTP_API, "readinessChecks": [{"httpStatusCodesForReady": []}]}, "/readinessChecks(0)/httpStatusCodesForReady", "error.minLength"),
    ("ids", {"dependencies": ["Not Valid"]}, "/dependencies(0)", "must fully match regular expression"),
    # together they make no sense
    ("sense", {"cmd": None}, "/", "must either contain one of 'cmd' or 'args', and/or a 'container'"),
    ("sense", {"cmd": None, "container": {"type": "MESOS"}}, "/", "must either contain one of 'cmd' or 'args', and/or a 'container'"),
    ("sense", {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {"profileName": "strict", "unconfined": True}}}}, "/container/linuxInfo/seccomp", "can NOT be true when Profile is defined"),
    ("sense", {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {"unconfined": False}}}}, "/container/linuxInfo/seccomp", "must be true when Profile is NOT defined"),
    ("sense", {"container": {"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 8}}}}, "/container/linuxInfo/ipcInfo", "shmSize can NOT be set"),
    ("sense", {"container": {**DOCKER, "linuxInfo": {}}}, "/container/linuxInfo", "must be empty"),
    ("sense", {"healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 7}]}, "/healthChecks(0)", "must address an element of the ports array"),
    ("sense", {"ports": [-1]}, "/portDefinitions(0)/port", "expected 0 or more"),
    ("sense", {"ports": [65536]}, "/portDefinitions(0)/port", "65535"),
    ("sense", {"args": ["sleep", "1"]}, "/", "must either contain one of 'cmd' or 'args'"),
    ("sense", {"constraints": [["rack", "NEAR", "x"]]}, "/constraints(0)", "operator must be one of"),
    ("sense", {"constraints": [["rack", "LIKE"]]}, "/constraints(0)", "regular expression"),
    ("sense", {"constraints": [["rack", "LIKE", "["]]}, "/constraints(0)", "not a valid regular expression"),
    ("sense", {"constraints": [["rack", "MAX_PER", "x"]]}, "/constraints(0)", "requires an integer value"),
    ("sense", {"constraints": [["rack", "UNIQUE", "x"]]}, "/constraints(0)", "does not accept a value"),
    ("sense", {"constraints": [["rack"]]}, "/constraints(0)", ""),
    ("sense", {"portDefinitions": [{"port": 0, "name": "a"}, {"port": 0, "name": "a"}]}, "/portDefinitions", "Port names must be unique"),
    ("sense", {"portDefinitions": [{"port": 9000}, {"port": 9000}]}, "/portDefinitions", "Ports must be unique"),
    ("sense", {"networks": [{"mode": "host"}, {"mode": "container/bridge"}]}, "/networks", "single host network"),
    ("sense", {"networks": [{"mode": "container"}]}, "/networks", "Network name must be specified"),
    ("sense", {"networks": [{"mode": "host", "name": "x"}]}, "/networks", "may not have names"),
    ("sense", {"healthChecks": [{"portIndex": 7}]}, "/healthChecks(0)", "must address an element of the ports array"),
    ("sense", {"healthChecks": [{"protocol": "COMMAND"}]}, "/healthChecks(0)", "COMMAND specified without command"),
    ("sense", {"check": {"tcp": {}, "exec": {"command": {"shell": "x"}}}}, "/check", "expected one of http, tcp or exec"),
    ("sense", {"readinessChecks": [{}]}, "/readinessChecks(0)/portName", "No port definition reference"),
    ("sense", {**HTTP_API, "readinessChecks": [{"intervalSeconds": 5, "timeoutSeconds": 9}]}, "/readinessChecks(0)/timeoutSeconds", "expected less than 5"),
    ("sense", {"unreachableStrategy": {"inactiveAfterSeconds": 9, "expungeAfterSeconds": 3}}, "/unreachableStrategy/inactiveAfterSeconds", "must be less or equal"),
    ("sense", {"fetch": [{"uri": ":bad uri"}]}, "/fetch(0)/uri", "URI"),
    ("sense", {"resourceLimits": {"cpus": "much"}}, "/resourceLimits/cpus", "must be 'unlimited' or a number"),
    ("sense", {"resourceLimits": {"mem": 1}}, "/resourceLimits/mem", "greater than or equal to requested"),
    ("sense", {"acceptedResourceRoles": []}, "/acceptedResourceRoles", "must not be empty"),
    ("sense", {"acceptedResourceRoles": ["other"]}, "/acceptedResourceRoles", "can only contain"),
    ("sense", {"role": "other"}, "/role", "expected one of"),
    ("sense", {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2}, "/", "Single instance app may only have one instance"),
    ("sense", {"env": {"A": {"secret": "s"}}}, "/env", "secrets feature"),
    ("sense", {"gpus": 1}, "/", "gpu_resources"),
    ("sense", {"uris": ["http://a/"], "fetch": [{"uri": "http://b/"}]}, "/uris", "may not be set in conjunction with fetch"),
    ("sense", {"cmd": None, "container": {**DOCKER, "portMappings": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}, **BRIDGE}, "/container/portMappings", "Port names must be unique"),
]  # fmt: skip


def _complaints(answer: Json) -> dict[str, str]:
    return {row["path"]: " ".join(row["errors"]) for row in answer["details"]}


@holds(
    "marathon/docs/docs/rest-api/public/api/v2/apps.raml#post", "marathon/docs/docs/rest-api/public/api/traits.raml#objectValidator",
    APP, f"{TYPES}/error.raml#Error", f"{TYPES}/network.raml#Network", f"{TYPES}/constraint.raml#AppConstraint",
)  # fmt: skip
@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [row[1:] for row in INVALID],
    ids=[f"{row[0]}-{row[2].strip('/').replace('/', '.') or 'app'}-{n}" for n, row in enumerate(INVALID)],
)
def test_it_is_refused_with_its_path_and_reason(marathon: Marathon, fields: Json, path: str, words: str) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(**{"instances": 0, **fields}))
    assert answer.status_code == 422, f"{answer.status_code} {answer.text}"
    body = answer.json()
    assert body["message"] in ("Object is not valid", "Invalid JSON")
    complaints = _complaints(body)
    assert path in complaints, complaints
    assert words in complaints[path]
    assert marathon.call("GET", f"/v2/apps{marathon.id()}").status_code == 404, "nothing of it is stored"


@holds(f"{TYPES}/stringTypes.raml#PathId")
@pytest.mark.parametrize("name", ["/UPPER", "/under_score", "/-dash", "/dash-", "/a b", "/a..b", "/ä"])
def test_ids_that_are_none(marathon: Marathon, name: str) -> None:
    answer = marathon.call("POST", "/v2/apps", {**marathon.body(instances=0), "id": name})
    assert answer.status_code == 422, answer.text
    assert "/id" in _complaints(answer.json())


@holds(APP, "marathon/docs/docs/rest-api/public/api/traits.raml#objectValidator")
def test_all_complaints_come_at_once(marathon: Marathon) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(cpus="x", mem=-1, instances="y"))
    assert answer.status_code == 422
    assert set(_complaints(answer.json())) == {"/cpus", "/mem", "/instances"}


@holds(
    "marathon/docs/docs/rest-api/public/api/traits.raml#jsonValidator",
    "marathon/docs/docs/rest-api/public/api/v2/apps.raml#post",
)
@pytest.mark.parametrize("body", [b"{", b'{"id": }', b"not json", b'{"id": "/x", }', b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/v2/apps", "/v2/groups"])
def test_malformed_json(marathon: Marathon, path: str, body: bytes) -> None:
    answer = marathon.call("POST", path, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"] == "Invalid JSON"
    assert answer.json()["details"]


@holds("marathon/docs/docs/rest-api/public/api/traits.raml#jsonValidator")
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v2/apps"), ("PUT", "/v2/apps/x"), ("POST", "/v2/groups"), ("PUT", "/v2/groups/x")]
)
def test_no_body_at_all(marathon: Marathon, method: str, path: str) -> None:
    answer = marathon.call(method, path, b"")
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"] == "Please specify data in JSON format"
    assert "No content to map due to end-of-input" in answer.json()["details"]


@holds("marathon/docs/docs/rest-api/public/api/v2/apps.raml#post")
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_body_that_does_not_call_itself_json(marathon: Marathon, kind: str) -> None:
    body = json.dumps(marathon.body(instances=0)).encode()
    answer = marathon.call("POST", "/v2/apps", body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()) == (415, {"message": "Unsupported Media Type"})
    assert marathon.call("GET", f"/v2/apps{marathon.id()}").status_code == 404
    answer = marathon.call("POST", "/v2/apps", body, headers={"Content-Type": "application/json; charset=UTF-8"})
    assert answer.status_code == 201, answer.text


@holds("marathon/docs/docs/rest-api/public/api/v2/apps.raml#post")
@pytest.mark.parametrize("body", [b"[]", b'"app"', b"5", b"null"])
def test_json_that_is_no_app(marathon: Marathon, body: bytes) -> None:
    assert marathon.call("POST", "/v2/apps", body).status_code in (400, 422)


@holds(f"{TYPES}/app.raml#App")
def test_fields_that_nobody_knows_are_passed_over(marathon: Marathon) -> None:
    stored = _stored(marathon, colour="blue")
    assert "colour" not in stored

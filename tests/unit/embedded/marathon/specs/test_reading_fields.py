"""Every field of the RAML types: an example that is taken as it is, and ones that are refused, with play's words."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.specs import raml
from labkit.embedded.marathon.specs.errors import Details
from labkit.embedded.marathon.specs.reader import Object

STRING, NUMBER, INT, LONG = (
    "error.expected.jsstring",
    "error.expected.jsnumber",
    "error.expected.int",
    "error.expected.long",
)
BOOLEAN, ARRAY, OBJECT = "error.expected.jsboolean", "error.expected.jsarray", "error.expected.jsobject"
MIN, MAX, SHORT, LONG_TEXT = "error.min", "error.max", "error.minLength", "error.maxLength"
PATTERN, ENUM, MISSING = "error.pattern", "error.unknown.enum.literal", "error.path.missing"

_PORTS = [(-1, MIN), (65536, MAX), ("80", NUMBER), (80.5, INT), (2**31, INT)]
_SECONDS = [(-1, MIN), ("1", NUMBER), (1.5, INT), (True, NUMBER)]
_NAMES = [("Web", PATTERN), ("-web", PATTERN), ("", SHORT), (1, STRING)]
_LABELS: list[tuple[Any, Any]] = [([], OBJECT), ({"a": 1}, ("/a", STRING))]
_FLAGS: list[tuple[Any, Any]] = [("true", BOOLEAN), (1, BOOLEAN)]

# type → field → (a good value, [(a bad one, its error, or (rest of the path, error))])
CASES: dict[Object, dict[str, tuple[Any, list[tuple[Any, Any]]]]] = {
    raml.APP: {
        "id": ("/shop/db-1.a", [("/Shop", PATTERN), ("", SHORT), ("a_b", PATTERN), (1, STRING), ("/a/./b", PATTERN)]),
        "acceptedResourceRoles": (["*"], [("*", ARRAY), ([1], ("(0)", STRING))]),
        "args": (["sleep", "1"], [("sleep", ARRAY), ([1], ("(0)", STRING))]),
        "backoffFactor": (1.5, [(0.9, MIN), ("1", NUMBER)]),
        "backoffSeconds": (2, _SECONDS),
        "cmd": ("sleep 1", [("", SHORT), (["sleep"], STRING)]),
        "constraints": ([["hostname", "UNIQUE"]], [({}, ARRAY), (["hostname"], ("(0)", ARRAY))]),
        "container": ({"type": "MESOS", "volumes": []}, [([], OBJECT), ({"type": "RKT"}, ("/type", ENUM))]),
        "cpus": (0.001, [(0, MIN), (-1, MIN), ("1", NUMBER)]),
        "dependencies": (["/a", "b"], [("/a", ARRAY), ([1], ("(0)", STRING))]),
        "disk": (10.5, [(-0.1, MIN), (None, None)]),
        "env": ({"A": "b", "C": {"secret": "s"}}, [([], OBJECT), ({"A": 1}, ("/A/secret", MISSING))]),
        "executor": ("/opt/run", [("a//b/", PATTERN), (1, STRING)]),
        "executorResources": ({"cpus": 0.1, "mem": 32.0, "disk": 10.0}, [({"cpus": 0.01}, ("/cpus", MIN))]),
        "fetch": (
            [{"uri": "a", "extract": True, "executable": False, "cache": False}],
            [({}, ARRAY), ([{}], ("(0)/uri", MISSING))],
        ),
        "healthChecks": (None, [({}, ARRAY), ([{"protocol": "UDP"}], ("(0)/protocol", ENUM))]),
        "check": (None, [({"exec": {"command": {}}}, ("/exec/command/argv", MISSING))]),
        "instances": (3, [(-1, MIN), (0.1, INT), ("3", NUMBER)]),
        "labels": ({"a": "b"}, _LABELS),
        "maxLaunchDelaySeconds": (10, _SECONDS),
        "mem": (64.0, [(-1, MIN), ("64", NUMBER)]),
        "gpus": (1, [(-1, MIN), (0.5, INT)]),
        "ipAddress": ({"networkName": "dcos"}, [({"networkName": ""}, ("/networkName", SHORT))]),
        "networks": ([{"mode": "host"}], [([{"mode": "none"}], ("(0)/mode", ENUM))]),
        "ports": ([0, 8080], [({}, ARRAY), (["80"], ("(0)", NUMBER))]),
        "portDefinitions": ([{"port": 80, "protocol": "tcp"}], [([{"port": -1}], ("(0)/port", MIN))]),
        "readinessChecks": (None, [([{"timeoutSeconds": 0}], ("(0)/timeoutSeconds", MIN))]),
        "residency": (
            {"relaunchEscalationTimeoutSeconds": 5, "taskLostBehavior": "WAIT_FOREVER"},
            [({"taskLostBehavior": "WAIT"}, ("/taskLostBehavior", ENUM))],
        ),
        "resourceLimits": ({"cpus": "unlimited", "mem": 200.0}, [({"mem": []}, ("/mem", NUMBER))]),
        "requirePorts": (True, _FLAGS),
        "secrets": ({"s": {"source": "x"}}, [({"s": {"source": ""}}, ("/s/source", SHORT))]),
        "taskKillGracePeriodSeconds": (5, _SECONDS),
        "upgradeStrategy": (
            {"maximumOverCapacity": 0.5, "minimumHealthCapacity": 1.0},
            [
                ({"minimumHealthCapacity": 1}, ("/maximumOverCapacity", MISSING)),
                ({"maximumOverCapacity": 2, "minimumHealthCapacity": 1}, ("/maximumOverCapacity", MAX)),
            ],
        ),
        "uris": (["http://a/b.tgz"], [("x", ARRAY)]),
        "user": ("root", [(0, STRING)]),
        "version": (
            "2021-07-27T20:40:33.123Z",
            [("yesterday", "error.expected.date.isoformat"), (1, "error.expected.date")],
        ),
        "versionInfo": (None, [({}, ("/lastScalingAt", MISSING))]),
        "killSelection": ("OLDEST_FIRST", [("RANDOM", ENUM), (1, STRING)]),
        "unreachableStrategy": ("disabled", [({"inactiveAfterSeconds": -1}, ("/inactiveAfterSeconds", MIN))]),
        "tty": (True, _FLAGS),
        "role": ("dev", [("", SHORT), (1, STRING)]),
    },
    raml.CONTAINER: {
        "type": ("MESOS", [("mesos", ENUM)]),
        "docker": (None, [({}, ("/image", MISSING))]),
        "linuxInfo": ({"ipcInfo": {"mode": "PRIVATE"}}, [({"ipcInfo": {"mode": "x"}}, ("/ipcInfo/mode", ENUM))]),
        "volumes": (
            [{"containerPath": "/a", "hostPath": "/b", "mode": "RO"}],
            [([{"containerPath": "/a", "hostPath": "/b"}], ("(0)/mode", MISSING))],
        ),
        "portMappings": (None, [([{"containerPort": "80"}], ("(0)/containerPort", NUMBER))]),
    },
    raml.DOCKER: {
        "credential": ({"principal": "me"}, [({}, ("/principal", MISSING))]),
        "pullConfig": ({"secret": "s"}, [({"secret": ""}, ("/secret", SHORT))]),
        "forcePullImage": (True, _FLAGS),
        "image": ("nginx", [("", SHORT), (1, STRING)]),
        "network": ("BRIDGE", [("bridge", ENUM)]),
        "parameters": ([{"key": "a", "value": ""}], [([{"key": "", "value": "x"}], ("(0)/key", SHORT))]),
        "portMappings": ([], [({}, ARRAY)]),
        "privileged": (True, _FLAGS),
    },
    raml.PORT_MAPPING: {
        "containerPort": (80, _PORTS),
        "hostPort": (0, _PORTS),
        "labels": ({"a": "b"}, _LABELS),
        "name": ("web", _NAMES),
        "protocol": ("udp,tcp", [("tcp,udp", ENUM)]),
        "servicePort": (10000, _PORTS),
        "networkNames": (["dcos"], [("dcos", ARRAY)]),
    },
    raml.PORT_DEFINITION: {
        "port": (80, _PORTS),
        "labels": ({"a": "b"}, _LABELS),
        "name": ("web", _NAMES),
        "protocol": ("udp", [("sctp", ENUM)]),
    },
    raml.NETWORK: {
        "name": ("my_net", [("My", PATTERN), ("a" * 64, LONG_TEXT), ("", SHORT)]),
        "mode": ("container/bridge", [("bridge", ENUM)]),
        "labels": ({"a": "b"}, _LABELS),
    },
    raml.HEALTH_CHECK: {
        "command": ({"value": "true"}, [({}, ("/value", MISSING))]),
        "gracePeriodSeconds": (0, _SECONDS),
        "ignoreHttp1xx": (True, _FLAGS),
        "intervalSeconds": (1, _SECONDS),
        "maxConsecutiveFailures": (0, _SECONDS),
        "path": ("/health", [(1, STRING)]),
        "port": (80, _PORTS),
        "portIndex": (0, _PORTS),
        "protocol": ("MESOS_HTTPS", [("http", ENUM)]),
        "ipProtocol": ("IPv6", [("IPv5", ENUM)]),
        "timeoutSeconds": (-1, [("1", NUMBER)]),  # the only one without a minimum
        "delaySeconds": (0, _SECONDS),
    },
    raml.CHECK: {
        "http": ({"path": "/", "scheme": "HTTP"}, [({"path": ""}, ("/path", SHORT))]),
        "tcp": ({"port": 80}, [({"port": -1}, ("/port", MIN))]),
        "exec": ({"command": {"shell": "true"}}, [({}, ("/command", MISSING))]),
        "intervalSeconds": (1, _SECONDS),
        "timeoutSeconds": (1, _SECONDS),
        "delaySeconds": (1, _SECONDS),
    },
    raml.READINESS_CHECK: {
        "name": ("ready", [("", SHORT)]),
        "protocol": ("HTTPS", [("TCP", ENUM)]),
        "path": ("/ready", [("", SHORT), ("a" * 1025, LONG_TEXT)]),
        "portName": ("api", _NAMES),
        "intervalSeconds": (5, _SECONDS),
        "timeoutSeconds": (1, [(0, MIN)]),
        "httpStatusCodesForReady": ([200, 201], [([], SHORT), (["200"], ("(0)", NUMBER))]),
        "preserveLastResponse": (True, _FLAGS),
    },
    raml.ARTIFACT: {
        "uri": ("a", [("", SHORT), ("a" * 1025, LONG_TEXT)]),
        "extract": (False, _FLAGS),
        "executable": (True, _FLAGS),
        "cache": (True, _FLAGS),
        "destPath": ("b", [("", SHORT)]),
    },
    raml.PERSISTENT: {
        "type": ("mount", [("disk", ENUM)]),
        "size": (10, [(-1, MIN), (2**63, LONG), (1.5, LONG)]),
        "maxSize": (10, [(-1, MIN)]),
        "profileName": ("fast", [(1, STRING)]),
        "constraints": ([["path", "LIKE", "x"]], [({}, ARRAY)]),
    },
    raml.GROUP_UPDATE: {
        "id": ("/shop", [("Shop", PATTERN)]),
        "apps": ([], [([{}], ("(0)/id", MISSING))]),
        "groups": ([{"id": "x", "groups": []}], [([{"groups": {}}], ("(0)/groups", ARRAY))]),
        "dependencies": (["/a"], [("/a", ARRAY)]),
        "scaleBy": (2.0, [(-1, MIN)]),
        "version": ("2021-07-27T20:40:33.123Z", [("now", "error.expected.date.isoformat")]),
        "enforceRole": (True, _FLAGS),
    },
}

GOOD = [(type, name, good) for type, fields in CASES.items() for name, (good, _) in fields.items() if good is not None]
BAD = [
    (type, name, value, error)
    for type, fields in CASES.items()
    for name, (_, bad) in fields.items()
    for value, error in bad
    if error is not None
]


def _whole(type: Object, name: str, value: Any) -> dict[str, Any]:
    """With the other required fields."""
    needed = {"id": "/a", "image": "i", "uri": "u", "size": 1}
    return {**{key: needed[key] for key, each in type.fields.items() if each.required}, name: value}


@pytest.mark.parametrize(("type", "name", "value"), GOOD, ids=lambda each: getattr(each, "name", None))
def test_a_good_value_is_kept(type: Object, name: str, value: Any) -> None:
    errors: Details = []
    found = type.read(_whole(type, name, value), "", errors)
    assert errors == []
    assert found[name] == value


@pytest.mark.parametrize(("type", "name", "value", "error"), BAD, ids=lambda each: getattr(each, "name", None))
def test_a_bad_value_is_named(type: Object, name: str, value: Any, error: Any) -> None:
    errors: Details = []
    type.read(_whole(type, name, value), "", errors)
    rest, why = error if isinstance(error, tuple) else ("", error)
    assert (f"/{name}{rest}", why) in errors


def test_every_field_has_a_case() -> None:
    assert {type.name: set(fields) for type, fields in CASES.items()} == {type.name: set(type.fields) for type in CASES}


@pytest.mark.parametrize("type", CASES, ids=lambda each: each.name)
def test_null_is_as_if_it_were_not_there(type: Object) -> None:
    errors: Details = []
    needed = {"id": "/a", "image": "i", "uri": "u", "size": 1}
    given = {key: needed.get(key) if each.required else None for key, each in type.fields.items()}
    without = {key: value for key, value in given.items() if value is not None}
    assert type.read(given, "", errors) == type.read(without, "", errors)
    assert errors == []


def test_defaults_of_an_app() -> None:
    errors: Details = []
    found = raml.APP.read({"id": "a"}, "", errors)
    assert found == {
        "id": "a",
        "backoffFactor": 1.15,
        "backoffSeconds": 1,
        "cpus": 1.0,
        "disk": 0.0,
        "executor": "",
        "instances": 1,
        "labels": {},
        "maxLaunchDelaySeconds": 300,
        "mem": 128.0,
        "gpus": 0,
        "networks": [],
        "requirePorts": False,
        "killSelection": "YOUNGEST_FIRST",
    }


def test_an_update_has_only_what_was_given() -> None:
    errors: Details = []
    assert raml.APP.read({"instances": 2, "env": {}, "cmd": None}, "", errors, partial=True) == {
        "env": {},
        "instances": 2,
    }


@pytest.mark.parametrize("body", [[], "app", 3, None, True])
def test_a_body_that_is_no_object_lacks_its_fields(body: Any) -> None:
    errors: Details = []
    raml.APP.read(body, "", errors)
    assert errors == [("/id", MISSING)]


def test_unknown_fields_vanish() -> None:
    errors: Details = []
    assert "colour" not in raml.APP.read({"id": "a", "colour": "red"}, "", errors)


def test_all_errors_are_told_at_once() -> None:
    errors: Details = []
    raml.APP.read({"id": 1, "cpus": "x", "container": {"docker": {"image": 3}}}, "", errors)
    assert sorted(errors) == [("/container/docker/image", STRING), ("/cpus", NUMBER), ("/id", STRING)]


def test_defaults_are_not_shared() -> None:
    errors: Details = []
    one, two = (raml.APP.read({"id": "a"}, "", errors) for _ in range(2))
    one["labels"]["a"] = "b"
    assert two["labels"] == {}

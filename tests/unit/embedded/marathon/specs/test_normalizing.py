"""What is shown of an app: legacy forms in today's words, defaults filled in."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.specs import App, AppRejected, Config, SpecError, empty_root, parse_app

Json = dict[str, Any]

IMAGE = {"type": "DOCKER", "docker": {"image": "nginx"}}


def parse(config: Config | None = None, **fields: Any) -> App:
    return parse_app({"id": "/a", **fields}, empty_root(), config or Config(), "v1")


def mappings(app: App) -> Any:
    assert app.container is not None
    return app.container.get("portMappings")


MAPPING = {"containerPort": 0, "labels": {}, "protocol": "tcp", "servicePort": 0}
DEFAULT = {**MAPPING, "name": "default"}


def test_a_plain_process() -> None:
    body = parse(cmd="sleep 1").body
    assert body["networks"] == [{"mode": "host"}]
    assert body["portDefinitions"] == [{"port": 0, "name": "default", "protocol": "tcp"}]
    assert body["upgradeStrategy"] == {"maximumOverCapacity": 1.0, "minimumHealthCapacity": 1.0}
    assert body["unreachableStrategy"] == {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}
    assert body["role"] == "*"
    assert body["id"] == "/a"
    assert not {"ports", "uris", "ipAddress", "container", "env", "fetch", "constraints", "tasksStats"} & set(body)


@pytest.mark.parametrize(
    ("fields", "networks", "ports"),
    [
        ({"container": IMAGE}, [{"mode": "host"}], None),
        (
            {"container": {"docker": {"image": "i", "network": "BRIDGE"}}},
            [{"mode": "container/bridge"}],
            [{**DEFAULT, "hostPort": 0}],
        ),
        (
            {"container": {"docker": {"image": "i", "network": "HOST", "portMappings": [{"containerPort": 80}]}}},
            [{"mode": "host"}],
            None,
        ),
        (
            {"container": {"docker": {"image": "i", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}}},
            [{"mode": "container/bridge"}],
            [{**MAPPING, "containerPort": 80, "hostPort": 0}],
        ),
        (
            {"container": {"docker": {"image": "i", "network": "USER"}}, "ipAddress": {"networkName": "dcos"}},
            [{"mode": "container", "name": "dcos"}],
            [DEFAULT],
        ),
        (
            {"cmd": "sleep 1", "ipAddress": {"networkName": "dcos", "labels": {"a": "b"}}},
            [{"mode": "container", "name": "dcos", "labels": {"a": "b"}}],
            [DEFAULT],
        ),
        (
            {"cmd": "sleep 1", "ipAddress": {"networkName": "mesos-bridge"}},
            [{"mode": "container/bridge"}],
            [{**DEFAULT, "hostPort": 0}],
        ),
        (
            {
                "cmd": "sleep 1",
                "ipAddress": {"networkName": "d", "discovery": {"ports": [{"number": 80, "name": "web"}]}},
            },
            [{"mode": "container", "name": "d"}],
            [{**MAPPING, "containerPort": 80, "name": "web"}],
        ),
        (
            {"container": IMAGE, "networks": [{"mode": "container/bridge"}], "ports": [0, 0]},
            [{"mode": "container/bridge"}],
            [{**DEFAULT, "hostPort": 0}, {**MAPPING, "hostPort": 0}],
        ),
        (
            {"container": {**IMAGE, "portMappings": []}, "networks": [{"name": "d"}]},
            [{"mode": "container", "name": "d"}],
            [],
        ),
    ],
)
def test_networks_and_their_ports(fields: Json, networks: list[Json], ports: list[Json] | None) -> None:
    app = parse(**fields)
    assert app.networks == networks
    assert mappings(app) == ports
    assert ("portDefinitions" in app.body) == (networks == [{"mode": "host"}])


def test_no_container_but_another_network_makes_one() -> None:
    app = parse(cmd="sleep 1", networks=[{"mode": "container/bridge"}])
    assert app.container == {"type": "MESOS", "volumes": [], "portMappings": [{**DEFAULT, "hostPort": 0}]}


def test_a_network_without_a_name_gets_the_default_one() -> None:
    app = parse(Config(default_network_name="dcos"), container=IMAGE, networks=[{"mode": "container"}])
    assert app.networks == [{"mode": "container", "name": "dcos"}]


@pytest.mark.parametrize(
    ("fields", "definitions"),
    [
        ({"ports": [80, 0]}, [{"port": 80, "protocol": "tcp"}, {"port": 0, "protocol": "tcp"}]),
        ({"ports": []}, []),
        ({"portDefinitions": []}, []),
        ({"portDefinitions": [{"name": "web"}]}, [{"port": 0, "name": "web", "protocol": "tcp"}]),
        (
            {"ports": [80], "portDefinitions": [{"port": 80, "name": "a"}]},
            [{"port": 80, "name": "a", "protocol": "tcp"}],
        ),
    ],
)
def test_port_definitions(fields: Json, definitions: list[Json]) -> None:
    assert parse(cmd="sleep 1", **fields).body["portDefinitions"] == definitions


def test_uris_become_artifacts() -> None:
    found = parse(cmd="sleep 1", uris=["http://a/b.tar.gz", "http://a/b.txt"]).body["fetch"]
    assert [(each["uri"], each["extract"]) for each in found] == [
        ("http://a/b.tar.gz", True),
        ("http://a/b.txt", False),
    ]


@pytest.mark.parametrize(
    ("check", "shown"),
    [
        ({}, {"protocol": "HTTP", "portIndex": 0, "ignoreHttp1xx": False, "ipProtocol": "IPv4", "delaySeconds": 15}),
        ({"port": 80, "delaySeconds": 3}, {"protocol": "HTTP", "port": 80, "delaySeconds": 15}),
        ({"protocol": "TCP", "path": "/x"}, {"protocol": "TCP", "portIndex": 0}),
        (
            {"protocol": "MESOS_HTTP", "path": "/x", "delaySeconds": 3},
            {"path": "/x", "portIndex": 0, "delaySeconds": 3},
        ),
        ({"protocol": "COMMAND", "command": {"value": "true"}}, {"command": {"value": "true"}}),
    ],
)
def test_health_checks(check: Json, shown: Json) -> None:
    found = parse(cmd="sleep 1", portDefinitions=[{"port": 0}], healthChecks=[check]).health_checks[0]
    assert shown.items() <= found.items()
    assert found["gracePeriodSeconds"] == 300
    assert ("path" in found) == ("path" in shown)


def test_readiness_checks_want_200() -> None:
    app = parse(cmd="sleep 1", portDefinitions=[{"name": "http-api"}], readinessChecks=[{}])
    assert app.readiness_checks[0]["httpStatusCodesForReady"] == [200]


def test_required_ports_are_for_the_hosts_network() -> None:
    assert parse(cmd="sleep 1", requirePorts=True).body["requirePorts"] is True
    app = parse(container=IMAGE, networks=[{"mode": "container/bridge"}], requirePorts=True)
    assert app.body["requirePorts"] is False


def test_operators_are_shown_in_capitals() -> None:
    assert parse(cmd="sleep 1", constraints=[["rack", "like", "a"]]).body["constraints"] == [["rack", "LIKE", "a"]]


@pytest.mark.parametrize(
    ("given", "shown", "base"),
    [
        ("a", "/a", "/"),
        ("a//b/", "/a/b", "/"),
        ("../b", "/b", "/"),
        ("../../b", "/b", "/"),
        ("/a/../b", "/b", "/"),
        ("a", "/g/a", "/g"),
        ("../a", "/a", "/g"),
    ],
)
def test_ids_are_absolute(given: str, shown: str, base: str) -> None:
    app = parse_app({"id": given, "cmd": "sleep 1", "dependencies": [given]}, empty_root(), Config(), "v1", base)
    assert app.id == shown
    assert app.dependencies == {shown}


@pytest.mark.parametrize(
    "fields",
    [
        {"container": {"docker": {"image": "i", "network": "NONE"}}},
        {
            "container": {
                "docker": {"image": "i", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]},
                "portMappings": [{"containerPort": 81}],
            }
        },
    ],
)
def test_contradictions(fields: Json) -> None:
    with pytest.raises(SpecError) as caught:
        parse(**fields)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "fields", [{"cmd": "sleep 1"}, {"container": IMAGE, "networks": [{"mode": "container/bridge"}]}]
)
def test_what_is_shown_can_be_sent_again(fields: Json) -> None:
    """A body that was read is a valid one, and means the same."""
    app = parse(**fields, healthChecks=[{"path": "/"}], env={"A": "b"}, constraints=[["hostname", "UNIQUE"]])
    again = parse_app(app.body, empty_root(), Config(), "v2")
    assert again.body == app.body
    assert not app.is_upgrade(again)


def test_stored_and_restored() -> None:
    app = parse(cmd="sleep 1", constraints=[["hostname", "UNIQUE"]])
    assert App.from_json(app.to_json()) == app


def test_an_app_of_that_id_is_in_the_way() -> None:
    root = empty_root().with_app(parse(cmd="sleep 1"), "v1")
    with pytest.raises(SpecError) as caught:
        parse_app({"id": "a", "cmd": "sleep 2"}, root, Config(), "v2")
    assert caught.value.status == 409
    assert caught.value.body() == {"message": "An app with id [/a] already exists."}


def test_errors_of_one_path_stand_together() -> None:
    error = AppRejected([("/a", "x"), ("/b", "y"), ("/a", "z"), ("/a", "x")])
    assert error.body() == {
        "message": "Object is not valid",
        "details": [{"path": "/a", "errors": ["x", "z"]}, {"path": "/b", "errors": ["y"]}],
    }

"""Which services and servers apps make (``README.md`` and ``Longhelp.md`` of marathon-lb)."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.discovery.lb.apps import services
from labkit.embedded.marathon.discovery.lb.model import Service

from .fakes import Json, app, task

HTTP_CHECK = {"protocol": "HTTP", "path": "/health", "portIndex": 0, "intervalSeconds": 10}
ALIVE: Json = {"healthCheckResults": [{"alive": True}]}
DEAD: Json = {"healthCheckResults": [{"alive": False}]}


def only(given: Json, **more: Any) -> Service:
    (found,) = services([given], **more)
    return found


def ports_of(given: Json, **more: Any) -> list[int]:
    return [server.port for service in services([given], **more) for server in service.servers]


@pytest.mark.parametrize(
    ("labels", "field", "value"),
    [
        ({}, "mode", "tcp"),
        ({"HAPROXY_0_VHOST": "A.example,b.example"}, "vhosts", ("a.example", "b.example")),
        ({"HAPROXY_0_VHOST": "a.example"}, "mode", "http"),
        ({"HAPROXY_0_VHOST": "a.example", "HAPROXY_0_MODE": "TCP"}, "mode", "tcp"),
        ({"HAPROXY_0_PATH": "/api"}, "path", "/api"),
        ({"HAPROXY_0_PATH": "/api"}, "weight", 1),
        ({"HAPROXY_0_PATH": "/api", "HAPROXY_0_BACKEND_WEIGHT": "5"}, "weight", 5),
        ({"HAPROXY_0_STICKY": "true"}, "sticky", True),
        ({"HAPROXY_0_STICKY": "1"}, "sticky", False),
        ({"HAPROXY_0_BALANCE": "leastconn"}, "balance", "leastconn"),
        ({"HAPROXY_0_PORT": "8000"}, "port", 8000),
        ({"HAPROXY_0_BIND_ADDR": "127.0.0.9"}, "bind_addr", "127.0.0.9"),
        ({"HAPROXY_1_STICKY": "true"}, "sticky", False),
        ({"HAPROXY_0_AUTH": "realm:me:$5$x"}, "auth", ("realm", "me", "$5$x")),
        ({"HAPROXY_0_REDIRECT_TO_HTTPS": "true"}, "notes",
         ("HAPROXY_0_REDIRECT_TO_HTTPS is not done: this balancer speaks no TLS",)),
    ],
)  # fmt: skip
def test_labels(labels: dict[str, str], field: str, value: object) -> None:
    assert getattr(only(app(labels=labels, tasks=[task("10.0.0.1", 31000)])), field) == value


@pytest.mark.parametrize(
    "labels", [{"HAPROXY_0_PORT": "many"}, {"HAPROXY_0_MODE": "udp"}, {"HAPROXY_0_VHOST": "a\nbind :1"}]
)
def test_a_label_that_cannot_be_read_leaves_the_service_out(labels: dict[str, str]) -> None:
    assert services([app(labels=labels, tasks=[task("10.0.0.1", 31000)])]) == []


@pytest.mark.parametrize(
    ("wanted", "labels", "there"),
    [
        (("external",), {"HAPROXY_GROUP": "external"}, True),
        (("external",), {"HAPROXY_GROUP": "internal,external"}, True),
        (("internal",), {"HAPROXY_GROUP": "external"}, False),
        (("external",), {"HAPROXY_GROUP": "external", "HAPROXY_0_GROUP": "internal"}, False),
        (("internal",), {"HAPROXY_GROUP": "external", "HAPROXY_0_GROUP": "internal"}, True),
        (("external",), {"HAPROXY_GROUP": ""}, False),
        (("*",), {"HAPROXY_GROUP": ""}, True),
        (("external",), {"HAPROXY_0_ENABLED": "false"}, False),
    ],
)
def test_groups(wanted: tuple[str, ...], labels: dict[str, str], there: bool) -> None:
    assert bool(services([app(labels=labels, tasks=[task("10.0.0.1", 31000)])], wanted)) is there


@pytest.mark.parametrize(
    ("state", "there"),
    [
        ("TASK_RUNNING", True), ("TASK_UNREACHABLE", True), ("TASK_LOST", True), ("TASK_STAGING", False),
        ("TASK_STARTING", False), ("TASK_KILLING", False), ("TASK_FAILED", False), ("TASK_GONE", False),
    ],
)  # fmt: skip
def test_states(state: str, there: bool) -> None:
    assert bool(ports_of(app(tasks=[task("10.0.0.1", 31000, state=state)]))) is there


def test_only_the_healthy_get_traffic() -> None:
    tasks = [task("10.0.0.1", 31000, **ALIVE), task("10.0.0.1", 31001, **DEAD), task("10.0.0.1", 31002)]
    given = app(healthChecks=[HTTP_CHECK], tasks=tasks)
    said: dict[str, bool] = {}
    assert ports_of(given, said=said) == [31000]
    del tasks[0]["healthCheckResults"]  # Marathon may leave them out: what was last said counts
    assert ports_of(given, said=said) == [31000]
    for each in tasks:
        each["healthCheckResults"] = []  # a new leader, which has asked nobody yet
    assert ports_of(given, said=said) == [31000]
    assert only(given, said=said).mode == "http"


def test_tasks_from_before_the_checks_serve_on() -> None:
    said: dict[str, bool] = {}
    old = task("10.0.0.1", 31000)
    assert ports_of(app(tasks=[old]), said=said) == [31000]
    assert ports_of(app(healthChecks=[HTTP_CHECK], tasks=[old, task("10.0.0.1", 31001)]), said=said) == [31000]


@pytest.mark.parametrize(
    ("protocol", "mode"),
    [("HTTP", "http"), ("HTTPS", "http"), ("MESOS_HTTP", "http"), ("MESOS_HTTPS", "http"),
     ("TCP", "tcp"), ("MESOS_TCP", "tcp"), ("COMMAND", "tcp")],
)  # fmt: skip
def test_a_check_over_http_says_what_the_port_speaks_whatever_the_label_says(protocol: str, mode: str) -> None:
    check = {"protocol": protocol, "portIndex": 0}
    tasks = [task("10.0.0.1", 31000, **ALIVE)]
    for labels in ({}, {"HAPROXY_0_MODE": "tcp"}):
        assert only(app(labels=labels, healthChecks=[check], tasks=tasks)).mode == mode
    borrowed = {"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "1"}
    assert only(app(labels=borrowed, healthChecks=[{**check, "portIndex": 1}], tasks=tasks)).mode == mode


def test_service_ports_and_places_by_network() -> None:
    bridged = app(
        networks=[{"mode": "container/bridge"}],
        container={"portMappings": [{"containerPort": 80, "servicePort": 10001, "hostPort": 0}]},
        tasks=[task("10.0.0.1", 31000)],
    )
    own = app(
        networks=[{"mode": "container", "name": "net"}],
        container={"portMappings": [{"containerPort": 80, "servicePort": 10002}]},
        tasks=[task("10.0.0.1", 0, ipAddresses=[{"ipAddress": "10.9.0.4"}]), task("10.0.0.1", 1, "none")],
    )
    assert (only(bridged).port, ports_of(bridged)) == (10001, [31000])
    (server,) = only(own).servers
    assert (only(own).port, server.ip, server.port, server.host) == (10002, "10.9.0.4", 80, "10.0.0.1")


def test_each_port_is_a_service_of_its_own() -> None:
    given = app(
        portDefinitions=[{"port": 10000}, {"port": 10001}],
        labels={"HAPROXY_1_VHOST": "admin.example"},
        tasks=[{**task("10.0.0.1", 31000), "ports": [31000, 31001]}],
    )
    first, second = services([given])
    assert (first.port, first.vhosts, first.servers[0].port) == (10000, (), 31000)
    assert (second.port, second.vhosts, second.servers[0].port) == (10001, ("admin.example",), 31001)


def test_of_a_deployment_group_the_old_drain_as_the_new_come() -> None:
    def colour(name: str, started: str, instances: int, *tasks: Json) -> Json:
        labels = {
            "HAPROXY_DEPLOYMENT_GROUP": "web",
            "HAPROXY_DEPLOYMENT_STARTED_AT": started,
            "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "2",
        }
        return app(f"/web-{name}", labels=labels, instances=instances, tasks=list(tasks))

    blue = colour("blue", "2026-01-01T00:00:00", 2, task("10.0.0.1", 31000), task("10.0.0.1", 31001))
    green = colour("green", "2026-01-02T00:00:00", 1, task("10.0.0.1", 31002))
    service = only(green, groups=("*",)) and services([green, blue])[0]
    assert service.app_id == "/web"
    assert [(server.port, server.draining) for server in service.servers] == [
        (31000, True),
        (31001, False),
        (31002, False),
    ]

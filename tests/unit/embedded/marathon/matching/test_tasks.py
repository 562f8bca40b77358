"""The task that is launched: command, environment, container, discovery, checks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from labkit.embedded.marathon.constraints import Agent
from labkit.embedded.marathon.matching import Context, build_task, port_assignments
from labkit.embedded.marathon.matching.environment import double
from labkit.embedded.marathon.specs import App, Config, empty_root, parse_app

Json = dict[str, Any]
AGENT = Agent("s1", "127.0.0.1")
BRIDGE = [{"mode": "container/bridge"}]
TASK = "g_a.instance-1._app.1"


def app(config: Config | None = None, **fields: Any) -> App:
    runnable = {} if {"container", "args", "cmd"} & set(fields) else {"cmd": "sleep 1"}
    return parse_app({"id": "/g/a", **runnable, **fields}, empty_root(), config or Config(), "v1")


def task(wanted: App, *ports: int | None, context: Context | None = None, **more: Any) -> Json:
    return build_task(wanted, AGENT, [], ports, TASK, context or Context(), random.Random(1), **more)


def env(found: Json) -> dict[str, str]:
    command = found.get("command") or found["executor"]["command"]
    return {each["name"]: each["value"] for each in command["environment"]["variables"]}


def test_what_every_task_has() -> None:
    found = task(app(), 31000)
    assert found["name"] == "a.g"
    assert found["task_id"] == {"value": TASK}
    assert found["agent_id"] == {"value": "s1"}
    assert env(found) == {
        "MARATHON_APP_ID": "/g/a",
        "MARATHON_APP_VERSION": "v1",
        "MARATHON_APP_RESOURCE_CPUS": "1.0",
        "MARATHON_APP_RESOURCE_MEM": "128.0",
        "MARATHON_APP_RESOURCE_DISK": "0.0",
        "MARATHON_APP_RESOURCE_GPUS": "0",
        "MARATHON_APP_LABELS": "",
        "MARATHON_APP_ENFORCE_GROUP_ROLE": "FALSE",
        "MESOS_TASK_ID": TASK,
        "HOST": "127.0.0.1",
        "PORT": "31000",
        "PORT0": "31000",
        "PORTS": "31000",
        "PORT_31000": "31000",
        "PORT_DEFAULT": "31000",
    }


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"cmd": "sleep 1"}, {"shell": True, "value": "sleep 1"}),
        ({"args": ["sleep", "1"]}, {"shell": False, "value": "sleep", "arguments": ["sleep", "1"]}),
        ({"container": {"docker": {"image": "i"}}}, {"shell": False}),
        ({"container": {"docker": {"image": "i"}}, "args": ["a", "b"]}, {"shell": False, "arguments": ["a", "b"]}),
        ({"cmd": "ls", "user": "root"}, {"shell": True, "value": "ls", "user": "root"}),
        (
            {"cmd": "ls", "fetch": [{"uri": "file:///a.tgz", "destPath": "b"}]},
            {
                "shell": True,
                "value": "ls",
                "uris": [
                    {"value": "file:///a.tgz", "executable": False, "extract": True, "cache": False, "output_file": "b"}
                ],
            },
        ),
    ],
)
def test_commands(fields: Json, command: Json) -> None:
    found = task(app(**fields, ports=[]))["command"]
    assert {key: value for key, value in found.items() if key != "environment"} == command


def test_labels_and_own_variables() -> None:
    wanted = app(
        labels={"a.b": "c", "long": "x" * 600},
        env={"HOST": "mine", "A": "b"},
        container={"docker": {"image": "nginx:1"}},
    )
    found = task(wanted, 31000)
    assert env(found)["MARATHON_APP_LABEL_A_B"] == "c"
    assert env(found)["MARATHON_APP_LABELS"] == "A_B"
    assert env(found)["MARATHON_APP_DOCKER_IMAGE"] == "nginx:1"
    assert env(found)["HOST"] == "mine"
    assert env(found)["A"] == "b"
    names = [each["name"] for each in found["command"]["environment"]["variables"]]
    assert len(names) == len(set(names))
    assert {"key": "a.b", "value": "c"} in found["labels"]["labels"]


def test_prefix_and_role() -> None:
    found = env(task(app(), 31000, context=Context(env_vars_prefix="M_"), enforce_role=True))
    assert found["M_PORT0"] == "31000"
    assert found["M_HOST"] == "127.0.0.1"
    assert "PORT0" not in found
    assert found["MARATHON_APP_ENFORCE_GROUP_ROLE"] == "TRUE"
    assert found["MARATHON_APP_ID"] == "/g/a"


def test_port_variables() -> None:
    wanted = app(portDefinitions=[{"port": 8080, "name": "web-ui"}, {"port": 0}])
    found = env(task(wanted, 31000, 31001))
    assert {key: value for key, value in found.items() if key.startswith("PORT")} == {
        "PORT": "31000",
        "PORT0": "31000",
        "PORT1": "31001",
        "PORTS": "31000,31001",
        "PORT_8080": "31000",
        "PORT_31001": "31001",
        "PORT_WEB-UI": "31000",
    }


def test_ports_of_containers_with_addresses_of_their_own() -> None:
    wanted = app(
        networks=[{"name": "dcos"}],
        container={
            "docker": {"image": "i"},
            "portMappings": [{"containerPort": 80, "name": "web"}, {"containerPort": 0}],
        },
    )
    found = env(task(wanted, None, None))
    assert found["PORT0"] == found["PORT_80"] == found["PORT_WEB"] == "80"
    assert 1025 <= int(found["PORT1"]) <= 65535
    assert found["PORTS"] == found["PORT"] == found["PORT1"]


def test_docker_behind_a_bridge() -> None:
    wanted = app(
        networks=BRIDGE,
        container={
            "docker": {
                "image": "nginx",
                "forcePullImage": True,
                "privileged": True,
                "parameters": [{"key": "hostname", "value": "x"}],
            },
            "portMappings": [
                {"containerPort": 80, "protocol": "udp,tcp", "name": "web", "labels": {"VIP": "/a:1"}},
                {"containerPort": 0},
            ],
            "volumes": [{"containerPath": "/c", "hostPath": "/h", "mode": "RO"}],
        },
    )
    found = task(wanted, 31000, 31001)
    assert found["container"] == {
        "type": "DOCKER",
        "docker": {
            "image": "nginx",
            "network": "BRIDGE",
            "privileged": True,
            "force_pull_image": True,
            "parameters": [{"key": "hostname", "value": "x"}, {"key": "label", "value": f"MESOS_TASK_ID={TASK}"}],
            "port_mappings": [
                {"host_port": 31000, "container_port": 80, "protocol": "udp"},
                {"host_port": 31000, "container_port": 80, "protocol": "tcp"},
                {"host_port": 31001, "container_port": 31001, "protocol": "tcp"},
            ],
        },
        "volumes": [{"container_path": "/c", "host_path": "/h", "mode": "RO"}],
    }
    scope = {"key": "network-scope", "value": "host"}
    assert found["discovery"]["ports"]["ports"] == [
        {"number": 31000, "protocol": p, "name": "web", "labels": {"labels": [{"key": "VIP", "value": "/a:1"}, scope]}}
        for p in ("udp", "tcp")
    ] + [{"number": 31001, "protocol": "tcp", "labels": {"labels": [scope]}}]


def test_docker_networks() -> None:
    host = task(app(container={"docker": {"image": "i"}}), 31000)["container"]
    assert host["docker"]["network"] == "HOST"
    assert "port_mappings" not in host["docker"]
    user = task(app(container={"docker": {"image": "i"}}, networks=[{"name": "dcos"}]), None)
    assert user["container"]["docker"]["network"] == "USER"
    assert user["container"]["network_infos"] == [{"name": "dcos"}]
    assert user["discovery"]["ports"]["ports"][0]["labels"]["labels"] == [
        {"key": "network-scope", "value": "container"},
        {"key": "network-name", "value": "dcos"},
    ]


def test_mesos_containers() -> None:
    wanted = app(
        container={"type": "MESOS", "docker": {"image": "i"}, "portMappings": [{"containerPort": 80}]}, networks=BRIDGE
    )
    assert task(wanted, 31000)["container"] == {
        "type": "MESOS",
        "mesos": {"image": {"type": "DOCKER", "docker": {"name": "i"}, "cached": True}},
        "network_infos": [
            {
                "ip_addresses": [{}],
                "labels": {"labels": []},
                "name": "mesos-bridge",
                "port_mappings": [{"host_port": 31000, "container_port": 80, "protocol": "tcp"}],
            }
        ],
    }
    assert task(app(cmd="ls", container={"type": "MESOS"}), 31000)["container"] == {"type": "MESOS", "mesos": {}}
    assert "container" not in task(app(), 31000)


def test_grace_and_limits() -> None:
    found = task(app(taskKillGracePeriodSeconds=3, resourceLimits={"cpus": "unlimited", "mem": 256}), 31000)
    assert found["kill_policy"] == {"grace_period": {"nanoseconds": 3_000_000_000}}
    assert found["limits"] == {"cpus": {"value": "Infinity"}, "mem": {"value": 256.0}}
    assert not {"kill_policy", "limits", "labels", "health_check", "check"} & set(task(app(), 31000))


TIMES = {
    "interval_seconds": 60.0,
    "timeout_seconds": 20.0,
    "delay_seconds": 15.0,
    "consecutive_failures": 3,
    "grace_period_seconds": 300.0,
}


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"protocol": "HTTP"}, None),
        ({"protocol": "TCP"}, None),
        (
            {"protocol": "COMMAND", "command": {"value": "true"}},
            {"type": "COMMAND", "command": {"shell": True, "value": "true"}},
        ),
        (
            {"protocol": "MESOS_HTTP", "path": "/x"},
            {"type": "HTTP", "http": {"protocol": "IPv4", "scheme": "http", "port": 80, "path": "/x"}},
        ),
        (
            {"protocol": "MESOS_HTTPS", "port": 443},
            {"type": "HTTP", "http": {"protocol": "IPv4", "scheme": "https", "port": 443}},
        ),
        ({"protocol": "MESOS_TCP"}, {"type": "TCP", "tcp": {"protocol": "IPv4", "port": 80}}),
    ],
)
def test_health_checks_of_mesos(check: Json, expected: Json | None) -> None:
    wanted = app(
        container={"docker": {"image": "i"}, "portMappings": [{"containerPort": 80}]},
        networks=BRIDGE,
        healthChecks=[check],
    )
    found = task(wanted, 31000).get("health_check")
    assert found == (None if expected is None else {**expected, **TIMES})


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"http": {"path": "/x", "portIndex": 0}}, {"type": "HTTP", "http": {"port": 31000, "path": "/x"}}),
        ({"tcp": {"port": 9}}, {"type": "TCP", "tcp": {"port": 9}}),
        (
            {"exec": {"command": {"shell": "true"}}},
            {"type": "COMMAND", "command": {"command": {"shell": True, "value": "true"}}},
        ),
        (
            {"exec": {"command": {"argv": ["a", "b"]}}},
            {"type": "COMMAND", "command": {"command": {"shell": False, "value": "a", "arguments": ["a", "b"]}}},
        ),
    ],
)
def test_checks(check: Json, expected: Json) -> None:
    found = task(app(check=check), 31000)["check"]
    assert expected.items() <= found.items()
    assert found["delay_seconds"] == 15.0


def test_executors_of_ones_own() -> None:
    found = task(app(executor="/opt/run", cmd="a b", executorResources={"cpus": 0.2}), 31000)
    assert "command" not in found
    assert found["executor"]["executor_id"] == {"value": f"marathon-{TASK}"}
    assert found["executor"]["command"]["value"] == "chmod ug+rx '/opt/run' && exec '/opt/run' a b"
    assert [each["scalar"]["value"] for each in found["executor"]["resources"]] == [0.2, 32.0, 10.0]
    assert "command" in task(app(executor="//cmd"), 31000)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0"), (0.1, "0.1"), (128, "128.0"), (1e7, "1.0E7"), (12345678.5, "1.23456785E7"), (0.0005, "5.0E-4")],
)
def test_doubles_as_java_prints_them(value: float, text: str) -> None:
    assert double(value) == text


def test_where_ports_are_reached() -> None:
    plain = port_assignments(app(ports=[0]), "h", [31000], ["10.0.0.1"])
    assert [(each.effective_ip, each.effective_port) for each in plain] == [("h", 31000)]
    wanted = app(
        container={
            "docker": {"image": "i"},
            "portMappings": [{"containerPort": 80}, {"containerPort": 0, "hostPort": 0}],
        },
        networks=[{"name": "dcos"}],
    )
    found = port_assignments(wanted, "h", [31000], ["10.0.0.1"])
    assert [(each.effective_ip, each.effective_port, each.host_port, each.container_port) for each in found] == [
        ("10.0.0.1", 80, None, 80),
        ("h", 31000, 31000, 31000),
    ]
    assert port_assignments(wanted, "h", [31000])[0].effective_port == 0


def test_what_is_alike_is_made_once() -> None:
    wanted, context = app(labels={"a": "b"}), Context()
    one, two = task(wanted, 31000, context=context), task(wanted, 31001, context=context)
    assert one["labels"] is two["labels"]

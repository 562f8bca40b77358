"""Which records a state makes: ``naming.md`` of mesos-dns, and ``records/generator.go`` where that is silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labkit.embedded.marathon.discovery.mesosdns.config import Config
from labkit.embedded.marathon.discovery.mesosdns.names import short_hash
from labkit.embedded.marathon.discovery.mesosdns.records import NoLeader, Zone, make_zone

from .states import Json, container_ip, discovery, state, task

CONFIG = Config(masters=("10.0.0.10:5050", "10.0.0.11:5050", "10.0.0.12:5050"), listener="10.0.0.10")


def zone(*tasks: Json, config: Config = CONFIG) -> Zone:
    return make_zone(state(*tasks), config)


def a(found: Zone, name: str) -> list[str] | None:
    return list(found.a[name]) if name in found.a else None


def srv(found: Zone, name: str) -> list[str] | None:
    return list(found.srv[name]) if name in found.srv else None


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("leader.mesos.", ["10.0.0.10"]),
        ("master.mesos.", ["10.0.0.10", "10.0.0.11", "10.0.0.12"]),
        ("master0.mesos.", ["10.0.0.10"]),
        ("master2.mesos.", ["10.0.0.12"]),
        ("slave.mesos.", ["10.0.0.20"]),
        ("marathon.mesos.", ["10.0.0.10"]),
        ("ns1.mesos.", ["10.0.0.10"]),
        ("master3.mesos.", None),
    ],
)
def test_what_is_not_a_task(name: str, addresses: list[str] | None) -> None:
    assert a(zone(), name) == addresses


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("_leader._tcp.mesos.", ["leader.mesos.:5050"]),
        ("_leader._udp.mesos.", ["leader.mesos.:5050"]),
        ("_slave._tcp.mesos.", ["slave.mesos.:5051"]),
        ("_framework._tcp.marathon.mesos.", ["marathon.mesos.:41000"]),
    ],
)
def test_their_services(name: str, targets: list[str]) -> None:
    assert srv(zone(), name) == targets


def test_a_framework_of_the_http_api_has_an_address_and_no_port() -> None:
    given = state()
    given["frameworks"][0] |= {"pid": "", "hostname": "master-1"}
    found = make_zone(given, CONFIG, lookup={"master-1": ["10.0.0.10"]}.get)  # type: ignore[arg-type]
    assert a(found, "marathon.mesos.") == ["10.0.0.10"]
    assert srv(found, "_framework._tcp.marathon.mesos.") is None


def test_a_leader_that_is_not_configured_is_numbered_last() -> None:
    found = make_zone(state(leader="master@10.0.0.99:5050"), CONFIG)
    assert a(found, "master3.mesos.") == ["10.0.0.99"]
    assert a(found, "leader.mesos.") == ["10.0.0.99"]


def test_a_task_without_discovery() -> None:
    found = zone(task("web"))
    own = f"web-{short_hash('web.1')}-s0.marathon"
    assert a(found, "web.marathon.mesos.") == ["10.0.0.20"]
    assert a(found, f"{own}.mesos.") == ["10.0.0.20"]
    assert a(found, "web.marathon.slave.mesos.") == ["10.0.0.20"]
    targets = [f"{own}.slave.mesos.:31000", f"{own}.slave.mesos.:31001"]
    for protocol in ("tcp", "udp"):
        assert srv(found, f"_web._{protocol}.marathon.mesos.") == targets
        assert srv(found, f"_web._{protocol}.marathon.slave.mesos.") == targets


def test_a_task_with_discovery_ports() -> None:
    found = zone(task("web", discovery=discovery("web", (31000, "tcp", "http"), (31001, "udp", ""))))
    own = f"web-{short_hash('web.1')}-s0.marathon.mesos."
    assert srv(found, "_web._tcp.marathon.mesos.") == [f"{own}:31000"]
    assert srv(found, "_http._web._tcp.marathon.mesos.") == [f"{own}:31000"]
    assert srv(found, "_web._udp.marathon.mesos.") == [f"{own}:31001"]
    assert srv(found, "_web._tcp.marathon.slave.mesos.") == [
        f"{own.removesuffix('mesos.')}slave.mesos.:{port}" for port in (31000, 31001)
    ]


def test_an_app_of_a_group_is_found_by_a_label_and_as_it_calls_itself() -> None:
    found = zone(task("web.shop", discovery=discovery("web.shop", (31000, "tcp", "http"))))
    assert a(found, "web-shop.marathon.mesos.") == ["10.0.0.20"]
    assert a(found, "web.shop.marathon.mesos.") == ["10.0.0.20"]
    assert srv(found, "_web-shop._tcp.marathon.mesos.") is not None


@pytest.mark.parametrize("what", ["TASK_STAGING", "TASK_KILLING", "TASK_LOST"])
def test_only_running_tasks(what: str) -> None:
    assert a(zone(task("web", state=what)), "web.marathon.mesos.") is None


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("netinfo", "mesos", "host"), ["10.9.0.5"]),
        (("host", "netinfo"), ["10.0.0.20"]),
        (("docker", "host"), ["10.0.0.20"]),
        (("docker",), None),
    ],
)
def test_the_first_source_that_has_an_address(sources: tuple[str, ...], expected: list[str] | None) -> None:
    statuses = [*container_ip("10.9.0.5", at=5.0), *container_ip("10.9.0.1", at=1.0)]
    found = zone(task("web", statuses=statuses), config=Config(ip_sources=sources))
    assert a(found, "web.marathon.mesos.") == expected
    assert a(found, "web.marathon.slave.mesos.") == ["10.0.0.20"]


def test_docker_labels_are_a_source() -> None:
    label = {"key": "Docker.NetworkSettings.IPAddress", "value": "172.17.0.2"}
    statuses = [{"state": "TASK_RUNNING", "timestamp": 1.0, "labels": [label]}]
    found = zone(task("web", statuses=statuses), config=Config(ip_sources=("docker",)))
    assert a(found, "web.marathon.mesos.") == ["172.17.0.2"]


def test_a_state_without_a_leader_makes_no_zone() -> None:
    with pytest.raises(NoLeader):
        make_zone(state(leader=""), CONFIG)


def test_what_stands_beside_the_cluster_is_known_as_a_task_unless_one_has_its_name() -> None:
    config = replace(CONFIG, beside=(("marathon-lb.marathon", "10.0.0.99"),))
    assert a(zone(config=config), "marathon-lb.marathon.mesos.") == ["10.0.0.99"]
    app = zone(task("marathon-lb"), config=config)
    assert a(app, "marathon-lb.marathon.mesos.") == a(zone(task("marathon-lb")), "marathon-lb.marathon.mesos.")

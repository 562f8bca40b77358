"""HAProxy's configuration as text, and what HAProxy itself says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import present

from labkit.embedded.marathon.discovery.lb.apps import services
from labkit.embedded.marathon.discovery.lb.haproxy.config import Places, listens, server_ids, write
from labkit.embedded.marathon.discovery.lb.haproxy.process import HaproxyProcess
from labkit.embedded.marathon.discovery.lb.labels import BadLabel

from .fakes import Json, app, task

PLACES = Places("127.0.0.1", http_port=9080)


def text(*apps: Json, places: Places = PLACES) -> str:
    return write(services(apps, ("*",)), places)


def lines(found: str, section: str) -> list[str]:
    """The lines of one section, without their indent."""
    after = found.partition(f"\n{section}\n")[2]
    return [line.strip() for line in after.split("\n\n")[0].split("\nbackend ")[0].split("\nfrontend ")[0].splitlines()]


def web(labels: dict[str, str] | None = None, **more: Any) -> Json:
    tasks = [task("10.0.0.2", 31001), task("10.0.0.1", 31000)]
    return {**app("/shop/web", labels=labels, tasks=tasks), **more}


def test_a_tcp_service() -> None:
    found = text(web())
    assert lines(found, "frontend shop_web_10000") == [
        "bind 127.0.0.1:10000",
        "mode tcp",
        "default_backend shop_web_10000",
    ]
    first, second = server_ids(["10_0_0_1_31000", "10_0_0_2_31001"])
    assert lines(found, "backend shop_web_10000") == [
        "mode tcp",
        "balance roundrobin",
        f"server 10_0_0_1_31000 10.0.0.1:31000 id {first}",
        f"server 10_0_0_2_31001 10.0.0.2:31001 id {second}",
    ]


@pytest.mark.parametrize(
    ("labels", "section", "line"),
    [
        ({"HAPROXY_0_VHOST": "a.example"}, "frontend marathon_http_in",
         "acl host_a_example_shop_web req.hdr(host),field(1,:) -i a.example"),
        ({"HAPROXY_0_VHOST": "a.example,b.example"}, "frontend marathon_http_in",
         "acl host_a_example_shop_web req.hdr(host),field(1,:) -i a.example b.example"),
        ({"HAPROXY_0_VHOST": "a.example", "HAPROXY_0_PATH": "/api"}, "frontend marathon_http_in",
         "use_backend shop_web_10000 if host_a_example_shop_web path_shop_web_10000"),
        ({"HAPROXY_0_MODE": "http"}, "frontend marathon_http_appid_in",
         "acl app__shop_web req.hdr(x-marathon-app-id) -i /shop/web"),
        ({"HAPROXY_0_STICKY": "true"}, "backend shop_web_10000", "cookie mesosphere_server_id insert indirect nocache"),
        ({"HAPROXY_0_BALANCE": "source"}, "backend shop_web_10000", "balance source"),
        ({"HAPROXY_0_BIND_ADDR": "0.0.0.0"}, "frontend shop_web_10000", "bind 127.0.0.1:10000"),
        ({"HAPROXY_0_BIND_ADDR": "127.0.0.9"}, "frontend shop_web_10000", "bind 127.0.0.9:10000"),
        ({"HAPROXY_0_BIND_OPTIONS": "maxconn 9"}, "frontend shop_web_10000", "bind 127.0.0.1:10000 maxconn 9"),
        ({"HAPROXY_0_BACKEND_HEAD": "\nbackend {backend}\n  mode {mode}\n  balance first\n"},
         "backend shop_web_10000", "balance first"),
        ({"HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.0/8"}, "backend shop_web_10000",
         "tcp-request content reject unless { src 127.0.0.0/8 }"),
    ],
)  # fmt: skip
def test_what_labels_do(labels: dict[str, str], section: str, line: str) -> None:
    assert line in lines(text(web(labels)), section)


def test_checks_in_the_computers_time() -> None:
    check = {"protocol": "HTTP", "path": "/up", "portIndex": 0, "intervalSeconds": 60, "timeoutSeconds": 20}
    tasks = [task("10.0.0.1", 31000, healthCheckResults=[{"alive": True}])]
    given = web(healthChecks=[{**check, "maxConsecutiveFailures": 2}], tasks=tasks)
    found = lines(text(given, places=Places("127.0.0.1", speed=10.0)), "backend shop_web_10000")
    assert "option httpchk GET /up" in found
    assert "timeout check 20s" in found
    assert found[-1].endswith("check inter 6s fall 3")


def test_the_heavier_rule_comes_first() -> None:
    api = app("/api", 10001, {"HAPROXY_0_VHOST": "a.example", "HAPROXY_0_PATH": "/api"}, tasks=[task("10.0.0.3", 1)])
    plain = app("/all", 10002, {"HAPROXY_0_VHOST": "a.example"}, tasks=[task("10.0.0.3", 2)])
    used = [line.split()[1] for line in lines(text(plain, api), "frontend marathon_http_in") if line.startswith("use_")]
    assert used == ["api_10001", "all_10002"]


def test_a_draining_server_is_disabled() -> None:
    found = text(web(tasks=[task("10.0.0.1", 31000, draining=True)]))
    assert lines(found, "backend shop_web_10000")[-1].endswith(" disabled")


def test_ids_stay_whoever_else_there_is() -> None:
    many = [f"10_0_{index // 250}_{index % 250}_31000" for index in range(3000)]
    found = server_ids(many)
    assert len(set(found)) == len(many)
    assert found[:10] == server_ids(many[:10])


def test_a_template_that_cannot_be_filled() -> None:
    with pytest.raises(BadLabel):
        text(web({"HAPROXY_0_BACKEND_HEAD": "backend {nothing}"}))


def test_only_loopback_is_bound() -> None:
    found = services([web({"HAPROXY_0_BIND_ADDR": "10.1.2.3"})])
    assert {ip for ip, _ in listens(found, PLACES)} == {"127.0.0.1"}


EVERYTHING = {
    "HAPROXY_0_VHOST": "a.example,b.example",
    "HAPROXY_0_PATH": "/api",
    "HAPROXY_0_STICKY": "true",
    "HAPROXY_0_BALANCE": "leastconn",
    "HAPROXY_0_AUTH": "realm:me:$5$abc$def",
    "HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.0/8 10.0.0.0/8",
    "HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH": "/api",
    "HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH": "/api",
    "HAPROXY_0_HTTP_BACKEND_REDIR": "/start",
    "HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "0",
}


@present.requires("haproxy")
@pytest.mark.parametrize("labels", [{}, {"HAPROXY_0_MODE": "http"}, EVERYTHING, {"HAPROXY_0_STICKY": "true"}])
async def test_haproxy_takes_it(labels: dict[str, str], tmp_path: Path) -> None:
    check = {"protocol": "HTTP", "path": "/up", "portIndex": 0, "intervalSeconds": 10, "timeoutSeconds": 5}
    tasks = [task("10.0.0.1", port, healthCheckResults=[{"alive": True}]) for port in (31000, 31001)]
    sockets: dict[str, Any] = {
        "stats_socket": str(tmp_path / "haproxy.sock"),
        "pages_socket": str(tmp_path / "pages.sock"),
    }
    found = text(web(labels, healthChecks=[check], tasks=tasks), places=Places("127.0.0.1", 9080, **sockets))
    assert await HaproxyProcess("haproxy", tmp_path).check(found) == ""

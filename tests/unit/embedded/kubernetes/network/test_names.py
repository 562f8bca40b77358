"""What a Service leads to, and what the cluster's names stand for."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes.network.names import Names
from labkit.embedded.kubernetes.network.resolvconf import lookup_of
from labkit.embedded.kubernetes.network.rules import service_of
from labkit.embedded.kubernetes.network.table import Rules
from labkit.embedded.kubernetes.objects import Json


def service(name: str = "web", ip: str = "127.1.128.5", **spec: Any) -> Json:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web"}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"clusterIP": ip, "ports": ports, **spec}}


def endpoint(ip: str, node: str = "worker-1", hostname: str = "", **conditions: bool) -> Json:
    found: Json = {"addresses": [ip], "nodeName": node, "conditions": conditions or {"ready": True}}
    return {**found, "hostname": hostname} if hostname else found


def slice_of(*endpoints: Json, name: str = "web-1", port: int = 8080, port_name: str = "http") -> Json:
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def test_a_port_leads_to_the_ready_endpoints_of_all_slices() -> None:
    slices = [
        slice_of(endpoint("127.1.64.2"), endpoint("127.1.64.3", ready=False, serving=True)),
        slice_of(endpoint("127.1.65.2", "worker-2"), name="web-2", port=9090),  # a named port that differs
        {**slice_of(endpoint("fd00::1"), name="web-6"), "addressType": "IPv6"},
    ]
    port = service_of(service(), slices).ports[0]
    assert [(one.ip, one.port) for one in port.usable()] == [("127.1.64.2", 8080), ("127.1.65.2", 9090)]
    assert [one.ip for one in port.usable("worker-2")] == ["127.1.65.2"]
    assert port.usable("worker-3") == []


def test_endpoints_that_end_are_the_last_resort() -> None:
    ending = endpoint("127.1.64.2", ready=False, serving=True, terminating=True)
    ended = endpoint("127.1.64.3", ready=False, serving=False, terminating=True)
    assert [one.ip for one in service_of(service(), [slice_of(ending, ended)]).ports[0].usable()] == ["127.1.64.2"]
    ready = endpoint("127.1.64.4")
    assert [one.ip for one in service_of(service(), [slice_of(ending, ready)]).ports[0].usable()] == ["127.1.64.4"]


def test_other_names_of_ports_are_other_ports() -> None:
    assert service_of(service(), [slice_of(endpoint("127.1.64.2"), port_name="metrics")]).ports[0].usable() == []


def names(*services: tuple[Json, list[Json]]) -> Names:
    rules = Rules()
    for obj, slices in services:
        made = service_of(obj, slices)
        rules.put(made.key, made)
    return Names(rules)


DOMAIN = "svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        (f"web.default.{DOMAIN}", ["127.1.128.5"]),
        (f"pods.default.{DOMAIN}", ["127.1.64.2", "127.1.64.3"]),
        (f"db-0.pods.default.{DOMAIN}", ["127.1.64.2"]),
        (f"127-1-64-3.pods.default.{DOMAIN}", ["127.1.64.3"]),
        (f"nope.default.{DOMAIN}", None),
        (f"web.nope.{DOMAIN}", None),
        (f"x.web.default.{DOMAIN}", None),
        (f"default.{DOMAIN}", []),
        ("127-1-64-9.default.pod.cluster.local", ["127.1.64.9"]),
        ("cluster.local", []),
        (f"_http._tcp.web.default.{DOMAIN}", []),
        (f"_nope._tcp.web.default.{DOMAIN}", None),
    ],
)
def test_addresses(name: str, addresses: list[str] | None) -> None:
    pods = slice_of(
        endpoint("127.1.64.2", hostname="db-0"), endpoint("127.1.64.3"), endpoint("127.1.64.4", ready=False)
    )
    known = names((service(), [slice_of(endpoint("127.1.64.2"))]), (service("pods", "None"), [pods]))
    assert known.addresses(name) == addresses


def test_other_records() -> None:
    pods = slice_of(endpoint("127.1.64.2", hostname="db-0"), endpoint("127.1.64.3"))
    outer = service("outer", "", type="ExternalName", externalName="www.example.com.", ports=[])
    known = names((service(), []), (service("pods", "None"), [pods]), (outer, []))
    assert known.services(f"_http._tcp.web.default.{DOMAIN}") == [(f"web.default.{DOMAIN}", 80)]
    assert known.services(f"_http._tcp.pods.default.{DOMAIN}") == [
        (f"db-0.pods.default.{DOMAIN}", 8080),
        (f"127-1-64-3.pods.default.{DOMAIN}", 8080),
    ]
    assert known.services(f"_http._udp.web.default.{DOMAIN}") is None
    assert known.reverse("127.1.128.5") == f"web.default.{DOMAIN}"
    assert known.reverse("127.1.64.2") == f"db-0.pods.default.{DOMAIN}"
    assert known.reverse("127.1.64.9") is None
    assert known.alias(f"outer.default.{DOMAIN}") == "www.example.com"
    assert known.alias(f"web.default.{DOMAIN}") is None


def test_rules_forget() -> None:
    rules = Rules()
    made = service_of(service(type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}]), [])
    rules.put(made.key, made)
    kept = rules.copy()
    assert set(rules.places) == {("127.1.128.5", 80)}
    rules.put(made.key, None)
    assert not rules.places
    assert not rules.node_ports
    assert set(kept.node_ports) == {30080}


def pod(**spec: Any) -> Json:
    return {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {},
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.1.128.10\noptions ndots:5\n",
        ),
        ({"hostNetwork": True}, "nameserver 127.0.0.11\n"),
        ({"dnsPolicy": "Default"}, "nameserver 127.0.0.11\n"),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["my.dns"],
                                               "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}},
            "search my.dns\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
        ),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet", "dnsConfig": {"searches": ["x.y"]}},
            "search shop.svc.cluster.local svc.cluster.local cluster.local x.y\nnameserver 127.1.128.10\n"
            "options ndots:5\n",
        ),
    ],
)  # fmt: skip
def test_resolv_conf(spec: Json, text: str) -> None:
    assert lookup_of(pod(**spec), "127.1.128.10").text().decode() == text


@pytest.mark.parametrize(
    ("name", "tries"),
    [
        ("web", ["web.shop.svc.cluster.local", "web.svc.cluster.local", "web.cluster.local", "web"]),
        ("web.shop", ["web.shop.shop.svc.cluster.local", "web.shop.svc.cluster.local", "web.shop.cluster.local",
                      "web.shop"]),
        ("a.b.c.d.e.f", ["a.b.c.d.e.f", "a.b.c.d.e.f.shop.svc.cluster.local", "a.b.c.d.e.f.svc.cluster.local",
                         "a.b.c.d.e.f.cluster.local"]),
        ("web.", ["web"]),
    ],
)  # fmt: skip
def test_the_search_list(name: str, tries: list[str]) -> None:
    assert lookup_of(pod(), "127.1.128.10").tries(name) == tries

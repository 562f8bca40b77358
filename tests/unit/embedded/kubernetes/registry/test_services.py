from __future__ import annotations

import random
from pathlib import Path

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import InternalError, Invalid
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.kubernetes.registry.allocators import ClusterIPs, NodePorts, Refused
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.storage import Storage

from .things import refused, service, thawed

SERVICES = kinds.SERVICES


def create(registry: Registry, name: str = "web", **spec: object) -> Json:
    return registry.create(SERVICES, "default", service(name, **spec))


class TestAllocators:
    def test_every_address_once(self) -> None:
        ips = ClusterIPs(AddressPool("127.20.128.0/24"), random.Random(1))
        ips.claim("127.20.128.1")  # the kubernetes Service's
        ips.claim("127.20.128.10")
        taken = {ips.take() for _ in range(252)}
        assert len(taken) == 252
        assert not taken & {"127.20.128.0", "127.20.128.1", "127.20.128.10", "127.20.128.255"}
        with pytest.raises(Refused, match="range is full"):
            ips.take()
        ips.release("127.20.128.77")
        ips.release("127.20.128.77")
        assert ips.take() == "127.20.128.77"

    def test_the_lower_ones_are_left_to_who_asks_for_them(self) -> None:
        ips = ClusterIPs(AddressPool("127.20.128.0/20"), random.Random(1))
        assert all(int(ips.take().split(".")[2]) >= 129 for _ in range(500))
        ports = NodePorts(random.Random(1))
        assert min(ports.take() for _ in range(1500)) >= 30086

    def test_every_port_once(self) -> None:
        ports = NodePorts(random.Random(1), range(30000, 30100))
        assert len({ports.take() for _ in range(100)}) == 100
        with pytest.raises(Refused, match="range is full"):
            ports.take()


class TestAddresses:
    def test_one_is_given(self, registry: Registry) -> None:
        spec = create(registry)["spec"]
        assert spec["clusterIP"].startswith("127.20.1")
        assert spec["clusterIPs"] == [spec["clusterIP"]]
        assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
        assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == (
            "ClusterIP",
            "None",
            "Cluster",
        )

    def test_or_asked_for(self, registry: Registry) -> None:
        assert create(registry, clusterIP="127.20.128.10")["spec"]["clusterIPs"] == ["127.20.128.10"]
        with pytest.raises(Invalid) as caught:
            create(registry, "other", clusterIP="127.20.128.10")
        assert refused(caught) == (
            422,
            'Service "other" is invalid: spec.clusterIPs: Invalid value: ["127.20.128.10"]: failed to allocate IP '
            "127.20.128.10: provided IP is already allocated",
        )
        with pytest.raises(Invalid, match=r"the provided IP \(1.2.3.4\) is not in the valid range"):
            create(registry, "other", clusterIP="1.2.3.4")

    def test_what_is_no_address(self, registry: Registry) -> None:
        with pytest.raises(Invalid, match="must be a valid IP address"):
            create(registry, clusterIP="foo")

    def test_it_is_given_back(self, registry: Registry) -> None:
        create(registry, clusterIP="127.20.128.10")
        registry.delete(SERVICES, "default", "web")
        create(registry, "other", clusterIP="127.20.128.10")

    def test_headless(self, registry: Registry) -> None:
        spec = create(registry, clusterIP="None")["spec"]
        assert (spec["clusterIP"], spec["clusterIPs"], spec["ipFamilies"]) == ("None", ["None"], ["IPv4"])
        loose = registry.create(
            SERVICES, "default", {"metadata": {"name": "loose"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
        )["spec"]
        assert (loose["ipFamilies"], loose["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")

    def test_a_name_elsewhere_has_none(self, registry: Registry) -> None:
        made = registry.create(
            SERVICES, "default", {"metadata": {"name": "x"}, "spec": {"type": "ExternalName", "externalName": "a.b"}}
        )
        assert made["spec"] == {"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            (
                {"ipFamilyPolicy": "RequireDualStack"},
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack '
                "services",
            ),
            ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ],
    )
    def test_there_is_one_family(self, registry: Registry, spec: Json, words: str) -> None:
        with pytest.raises(Invalid) as caught:
            create(registry, **spec)
        assert refused(caught)[1] == f'Service "web" is invalid: {words}'
        assert create(registry, ipFamilyPolicy="PreferDualStack")["spec"]["ipFamilies"] == ["IPv4"]

    def test_without_a_range_there_are_none(self) -> None:
        registry = Registry(Etcd(), ManualClock())
        registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
        assert "clusterIP" not in create(registry)["spec"]

    def test_when_none_is_left(self) -> None:
        registry = Registry(Etcd(), ManualClock(), services=AddressPool("127.20.128.0/30"))
        registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
        create(registry, "one")
        create(registry, "two", clusterIP="127.20.128.1")
        with pytest.raises(InternalError) as caught:
            create(registry, "three")
        assert refused(caught)[1] == "Internal error occurred: failed to allocate a serviceIP: range is full"


class TestNodePorts:
    def test_one_is_given(self, registry: Registry) -> None:
        spec = create(registry, type="NodePort")["spec"]
        assert 30000 <= spec["ports"][0]["nodePort"] <= 32767
        assert spec["externalTrafficPolicy"] == "Cluster"

    def test_or_asked_for(self, registry: Registry) -> None:
        wanted = [{"port": 80, "nodePort": 31999}]
        assert create(registry, type="NodePort", ports=wanted)["spec"]["ports"][0]["nodePort"] == 31999
        with pytest.raises(Invalid) as caught:
            create(registry, "other", type="NodePort", ports=wanted)
        assert refused(caught)[1] == (
            'Service "other" is invalid: spec.ports[0].nodePort: Invalid value: 31999: provided port is already '
            "allocated"
        )
        with pytest.raises(Invalid) as caught:
            create(registry, "other", type="NodePort", ports=[{"port": 80, "nodePort": 80}])
        assert refused(caught)[1] == (
            'Service "other" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid '
            "range. The range of valid ports is 30000-32767"
        )

    def test_a_refusal_gives_back_what_was_taken(self, registry: Registry) -> None:
        create(registry, "first", type="NodePort", ports=[{"port": 80, "nodePort": 31999}])
        ports = [{"name": "a", "port": 80, "nodePort": 31000}, {"name": "b", "port": 81, "nodePort": 31999}]
        with pytest.raises(Invalid):
            create(registry, type="NodePort", clusterIP="127.20.128.10", ports=ports)
        create(registry, type="NodePort", clusterIP="127.20.128.10", ports=ports[:1])

    def test_both_protocols_of_a_port_share_one(self, registry: Registry) -> None:
        ports = [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53, "protocol": "TCP"}]
        given = [row["nodePort"] for row in create(registry, type="NodePort", ports=ports)["spec"]["ports"]]
        assert given[0] == given[1]
        asked = [{**ports[0], "nodePort": 31999}, ports[1]]
        given = [row["nodePort"] for row in create(registry, "x", type="NodePort", ports=asked)["spec"]["ports"]]
        assert given == [31999, 31999]

    def test_load_balancers(self, registry: Registry) -> None:
        assert create(registry, type="LoadBalancer")["spec"]["ports"][0]["nodePort"]
        without = create(registry, "x", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
        assert "nodePort" not in without["spec"]["ports"][0]
        local = create(registry, "y", type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
        assert local["healthCheckNodePort"] not in (0, None, local["ports"][0]["nodePort"])


class TestUpdates:
    def test_what_was_allocated_stays(self, registry: Registry) -> None:
        made = create(registry, type="NodePort")
        again = registry.update(SERVICES, "default", "web", service("web", type="NodePort"))
        assert again is made, "and so nothing has changed"
        more = service("web", type="NodePort", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
        after = registry.update(SERVICES, "default", "web", more)["spec"]
        assert after["clusterIP"] == made["spec"]["clusterIP"]
        assert len({row["nodePort"] for row in after["ports"]}) == 2

    def test_to_node_ports_and_back(self, registry: Registry) -> None:
        made = create(registry)
        ported = registry.modify(
            SERVICES, "default", "web", lambda obj: {**obj, "spec": {**obj["spec"], "type": "NodePort"}}
        )
        port = ported["spec"]["ports"][0]["nodePort"]
        back = registry.modify(
            SERVICES, "default", "web", lambda obj: {**obj, "spec": {**obj["spec"], "type": "ClusterIP"}}
        )
        assert "nodePort" not in back["spec"]["ports"][0]
        assert "externalTrafficPolicy" not in back["spec"]
        assert back["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        create(registry, "other", type="NodePort", ports=[{"port": 80, "nodePort": port}])

    def test_to_another_node_port(self, registry: Registry) -> None:
        create(registry, type="NodePort", ports=[{"port": 80, "nodePort": 31999}])
        wanted = service("web", type="NodePort", ports=[{"port": 80, "nodePort": 31998}])
        assert registry.update(SERVICES, "default", "web", wanted)["spec"]["ports"][0]["nodePort"] == 31998
        create(registry, "other", type="NodePort", ports=[{"port": 80, "nodePort": 31999}])

    def test_to_a_name_elsewhere_and_back(self, registry: Registry) -> None:
        address = create(registry)["spec"]["clusterIP"]
        elsewhere = registry.patch(
            SERVICES,
            "default",
            "web",
            "application/merge-patch+json",
            {"spec": {"type": "ExternalName", "externalName": "a.b"}},
        )[0]["spec"]
        assert "clusterIP" not in elsewhere
        assert "clusterIPs" not in elsewhere
        create(registry, "other", clusterIP=address)
        back = registry.update(SERVICES, "default", "web", service("web"))["spec"]
        assert back["clusterIP"] not in ("", address)

    def test_the_address_cannot_be_changed(self, registry: Registry) -> None:
        made = thawed(create(registry))
        made["spec"].update(clusterIP="127.20.128.10", clusterIPs=["127.20.128.10"])
        with pytest.raises(Invalid, match="may not change once set"):
            registry.update(SERVICES, "default", "web", made)
        create(registry, "other", clusterIP="127.20.128.10")

    def test_rehearsals_take_nothing(self, registry: Registry) -> None:
        options = WriteOptions(dry_run=True)
        wanted = service("web", type="NodePort", clusterIP="127.20.128.10", ports=[{"port": 80, "nodePort": 31999}])
        assert registry.create(SERVICES, "default", wanted, options)["spec"]["clusterIPs"] == ["127.20.128.10"]
        registry.create(SERVICES, "default", wanted)
        ported = service("web", type="NodePort", ports=[{"port": 80, "nodePort": 31998}])
        registry.update(SERVICES, "default", "web", ported, options)
        with pytest.raises(Invalid, match="already allocated"):
            create(registry, "other", type="NodePort", ports=[{"port": 80, "nodePort": 31999}])
        create(registry, "other", type="NodePort", ports=[{"port": 80, "nodePort": 31998}])


def test_after_a_restart_what_is_taken_is_taken(tmp_path: Path) -> None:
    def start(etcd: Etcd) -> Registry:
        return Registry(etcd, ManualClock(), services=AddressPool("127.20.128.0/20"))

    storage = Storage(tmp_path / "store")
    etcd = Etcd(storage)
    registry = start(etcd)
    registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
    made = create(registry, type="NodePort")["spec"]
    etcd.flush()
    again = start(Etcd(storage))
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        create(again, "other", clusterIP=made["clusterIP"])
    with pytest.raises(Invalid, match="provided port is already allocated"):
        create(again, "other", type="NodePort", ports=[{"port": 80, "nodePort": made["ports"][0]["nodePort"]}])
    again.delete(SERVICES, "default", "web")
    create(again, "other", clusterIP=made["clusterIP"])

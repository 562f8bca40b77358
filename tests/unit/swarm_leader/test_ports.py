"""Published ports: conflicts in the real words, and numbers for those who name none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.fakeswarm import a_service

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader.ports import PortsExhausted, PortSpace, check_port_conflicts
from labkit.embedded.swarm.objects import Json, Service


def port(published: int = 0, mode: str = "ingress", target: int = 80, protocol: str = "tcp") -> Json:
    made: Json = {"Protocol": protocol, "TargetPort": target, "PublishMode": mode}
    return made | ({"PublishedPort": published} if published else {})


def publishing(*ports: Json, id: str = "s1", **more: Any) -> Service:
    return a_service(id, EndpointSpec={"Mode": "vip", "Ports": list(ports)}, **more)


@pytest.mark.parametrize(
    ("held", "wanted", "as_what"),
    [
        (port(8080), port(8080), "an ingress port"),
        (port(8080), port(8080, "host"), "an ingress port"),
        (port(8080, "host"), port(8080), "a host-published port"),
        (port(8080, "host"), port(8080, "host"), None),  # per node: the scheduler's affair
        (port(8080), port(8080, protocol="udp"), None),
        (port(8080), port(8081), None),
        (port(), port(), None),
    ],
)
def test_conflicts(held: Json, wanted: Json, as_what: str | None) -> None:
    holder = publishing(held, id="id0")
    spec = publishing(wanted).spec
    if as_what is None:
        check_port_conflicts(spec, [holder])
        return
    with pytest.raises(RpcError) as caught:
        check_port_conflicts(spec, [holder])
    assert caught.value.status == 400
    assert caught.value.message == (
        f"rpc error: code = InvalidArgument desc = port '8080' is already in use by service 'web' (id0) as {as_what}"
    )


def test_a_number_that_was_given_is_taken_too_and_a_service_does_not_conflict_with_itself() -> None:
    holder = replace(publishing(port(), id="id0"), endpoint={"Ports": [port(30000)]})
    with pytest.raises(RpcError):
        check_port_conflicts(publishing(port(30000)).spec, [holder])
    check_port_conflicts(publishing(port(30000)).spec, [holder], "id0")


def test_unnumbered_ports_get_numbers_and_keep_them() -> None:
    space = PortSpace()
    service = publishing(port(), port(target=443), port(9000, "host"))
    ports = space.allocate(service)
    assert [p["PublishedPort"] for p in ports] == [30000, 30001, 9000]
    again = replace(service, endpoint={"Ports": ports})
    assert space.allocate(again) == ports
    assert space.allocate(publishing(port(), id="s2"))[0]["PublishedPort"] == 30002


def test_a_named_port_is_taken_once() -> None:
    space = PortSpace()
    space.allocate(publishing(port(8080)))
    with pytest.raises(PortsExhausted):
        space.allocate(publishing(port(8080), id="s2"))
    space.release("s1")
    assert space.allocate(publishing(port(8080), id="s2"))[0]["PublishedPort"] == 8080


def test_a_failed_allocation_changes_nothing() -> None:
    space = PortSpace()
    space.allocate(publishing(port(8080)))
    with pytest.raises(PortsExhausted):
        space.allocate(publishing(port(), port(8080), id="s2"))
    assert space.allocate(publishing(port(8081), id="s3"))
    with pytest.raises(PortsExhausted):
        space.allocate(publishing(port(8080), id="s4"))


def test_a_new_leader_claims_what_services_have() -> None:
    space = PortSpace()
    space.claim("s1", [port(30000), port(8080)])
    assert space.allocate(publishing(port(), id="s2"))[0]["PublishedPort"] == 30001

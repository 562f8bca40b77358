"""Offers and apps: what is taken, and why not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.marathon.matching import Context, Match, NoMatch, Offered, first_reason, match
from labkit.embedded.marathon.specs import App, Config, empty_root, parse_app

Json = dict[str, Any]

BRIDGE = [{"mode": "container/bridge"}]
CONTEXT = Context()


def app(config: Config | None = None, **fields: Any) -> App:
    runnable = {} if "container" in fields else {"cmd": "sleep 1"}
    return parse_app({"id": "/a", "cpus": 1, "mem": 32, **runnable, **fields}, empty_root(), config or Config(), "v1")


def bridged(*mappings: Json) -> App:
    return app(container={"docker": {"image": "i"}, "portMappings": list(mappings)}, networks=BRIDGE)


def scalar(name: str, value: float, role: str = "*") -> Json:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, "role": role}


def ranges(*pairs: tuple[int, int], role: str = "*") -> Json:
    found = [{"begin": begin, "end": end} for begin, end in pairs]
    return {"name": "ports", "type": "RANGES", "ranges": {"range": found}, "role": role}


FULL = [scalar("cpus", 4), scalar("mem", 1024), scalar("disk", 100), ranges((31000, 31009))]


def offer(*resources: Json, **more: Any) -> Offered:
    return Offered.of(
        {
            "id": {"value": "o1"},
            "agent_id": {"value": "s1"},
            "hostname": "127.0.0.1",
            "resources": list(resources or FULL),
            **more,
        }
    )


def attempt(wanted: App, offered: Offered, context: Context = CONTEXT, placed: Any = ()) -> Match | NoMatch:
    return match(wanted, offered, placed, "a.instance-1._app.1", context, random.Random(1))


def matched(wanted: App, offered: Offered, context: Context = CONTEXT) -> Match:
    found = attempt(wanted, offered, context)
    assert isinstance(found, Match), found
    return found


def refused(wanted: App, offered: Offered, context: Context = CONTEXT, placed: Any = ()) -> tuple[str, ...]:
    found = attempt(wanted, offered, context, placed)
    assert isinstance(found, NoMatch)
    return found.reasons


def test_what_is_taken() -> None:
    task = matched(app(disk=10), offer()).task_info
    assert {each["name"]: each.get("scalar", {}).get("value") for each in task["resources"]} == {
        "cpus": 1.0,
        "mem": 32.0,
        "disk": 10.0,
        "ports": None,
    }


def test_what_is_not_needed_is_not_taken() -> None:
    task = matched(app(ports=[]), offer()).task_info
    assert [each["name"] for each in task["resources"]] == ["cpus", "mem"]


def test_one_offer_serves_several_until_it_is_used_up() -> None:
    offered = offer()
    ports = [matched(app(), offered).host_ports for _ in range(4)]
    assert len(set(ports)) == 4
    assert refused(app(), offered) == ("InsufficientCpus",)


def test_a_refused_offer_is_left_as_it_is() -> None:
    offered = offer()
    refused(app(mem=5000), offered)
    assert offered.total("cpus") == 4


def test_tenths_add_up() -> None:
    offered = offer(scalar("cpus", 0.3), scalar("mem", 1024), ranges((1, 100)))
    for _ in range(3):
        matched(app(cpus=0.1), offered)
    assert refused(app(cpus=0.1), offered) == ("InsufficientCpus",)


@dataclass
class There:
    id: str = "x"
    version: str = "v1"
    host: str = "127.0.0.1"
    region: str | None = None
    zone: str | None = None
    attributes: tuple[Json, ...] = ()


@pytest.mark.parametrize(
    ("fields", "resources", "more", "reasons"),
    [
        ({"cpus": 5}, FULL, {}, ("InsufficientCpus",)),
        ({"mem": 2000}, FULL, {}, ("InsufficientMemory",)),
        ({"disk": 101}, FULL, {}, ("InsufficientDisk",)),
        (
            {"cpus": 5, "mem": 2000, "disk": 101},
            FULL,
            {},
            ("InsufficientCpus", "InsufficientMemory", "InsufficientDisk"),
        ),
        ({"ports": [0] * 11}, FULL, {}, ("InsufficientPorts",)),
        ({"ports": [80], "requirePorts": True}, FULL, {}, ("InsufficientPorts",)),
        ({"cpus": 5, "ports": [0] * 11}, FULL, {}, ("InsufficientCpus",)),
        ({"constraints": [["hostname", "UNIQUE"]]}, FULL, {}, ("UnfulfilledConstraint",)),
        ({"constraints": [["rack", "LIKE", "a"]], "cpus": 9}, FULL, {}, ("InsufficientCpus", "UnfulfilledConstraint")),
        (
            {},
            [scalar("cpus", 4, "dev"), scalar("mem", 99, "dev"), ranges((1, 9), role="dev")],
            {},
            ("InsufficientCpus", "InsufficientMemory", "UnfulfilledRole"),
        ),
        ({}, [*FULL, scalar("gpus", 1)], {}, ("DeclinedScarceResources",)),
        ({}, FULL, {"domain": {"fault_domain": {"region": {"name": "far"}}}}, ()),
    ],
)
def test_why_not(fields: Json, resources: list[Json], more: Json, reasons: tuple[str, ...]) -> None:
    assert refused(app(**fields), offer(*resources, **more), placed=[There()]) == reasons


def test_gpus() -> None:
    config = Config(features=frozenset({"gpu_resources"}))
    assert refused(app(config, gpus=1), offer()) == ("InsufficientGpus",)
    assert matched(app(config, gpus=1), offer(*FULL, scalar("gpus", 1)))
    assert matched(app(labels={"GPU_SCHEDULING_BEHAVIOR": "unrestricted"}), offer(*FULL, scalar("gpus", 1)))
    assert matched(app(), offer(*FULL, scalar("gpus", 1)), Context(gpu_scheduling_behavior="unrestricted"))


def test_regions() -> None:
    far = {"domain": {"fault_domain": {"region": {"name": "far"}, "zone": {"name": "z"}}}}
    assert matched(app(), offer(**far), Context(local_region="far"))
    assert matched(app(constraints=[["@region", "IS", "far"]]), offer(**far))


def test_the_first_reason_counts() -> None:
    assert first_reason(["InsufficientCpus", "InsufficientMemory", "UnfulfilledRole"]) == "UnfulfilledRole"
    assert first_reason([]) is None


def test_own_role_and_unreserved_together() -> None:
    context = Context(default_accepted_resource_roles=frozenset({"*", "dev"}))
    resources = [scalar("cpus", 1, "dev"), scalar("cpus", 3), scalar("mem", 100, "dev"), ranges((1, 5), role="dev")]
    task = matched(app(cpus=2), offer(*resources), context).task_info
    cpus = [(each["role"], each["scalar"]["value"]) for each in task["resources"] if each["name"] == "cpus"]
    assert cpus == [("dev", 1.0), ("*", 1.0)]
    only = app(acceptedResourceRoles=["*"])
    assert refused(only, offer(*resources), context) == ("InsufficientMemory",)


def test_refined_reservations_have_roles_too() -> None:
    reserved = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "reservations": [{"role": "dev"}]}
    assert refused(app(), offer(reserved)) == ("InsufficientCpus", "InsufficientMemory", "UnfulfilledRole")


def test_volumes_are_no_scratch_space() -> None:
    volume = {**scalar("disk", 50), "disk": {"volume": {"container_path": "x"}}}
    assert refused(app(disk=10), offer(scalar("cpus", 4), scalar("mem", 99), volume)) == ("InsufficientDisk",)


# -- ports


def port_ranges(found: Match) -> list[tuple[int, int]]:
    return [
        (each["begin"], each["end"])
        for resource in found.task_info["resources"]
        if resource["name"] == "ports"
        for each in resource["ranges"]["range"]
    ]


def test_required_ports() -> None:
    found = matched(app(ports=[31002, 31001], requirePorts=True), offer())
    assert found.host_ports == (31002, 31001)
    assert port_ranges(found) == [(31002, 31002), (31001, 31001)]


def test_ports_that_are_not_required_are_service_ports() -> None:
    assert 80 not in matched(app(ports=[80]), offer()).host_ports


def test_mapped_ports() -> None:
    wanted = bridged(
        {"containerPort": 80}, {"containerPort": 81, "hostPort": 31005}, {"containerPort": 82, "hostPort": 0}
    )
    found = matched(wanted, offer())
    assert found.host_ports[1] == 31005
    assert len(set(found.host_ports)) == 3
    assert refused(bridged({"hostPort": 80}), offer()) == ("InsufficientPorts",)


def test_container_networks_need_no_port_of_the_agent() -> None:
    wanted = app(
        container={
            "docker": {"image": "i"},
            "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}],
        },
        networks=[{"name": "dcos"}],
    )
    assert len(matched(wanted, offer()).host_ports) == 1


def test_a_used_port_is_not_given_again() -> None:
    offered = offer()
    wanted = app(ports=[31004], requirePorts=True, cpus=0.1)
    matched(wanted, offered)
    assert refused(wanted, offered) == ("InsufficientPorts",)
    assert [(each.begin, each.end) for each in offered.ports] == [(31000, 31003), (31005, 31009)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(0, 8),
    st.integers(0, 2**32),
    st.sets(st.integers(0, 3)),
)
def test_dynamic_ports_are_different_ones_of_the_offer(
    sizes: list[int], count: int, seed: int, fixed: set[int]
) -> None:
    pairs = [(1000 * n, 1000 * n + size) for n, size in enumerate(sizes, 1)]
    there = {port for begin, end in pairs for port in range(begin, end + 1)}
    static = [1000 + n for n in fixed]
    wanted = bridged(*[{"hostPort": 0}] * count, *[{"hostPort": port} for port in static])
    offered = offer(scalar("cpus", 4), scalar("mem", 99), ranges(*pairs))
    found = match(wanted, offered, (), "a.instance-1._app.1", CONTEXT, random.Random(seed))
    assert isinstance(found, Match) is (set(static) <= there and len(there) >= count + len(static))
    if isinstance(found, Match):
        assert len(set(found.host_ports)) == count + len(static)
        assert set(found.host_ports) <= there
        left = {port for each in offered.ports for port in range(each.begin, each.end + 1)}
        assert left == there - set(found.host_ports)
        taken = [port for begin, end in port_ranges(found) for port in range(begin, end + 1)]
        assert sorted(taken) == sorted(found.host_ports)


def test_any_port_may_come_first() -> None:
    firsts = {
        found.host_ports[0]
        for seed in range(200)
        if isinstance(found := match(app(), offer(), (), "t", CONTEXT, random.Random(seed)), Match)
    }
    assert firsts == set(range(31000, 31010))

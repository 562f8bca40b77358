"""Nodes, networks, secrets and configs over the wire."""

# tables of cases, one a line

from __future__ import annotations

import base64
from typing import Any

import pytest

from labkit.embedded.swarm.objects import Network

DATA = base64.b64encode(b"hidden").decode()


async def test_nodes_show_who_manages(client: Any) -> None:
    _, first = await client.get("/nodes/n1")
    assert first["ManagerStatus"] == {"Leader": True, "Reachability": "reachable"}
    _, second = await client.get("/nodes/manager-2")
    assert second["ID"] == "n2"
    assert second["ManagerStatus"] == {"Reachability": "reachable"}
    assert second["Spec"] == {"Labels": {"zone": "a"}, "Role": "manager", "Availability": "active"}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/nodes/n1/update", {}, "invalid node version '': strconv.ParseUint: parsing \"\": invalid syntax"),
        ("/nodes/n1/update?version=1", {}, 'invalid Role: ""'),
        ("/nodes/n1/update?version=1", {"Role": "boss"}, 'invalid Role: "boss"'),
        ("/nodes/n1/update?version=1", {"Role": "worker", "Availability": "x"}, 'invalid Availability: "x"'),
    ],
)
async def test_node_updates_that_are_refused(client: Any, path: str, body: Any, words: str) -> None:
    assert await client.post(path, body) == (400, {"message": words})


async def test_node_updates_are_passed_on(client: Any) -> None:
    body = {"role": "Manager", "Availability": "drain", "Labels": {"a": "b"}}
    assert (await client.post("/nodes/manager-1/update?version=7", body))[0] == 200
    assert (await client.delete("/nodes/n2?force=1"))[0] == 200
    assert client.host.swarm.updates == [
        ("n1", 7, {"Labels": {"a": "b"}, "Role": "manager", "Availability": "drain"}),
        ("n2", True),
    ]


async def test_overlays_are_made_found_and_removed(client: Any) -> None:
    status, made = await client.post("/networks/create", {"Name": "back", "Driver": "overlay", "Attachable": True})
    assert status == 201
    _, shown = await client.get("/networks/back")
    assert shown["Id"] == made["Id"]
    assert (shown["Scope"], shown["Driver"], shown["Attachable"]) == ("swarm", "overlay", True)
    assert await client.post("/networks/create", {"Name": "back", "Driver": "overlay"}) == (
        409,
        {"message": "network with name back already exists"},
    )
    task = {"ContainerSpec": {"Image": "a"}, "Networks": [{"Target": "back"}]}
    _, service = await client.post("/services/create", {"Name": "s", "TaskTemplate": task})
    assert await client.delete("/networks/back") == (
        400,
        {
            "message": "rpc error: code = FailedPrecondition desc = "
            f"network {made['Id']} is in use by service {service['ID']}"
        },
    )
    await client.delete("/services/s")
    assert (await client.delete("/networks/back"))[0] == 204
    assert [network.name for network in client.store.all(Network)] == ["ingress"]


async def test_ingress_stays_while_a_service_needs_it(client: Any) -> None:
    body = {
        "Name": "web",
        "TaskTemplate": {"ContainerSpec": {"Image": "a"}},
        "EndpointSpec": {"Ports": [{"TargetPort": 80}]},
    }
    _, service = await client.post("/services/create", body)
    status, answer = await client.delete("/networks/ingress")
    assert status == 400
    assert answer["message"].endswith(f"cannot be removed because service {service['ID']} depends on it")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Name": "a b", "Driver": "overlay"}, "name must be valid as a DNS name component"),
        (
            {"Name": "a", "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "x"}]}},
            "ipam configuration: invalid subnet x",
        ),
        (
            {"Name": "a", "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.2.0.1"}]}},
            "ipam configuration: subnet 10.1.0.0/24 does not contain gateway 10.2.0.1",
        ),
        (
            {"Name": "a", "Driver": "overlay", "Ingress": True, "Attachable": True},
            "ingress network cannot be attachable",
        ),
    ],
)
async def test_networks_that_are_refused(client: Any, body: Any, words: str) -> None:
    answer = await client.post("/networks/create", body)
    assert answer == (400, {"message": f"rpc error: code = InvalidArgument desc = {words}"})


@pytest.mark.parametrize(("kind", "word", "shows_data"), [("secrets", "secret", False), ("configs", "config", True)])
async def test_secrets_and_configs(client: Any, kind: str, word: str, shows_data: bool) -> None:
    status, made = await client.post(f"/{kind}/create", {"Name": "key", "Data": DATA})
    assert status == 201
    _, shown = await client.get(f"/{kind}/key")
    assert ("Data" in shown["Spec"]) is shows_data
    assert await client.post(f"/{kind}/create", {"Name": "key", "Data": DATA}) == (
        409,
        {"message": f"rpc error: code = AlreadyExists desc = {word} key already exists"},
    )
    version = shown["Version"]["Index"]
    assert (await client.post(f"/{kind}/key/update?version={version}", {"Name": "key", "Labels": {"a": "b"}}))[0] == 200
    assert (await client.get(f"/{kind}/key"))[1]["Spec"]["Labels"] == {"a": "b"}
    assert await client.post(f"/{kind}/key/update?version=1", {"Name": "other"}) == (
        400,
        {"message": "rpc error: code = InvalidArgument desc = only updates to Labels are allowed"},
    )
    reference = {f"{word.title()}ID": made["ID"], f"{word.title()}Name": "key", "File": {"Name": "f"}}
    container = {"Image": "a", kind.title(): [reference]}
    await client.post("/services/create", {"Name": "s", "TaskTemplate": {"ContainerSpec": container}})
    assert await client.delete(f"/{kind}/key") == (
        400,
        {"message": f"rpc error: code = InvalidArgument desc = {word} 'key' is in use by the following service: s"},
    )
    await client.delete("/services/s")
    assert (await client.delete(f"/{kind}/key"))[0] == 204
    assert await client.get(f"/{kind}/key") == (404, {"message": f"{word} key not found"})

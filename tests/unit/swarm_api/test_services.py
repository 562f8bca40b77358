"""Services over the wire. Words and stored forms were compared with a real swarm's."""

# ruff: noqa: E501  # tables of cases, one a line

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labkit.embedded.swarm.errors import NoLeader, NotManager
from labkit.embedded.swarm.objects import Service, Task, TaskState, TaskStatus

IMAGE = "traefik/whoami:v1.10"
T: dict[str, Any] = {"ContainerSpec": {"Image": IMAGE}}


def rpc(code: str, desc: str) -> dict[str, str]:
    return {"message": f"rpc error: code = {code} desc = {desc}"}


def invalid(desc: str) -> tuple[int, dict[str, str]]:
    return 400, rpc("InvalidArgument", desc)


def wrong(words: str) -> tuple[int, dict[str, str]]:
    return 400, {"message": words}


async def test_the_smallest_service_is_stored_as_a_real_one_stores_it(client: Any) -> None:
    status, made = await client.post("/services/create", {"name": "min", "TaskTemplate": T})
    assert status == 201
    status, service = await client.get(f"/services/{made['ID']}")
    assert status == 200
    assert service["Spec"] == {
        "Name": "min",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE, "Isolation": "default"},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    assert service["Endpoint"] == {"Spec": {}}
    assert "PreviousSpec" not in service
    assert "UpdateStatus" not in service


async def test_empty_parts_are_completed_as_a_real_one_does(client: Any) -> None:
    body = {
        "Name": "min2",
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE, "Healthcheck": {"Test": ["CMD", "x"]}},
            "RestartPolicy": {},
            "Placement": {},
            "Resources": {},
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {},
        "EndpointSpec": {},
        "Networks": [],
        "Unknown": 1,
    }
    _, made = await client.post("/services/create", body)
    _, service = await client.get(f"/services/{made['ID']}")
    assert service["Spec"] == {
        "Name": "min2",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE, "Healthcheck": {"Test": ["CMD", "x"]}, "Isolation": "default"},
            "Resources": {},
            "RestartPolicy": {"Condition": "any", "MaxAttempts": 0},
            "Placement": {},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {"Parallelism": 0, "FailureAction": "pause", "MaxFailureRatio": 0, "Order": "stop-first"},
        "EndpointSpec": {"Mode": "vip"},
    }


async def test_insert_defaults_spells_them_out(client: Any) -> None:
    await client.post("/services/create", {"Name": "min", "TaskTemplate": T})
    _, service = await client.get("/services/min?insertDefaults=true")
    task = service["Spec"]["TaskTemplate"]
    assert task["ContainerSpec"] == {
        "Image": IMAGE,
        "StopGracePeriod": 10_000_000_000,
        "DNSConfig": {},
        "Isolation": "default",
    }
    assert task["RestartPolicy"] == {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0}
    assert service["Spec"]["UpdateConfig"] == service["Spec"]["RollbackConfig"]
    assert service["Spec"]["UpdateConfig"]["Monitor"] == 5_000_000_000
    assert await client.get("/services/min?insertDefaults=maybe") == wrong(
        'invalid value for insertDefaults: maybe: strconv.ParseBool: parsing "maybe": invalid syntax'
    )


def task_with(**more: Any) -> dict[str, Any]:
    return {"Name": "bad", "TaskTemplate": {**T, **more}}


def container_with(**more: Any) -> dict[str, Any]:
    return {"Name": "bad", "TaskTemplate": {"ContainerSpec": {"Image": "a", **more}}}


def ports(*given: dict[str, Any], mode: str = "vip") -> dict[str, Any]:
    return {"Name": "bad", "TaskTemplate": T, "EndpointSpec": {"Mode": mode, "Ports": list(given)}}


J = "invalid JSON: json: cannot unmarshal "


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, wrong("mismatched Runtime and *Spec fields")),
        ({"Name": "-x", "TaskTemplate": T}, invalid("name must be valid as a DNS name component")),
        ({"Name": "x" * 64, "TaskTemplate": T}, invalid("name must be 63 characters or fewer")),
        (container_with(Image="UPPER case"), invalid('ContainerSpec: "UPPER case" is not a valid repository/tag')),
        (container_with(Image=""), invalid("ContainerSpec: image reference must be provided")),
        (task_with(Placement={"Constraints": ["node.foo"]}), (500, rpc("Unknown", "constraint expected one operator from ==, !="))),
        (task_with(Resources={"Limits": {"NanoCPUs": 1}}), invalid("invalid cpu value 1e-09: Must be at least 0.001")),
        (task_with(Resources={"Reservations": {"MemoryBytes": 1}}), invalid("invalid memory value 1: Must be at least 4MiB")),
        (task_with(RestartPolicy={"Condition": "foo"}), wrong('invalid RestartCondition: "foo"')),
        (task_with(RestartPolicy={"Delay": -1}), invalid("TaskSpec: restart-delay cannot be negative")),
        (container_with(Mounts=[{"Type": "foo", "Target": "/a"}]), wrong('invalid MountType: "foo"')),
        (container_with(Mounts=[{"Target": "/a"}, {"Target": "/a"}]), invalid("ContainerSpec: duplicate mount point: /a")),
        (container_with(Healthcheck={"Interval": 5}), invalid("ContainerSpec: Interval in HealthConfig cannot be less than 1ms")),
        (container_with(Secrets=[{"SecretID": "x"}]), invalid("malformed secret reference")),
        ({"Name": "bad", "TaskTemplate": T, "Mode": {"Replicated": {"Replicas": 1}, "Global": {}}}, wrong("must specify only one service mode")),
        ({"Name": "bad", "TaskTemplate": T, "UpdateConfig": {"FailureAction": "x"}}, wrong("unrecognized update failure action x")),
        ({"Name": "bad", "TaskTemplate": T, "UpdateConfig": {"Order": "x"}}, wrong("unrecognized update order x")),
        ({"Name": "bad", "TaskTemplate": T, "UpdateConfig": {"MaxFailureRatio": 2}}, invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")),
        (ports(mode="foo"), wrong('invalid resolution mode: "foo"')),
        (ports({"TargetPort": 80, "PublishedPort": 1810}, mode="dnsrr"), invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")),
        (ports({"PublishedPort": 181}, {"PublishedPort": 181}), invalid("EndpointSpec: duplicate published ports provided")),
        (task_with(Networks=[{"Target": "nope"}]), (500, {"message": "network nope not found"})),
        (task_with(Networks=[{"Target": "ingress"}]), invalid('Service cannot be explicitly attached to the ingress network "ingress"')),
        ([], wrong(J + "array into Go value of type swarm.ServiceSpec")),
        ({"Name": 3}, wrong(J + "number into Go struct field ServiceSpec.Name of type string")),
        (container_with(Image=3), wrong(J + "number into Go struct field ContainerSpec.TaskTemplate.ContainerSpec.Image of type string")),
        (container_with(Env="x"), wrong(J + "string into Go struct field ContainerSpec.TaskTemplate.ContainerSpec.Env of type []string")),
        (container_with(Env=[1]), wrong(J + "number into Go struct field ContainerSpec.TaskTemplate.ContainerSpec.Env of type string")),
        (task_with(RestartPolicy={"Delay": "5s"}), wrong(J + "string into Go struct field RestartPolicy.TaskTemplate.RestartPolicy.Delay of type time.Duration")),
        ({"Name": "bad", "Mode": {"Replicated": {"Replicas": -1}}}, wrong(J + "number -1 into Go struct field ReplicatedService.Mode.Replicated.Replicas of type uint64")),
        ({"Name": "bad", "Mode": {"Replicated": {"Replicas": 1.5}}}, wrong(J + "number 1.5 into Go struct field ReplicatedService.Mode.Replicated.Replicas of type uint64")),
    ],
)  # fmt: skip
async def test_refused_in_the_real_words(client: Any, body: Any, answer: tuple[int, Any]) -> None:
    assert await client.post("/services/create", body) == answer
    assert client.store.all(Service) == []


async def test_names_and_ports_are_taken_once(client: Any) -> None:
    web = {"Name": "web", "TaskTemplate": T, "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 18080}]}}
    _, made = await client.post("/services/create", web)
    assert await client.post("/services/create", {"Name": "WEB", "TaskTemplate": T}) == (
        409,
        rpc("AlreadyExists", "name conflicts with an existing object: service WEB already exists"),
    )
    assert await client.post("/services/create", {**web, "Name": "other"}) == invalid(
        f"port '18080' is already in use by service 'web' ({made['ID']}) as an ingress port"
    )


async def test_update_replaces_the_spec_and_remembers_the_last(client: Any) -> None:
    _, made = await client.post("/services/create", {"Name": "web", "TaskTemplate": T})
    _, service = await client.get("/services/web")
    version = service["Version"]["Index"]
    more = {**service["Spec"], "Mode": {"Replicated": {"Replicas": 3}}}
    assert await client.post(f"/services/web/update?version={version}", more) == (200, {"Warnings": None})
    _, updated = await client.get("/services/web")
    assert updated["Spec"]["Mode"]["Replicated"]["Replicas"] == 3
    assert updated["PreviousSpec"]["Mode"]["Replicated"]["Replicas"] == 1
    assert updated["Version"]["Index"] > version
    assert client.store.get(Service, made["ID"]).spec_version == version

    stale = await client.post(f"/services/web/update?version={version}", more)
    assert stale == (500, rpc("Unknown", "update out of sequence"))

    now = updated["Version"]["Index"]
    assert (await client.post(f"/services/web/update?version={now}&rollback=previous", updated["Spec"]))[0] == 200
    _, back = await client.get("/services/web")
    assert back["Spec"]["Mode"]["Replicated"]["Replicas"] == 1
    assert back["PreviousSpec"]["Mode"]["Replicated"]["Replicas"] == 3
    assert back["UpdateStatus"]["State"] == "rollback_started"
    assert back["UpdateStatus"]["StartedAt"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "spec", "answer"),
    [
        ("", {}, wrong("invalid service version '': strconv.ParseUint: parsing \"\": invalid syntax")),
        ("version=abc", {}, wrong("invalid service version 'abc': strconv.ParseUint: parsing \"abc\": invalid syntax")),
        ("version=1", {"Name": "new"}, (501, rpc("Unimplemented", "renaming services is not supported"))),
        ("version=1", {"Mode": {"Global": {}}}, (501, rpc("Unimplemented", "service mode change is not allowed"))),
        ("version=1&rollback=foo", {}, (500, {"message": "unrecognized rollback option foo"})),
        ("version=1&registryAuthFrom=foo", {}, (500, {"message": "unsupported registryAuthFrom value"})),
    ],
)
async def test_updates_that_are_refused(client: Any, query: str, spec: dict[str, Any], answer: tuple[int, Any]) -> None:
    await client.post("/services/create", {"Name": "web", "TaskTemplate": T})
    body = {"Name": "web", "TaskTemplate": T, **spec}
    assert await client.post(f"/services/web/update?{query}", body) == answer


async def test_rollback_needs_something_to_go_back_to(client: Any) -> None:
    _, made = await client.post("/services/create", {"Name": "web", "TaskTemplate": T})
    answer = await client.post("/services/web/update?version=2&rollback=previous", {"Name": "web", "TaskTemplate": T})
    assert answer == (400, rpc("FailedPrecondition", f"service {made['ID']} does not have a previous spec"))


async def test_found_by_id_name_and_prefix(client: Any) -> None:
    def make(tx: Any) -> None:
        for id, name in (("abc1", "one"), ("abc2", "two"), ("xyz", "abc")):
            tx.create(Service(id=id, spec={"Name": name, "TaskTemplate": T, "Mode": {"Replicated": {"Replicas": 1}}}))

    await client.store.update(make)
    for term, id in (("abc1", "abc1"), ("ONE", "abc1"), ("x", "xyz"), ("abc", "xyz")):
        assert (await client.get(f"/services/{term}"))[1]["ID"] == id
    assert await client.get("/services/ab") == wrong("service ab is ambiguous (2 matches found)")
    assert await client.get("/services/nope") == (404, {"message": "service nope not found"})
    assert await client.delete("/services/nope") == (404, {"message": "service nope not found"})
    assert await client.delete("/services/one") == (200, "")
    assert (await client.get("/services/one"))[0] == 404


async def test_status_counts_tasks(client: Any) -> None:
    _, made = await client.post(
        "/services/create", {"Name": "web", "TaskTemplate": T, "Mode": {"Replicated": {"Replicas": 3}}}
    )
    running = Task(
        id="t1",
        service_id=made["ID"],
        service_name="web",
        slot=1,
        spec=T,
        status=TaskStatus(state=TaskState.RUNNING),
        desired_state=TaskState.RUNNING,
    )

    def make(tx: Any) -> None:
        tx.create(running)
        tx.create(replace(running, id="t2", slot=2, status=TaskStatus(state=TaskState.PENDING)))

    await client.store.update(make)
    _, listed = await client.get("/services?status=true")
    assert listed[0]["ServiceStatus"] == {"RunningTasks": 1, "DesiredTasks": 3, "CompletedTasks": 0}
    assert "ServiceStatus" not in (await client.get("/v1.40/services?status=true"))[1][0]
    _, tasks = await client.get("/tasks", params={"filters": '{"service":{"web":true},"name":{"web.1":true}}'})
    assert [task["ID"] for task in tasks] == ["t1"]
    assert tasks[0]["Status"]["State"] == "running"
    assert "Runtime" not in tasks[0]["Spec"]


async def test_managers_without_a_leader_and_workers_say_so(client: Any) -> None:
    client.host.swarm.error = NoLeader()
    for method, path in (("GET", "/services"), ("GET", "/nodes"), ("GET", "/tasks"), ("DELETE", "/services/x")):
        status, answer = await client.call(method, path)
        assert status == 500
        assert answer["message"].startswith("rpc error: code = Unknown desc = The swarm does not have a leader.")
    client.host.swarm.error = NotManager(NotManager.NO_SWARM)
    assert (await client.get("/services"))[0] == 503
    assert (await client.get("/networks")) == (200, [])


async def test_messages_that_are_too_long_for_the_managers(client: Any) -> None:
    def body(size: int) -> dict[str, Any]:
        return {"Name": "big", "Labels": {"a": "x" * size}, "TaskTemplate": T}

    status, answer = await client.post("/services/create", body(6 * 1024 * 1024))
    assert status == 500
    assert answer["message"].startswith(
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max ("
    )
    assert await client.post("/services/create", body(2 * 1024 * 1024)) == (
        500,
        rpc("Unknown", "raft: raft message is too large and can't be sent"),
    )
    assert client.store.all(Service) == []

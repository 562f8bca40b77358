"""A master's HTTP API over real sockets: every form of every path, streams, redirects, and the real words."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from .cluster import Cluster
from .house import task

Json = dict[str, Any]

USERS = {"labkit": "secret"}
CREDENTIALS = {"Authorization": "Basic " + base64.b64encode(b"labkit:secret").decode()}
JSON = {"Content-Type": "application/json"}
INFO = {"user": "root", "name": "http", "checkpoint": True}


class Client:
    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.session = session

    def url(self, path: str, machine: str | None = None) -> str:
        address = self.cluster.servers[machine or self.cluster.leader.machine].address
        assert address is not None
        return f"http://{address[0]}:{address[1]}{path}"

    async def ask(self, method: str, path: str, *, machine: str | None = None, **more: Any) -> tuple[int, Any, Any]:
        """Status, body (JSON if it is), headers."""
        headers = {**CREDENTIALS, **more.pop("headers", {})} if more.pop("auth", True) else more.pop("headers", {})
        async with self.session.request(
            method, self.url(path, machine), headers=headers, allow_redirects=False, **more
        ) as answer:
            data = await answer.read()
            body: Any = data.decode()
            if answer.content_type == "application/json" and data:
                body = orjson.loads(data)
            return answer.status, body, answer.headers

    async def get(self, path: str, **more: Any) -> Any:
        status, body, _ = await self.ask("GET", path, **more)
        assert status == 200, body
        return body

    async def post(self, path: str, call: Any, **headers: str) -> tuple[int, Any]:
        data = call if isinstance(call, bytes) else orjson.dumps(call)
        status, body, _ = await self.ask("POST", path, data=data, headers={**JSON, **headers})
        return status, body

    async def operator(self, kind: str, **parts: Any) -> Any:
        status, body = await self.post("/api/v1", {"type": kind, **parts})
        assert status == 200, body
        return body

    async def subscribe(self, call: Json, path: str = "/api/v1/scheduler") -> Stream:
        answer = await self.session.post(
            self.url(path),
            data=orjson.dumps(call),
            headers={**JSON, **CREDENTIALS, "Accept": "application/json"},
        )
        assert answer.status == 200
        return Stream(self.cluster, answer)


class Stream:
    """Records of a stream."""

    def __init__(self, cluster: Cluster, answer: aiohttp.ClientResponse) -> None:
        self.cluster = cluster
        self.answer = answer
        self.id = answer.headers["Mesos-Stream-Id"]

    async def next(self) -> Json:
        async with asyncio.timeout(5):
            size = int(await self.answer.content.readline())
            return orjson.loads(await self.answer.content.readexactly(size))

    async def until(self, kind: str) -> Json:
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event.get(kind.lower(), {})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    cluster = await Cluster(masters=2).up(http=True, users=USERS)
    async with aiohttp.ClientSession() as session:
        yield Client(cluster, session)
    await cluster.close()


async def framework(client: Client) -> tuple[Stream, str, Json]:
    """A subscribed framework: its stream, its id, an offer."""
    stream = await client.subscribe({"type": "SUBSCRIBE", "subscribe": {"framework_info": INFO}})
    framework_id = (await stream.until("SUBSCRIBED"))["framework_id"]["value"]
    await client.cluster.settle()
    return stream, framework_id, (await stream.until("OFFERS"))["offers"][0]


async def test_a_whole_life_over_http(client: Client) -> None:
    stream, framework_id, offer = await framework(client)
    own = {"framework_id": {"value": framework_id}}
    header = {"Mesos-Stream-Id": stream.id}
    launch = {"type": "LAUNCH", "launch": {"task_infos": [task("t1", offer)]}}
    accept = {"type": "ACCEPT", **own, "accept": {"offer_ids": [offer["id"]], "operations": [launch]}}
    assert await client.post("/api/v1/scheduler", accept, **header) == (202, "")
    await client.cluster.settle()
    status = (await stream.until("UPDATE"))["status"]
    assert status["state"] == "TASK_RUNNING"
    state = await client.get("/master/state")
    assert state["frameworks"][0]["tasks"][0]["statuses"][0]["state"] == "TASK_RUNNING"
    assert state["frameworks"][0]["principal"] == "labkit"
    assert state["slaves"][0]["used_resources"]["cpus"] == 1
    shown = await client.operator("GET_TASKS")
    assert shown["get_tasks"]["tasks"][0]["task_id"] == {"value": "t1"}
    assert (await client.get("/tasks"))["tasks"][0]["id"] == "t1"
    assert (await client.get("/tasks?limit=-1"))["tasks"][0]["id"] == "t1"  # all of them, as avmesos-cli asks
    assert (await client.get("/tasks?limit=0"))["tasks"] == []
    acknowledge = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
    assert await client.post("/api/v1/scheduler", {"type": "ACKNOWLEDGE", **own, "acknowledge": acknowledge}, **header)
    await client.cluster.settle()
    assert not client.cluster.agents[0].unacknowledged
    assert await client.post("/api/v1/scheduler", {"type": "TEARDOWN", **own}, **header) == (202, "")
    assert await stream.answer.content.read() is not None  # the stream ends
    assert (await client.get("/frameworks"))["completed_frameworks"][0]["id"] == framework_id


async def test_a_stream_whose_place_is_taken_ends_with_its_last_word(client: Client) -> None:
    first, framework_id, _ = await framework(client)
    info = {**INFO, "id": {"value": framework_id}}
    call = {"type": "SUBSCRIBE", "framework_id": info["id"], "subscribe": {"framework_info": info}}
    await client.subscribe(call)
    assert (await first.until("ERROR"))["message"] == "Framework failed over"
    async with asyncio.timeout(5):
        assert await first.answer.content.read() == b""


async def test_a_client_that_goes_away_is_disconnected(client: Client) -> None:
    stream, framework_id, _ = await framework(client)
    stream.answer.close()
    async with asyncio.timeout(20):
        while True:
            await client.cluster.clock.settle()
            await asyncio.sleep(0.01)  # a socket that is closed is seen in the wall's time
            lead = client.cluster.leader.leading
            assert lead is not None
            found = lead.frameworks.get(framework_id)
            if found is None or not found.connected:
                return


SUBSCRIBE = {"type": "SUBSCRIBE", "subscribe": {"framework_info": INFO}}
PREFIX = "Failed to validate scheduler::Call: "
EXECUTOR = {"agent_id": {"value": "a"}, "executor_id": {"value": "e"}}
OPERATION = "ACKNOWLEDGE_OPERATION_STATUS"


def acknowledged(uuid: str) -> Any:
    return {"acknowledge_operation_status": {"uuid": uuid, "operation_id": {"value": "o"}}}


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (b"{", 400, "Failed to parse body into JSON: "),
        (b"[]", 400, "Failed to convert JSON into Call protobuf: "),
        ({}, 400, f"{PREFIX}Expecting 'type' to be present"),
        ({"type": "NONSENSE"}, 400, f"{PREFIX}Expecting 'type' to be present"),
        ({"type": "SUBSCRIBE"}, 400, f"{PREFIX}Expecting 'subscribe' to be present"),
        (
            {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}},
            400,
            "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user",
        ),
        (
            {**SUBSCRIBE, "framework_id": {"value": "a"}},
            400,
            f"{PREFIX}'framework_id' differs from 'subscribe.framework_info.id'",
        ),
        (
            {"type": "SUBSCRIBE", "subscribe": {"framework_info": {**INFO, "principal": "else"}}},
            400,
            f"{PREFIX}Authenticated principal 'labkit' does not match principal 'else' set in `FrameworkInfo`",
        ),
        ({"type": "REVIVE"}, 400, f"{PREFIX}Expecting 'framework_id' to be present"),
        ({"type": "KILL", "framework_id": {"value": "a"}}, 400, f"{PREFIX}Expecting 'kill' to be present"),
        ({"type": "REVIVE", "framework_id": {"value": "a"}}, 400, "Framework cannot be found"),
        (
            {"type": "REVIVE", "framework_id": "a"},
            400,
            "Failed to convert JSON into Call protobuf: Not expecting a JSON string for field 'framework_id'",
        ),
        (
            {"type": "DECLINE", "framework_id": {"value": "a"}, "decline": {"filters": {"refuse_seconds": "x"}}},
            400,
            "Failed to convert JSON into Call protobuf: Failed to parse 'x' as a JSON number for field 'refuse",
        ),
        (
            {"type": "MESSAGE", "framework_id": {"value": "a"}, "message": {**EXECUTOR, "data": "plain words, no"}},
            400,
            "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field 'data': Invalid character",
        ),
        ({"type": OPERATION, "framework_id": {"value": "a"}, **acknowledged("AAAA")}, 400, f"{PREFIX}Not a valid UUID"),
        (
            {"type": OPERATION, "framework_id": {"value": "a"}, **acknowledged("A" * 21 + "Q==")},
            400,
            f"{PREFIX}Expecting 'agent_id' to be present",
        ),
    ],
)
async def test_bad_calls(client: Client, call: Any, status: int, words: str) -> None:
    found, body = await client.post("/api/v1/scheduler", call)
    assert found == status
    assert body.startswith(words), body


async def test_headers(client: Client) -> None:
    path = "/api/v1/scheduler"
    status, body, headers = await client.ask("GET", path)
    assert (status, headers["Allow"]) == (405, "POST")
    assert body == "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."
    status, body, _ = await client.ask("POST", path, data=b"x", headers={"Content-Type": "application/x-protobuf"})
    assert (status, body) == (415, "Expecting 'Content-Type' of application/json or application/x-protobuf")
    status, body = await client.post(path, SUBSCRIBE, Accept="text/html")
    assert (status, body) == (406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")
    asked = {"type": "RECONCILE_OPERATIONS", "framework_id": {"value": "a"}, "reconcile_operations": {}}
    assert (await client.post(path, asked, Accept="text/html"))[0] == 406
    status, body = await client.post(path, SUBSCRIBE, **{"Mesos-Stream-Id": "x"})
    assert (status, body) == (400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
    _, framework_id, _ = await framework(client)
    call = {"type": "REVIVE", "framework_id": {"value": framework_id}}
    status, body = await client.post(path, call)
    assert (status, body) == (400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")
    status, body = await client.post(path, call, **{"Mesos-Stream-Id": "x"})
    assert status == 400
    assert "didn't match the stream ID currently associated with framework ID" in body


async def test_a_follower_redirects(client: Client) -> None:
    follower, leader = client.cluster.follower.machine, client.cluster.leader
    base = f"//{leader.pid.address}:5050"
    for path in ("/state", "/master/slaves?x=1", "/frameworks", "/tasks", "/roles", "/weights", "/state-summary"):
        status, body, headers = await client.ask("GET", path, machine=follower)
        assert (status, headers.get("Location"), body) == (307, base + path, "")
    for path in ("/api/v1", "/api/v1/scheduler"):
        status, _, headers = await client.ask("POST", path, machine=follower)
        assert (status, headers["Location"]) == (307, base + path)
    for path in ("/redirect", "/master/redirect"):
        for machine in (follower, leader.machine):
            status, _, headers = await client.ask("GET", path, machine=machine, auth=False)
            assert (status, headers["Location"]) == (307, base)
    assert (await client.get("/metrics/snapshot", machine=follower))["master/elected"] == 0


@pytest.mark.parametrize("path", ["/state", "/state/", "/state.json", "/master/state", "/master/state.json"])
async def test_forms_of_a_path(client: Client, path: str) -> None:
    state = await client.get(path)
    assert state["version"] == "1.11.0"
    assert state["slaves"][0]["attributes"] == {"rack": "a"}
    assert state["slaves"][0]["resources"]["ports"] == "[31000-31999]"
    assert state["leader_info"]["hostname"] == client.cluster.leader.pid.address


@pytest.mark.parametrize("path", ["/state", "/slaves", "/frameworks", "/tasks", "/roles", "/state-summary", "/version"])
async def test_what_looks_at_no_method(client: Client, path: str) -> None:
    status, body, _ = await client.ask("POST", path)
    assert (status, type(body)) == (200, dict)


@pytest.mark.parametrize("path", ["/maintenance/schedule", "/maintenance/status", "/quota"])
async def test_nothing_of_what_is_not_simulated(client: Client, path: str) -> None:
    assert await client.get(path) == {}
    assert (await client.ask("POST", path))[0] == 501
    status, _, headers = await client.ask("GET", path, machine=client.cluster.follower.machine)
    assert (status, headers["Location"]) == (307, f"//{client.cluster.leader.pid.address}:5050{path}")


async def test_flags_are_only_read(client: Client) -> None:
    status, _, headers = await client.ask("PUT", "/flags")
    assert (status, headers["Allow"]) == (405, "GET")


async def test_old_endpoints(client: Client) -> None:
    await framework(client)
    assert (await client.get("/slaves"))["slaves"][0]["offered_resources_full"]
    assert (await client.get("/state-summary"))["frameworks"][0]["TASK_RUNNING"] == 0
    assert (await client.get("/roles"))["roles"][0]["offered"]["cpus"] == 4
    assert (await client.get("/flags"))["flags"]["port"] == "5050"
    assert (await client.get("/metrics/snapshot"))["master/frameworks_active"] == 1
    assert (await client.get("/version", auth=False))["version"] == "1.11.0"
    assert (await client.get("/health", auth=False)) == ""
    assert "<h1>" in await client.get("/")
    assert (await client.get("/roles?jsonp=f")).startswith('f({"roles":')
    assert (await client.ask("GET", "/machine/down"))[0] == 501
    assert (await client.ask("GET", "/nowhere"))[0] == 404
    assert (await client.ask("GET", "/files/read"))[0] == 400
    status, body, _ = await client.ask("POST", "/teardown", data=b"frameworkId=x")
    assert (status, body) == (400, "No framework found with specified ID")


async def test_weights(client: Client) -> None:
    weights = [{"role": "ads", "weight": 2.5}]
    assert (await client.ask("PUT", "/weights", json=weights))[0] == 200
    assert await client.get("/weights") == weights
    assert (await client.operator("GET_WEIGHTS"))["get_weights"]["weight_infos"] == weights
    status, body, _ = await client.ask("PUT", "/weights", json=[{"role": "ads", "weight": 0}])
    assert status == 400
    assert body.endswith("Invalid weight '0': Weights must be positive")
    assert (await client.ask("PUT", "/weights", data=b"{"))[0] == 400


@pytest.mark.parametrize(
    "kind",
    [
        "GET_HEALTH",
        "GET_FLAGS",
        "GET_VERSION",
        "GET_LOGGING_LEVEL",
        "GET_STATE",
        "GET_AGENTS",
        "GET_FRAMEWORKS",
        "GET_EXECUTORS",
        "GET_TASKS",
        "GET_ROLES",
        "GET_WEIGHTS",
        "GET_MASTER",
    ],
)
async def test_operator_calls(client: Client, kind: str) -> None:
    await framework(client)
    answer = await client.operator(kind)
    assert answer["type"] == kind
    assert kind.lower() in answer


async def test_operator_refusals(client: Client) -> None:
    for call, status, words in (
        ({}, 400, "Failed to validate master::Call: Expecting 'type' to be present"),
        ({"type": "GET_METRICS"}, 400, "Failed to validate master::Call: Expecting 'get_metrics' to be present"),
        ({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "x"}}}, 404, "Agent 'x' not found"),
        ({"type": "RESERVE_RESOURCES", "reserve_resources": {}}, 501, "RESERVE_RESOURCES is not simulated"),
    ):
        found, body = await client.post("/api/v1", call)
        assert found == status
        assert body.startswith(words)


async def test_the_operators_stream(client: Client) -> None:
    stream = await client.subscribe({"type": "SUBSCRIBE"}, "/api/v1")
    first = await stream.until("SUBSCRIBED")
    assert len(first["get_state"]["get_agents"]["agents"]) == 1
    await framework(client)
    added = await stream.until("FRAMEWORK_ADDED")
    assert added["framework"]["framework_info"]["name"] == "http"


async def test_no_credentials_no_entry(client: Client) -> None:
    for path in ("/state", "/api/v1", "/api/v1/scheduler", "/"):
        status, _, headers = await client.ask("GET", path, auth=False)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith('Basic realm="mesos-master-')
    status, _, _ = await client.ask("GET", "/state", headers={"Origin": "http://evil.example"})
    assert status == 403

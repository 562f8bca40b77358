"""The agent's HTTP API: what avmesos-cli and people with curl read."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from labkit.embedded.guard import Guard

from .houses import House, opened, task


class Client:
    def __init__(self, house: House, session: aiohttp.ClientSession) -> None:
        host, port = house.network.real(house.agent.pid.address, 5051) or ("", 0)
        self.base, self.session = f"http://{host}:{port}", session

    async def get(self, path: str, status: int = 200, **given: Any) -> Any:
        async with self.session.get(self.base + path, **given) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json() if "json" in answer.content_type else await answer.text()

    async def call(self, body: Any, status: int = 200, **given: Any) -> Any:
        async with self.session.post(f"{self.base}/api/v1", json=body, **given) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json() if answer.status == 200 else await answer.text()


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    await house.registered()
    async with aiohttp.ClientSession() as session:
        yield Client(house, session)


async def test_state_shows_the_agent_and_its_tasks(house: House, client: Client) -> None:
    house.master.run(task("t1", "sleep 100"))
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    for path in ("/state", "/state/", "/slave(1)/state", "/state.json"):
        state = await client.get(path)
        assert (state["id"], state["version"]) == ("M-S0", "1.11.0")
    assert state["resources"] == {"cpus": 4.0, "mem": 4096.0, "disk": 0.0, "gpus": 0.0, "ports": "[31000-31999]"}
    ((executor,),) = (one["executors"] for one in state["frameworks"])
    assert executor["id"] == executor["tasks"][0]["id"] == "t1"
    assert executor["name"] == "Command Executor (Task: t1) (Command: sh -c 'sleep 100')"
    assert executor["directory"] == house.agent.frameworks["F"].runs["t1"].directory
    assert (await client.get("/metrics/snapshot"))["slave/tasks_running"] == 1.0
    (container,) = await client.get("/containers")
    assert container["executor_id"] == "t1"
    assert (await client.get("/monitor/statistics"))[0]["statistics"]["cpus_limit"] == 0.1


async def test_files_are_read_a_page_at_a_time(house: House, client: Client) -> None:
    line = "0123456789" * 4
    loop = f"i=0; while [ $i -lt 2000 ]; do echo {line}; i=$((i+1)); done"
    house.master.run(task("t1", f"{loop}; ln -s /etc out; sleep 100"))
    await house.until(lambda: list(house.work_dir.glob("**/t1/runs/latest/out")))
    run = house.agent.frameworks["F"].runs["t1"]
    entries = await client.get("/files/browse", params={"path": run.directory})
    assert [Path(one["path"]).name for one in entries] == ["out", "stderr", "stdout"]
    assert entries[2]["size"] == 82000
    assert entries[2]["mode"].startswith("-rw")
    path = f"{run.directory}/stdout"
    assert await client.get("/files/read", params={"path": path}) == {"data": "", "offset": 82000}
    page = await client.get("/files/read", params={"path": path, "offset": 0})
    assert len(page["data"]) == 65536
    page = await client.get("/files/read", params={"path": path, "offset": 41, "length": 10})
    assert page == {"data": "0123456789", "offset": 41}
    virtual = "/frameworks/F/executors/t1/runs/latest/stdout"
    assert (await client.get("/files/read", params={"path": virtual, "offset": 81990}))["offset"] == 81990
    assert len(await client.get("/files/download", params={"path": path})) == 82000
    assert await client.get("/files/browse", 400) == "Expecting 'path=value' in query.\n"
    for outside in ("/etc/passwd", f"{run.directory}/out/passwd", f"{run.directory}/../../../../../../x"):
        await client.get("/files/read", 404, params={"path": outside, "offset": 0})
    await client.get("/files/read", 400, params={"path": path, "offset": -5})


async def test_a_containers_output_is_a_file_too(house: House, client: Client) -> None:
    made = task("t1", "echo hello; sleep 100", image="busybox")
    house.master.run(made)
    await house.pass_time(2)
    run = house.agent.frameworks["F"].runs["t1"]
    entries = await client.get("/files/browse", params={"path": run.directory})
    assert [(Path(one["path"]).name, one["size"]) for one in entries] == [("stderr", 0), ("stdout", 6)]
    page = await client.get("/files/read", params={"path": f"{run.directory}/stdout", "offset": 0})
    assert page["data"] == "hello\n"
    assert await client.get("/files/download", params={"path": f"{run.directory}/stdout"}) == "hello\n"


async def test_operator_calls(house: House, client: Client) -> None:
    house.master.run(task("t1", "echo hi; sleep 100"))
    await house.until(lambda: [*house.work_dir.glob("**/t1/runs/latest/stdout")])
    await house.until(lambda: next(house.work_dir.glob("**/t1/runs/latest/stdout")).read_text() == "hi\n")
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    assert await client.call({"type": "GET_HEALTH"}) == {"type": "GET_HEALTH", "get_health": {"healthy": True}}
    (launched,) = (await client.call({"type": "GET_TASKS"}))["get_tasks"]["launched_tasks"]
    assert launched["state"] == "TASK_RUNNING"
    found = await client.call({"type": "GET_STATE"})
    assert found["get_state"]["get_frameworks"]["frameworks"][0]["framework_info"]["name"] == "test"
    for name in ("EXECUTORS", "FRAMEWORKS", "CONTAINERS", "FLAGS", "VERSION", "AGENT", "METRICS"):
        assert f"get_{name.lower()}" in await client.call({"type": f"GET_{name}"})
    directory = house.agent.frameworks["F"].runs["t1"].directory
    listed = await client.call({"type": "LIST_FILES", "list_files": {"path": directory}})
    assert len(listed["list_files"]["file_infos"]) == 2
    read = {"type": "READ_FILE", "read_file": {"path": f"{directory}/stdout", "offset": 0}}
    assert b64decode((await client.call(read))["read_file"]["data"]) == b"hi\n"
    assert "not simulated" in await client.call({"type": "LAUNCH_NESTED_CONTAINER"}, 501)
    await client.call({"type": "NO_SUCH"}, 400)
    await client.call([], 400)


async def test_malformed_requests_are_4xx(client: Client) -> None:
    async with client.session.post(
        f"{client.base}/api/v1", data=b"{", headers={"Content-Type": "application/json"}
    ) as got:
        assert got.status == 400
    async with client.session.post(f"{client.base}/api/v1", data=b"x") as got:
        assert got.status == 415
    async with client.session.post(f"{client.base}/api/v1", skip_auto_headers=["Content-Type"], data=b"{}") as got:
        assert (got.status, await got.text()) == (400, "Expecting 'Content-Type' to be present")
    async with client.session.get(f"{client.base}/api/v1") as got:
        assert got.status == 405
    async with client.session.delete(f"{client.base}/flags") as got:
        words = "405 Method Not Allowed. Expecting one of { 'GET' }, but received 'DELETE'."
        assert (got.status, await got.text(), got.headers["Allow"]) == (405, words, "GET")
    async with client.session.post(f"{client.base}/state") as got:
        assert got.status == 200  # it looks at no method
    await client.get("/nothing", 404)


async def test_only_those_with_credentials_are_let_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as house, aiohttp.ClientSession() as session:
        house.agent = house.make_agent(guard=Guard({"labkit": "secret"}))
        await house.registered()
        client = Client(house, session)
        await client.get("/state", 401)
        await client.get("/health")
        await client.get("/state", headers={"Authorization": f"Basic {b64encode(b'labkit:secret').decode()}"})
        await client.get("/state", 403, headers={"Origin": "http://evil.example"})
        await client.get("/health", 403, headers={"Host": "evil.example"})

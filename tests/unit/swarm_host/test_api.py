"""The API on a unix socket: statuses and words, streams, and connections that are taken over."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from labkit.embedded.sockets import HttpSocket, make_runner
from labkit.embedded.swarm.api import archive, containers, exec, images, networks, volumes
from labkit.embedded.swarm.api.app import Api
from labkit.embedded.swarm.host import archive as archives
from labkit.embedded.swarm.host import frames
from labkit.embedded.swarm.host.host import Host

from .conftest import World, run, until
from .refusals import IMAGE, REFUSED


class Client:
    """Plain HTTP to the first host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))

    async def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} if raw is not None else {}
        async with self.session.request(
            method, f"http://d/v1.50{path}", json=body if raw is None else None, data=raw, headers=headers
        ) as response:
            data = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(data) if is_json and data else data

    async def hijack(self, path: str, body: Any = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Upgrade a connection as the CLI does; checks the answer's head."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"POST /v1.50{path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\n"), answer
        return reader, writer


def pieces(data: bytes) -> list[tuple[int, bytes]]:
    """Frames taken apart."""
    found = []
    while data:
        size = int.from_bytes(data[4:8], "big")
        found.append((data[0], data[8 : 8 + size]))
        data = data[8 + size :]
    return found


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


@pytest.fixture
async def client(host: Host, world: World, tmp_path: Path) -> AsyncIterator[Client]:
    api = Api([*containers.ROUTES, *archive.ROUTES, *exec.ROUTES, *images.ROUTES, *volumes.ROUTES, *networks.ROUTES])
    path = tmp_path / "s"
    api.hosts[str(path)] = host
    runner = await make_runner(api.application())
    socket = HttpSocket(runner, path)
    await socket.open()
    made = Client(path)
    yield made
    await made.session.close()
    socket.close()
    await runner.cleanup()


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), REFUSED)
async def test_refusals(client: Client, host: Host, method: str, path: str, body: Any, status: int, words: str) -> None:
    web = await run(host, name="web")
    words = words.replace("{web}", web.id[:12]).replace("{image}", web.image_id[7:19])
    assert await client.call(method, path, body) == (status, {"message": words})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"Image":', "invalid JSON: unexpected EOF"),
        (b"x", "invalid JSON: invalid character 'x' looking for beginning of value"),
        (b"{} {}", "unexpected content after JSON"),
    ],
)
async def test_malformed_bodies(client: Client, raw: bytes, words: str) -> None:
    assert await client.call("POST", "/containers/create", raw=raw) == (400, {"message": words})


async def test_not_modified(client: Client, host: Host) -> None:
    await run(host, name="web")
    assert await client.call("POST", "/containers/web/start") == (304, b"")
    assert await client.call("POST", "/containers/web/stop") == (204, b"")
    assert await client.call("POST", "/containers/web/stop") == (304, b"")


async def test_pull_streams_its_progress(client: Client, world: World) -> None:
    async with client.session.post("http://d/v1.50/images/create?fromImage=test/tools&tag=2") as response:
        reading = asyncio.create_task(response.read())
        await until(reading.done, world.clock, 0.05)
    lines = [json.loads(line) for line in reading.result().splitlines()]
    assert lines[0] == {"status": "Pulling from test/tools", "id": "2"}
    assert lines[-2]["status"].startswith("Digest: sha256:")
    assert lines[-1] == {"status": "Status: Downloaded newer image for test/tools:2"}


async def test_attach_start_and_wait_as_docker_run_does(client: Client, host: Host) -> None:
    body = {**IMAGE, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    _, made = await client.call("POST", "/containers/create?name=one", body)
    reader, writer = await client.hijack(f"/containers/{made['Id']}/attach?stream=1&stdin=1&stdout=1&stderr=1")
    waiting = asyncio.create_task(client.call("POST", f"/containers/{made['Id']}/wait?condition=next-exit"))
    async with asyncio.timeout(20):
        while not host.containers.get(made["Id"]).waiters:  # noqa: ASYNC110  a request on its way tells nobody
            await asyncio.sleep(0.001)
    assert await client.call("POST", f"/containers/{made['Id']}/start") == (204, b"")
    writer.write(b"one\ntwo\n")
    writer.write_eof()
    assert pieces(await read_all(reader)) == [(1, b"one\n"), (1, b"two\n"), (2, b"end\n")]
    assert await waiting == (200, {"StatusCode": 0})
    writer.close()


async def test_detach_keys_leave_it_running(client: Client, host: Host) -> None:
    container = await run(host, "cat", OpenStdin=True, Tty=True)
    reader, writer = await client.hijack(f"/containers/{container.id}/attach?stream=1&stdin=1&stdout=1")
    writer.write(b"hi\r")
    assert await reader.readexactly(8) == b"hi\r\nhi\r\n"  # echoed, then printed
    writer.write(b"\x10\x11")
    assert await read_all(reader) == b""
    assert container.running
    writer.close()


async def exec_id(client: Client, container: str, *command: str, **more: Any) -> str:
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **more}
    status, made = await client.call("POST", f"/containers/{container}/exec", body)
    assert status == 201
    return str(made["Id"])


async def test_exec(client: Client, host: Host) -> None:
    web = await run(host, name="web")
    identifier = await exec_id(client, "web", "leave", "4")
    assert web.execs == [identifier]
    reader, writer = await client.hijack(f"/exec/{identifier}/start", {})
    assert pieces(await read_all(reader)) == [(1, b"bye\n")]
    writer.close()
    _, shown = await client.call("GET", f"/exec/{identifier}/json")
    assert (shown["Running"], shown["ExitCode"], shown["ContainerID"]) == (False, 4, web.id)
    reader, writer = await client.hijack(f"/exec/{identifier}/start", {})
    assert pieces(await read_all(reader)) == [(1, f"exec command {identifier} has already run\r\n".encode())]
    writer.close()


async def test_half_close_is_the_end_of_standard_input(client: Client, host: Host) -> None:
    await run(host, name="web")
    identifier = await exec_id(client, "web", "cat", AttachStdin=True)
    reader, writer = await client.hijack(f"/exec/{identifier}/start", {})
    writer.write(b"x" * 200_000 + b"\n")
    await writer.drain()
    writer.write_eof()
    got = pieces(await read_all(reader))
    assert b"".join(data for stream, data in got if stream == 1) == b"x" * 200_000 + b"\n"
    assert got[-1] == (2, b"end\n")
    writer.close()


async def test_exec_of_an_unknown_program(client: Client, host: Host) -> None:
    await run(host, name="web")
    identifier = await exec_id(client, "web", "nope")
    reader, writer = await client.hijack(f"/exec/{identifier}/start", {})
    words = (
        b"OCI runtime exec failed: exec failed: unable to start container process: "
        b'exec: "nope": executable file not found in $PATH: unknown\r\n'
    )
    assert pieces(await read_all(reader)) == [(1, words)]
    assert (await client.call("GET", f"/exec/{identifier}/json"))[1]["ExitCode"] == 127
    writer.close()


async def test_detached_exec(client: Client, host: Host, world: World) -> None:
    await run(host, name="web")
    identifier = await exec_id(client, "web", "sleep", "5")
    assert (await client.call("POST", f"/exec/{identifier}/start", {"Detach": True}))[0] == 200
    assert (await client.call("GET", f"/exec/{identifier}/json"))[1]["Running"] is True
    await world.clock.advance(6)
    assert (await client.call("GET", f"/exec/{identifier}/json"))[1]["ExitCode"] == 0


async def test_logs(client: Client, host: Host, world: World) -> None:
    await run(host, "leave", "0", name="web", Labels={"tier": "front"})
    _, data = await client.call("GET", "/containers/web/logs?stdout=1&stderr=1")
    assert pieces(data) == [(frames.STDOUT, b"bye\n")]
    _, data = await client.call("GET", "/containers/web/logs?stdout=1&timestamps=1")
    stamp, _, text = pieces(data)[0][1].partition(b" ")
    assert text == b"bye\n"
    assert len(stamp) == len("2026-11-22T15:23:38.909267375Z")
    assert (await client.call("GET", "/containers/web/logs?stderr=1"))[1] == b""
    assert (await client.call("GET", "/containers/web/logs?stdout=1&tail=0"))[1] == b""
    assert (await client.call("GET", f"/containers/web/logs?stdout=1&since={int(world.clock.time()) + 9}"))[1] == b""


async def test_logs_that_are_followed_end_with_the_container(client: Client, host: Host, world: World) -> None:
    await run(host, "stubborn", name="web")
    call = asyncio.create_task(client.call("GET", "/containers/web/logs?stdout=1&stderr=1&follow=1"))
    await until(lambda: host.containers.get("web").log._waiting, world.clock)  # type: ignore[union-attr]
    await client.call("POST", "/containers/web/kill?signal=TERM")
    await client.call("POST", "/containers/web/kill")
    status, data = await call
    assert status == 200
    assert pieces(data) == [(2, b"no\n")]


async def test_top_and_stats(client: Client, host: Host, world: World) -> None:
    await run(host, name="web", HostConfig={"Memory": 64 * 2**20})
    _, shown = await client.call("GET", "/containers/web/top")
    assert shown["Titles"][-1] == "CMD"
    assert shown["Processes"][0][-1] == "serve"
    _, shown = await client.call("GET", "/containers/web/stats?stream=0&one-shot=1")
    assert shown["memory_stats"]["limit"] == 64 * 2**20
    assert shown["pids_stats"]["current"] == 1
    _, shown = await client.call("GET", "/containers/web/stats?stream=0&one-shot=1")
    assert shown["name"] == "/web"
    assert shown["cpu_stats"]["online_cpus"] == 4


async def test_networks_connect_and_disconnect(client: Client, host: Host, world: World) -> None:
    web = await run(host, name="web")
    await client.call("POST", "/networks/create", {"Name": "mine"})
    status, _ = await client.call(
        "POST", "/networks/mine/connect", {"Container": "web", "EndpointConfig": {"Aliases": ["www"]}}
    )
    assert status == 200
    other = await run(host, "call", "www", "80", HostConfig={"NetworkMode": "mine"})
    await until(lambda: not other.running, world.clock)
    assert b"".join(line.data for line in other.log.lines()) == f"{web.id[:12]}:\n".encode()  # type: ignore[union-attr]
    _, shown = await client.call("GET", "/networks/mine")
    assert list(shown["Containers"]) == [web.id]
    status, answer = await client.call("DELETE", "/networks/mine")
    assert status == 403
    assert answer["message"].startswith("error while removing network: network mine has active endpoints")
    assert (await client.call("POST", "/networks/mine/disconnect", {"Container": "web"}))[0] == 200
    assert (await client.call("DELETE", "/networks/mine"))[0] == 204


async def test_volumes(client: Client, host: Host) -> None:
    status, made = await client.call("POST", "/volumes/create", {"Name": "vol", "Labels": {"a": "b"}})
    assert status == 201
    assert made["Mountpoint"] == "/var/lib/docker/volumes/vol/_data"
    await run(host, "write", "/data/x", "1", name="one", HostConfig={"Binds": ["vol:/data"]})
    status, answer = await client.call("DELETE", "/volumes/vol")
    assert status == 409
    assert answer["message"].startswith("remove vol: volume is in use - [")
    await client.call("DELETE", "/containers/one")
    assert (await client.call("DELETE", "/volumes/vol"))[0] == 204


async def test_copying_files(client: Client, host: Host) -> None:
    await run(host, "write", "/tmp/x", "one", name="box")
    status, data = await client.call("GET", "/containers/box/archive?path=/tmp")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["tmp", "tmp/x"]
        assert tar.extractfile("tmp/x").read() == b"one"  # type: ignore[union-attr]
    await client.call("POST", "/containers/create?name=other", {**IMAGE, "Cmd": ["read", "/opt/tmp/x"]})
    assert (await client.call("PUT", "/containers/other/archive?path=/opt", raw=data))[0] == 200
    await client.call("POST", "/containers/other/start")
    await host.world.clock.settle()  # type: ignore[attr-defined]
    assert (await client.call("GET", "/containers/other/logs?stdout=1"))[1][8:] == b"one"
    for method, path, wanted, words in (
        ("GET", "/nope", 404, "Could not find the file /nope in container box"),
        ("PUT", "/nope", 404, "Could not find the file /nope in container box"),
        ("PUT", "/tmp/x", 400, "extraction point is not a directory"),
    ):
        status, answer = await client.call(method, f"/containers/box/archive?path={path}", raw=data)
        assert (status, answer["message"]) == (wanted, words)


async def test_copies_keep_modes_and_links(client: Client, host: Host) -> None:
    await run(host, "write", "/opt/run", "echo", name="box")
    files = archives.files_of(host, host.containers.get("box"))
    files.change("/opt/run", 0o750, 33, 44)
    files.symlink("run", "/opt/link")
    assert archives.stat(host, host.containers.get("box"), "/opt/link", "box") == {
        "name": "link", "size": 3, "mode": 1 << 27 | 0o777, "linkTarget": "/opt/run",
        "mtime": archives.stat(host, host.containers.get("box"), "/opt", "box")["mtime"],
    }  # fmt: skip
    _, data = await client.call("GET", "/containers/box/archive?path=/opt")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        run_, link = tar.getmember("opt/run"), tar.getmember("opt/link")
        assert (run_.mode, run_.uid, run_.gid) == (0o750, 33, 44)
        assert (link.issym(), link.linkname) == (True, "run")
    assert (await client.call("PUT", "/containers/box/archive?path=/srv", raw=data))[0] == 200
    assert (files.status("/srv/opt/run").text, files.status("/srv/opt/run").uid) == ("-rwxr-x---", 0)
    assert files.readlink("/srv/opt/link") == "run"
    assert (await client.call("PUT", "/containers/box/archive?path=/srv", raw=data))[0] == 200  # a second time


async def test_an_archive_cannot_reach_outside_of_its_directory(client: Client, host: Host) -> None:
    await run(host, name="box")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("../../etc/passwd")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    assert (await client.call("PUT", "/containers/box/archive?path=/tmp", raw=packed.getvalue()))[0] == 200
    files = host.containers.get("box").process.files  # type: ignore[union-attr]
    assert files.read("/tmp/etc/passwd") == b"x"


async def test_a_volume_that_is_mounted_read_only(client: Client, host: Host) -> None:
    container = await run(host, "write", "/data/x", "1", HostConfig={"Binds": ["vol:/data:ro"]})
    assert (container.exit_code, host.volumes.get("vol").size) == (1, 0)

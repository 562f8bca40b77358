"""marathon-lb on a machine: routing, stickiness, pages, plugs, and what it leaves behind. On both balancers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import aiohttp
import pytest
from support import present

from labkit.embedded.marathon.discovery.lb import MarathonLb

from .fakes import BackEnd, Lab, app, task, until


async def get(url: str, host: str = "", method: str = "GET", **more: Any) -> tuple[int, str, Any]:
    headers = {**({"Host": host} if host else {}), **more.pop("headers", {})}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method, url, headers=headers, allow_redirects=False, **more) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


async def web(place: Lab, count: int = 2, **labels: str) -> list[BackEnd]:
    found = [await place.back_end(f"agent-{index % 2 + 1}") for index in range(count)]
    place.marathon.apps.append(app(labels=labels, tasks=[each.task() for each in found]))
    return found


def at(balancer: MarathonLb, port: int = 10000) -> str:
    return f"http://{balancer.place(port)}"


async def test_requests_go_round(place: Lab, kind: str) -> None:
    servers = await web(place, HAPROXY_0_MODE="http")
    balancer = await place.balancer(kind)
    assert balancer.kind == kind
    names = [(await get(at(balancer)))[1] for _ in range(4)]
    assert sorted(set(names)) == sorted(each.name for each in servers)
    seen = servers[0].seen[0]
    assert seen["x-forwarded-for"].startswith("127.")
    assert seen["x-forwarded-port"] == "10000"


async def test_bodies_go_through_in_both_modes(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    place.marathon.apps.append(app("/http", 10001, {"HAPROXY_0_MODE": "http"}, tasks=[server.task()]))
    balancer = await place.balancer(kind)
    for port in (10000, 10001):
        for size in (10, 300_000):
            assert (await get(at(balancer, port), method="POST", data="x" * size))[1] == f"{server.name} {'x' * size}"

    async def chunks() -> Any:
        yield b"a" * 1000
        yield b"b" * 1000

    assert (await get(at(balancer, 10001), method="PUT", data=chunks()))[1].endswith("b" * 1000)


async def test_hosts_paths_and_app_ids(place: Lab, kind: str) -> None:
    (page,) = await web(place, 1, HAPROXY_0_VHOST="a.example,b.example")
    api = await place.back_end()
    labels = {"HAPROXY_0_VHOST": "a.example", "HAPROXY_0_PATH": "/api"}
    place.marathon.apps.append(app("/api", 10001, labels, tasks=[api.task()]))
    balancer = await place.balancer(kind)
    url = at(balancer, balancer.http_port)
    assert (await get(f"{url}/x", "A.example"))[1] == page.name
    assert (await get(f"{url}/x", "b.example:9080"))[1] == page.name
    assert (await get(f"{url}/api/x", "a.example"))[1] == api.name
    assert (await get(f"{url}/api/x", "b.example"))[1] == page.name
    status, text, _ = await get(url, "c.example")
    assert (status, "No server is available" in text) == (503, True)
    assert (await get(at(balancer, 9091), headers={"X-Marathon-App-Id": "/api"}))[1] == api.name


async def test_sticky_sessions(place: Lab, kind: str) -> None:
    await web(place, HAPROXY_0_MODE="http", HAPROXY_0_STICKY="true")
    balancer = await place.balancer(kind)
    _, first, headers = await get(at(balancer))
    cookie = headers["Set-Cookie"].split(";")[0]
    assert cookie.startswith("mesosphere_server_id=")
    for _ in range(3):
        assert (await get(at(balancer), headers={"Cookie": f"{cookie}; mine=1"}))[1] == first
    seen = next(each for each in place.back_ends if each.name == first).seen[-1]
    assert seen["cookie"].replace(" ", "").strip(";") == "mine=1"


async def test_paths_and_places_are_rewritten(place: Lab, kind: str) -> None:
    (server,) = await web(
        place, 1, HAPROXY_0_VHOST="a.example", HAPROXY_0_PATH="/app", HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH="/app"
    )
    balancer = await place.balancer(kind)
    await get(f"{at(balancer, balancer.http_port)}/app/one/two", "a.example")
    assert server.seen[-1]["path"] == "/one/two"


async def test_a_dead_server_costs_nobody_an_answer(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1, HAPROXY_0_MODE="http")
    gone = task(place.fleet.machine("agent-1").address, 9)
    place.marathon.apps[0]["tasks"].append(gone)
    balancer = await place.balancer(kind)
    assert [(await get(at(balancer)))[:2] for _ in range(6)] == [(200, server.name)] * 6


async def test_an_open_request_is_finished_where_it_is(place: Lab, kind: str) -> None:
    slow = await place.back_end(pause=0.5)
    place.marathon.apps.append(app(labels={"HAPROXY_0_MODE": "http"}, tasks=[slow.task()]))
    balancer = await place.balancer(kind)
    asked = asyncio.create_task(get(at(balancer)))
    await until(lambda: slow.served)
    other = await place.back_end()
    place.marathon.apps[0]["tasks"] = [other.task()]
    await place.settle(balancer)
    assert (await get(at(balancer)))[1] == other.name
    place.marathon.apps.clear()  # now the service goes, too
    await place.settle(balancer)
    assert (await asked)[:2] == (200, slow.name)
    with pytest.raises(aiohttp.ClientError):
        await get(at(balancer))


async def test_an_app_that_breaks_the_configuration_is_left_out(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    balancer = await place.balancer(kind)
    place.marathon.apps.append(app("/bad", 10001, {"HAPROXY_0_BALANCE": "by-moon"}, tasks=[server.task()]))
    await place.settle(balancer)
    assert (await get(at(balancer)))[1] == server.name
    if kind == "haproxy":
        assert any("/bad" in note for note in balancer.status()["notes"])


async def test_pages(place: Lab, kind: str) -> None:
    await web(place, 2, HAPROXY_0_VHOST="a.example")
    balancer = await place.balancer(kind)
    url = at(balancer, 9090)
    assert (await get(f"{url}/_haproxy_health_check"))[0] == 200
    assert "backend web_10000" in (await get(f"{url}/_haproxy_getconfig"))[1]
    assert (await get(f"{url}/_haproxy_getvhostmap"))[1] == "a.example web_10000\n"
    assert (await get(f"{url}/_haproxy_getappmap"))[1] == "/web web_10000\n"
    assert all(pid.isdigit() for pid in (await get(f"{url}/_haproxy_getpids"))[1].split())
    rows = [line.split(",")[:2] for line in (await get(f"{url}/haproxy?stats;csv"))[1].splitlines()]
    assert ["web_10000", "BACKEND"] in rows
    before = balancer.refreshed
    assert (await get(f"{url}/_mlb_signal/hup"))[1] == "Sent SIGHUP signal to marathon-lb"
    await until(lambda: balancer.refreshed > before)


async def test_what_the_graph_is_told(place: Lab, kind: str) -> None:
    servers = await web(place, HAPROXY_0_VHOST="a.example")
    balancer = await place.balancer(kind)
    (shown,) = await balancer.observe()
    assert (shown["appId"], shown["servicePort"], shown["vhosts"]) == ("/web", 10000, ["a.example"])
    assert sorted(each["address"] for each in shown["servers"]) == sorted(each.name for each in servers)
    assert all(each["up"] for each in shown["servers"])
    place.fleet.partition(["agent-2"])
    await until(lambda: [each["up"] for each in balancer.backends()[0]["servers"]] == [True, False])
    assert {(await get(at(balancer)))[1] for _ in range(4)} == {servers[0].name}
    place.fleet.heal("agent-2")
    await until(lambda: all(each["up"] for each in balancer.backends()[0]["servers"]))


async def test_it_goes_on_without_marathon(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    balancer = await place.balancer(kind)
    place.marathon.broken = True
    await place.settle(balancer)
    assert (await get(at(balancer)))[1] == server.name


async def test_it_is_off_while_its_machine_is_off(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    balancer = await place.balancer(kind)
    place.fleet.fail("master-1")
    await until(lambda: not balancer.running and not balancer._turn.locked())
    with pytest.raises(aiohttp.ClientError):
        await get(at(balancer))
    place.fleet.heal("master-1")
    before = balancer.refreshed
    await until(lambda: balancer.refreshed > before)
    assert (await get(at(balancer)))[1] == server.name


async def test_it_is_frozen_while_its_machine_is_paused(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    balancer = await place.balancer(kind)
    place.fleet.pause("master-1")
    asked = asyncio.create_task(get(at(balancer)))
    done, _ = await asyncio.wait([asked], timeout=0.3)
    assert not done
    place.fleet.heal("master-1")
    assert (await asyncio.wait_for(asked, 10))[1] == server.name


async def test_containers_reach_its_ports_as_long_as_they_are_open(place: Lab, kind: str) -> None:
    """The network knows its own listeners only, and HAProxy is a program of this computer."""
    (server,) = await web(place, 1)
    place.marathon.apps.append(app("/here", 10001, {"HAPROXY_0_BIND_ADDR": "127.0.0.1"}, tasks=[server.task()]))
    balancer = await place.balancer(kind)
    ip = balancer.machine.address

    async def reached(ip: str, port: int) -> bool:
        try:
            reader, writer = await place.network.connect("agent-1", ip, port)
        except OSError:
            return False
        writer.write(b"GET /_haproxy_health_check HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return b"200 OK" in answer

    assert await reached(ip, 10000)
    assert await reached(ip, balancer.options.stats_port)
    if kind == "haproxy":  # a label lets nobody out to this computer's own addresses
        assert not await reached("127.0.0.1", 10001)
    place.marathon.apps.clear()
    await place.settle(balancer)
    assert not await reached(ip, 10000)
    await balancer.stop()
    with socket.create_server((ip, balancer.options.stats_port)):  # it is somebody else's now
        assert not await reached(ip, balancer.options.stats_port)


async def test_a_fast_sandbox_waits_for_the_balancer(place: Lab, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HAProxy reads its configuration in the wall's time: at speed 100 a task that says goodbye for six seconds would
    be gone 0.06 s after it is told to, and customers would be sent to it."""
    await web(place)
    balancer = await place.balancer(kind)
    applied = asyncio.Event()

    async def slowly(services: object) -> None:
        await asyncio.sleep(0.3)  # as long as HAProxy reads; nothing is waited for
        applied.set()

    assert balancer._balancer is not None
    await place.settle(balancer)
    monkeypatch.setattr(balancer._balancer, "apply", slowly)
    place.clock.set_speed(100)
    told, real = place.clock.time(), time.monotonic()
    place.marathon.tell()
    await applied.wait()
    assert place.clock.time() - told < 3 + 2 * (time.monotonic() - real)
    await until(lambda: place.clock.time() - told > 30)  # and then it is fast again


async def test_a_taken_port_keeps_only_its_own_service_away(place: Lab, kind: str) -> None:
    (server,) = await web(place, 1)
    taken = await BackEnd(place.fleet.machine("master-1").address, 10001).start()
    place.back_ends.append(taken)
    place.marathon.apps.append(app("/other", 10001, tasks=[server.task()]))
    balancer = await place.balancer(kind)
    assert (await get(at(balancer)))[1] == server.name
    if kind == "haproxy":
        assert any("port 10001 is taken" in note for note in balancer.status()["notes"])


def alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] != "Z":
                    found.append(pid)
        except OSError:
            pass
    return found


@present.requires("haproxy")
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
class TestProcesses:
    async def test_none_is_left_after_a_stop(self, place: Lab) -> None:
        await web(place, 1)
        balancer = await place.balancer("haproxy")
        pids = await balancer.pids()
        assert len(pids) >= 2
        await balancer.stop()
        assert alive(pids) == []

    async def test_one_that_was_killed_is_started_again(self, place: Lab) -> None:
        (server,) = await web(place, 1)
        balancer = await place.balancer("haproxy")
        pids = await balancer.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        before = balancer.refreshed
        await until(lambda: balancer.refreshed > before)
        assert not alive(pids)
        assert (await get(at(balancer)))[1] == server.name

    async def test_none_is_left_when_the_engine_is_killed(self, place: Lab) -> None:
        script = (
            "import asyncio, pathlib, sys\n"
            "from labkit.embedded.marathon.discovery.lb.haproxy.process import HaproxyProcess\n"
            "async def main():\n"
            "    process = HaproxyProcess('haproxy', pathlib.Path(sys.argv[1]))\n"
            "    await process.start(pathlib.Path(sys.argv[2]).read_text())\n"
            "    print(*await process.pids(), flush=True)\n"
            "    process.freeze(sys.argv[3] == 'frozen')\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        config = place.folder / "small.cfg"
        socket, address = place.folder / "haproxy.sock", place.fleet.machine("master-1").address
        config.write_text(
            f"global\n  stats socket {socket} mode 600 level admin\ndefaults\n  timeout connect 1s\n"
            f"  timeout client 1s\n  timeout server 1s\nfrontend x\n  bind {address}:10009\n"
        )
        for how in ("running", "frozen"):
            engine = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(place.folder), str(config), how, stdout=subprocess.PIPE
            )
            assert engine.stdout is not None
            pids = [int(pid) for pid in (await engine.stdout.readline()).split()]
            assert len(alive(pids)) >= 2
            engine.send_signal(signal.SIGKILL)
            await engine.wait()
            await until(lambda pids=pids: not alive(pids))  # type: ignore[misc]

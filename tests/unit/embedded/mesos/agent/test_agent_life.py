"""An agent's ties to the masters, and what survives its stop, its machine and its engine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.until import until

from labkit.embedded.mesos.agent.watcher import TOKEN
from labkit.embedded.runtime.storage import Storage

from .houses import House, opened, task


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def condition(pid: int) -> str:
    """``S``: it sleeps, ``T``: it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def running(house: House, name: str, command: str = "sleep 1000", **framework: object) -> int:
    """Run a command, and return its process."""
    house.master.run(task(name, command), **framework)
    await house.until(lambda: house.master.states(name)[-1:] == ["RUNNING"])
    return house.agent.frameworks["F"].runs[name].group


async def test_it_registers_until_it_is_answered(house: House) -> None:
    house.master.answers = False
    house.detector.elect(house.master.pid)
    await house.agent.start()
    await house.pass_time(10)
    asked = len(house.master.of("RegisterSlaveMessage"))
    assert 4 <= asked <= 12
    house.master.answers = True
    await house.pass_time(60)
    assert house.agent.registered
    assert house.agent.id == "M-S0"
    said = house.master.of("RegisterSlaveMessage")[0]["agent"]
    assert "id" not in said
    assert said["hostname"] == house.agent.pid.address
    assert said["port"] == 5051


async def test_with_its_port_taken_it_does_not_run(house: House) -> None:
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    pid = house.agent.pid
    other = await house.network.listen("agent-1", pid.address, pid.port, nobody)
    house.detector.elect(house.master.pid)
    with pytest.raises(OSError, match="in use"):
        await house.agent.start()
    assert not house.agent.running
    other.shut()
    await house.registered()


async def test_it_goes_to_the_next_leader_with_all_it_has(house: House) -> None:
    await house.registered()
    await running(house, "t1")
    house.detector.elect(None)
    assert not house.agent.registered
    house.detector.elect(house.other.pid)
    await house.pass_time(1)
    assert house.agent.registered
    (body,) = house.other.of("ReregisterSlaveMessage")
    assert body["agent"]["id"] == {"value": "M-S0"}
    assert [(one["task_id"]["value"], one["state"]) for one in body["tasks"]] == [("t1", "TASK_RUNNING")]
    assert [one["id"]["value"] for one in body["frameworks"]] == ["F"]
    assert "executor_id" not in body["tasks"][0]


async def test_updates_are_sent_again_until_they_are_acknowledged(house: House) -> None:
    house.master.acknowledges = False
    await house.registered()
    house.master.run(task("t1", "exit 0"))
    await house.until(lambda: house.agent.runs() and house.agent.runs()[0].ended)
    assert house.master.states("t1") == ["STARTING"]  # one at a time
    await house.pass_time(31)
    sent = house.master.of("StatusUpdateMessage")
    assert len(sent) == 3  # at 0, 10 and 30 s
    assert len({body["update"]["uuid"] for body in sent}) == 1
    assert sent[-1]["update"]["latest_state"] == "TASK_FINISHED"
    house.master.acknowledges = True
    await house.pass_time(41)
    assert house.master.states("t1") == ["STARTING", "RUNNING", "FINISHED"]
    assert not house.agent.runs()


async def test_a_ping_is_answered_and_silence_noticed(house: House) -> None:
    await house.registered()
    house.master.send("PingSlaveMessage", {"connected": True})
    await house.pass_time(0.1)
    assert house.master.of("PongSlaveMessage") == [{}]
    house.master.send("PingSlaveMessage", {"connected": False})
    await house.pass_time(1)
    assert len(house.master.of("ReregisterSlaveMessage")) == 1
    await house.pass_time(77)
    assert len(house.master.of("ReregisterSlaveMessage")) == 2


async def test_executors_outlive_the_agents_stop(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1")
    house.master.run(task("t2", "sleep 0.2; exit 7"))
    await house.until(lambda: house.master.states("t2")[-1:] == ["RUNNING"])
    await house.agent.stop()
    assert house.network.real(house.agent.pid.address, 5051) is None
    await house.until(lambda: house.agent.frameworks["F"].runs["t2"].ended)
    assert house.master.states("t2")[-1] == "RUNNING"
    assert alive(pid)
    await house.agent.start()
    await house.until(lambda: house.master.states("t2")[-1:] == ["FAILED"])
    assert house.master.states("t1") == ["STARTING", "RUNNING"]
    assert alive(pid)


async def test_without_a_checkpoint_they_do_not(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1", checkpoint=False)
    await house.agent.stop()
    assert not alive(pid)
    assert not house.agent.runs()


async def test_pause_stops_the_real_processes_and_fail_ends_them(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1")
    house.fleet.pause("agent-1")
    # "D": stopped just while it forks, its child being frozen before it could become the command.
    await house.until(lambda: condition(pid) in "TD")
    house.fleet.heal("agent-1")
    await house.until(lambda: condition(pid) == "S")
    house.fleet.fail("agent-1")
    assert not alive(pid)
    house.master.heard.clear()
    house.fleet.heal("agent-1")
    await house.pass_time(1)
    (status,) = house.master.statuses("t1")
    assert (status["state"], status["message"]) == (
        "TASK_FAILED",
        "Abnormal executor termination: unknown container",
    )
    assert status["source"] == "SOURCE_AGENT"


async def test_a_partition_lets_tasks_run(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1")
    house.fleet.partition(["agent-1"])
    await house.pass_time(100)
    assert alive(pid)
    house.fleet.heal("agent-1")
    await house.pass_time(80)
    assert house.agent.registered
    assert alive(pid)


async def test_unacknowledged_updates_outlive_the_engine(tmp_path: Path) -> None:
    storage = Storage()
    async with opened(tmp_path, storage) as house:
        house.master.acknowledges = False
        await house.registered()
        house.master.run(task("t1", "exit 0"))
        house.master.run(task("t2", "sleep 1000"))
        await house.until(lambda: house.agent.runs() and house.agent.runs()[0].ended)
        await house.until(lambda: house.agent.frameworks["F"].runs["t2"].state == "TASK_RUNNING")
    async with opened(tmp_path, storage) as house:
        await house.registered()
        await house.pass_time(1)
        assert house.agent.id == "M-S0"
        assert house.master.states("t1") == ["STARTING", "RUNNING", "FINISHED"]
        assert house.master.states("t2") == ["STARTING", "RUNNING", "FAILED"]


async def test_updates_outlive_the_machines_power(house: House) -> None:
    house.master.acknowledges = False
    await house.registered()
    house.master.run(task("t1", image="nobody/nothing"))
    await house.pass_time(1)
    house.master.run(task("t2", image="nobody/nothing"))
    house.fleet.fail("agent-1")
    house.master.heard.clear()
    house.master.acknowledges = True
    house.fleet.heal("agent-1")
    await house.pass_time(2)
    assert house.master.states("t1") == ["FAILED"]


async def test_sandboxes_of_tasks_that_nobody_is_shown_go(house: House) -> None:
    house.agent.ledger._max_completed = 1
    await house.registered()
    for name in ("t1", "t2"):
        house.master.run(task(name, "true"))
        await house.until(lambda name=name: house.master.states(name)[-1:] == ["FINISHED"])
    folders = f"{house.work_dir}/slaves/M-S0/frameworks/F/executors"
    await house.until(lambda: os.listdir(folders) == ["t2"])


async def test_a_task_whose_id_was_used_before_keeps_its_sandbox(house: House) -> None:
    house.agent.ledger._max_completed = 0
    await house.registered()
    house.master.run(task("t1", "until [ -e go ]; do sleep 0.01; done"))
    first = (await house.until(lambda: house.agent.runs() and house.agent.runs()[0])).directory
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    house.master.kill("t1")
    await house.until(lambda: not house.agent.runs())
    house.master.run(task("t1", "sleep 1000"))
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    await house.until(lambda: not os.path.exists(first))
    (again,) = house.agent.runs()
    latest = os.readlink(f"{again.directory.rpartition('/')[0]}/latest")
    assert latest == again.container_id
    assert "stdout" in os.listdir(again.directory)


async def test_what_was_fetched_for_a_container_goes_with_it(house: House, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("hello")
    house.agent.ledger._max_completed = 0
    await house.registered()
    uris = [{"value": str(tmp_path / "page")}]
    house.master.run({**task("t1", image="nginx"), "command": {"shell": False, "uris": uris}})
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    (run,) = house.agent.runs()
    assert os.listdir(run.directory)
    house.master.kill("t1")
    await house.until(lambda: not os.path.exists(os.path.dirname(os.path.dirname(run.directory))))


async def test_sandboxes_that_an_earlier_engine_forgot_go(tmp_path: Path) -> None:
    storage = Storage()
    async with opened(tmp_path, storage) as house:
        await house.registered()
        house.master.run(task("over", "true"))
        house.master.run(task("runs", "sleep 1000"))
        await house.until(lambda: house.master.states("over")[-1:] == ["FINISHED"])
        await house.until(lambda: house.master.states("runs")[-1:] == ["RUNNING"])
    folders = f"{tmp_path}/slaves/M-S0/frameworks/F/executors"
    assert sorted(os.listdir(folders)) == ["over", "runs"]
    async with opened(tmp_path, storage) as house:
        house.master.acknowledges = False
        await house.registered()
        await house.until(lambda: os.listdir(folders) == ["runs"])


async def test_a_machine_without_power_still_has_what_was_over_on_its_disk(house: House) -> None:
    await house.registered()
    house.master.run(task("over", "true"))
    house.master.run(task("runs", "sleep 1000"))
    await house.until(lambda: house.master.states("over")[-1:] == ["FINISHED"])
    await house.until(lambda: house.master.states("runs")[-1:] == ["RUNNING"])
    house.fleet.fail("agent-1")
    house.fleet.heal("agent-1")
    await house.pass_time(2)
    (framework,) = house.agent.completed.values()
    assert [run.task_id for run in framework.completed] == ["over", "runs"]
    assert all("stdout" in os.listdir(run.directory) for run in framework.completed)


async def test_the_network_leads_to_what_a_command_opens(house: House) -> None:
    await house.registered()
    code = "import socket; s = socket.create_server(('0.0.0.0', 31777)); c, _ = s.accept(); c.sendall(b'hello')"
    house.master.run(task("t1", f'exec python3 -c "{code}"'))
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    for _ in range(200):
        try:
            reader, writer = await house.network.connect("master-1", house.agent.pid.address, 31777)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
    assert await reader.read(5) == b"hello"
    writer.close()


async def test_a_framework_that_is_gone_takes_its_tasks_along(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1")
    house.master.send("ShutdownFrameworkMessage", {"framework_id": {"value": "F"}})
    await house.until(lambda: not alive(pid))
    await house.until(lambda: not house.agent.runs())
    assert "F" in house.agent.completed
    assert house.master.states("t1") == ["STARTING", "RUNNING"]


async def test_a_master_may_shut_it_down(house: House) -> None:
    await house.registered()
    pid = await running(house, "t1")
    house.master.send("ShutdownMessage", {"message": "Agent has been marked gone"})
    await house.pass_time(0.1)
    assert not alive(pid)
    assert not house.agent.running
    await house.pass_time(3)
    assert len(house.master.of("RegisterSlaveMessage")) == 2  # as a new one


async def test_tasks_it_never_got_are_told_of(house: House) -> None:
    await house.registered()
    statuses = [{"task_id": {"value": "ghost"}, "state": "TASK_STAGING"}]
    again = {"agent_id": {"value": "M-S0"}, "reconciliations": [{"framework_id": {"value": "F"}, "statuses": statuses}]}
    house.master.send("SlaveReregisteredMessage", again)
    await house.pass_time(1)
    (status,) = house.master.statuses("ghost")
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_RECONCILIATION")


_ENGINE = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from unit.embedded.mesos.agent.houses import opened, task

async def main():
    async with opened(Path(sys.argv[1])) as house:
        await house.registered()
        house.master.run(task("plain", "trap '' TERM; sleep 1001 & sleep 1002; wait"))
        house.master.run(task("daemon", "setsid sleep 1003 & wait"))
        for name in ("plain", "daemon"):
            await house.until(lambda: house.master.states(name)[-1:] == ["RUNNING"])
        print(house.agent.host.watcher.token, flush=True)
        await asyncio.sleep(100)

asyncio.run(main())
"""


def test_processes_are_gone_when_the_engine_is_killed(tmp_path: Path) -> None:
    tests = Path(__file__).parents[4]
    script = _ENGINE.format(tests=str(tests), root=str(tests.parent))
    engine = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert engine.stdout is not None
        token = engine.stdout.readline().strip()
        assert token

        def theirs() -> list[int]:
            found = []
            for path in Path("/proc").glob("[0-9]*/environ"):
                try:
                    if f"{TOKEN}={token}".encode() in path.read_bytes() and alive(int(path.parent.name)):
                        found.append(int(path.parent.name))
                except OSError:
                    continue
            return found

        until(lambda: len(theirs()) >= 5, what="all processes run")
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()
        until(lambda: not theirs(), what="all processes are gone", timeout=5)
    finally:
        if engine.poll() is None:
            engine.kill()
            engine.wait()
        if engine.stdout is not None:
            engine.stdout.close()

"""Tasks on an agent: their life, their ends, and the words that tell of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .houses import House, task


async def test_a_command_runs_in_its_sandbox(house: House) -> None:
    await house.registered()
    house.master.run(task("t1", 'echo "$MESOS_TASK_ID $MESOS_SANDBOX $SECRET"; pwd; echo oops >&2'))
    await house.until(lambda: house.master.states("t1") == ["STARTING", "RUNNING", "FINISHED"])
    started, running, finished = house.master.statuses("t1")
    assert finished["message"] == "Command exited with status 0"
    assert finished["source"] == started["source"] == "SOURCE_EXECUTOR"
    address = house.fleet.machine("agent-1").address
    assert running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == address
    await house.until(lambda: not house.agent.runs())
    run = house.agent.completed["F"].completed[0]
    folder = Path(run.directory)
    assert run.directory.startswith(f"{house.work_dir}/slaves/M-S0/frameworks/F/executors/t1/runs/")
    assert (folder / "stdout").read_text() == f"t1 {folder} \n{folder}\n"
    assert (folder / "stderr").read_text() == "oops\n"
    assert os.readlink(folder.parent / "latest") == run.container_id


async def test_how_a_command_ends_is_told(house: House) -> None:
    await house.registered()
    house.master.run(task("one", "exit 3"))
    house.master.run(task("two", "kill -SEGV $$"))
    argv = task("three")
    argv["command"] = {"shell": False, "value": "sh", "arguments": ["sh", "-c", "exit 4"]}
    house.master.run(argv)
    ends = {"one": "exited with status 3", "two": "terminated with signal Segmentation fault"}
    for name, words in (ends | {"three": "exited with status 4"}).items():
        await house.until(lambda name=name: house.master.states(name)[-1:] == ["FAILED"])
        assert house.master.statuses(name)[-1]["message"] == f"Command {words}"


@pytest.mark.parametrize("name", ["A=B", "A\0"])
async def test_what_no_process_can_be_given_fails_the_task(house: House, name: str) -> None:
    await house.registered()
    odd = task("t1", "true")
    odd["command"]["environment"] = {"variables": [{"name": name, "value": "x"}]}
    house.master.run(odd)
    await house.until(lambda: house.master.states("t1")[-1:] == ["FAILED"])
    end = house.master.statuses("t1")[-1]
    assert end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert end["message"].startswith("Failed to launch container: ")


async def test_a_kill_is_asked_first_and_insisted_on(house: House) -> None:
    await house.registered()
    house.master.run(task("soft", "sleep 100"))
    house.master.run(task("hard", "trap '' TERM; touch ready; while :; do sleep 0.05; done"))
    await house.until(lambda: house.master.states("soft")[-1:] == ["RUNNING"])
    await house.until(lambda: list(house.work_dir.glob("**/hard/runs/latest/ready")))
    for name in ("soft", "hard"):
        house.master.kill(name)
    await house.until(lambda: house.master.states("soft")[-1:] == ["KILLED"])
    assert house.master.statuses("soft")[-1]["message"] == "Command terminated with signal Terminated"
    assert house.master.states("hard") == ["STARTING", "RUNNING"]
    await house.pass_time(3.1)
    await house.until(lambda: house.master.states("hard")[-1:] == ["KILLED"])
    assert house.master.statuses("hard")[-1]["message"] == "Command terminated with signal Killed"


async def test_killing_is_told_to_those_who_know_the_state(house: House) -> None:
    await house.registered()
    house.master.run(task("t1", "sleep 100"), capabilities=[{"type": "TASK_KILLING_STATE"}])
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    house.master.kill("t1", kill_policy={"grace_period": {"nanoseconds": 0}})
    await house.until(lambda: house.master.states("t1")[-2:] == ["KILLING", "KILLED"])


async def test_an_image_runs_with_an_address_of_its_own(house: House) -> None:
    await house.registered()
    given = task("web", image="nginx")
    given["container"]["docker"]["port_mappings"] = [{"host_port": 31005, "container_port": 80, "protocol": "tcp"}]
    house.master.run(given)
    await house.pass_time(2)
    assert house.master.states("web") == ["STARTING", "RUNNING"]
    status = house.master.statuses("web")[-1]
    ip = status["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"]
    assert ip != house.fleet.machine("agent-1").address
    assert house.network.real(house.agent.pid.address, 31005) is not None
    reader, writer = await house.network.connect("master-1", house.agent.pid.address, 31005)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()
    house.master.kill("web")
    await house.pass_time(4)
    assert house.master.states("web")[-1] == "KILLED"
    assert house.network.real(house.agent.pid.address, 31005) is None


async def test_an_unknown_image_fails_in_dockers_words(house: House) -> None:
    await house.registered()
    house.master.run(task("t1", image="nobody/nothing:1"))
    await house.pass_time(2)
    status = house.master.statuses("t1")[-1]
    assert house.master.states("t1") == ["FAILED"]
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert status["message"].startswith(
        "Failed to launch container: Failed to run 'docker -H unix:///var/run/docker.sock pull nobody/nothing:1': "
        "exited with status 1; stderr='Error response from daemon: pull access denied"
    )


async def test_an_executor_of_ones_own_is_refused(house: House) -> None:
    await house.registered()
    house.master.run(task("t1", executor={"executor_id": {"value": "e"}}))
    await house.pass_time(1)
    assert house.master.states("t1") == ["FAILED"]
    assert "not simulated" in house.master.statuses("t1")[-1]["message"]


async def test_health_checks_say_healthy_then_kill(house: House) -> None:
    await house.registered()
    check = {
        "type": "COMMAND", "command": {"value": "test -e well"}, "delay_seconds": 0, "interval_seconds": 1,
        "grace_period_seconds": 0, "consecutive_failures": 2,
    }  # fmt: skip
    house.master.run(task("t1", "touch well; sleep 100", health_check=check))
    await house.until(lambda: house.master.statuses("t1")[-1:] and house.master.statuses("t1")[-1].get("healthy"))
    next(house.work_dir.glob("**/t1/runs/*/well")).unlink()
    await house.until(lambda: house.master.states("t1")[-1:] == ["KILLED"])
    assert house.master.statuses("t1")[-1]["healthy"] is False


async def test_local_uris_are_fetched_and_others_refused(house: House, tmp_path: Path) -> None:
    source = tmp_path / "tool.sh"
    source.write_text("echo fetched\n")
    await house.registered()
    given = task("t1", "./tool.sh")
    given["command"]["uris"] = [{"value": f"file://{source}", "executable": True}]
    house.master.run(given)
    far = task("t2", "true")
    far["command"]["uris"] = [{"value": "http://example.com/x.tgz"}]
    house.master.run(far)
    await house.until(lambda: house.master.states("t1")[-1:] == ["FINISHED"])
    await house.until(lambda: house.master.states("t2")[-1:] == ["FAILED"])
    assert "Failed to fetch all URIs" in house.master.statuses("t2")[-1]["message"]
    assert "from this computer only" in next(house.work_dir.glob("**/t2/runs/*/stderr")).read_text()


async def test_checks_reach_into_a_container(house: House) -> None:
    await house.registered()
    given = {"delay_seconds": 0, "interval_seconds": 1, "timeout_seconds": 5}
    http = {"type": "HTTP", "http": {"port": 80, "path": "/"}, **given}
    house.master.run(task("web", image="nginx", health_check=http, check={"type": "TCP", "tcp": {"port": 80}, **given}))
    await house.until(lambda: any(one.get("healthy") for one in house.master.statuses("web")))
    await house.until(
        lambda: house.master.statuses("web")[-1]["check_status"] == {"type": "TCP", "tcp": {"succeeded": True}}
    )
    wrong = {"type": "HTTP", "http": {"port": 81, "path": "/"}, "grace_period_seconds": 0, **given}
    house.master.run(task("sick", image="nginx", health_check=wrong))
    await house.until(lambda: house.master.states("sick")[-1:] == ["KILLED"])
    assert house.master.statuses("sick")[-1]["healthy"] is False


async def test_a_task_may_take_only_so_long(house: House) -> None:
    await house.registered()
    house.master.run(task("t1", "sleep 100", max_completion_time={"nanoseconds": 2_000_000_000}))
    await house.until(lambda: house.master.states("t1")[-1:] == ["RUNNING"])
    await house.pass_time(2.5)
    await house.until(lambda: house.master.states("t1")[-1:] == ["FAILED"])
    assert house.master.statuses("t1")[-1]["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"


async def test_memory_is_limited_in_containers(house: House) -> None:
    await house.registered()
    made = task("hog", image="labkit/memory-hog")
    made["container"] = {
        "type": "MESOS",
        "mesos": {"image": {"type": "DOCKER", "docker": {"name": "labkit/memory-hog"}}},
    }
    house.master.run(made)
    await house.pass_time(30)
    status = house.master.statuses("hog")[-1]
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
    assert status["message"].startswith("Memory limit exceeded")

"""Decisions of an agent that need no agent: checks, containers, fetching, environments."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from labkit.embedded.mesos.agent import environment, fetcher, sandbox, statuses
from labkit.embedded.mesos.agent.checks import Health, Rule, Verdict
from labkit.embedded.mesos.agent.containers import Mapping, is_image, read
from labkit.embedded.mesos.agent.executor import grace_of


def test_defaults_of_a_check() -> None:
    rule = Rule.of({"type": "TCP", "tcp": {"port": 80}})
    assert rule is not None
    assert (rule.delay, rule.interval, rule.timeout, rule.grace, rule.failures) == (15.0, 10.0, 20.0, 10.0, 3)
    assert Rule.of({}) is None
    assert Rule.of({"type": "UNKNOWN"}) is None


def test_health_is_told_when_it_changes_and_kills_after_failures_in_a_row() -> None:
    rule = Rule.of({"type": "COMMAND", "command": {"value": "x"}, "grace_period_seconds": 5, "consecutive_failures": 2})
    assert rule is not None
    health = Health(rule, since=0.0)
    said = [health.take(ok, now) for ok, now in ((False, 1), (True, 2), (True, 3), (False, 4), (True, 5), (False, 6))]
    assert said == [None, Verdict(True), None, Verdict(False), Verdict(True), Verdict(False)]
    assert health.take(False, 7) == Verdict(False, kill=True)


DOCKER: dict[str, Any] = {"type": "DOCKER", "docker": {"image": "nginx", "network": "BRIDGE"}}


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ({"shell": True, "value": "echo hi"}, ["/bin/sh", "-c", "echo hi"]),
        ({"shell": False}, ["/entry", "serve"]),
        ({"shell": False, "arguments": ["a", "b"]}, ["/entry", "a", "b"]),
        ({"shell": False, "value": "x", "arguments": ["a"]}, ["/entry", "x", "a"]),
    ],
)
def test_what_docker_runs(command: Any, args: list[str]) -> None:
    wanted = read({"command": command, "container": DOCKER})
    assert wanted.args(("/entry",), ("serve",)) == args


def test_what_mesos_own_containerizer_runs() -> None:
    image = {"type": "DOCKER", "docker": {"name": "nginx"}}
    task = {"container": {"type": "MESOS", "mesos": {"image": image}, "network_infos": [{"name": "net"}]}}
    wanted = read({**task, "command": {"shell": False, "value": "/bin/x", "arguments": ["x", "-v"]}})
    assert (wanted.docker, wanted.on_host, wanted.network) == (False, False, "net")
    assert wanted.args(("/entry",), ()) == ["/bin/x", "-v"]
    assert not is_image({"container": {"type": "MESOS"}})


def test_ports_of_a_container() -> None:
    mappings = [
        {"host_port": 31000, "container_port": 80, "protocol": "tcp"},
        {"host_port": 31001, "container_port": 53, "protocol": "udp"},
    ]
    docker = {**DOCKER["docker"], "port_mappings": mappings}
    assert read({"container": {"type": "DOCKER", "docker": docker}}).ports == (Mapping(31000, 80),)
    docker["network"] = "HOST"
    assert read({"container": {"type": "DOCKER", "docker": docker}}).ports == ()


def test_words_of_an_end() -> None:
    assert statuses.exit_words(1) == "exited with status 1"
    assert statuses.exit_words(-15) == "terminated with signal Terminated"
    assert [statuses.outcome(code, killed) for code, killed in ((0, False), (1, False), (0, True))] == [
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
    ]
    assert grace_of({"grace_period": {"nanoseconds": 5_000_000_000}}) == 5.0
    assert grace_of(None) is None


def test_a_task_does_not_inherit_what_is_none_of_its_business() -> None:
    env = environment.of_command(
        {"task_id": {"value": "t"}, "command": {"environment": {"variables": [{"name": "A", "value": "1"}]}}},
        "F", directory="/d", agent_id="S0", agent_pid="slave(1)@x", ip="127.9.0.1", port=5051, container_id="c",
        checkpoint=True, inherited={"PATH": "/bin", "MARATHON_URL": "http://labkit:secret@x"}, grace=5,
    )  # fmt: skip
    assert "MARATHON_URL" not in env
    assert (env["A"], env["PATH"], env["MESOS_TASK_ID"], env["LIBPROCESS_IP"]) == ("1", "/bin", "t", "127.9.0.1")


def test_archives_are_unpacked_and_stay_inside(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    good, bad, packed = tmp_path / "good.tgz", tmp_path / "bad.tar", tmp_path / "p.zip"
    for path, name in ((good, "in/side"), (bad, "../outside")):
        with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"hi"))
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("zipped", "hi")
    fetcher.fetch({"value": str(good)}, str(box))
    fetcher.fetch({"value": f"file://{packed}"}, str(box))
    assert (box / "in/side").read_text() == (box / "zipped").read_text() == "hi"
    fetcher.fetch({"value": str(good), "extract": False, "output_file": "kept.tgz"}, str(box))
    assert (box / "kept.tgz").is_file()
    with pytest.raises(fetcher.FetchError):
        fetcher.fetch({"value": str(bad)}, str(box))
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "uri",
    [
        {"value": "relative/path"},
        {"value": "hdfs://name/file"},
        {"value": "https://example.com/x"},
        {"value": "/etc/hostname", "output_file": "../../x"},
        {"value": "/no/such/file"},
        {"value": ""},
    ],
)
def test_what_is_not_fetched(uri: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(fetcher.FetchError):
        fetcher.fetch(uri, str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "..", "a/b", "x\0", "y" * 256])
def test_names_that_are_no_folders(name: str) -> None:
    with pytest.raises(sandbox.BadName):
        sandbox.executor_path(Path("/w"), "S0", "F", name)


def test_the_newest_status_of_each_state_is_remembered_without_its_data() -> None:
    starting, first = {"state": "TASK_STARTING"}, {"state": "TASK_RUNNING", "data": "W10="}
    newest = {"state": "TASK_RUNNING", "healthy": True, "data": "W10="}
    known = statuses.remember(statuses.remember(statuses.remember([], starting), first), newest)
    assert known == [starting, {"state": "TASK_RUNNING", "healthy": True}]
    assert newest["data"] == "W10="  # it is on the wire

"""infra/marathon/project: the Compose project hangs together, listens on loopback only and lets nobody in."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.mesos_standin import flags

from labkit.engines.hosts import infra

FOLDER = infra("marathon")
PORTS = "master-1 5050 20001\nmaster-1 8080 20002\nmaster-1 2181 20003\nagent-2 5051 20004\n"


def written(tmp_path: Path, *arguments: str) -> str:
    ports = tmp_path / "ports"
    ports.write_text(PORTS)
    base = ["--name", "demo", "--subnet", "172.30.5", "--password", "s3cret", "--state", str(tmp_path)]
    done = subprocess.run(
        ["bash", str(FOLDER / "project"), *base, "--ports", str(ports), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def project(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(written(tmp_path, *arguments))
    return found


def defaults() -> dict[str, str]:
    lines = (FOLDER / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def components(made: dict[str, Any]) -> dict[str, list[str]]:
    """By machine: what runs on it."""
    found: dict[str, list[str]] = {}
    for service in made["services"].values():
        labels = service["labels"]
        found.setdefault(labels["labkit.machine"], []).append(labels["labkit.component"])
    return found


def test_what_runs_where(tmp_path: Path) -> None:
    made = project(tmp_path)
    common = ["0-machine", "zookeeper", "mesos-master"]
    assert components(made) == {
        "master-1": [*common, "marathon", "mesos-dns", "marathon-lb"],
        "master-2": [*common, "marathon"],
        "master-3": common,
        **{f"agent-{i}": ["0-machine", "mesos-agent"] for i in (1, 2, 3)},
    }
    assert made["services"]["mesos-master-master-2"]["environment"]["MESOS_QUORUM"] == "2"


@pytest.mark.parametrize(("masters", "members", "quorum"), [(1, 1, "1"), (2, 1, "2"), (5, 3, "3")])
def test_zookeeper_has_one_member_or_three(tmp_path: Path, masters: int, members: int, quorum: str) -> None:
    made = project(tmp_path, "--masters", str(masters), "--agents", "1")
    assert sum("zookeeper" in there for there in components(made).values()) == members
    environment = made["services"][f"mesos-master-master-{masters}"]["environment"]
    assert environment["MESOS_QUORUM"] == quorum
    assert len(environment["MESOS_ZK"].split(",")) == members
    assert ("marathon-master-2" in made["services"]) == (masters > 1)


def test_what_is_named_is_there(tmp_path: Path) -> None:
    made = project(tmp_path, "--masters", "5", "--agents", "4")
    services, volumes = made["services"], made["volumes"]
    for name, service in services.items():
        for other, when in service.get("depends_on", {}).items():
            assert other in services, name
            assert "healthcheck" in services[other] or when["condition"] == "service_started", (name, other)
        mode = service.get("network_mode")
        assert mode is None or mode.removeprefix("service:") in services
        assert ("networks" in service) != ("network_mode" in service), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in volumes or Path(source).is_file(), (name, volume)
        for network in service.get("networks", {}):
            assert network in made["networks"]


def test_only_loopback_is_listened_on(tmp_path: Path) -> None:
    made = project(tmp_path)
    published = {name: one["ports"] for name, one in made["services"].items() if "ports" in one}
    assert published == {
        "master-1": ["127.0.0.1:20001:5050", "127.0.0.1:20002:8080", "127.0.0.1:20003:2181"],
        "agent-2": ["127.0.0.1:20004:5051"],
    }


def test_nobody_gets_in_without_the_password(tmp_path: Path) -> None:
    made = project(tmp_path)
    services = made["services"]
    for name in ("mesos-master-master-1", "mesos-agent-agent-1"):
        environment = services[name]["environment"]
        assert environment["MESOS_AUTHENTICATE_HTTP_READONLY"] == environment["MESOS_AUTHENTICATE_HTTP_READWRITE"]
        assert environment["MESOS_AUTHENTICATE_HTTP_READWRITE"] == "true"
    assert services["mesos-master-master-1"]["environment"]["MESOS_AUTHENTICATE_HTTP_FRAMEWORKS"] == "true"
    assert services["marathon-master-2"]["environment"]["MARATHON_HTTP_CREDENTIALS"] == "labkit:s3cret"
    for file in ("credentials.json", "credential.json", "mesos-dns.json"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "credential.json").read_text()) == {"principal": "labkit", "secret": "s3cret"}
    dns = json.loads((tmp_path / "mesos-dns.json").read_text())
    assert dns["masters"] == [f"172.30.5.{i}:5050" for i in (11, 12, 13)]


def test_every_image_is_named_in_the_one_file(tmp_path: Path) -> None:
    made = project(tmp_path)
    used = {name for one in made["services"].values() for name in re.findall(r"\$\{(\w+)\}", json.dumps(one))}
    assert used == set(defaults())
    images = {one["image"] for one in made["services"].values()}
    assert all(re.fullmatch(r"\$\{\w+_IMAGE\}", image) for image in images)
    assert all(":" in value for name, value in defaults().items() if name.endswith("_IMAGE"))


def test_agents_have_attributes_and_ports_of_their_own(tmp_path: Path) -> None:
    made = project(tmp_path, "--agents", "4")
    environments = [made["services"][f"mesos-agent-agent-{i}"]["environment"] for i in (1, 2, 3, 4)]
    assert [one["MESOS_ATTRIBUTES"] for one in environments] == [
        "machine:agent-1;rack:rack-1;zone:a",
        "machine:agent-2;rack:rack-2;zone:b",
        "machine:agent-3;rack:rack-1;zone:c",
        "machine:agent-4;rack:rack-2;zone:a",
    ]
    assert len({one["MESOS_RESOURCES"] for one in environments}) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--subnet", "here"], "not three numbers"),
        (["--password", "a b"], "letters and digits only"),
        (["--name", "A"], "lower-case letters"),
        (["--what"], "unknown option: --what"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str], says: str) -> None:
    base = ["--subnet", "172.30.5", "--password", "x", "--state", str(tmp_path)]
    done = subprocess.run(["bash", str(FOLDER / "project"), *base, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert says in done.stderr


@pytest.mark.requires("compose")
def test_compose_takes_it(tmp_path: Path) -> None:
    """Compose's own validation; it wants no engine for that."""
    compose_file = tmp_path / "compose.yaml"
    compose_file.write_text(written(tmp_path))
    command = ["docker", "compose", "--env-file", str(FOLDER / ".env"), "-f", str(compose_file), "config", "--format"]
    done = subprocess.run([*command, "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    # It has filled in what .env says, and left alone what is for the container's shell.
    assert services["marathon-master-1"]["image"] == defaults()["MARATHON_IMAGE"]
    assert services["mesos-dns-master-1"]["entrypoint"][2].startswith("exec $$(command -v mesos-dns")
    assert "cpus:4;mem:4096" in services["mesos-agent-agent-1"]["environment"]["MESOS_RESOURCES"]


def test_nothing_takes_the_port_of_another_on_its_machine(tmp_path: Path) -> None:
    """The official ZooKeeper image has an admin server on 8080 unless it is told not to: there Marathon listens."""
    made = project(tmp_path)
    for number in (1, 2, 3):
        environment = made["services"][f"zookeeper-master-{number}"]["environment"]
        assert environment["ZOO_ADMINSERVER_ENABLED"] == "false"


@pytest.mark.parametrize("program", ["mesos-master", "mesos-agent", "marathon"])
def test_every_flag_is_a_documented_one(tmp_path: Path, program: str) -> None:
    """The real programs pass over variables that they do not know: a slip would go unseen."""
    made = project(tmp_path)
    programs = [one for name, one in made["services"].items() if name.startswith(f"{program}-")]
    found = [one for one in programs if one["labels"]["labkit.component"] == program]
    assert found
    for one in found:
        flags.read(program, one["environment"])
        with pytest.raises(flags.WrongFlags, match="no flag typo"):
            flags.read(program, {**one["environment"], f"{flags.PREFIX[program]}TYPO": "1"})

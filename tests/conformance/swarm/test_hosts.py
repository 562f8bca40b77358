"""Each node as a Docker host of its own: ps, logs, inspect, exec, images, pull, events."""

from __future__ import annotations

import ipaddress
import json
import re
import select
from typing import IO

import docker
import pytest
from support.cluster import BUSYBOX, WHOAMI, Cluster, Host
from support.present import requires
from support.until import until

SECOND = 1_000_000_000
TALK = ["sh", "-c", "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; sleep 1000"]


@pytest.fixture
def talker(swarm: Cluster) -> tuple[Host, str]:
    """A container that has said three lines and lives on."""
    service = swarm.create(BUSYBOX, command=TALK, replicas=1)
    [task] = swarm.running(service, 1)
    host, container = swarm.container_of(task)
    until(lambda: len(host.api.logs(container).splitlines()) == 3)
    return host, container


@requires("docker-cli")
def test_ps_shows_the_containers_of_this_node_only(swarm: Cluster, web: str) -> None:
    tasks = swarm.running(web, 3)
    label = f"label=com.docker.swarm.service.id={tasks[0]['ServiceID']}"
    for host in swarm.hosts.values():
        names = host.cli("ps", "--format", "{{.Names}}", "--filter", label).lines
        assert sorted(names) == sorted(f"{web}.{t['Slot']}.{t['ID']}" for t in tasks if swarm.host_of(t) is host)
    host = swarm.host_of(tasks[0])
    [row] = host.cli("ps", "--format", "{{.Image}}|{{.State}}|{{.Status}}", "--filter", f"name={web}.1").lines
    assert re.match(rf"{WHOAMI}|running|Up ", row)
    header = host.cli("ps").lines[0].split()
    assert header == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"label": ["com.docker.swarm.service.name=web"]}, True),
        ({"label": ["com.docker.swarm.service.name=other"]}, False),
        ({"status": ["running"]}, True),
        ({"status": ["exited"]}, False),
        ({"name": ["web.1"]}, True),
        ({"ancestor": [WHOAMI]}, True),
        ({"is-task": ["true"]}, True),
        ({"name": {"web.1": True}}, True),
    ],
    ids=str,
)
def test_filters_of_containers(swarm: Cluster, web: str, filters: dict, found: bool) -> None:
    host, container = swarm.container_of(swarm.running(web, 3)[0])
    listed = host.get("/containers/json", all="true", filters=json.dumps(filters))
    assert (container in [one["Id"] for one in listed]) is found


@requires("docker-cli")
def test_inspect_a_container(swarm: Cluster, web: str) -> None:
    task = swarm.running(web, 3)[0]
    host, container = swarm.container_of(task)
    [found] = json.loads(host.cli("inspect", container).out)
    assert found["Id"] == container
    assert found["Name"] == f"/{web}.1.{task['ID']}"
    assert found["State"]["Status"] == "running"
    assert found["State"]["Running"] is True
    assert found["State"]["Pid"] == task["Status"]["ContainerStatus"]["PID"]
    assert found["Config"]["Image"] == WHOAMI
    assert found["Config"]["Env"][0] == "COLOUR=blue"
    address = task["NetworksAttachments"][0]["Addresses"][0].split("/")[0]
    assert found["NetworkSettings"]["Networks"]["ingress"]["IPAddress"] == address
    assert found["RestartCount"] == 0


@requires("docker-cli")
@pytest.mark.parametrize(
    ("flags", "out", "err"),
    [
        ([], ["one", "three"], ["two"]),
        (["--tail", "1"], ["three"], []),
        (["--tail", "0"], [], []),
    ],
)
def test_logs(talker: tuple[Host, str], flags: list[str], out: list[str], err: list[str]) -> None:
    host, container = talker
    done = host.cli("logs", *flags, container)
    assert (done.lines, done.err.splitlines()) == (out, err)


@requires("docker-cli")
def test_logs_with_time(talker: tuple[Host, str]) -> None:
    host, container = talker
    for line in host.cli("logs", "-t", container).lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (one|three)", line)


def test_logs_through_docker_py(talker: tuple[Host, str]) -> None:
    host, container = talker
    found = host.client.containers.get(container)
    assert found.logs(stdout=True, stderr=False) == b"one\nthree\n"
    assert found.logs(stdout=False, stderr=True) == b"two\n"
    assert found.logs(tail=1) == b"three\n"
    stream = found.logs(stream=True, follow=True)
    assert b"one\n" in {next(stream) for _ in range(3)}
    stream.close()


@requires("docker-cli")
def test_exec(talker: tuple[Host, str]) -> None:
    host, container = talker
    assert host.cli("exec", container, "echo", "hello").text == "hello"
    assert host.cli("exec", "-i", container, "cat", stdin="typed\n").out == "typed\n"
    assert host.cli("exec", "-e", "A=5", container, "sh", "-c", "echo $A").text == "5"
    assert host.cli("exec", container, "sh", "-c", "exit 7", check=False).code == 7


def test_exec_through_docker_py(talker: tuple[Host, str]) -> None:
    host, container = talker
    code, output = host.client.containers.get(container).exec_run(["sh", "-c", "echo out; exit 3"])
    assert (code, output) == (3, b"out\n")


@requires("docker-cli")
def test_run_prints_and_removes(swarm: Cluster) -> None:
    host = swarm.workers[0]
    assert host.cli("run", "--rm", BUSYBOX, "echo", "hello").text == "hello"
    assert host.cli("run", "--rm", BUSYBOX, "sh", "-c", "exit 4", check=False).code == 4
    assert host.client.containers.run(BUSYBOX, ["echo", "hi"], remove=True) == b"hi\n"


@requires("docker-cli")
def test_a_container_by_hand(swarm: Cluster) -> None:
    host, name = swarm.workers[0], swarm.name("c")
    host.cli("run", "-d", "--name", name, BUSYBOX, "sleep", "1000")
    try:
        assert host.cli("inspect", "-f", "{{.State.Status}}", name).text == "running"
        clash = host.cli("run", "-d", "--name", name, BUSYBOX, "true", check=False)
        assert clash.code == 125
        assert f'The container name "/{name}" is already in use by container' in clash.err
        assert host.cli("stop", "-t", "0", name).text == name
        assert host.cli("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).text == "exited 137"
        host.cli("start", name)
        assert "running" in host.cli("rm", name, check=False).err
    finally:
        host.cli("rm", "-f", name)
    assert host.cli("ps", "-a", "-q", "--filter", f"name={name}").text == ""


@requires("docker-cli")
def test_a_container_that_is_not_there(swarm: Cluster) -> None:
    for command in (["logs", "nosuch"], ["rm", "nosuch"], ["kill", "nosuch"], ["exec", "nosuch", "true"]):
        done = swarm.cli(*command, check=False)
        assert done.code == 1
        assert "No such container: nosuch" in done.err


@requires("docker-cli")
def test_images(swarm: Cluster, web: str) -> None:
    host = swarm.host_of(swarm.running(web, 3)[0])
    assert WHOAMI in host.cli("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert host.cli("images", "-q", "nosuch").text == ""
    assert WHOAMI in {tag for image in host.client.images.list() for tag in image.tags}
    header = host.cli("images").lines[0].split()
    assert header == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]


@requires("docker-cli")
def test_inspect_an_image(swarm: Cluster, web: str) -> None:
    host = swarm.host_of(swarm.running(web, 3)[0])
    [found] = json.loads(host.cli("image", "inspect", WHOAMI).out)
    assert WHOAMI in found["RepoTags"]
    assert found["Id"].startswith("sha256:")
    assert "80/tcp" in found["Config"]["ExposedPorts"]
    assert (found["Os"], found["Architecture"]) == ("linux", "amd64")


def test_an_image_that_is_not_there(swarm: Cluster, same) -> None:
    answer = swarm.manager.raw("GET", "/images/nosuch:1/json")
    assert answer.status_code == 404
    same(answer.json()["message"], "no such image", name="nosuch:1")
    with pytest.raises(docker.errors.ImageNotFound):
        swarm.client.images.get("nosuch:1")


@requires("docker-cli")
def test_pull_of_an_image_that_does_not_exist(swarm: Cluster, same) -> None:
    done = swarm.cli("pull", "labkit/nosuchimage:1", check=False)
    assert done.code == 1
    same(done.error, "pull fails", name="labkit/nosuchimage")


@requires("docker-cli")
def test_pull_of_an_image_that_exists(swarm: Cluster) -> None:
    done = swarm.cli("pull", WHOAMI, check=False)
    if swarm.engine == "docker" and done.code:
        pytest.skip("docker: no registry can be reached from here")
    assert f"Status: Image is up to date for {WHOAMI}" in done.out or "Status: Downloaded newer image" in done.out


@requires("docker-cli")
def test_events_of_containers(swarm: Cluster) -> None:
    host = swarm.workers[0]
    name = swarm.name("c")
    knock = swarm.name("knock")
    stream = host.start(
        *("events", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"),
        *("--filter", f"container={name}", "--filter", f"container={knock}"),
    )
    try:
        assert stream.stdout is not None
        _opened(host, stream.stdout, knock)
        host.cli("run", "--rm", "--name", name, BUSYBOX, "true")
        seen: list[str] = []
        while not seen or not seen[-1].startswith("container destroy"):
            line = stream.stdout.readline().strip()
            assert line
            if not line.endswith(knock):
                seen.append(line)
    finally:
        stream.terminate()
        stream.communicate()
    actions = [line.split()[1] for line in seen if line.startswith("container")]
    assert [action for action in actions if action in ("create", "start", "die", "destroy")] == [
        *("create", "start", "die", "destroy")
    ]
    assert all(line.endswith(name) for line in seen if line.startswith("container"))


def _opened(host: Host, stream: IO[str], name: str) -> None:
    """Waits until a stream of events is open: nobody can be asked who listens, so one knocks until it is heard."""

    def heard() -> bool:
        host.client.containers.create(BUSYBOX, ["true"], name=name).remove()
        return bool(select.select([stream], [], [], 0)[0])

    until(heard, what="the events stream")


@requires("docker-cli")
def test_events_of_the_swarm(swarm: Cluster) -> None:
    start = swarm.cli("info", "--format", "{{.SystemTime}}").text
    service = swarm.create(replicas=1)
    swarm.running(service, 1)
    swarm.scale(service, 2)
    swarm.update_node("worker-1", Labels={"seen": "yes"})
    service.remove()

    def events() -> list[dict]:
        end = swarm.cli("info", "--format", "{{.SystemTime}}").text
        rows = swarm.cli(
            "events", "--since", start, "--until", end, "--filter", "scope=swarm", "--format", "json"
        ).lines
        found = [json.loads(row) for row in rows]
        assert ("service", "remove") in [(event["Type"], event["Action"]) for event in found]
        return found

    found = until(events, what="the removal among the events")
    ours = [event for event in found if event["Actor"]["ID"] == service.id]
    assert [event["Action"] for event in ours] == ["create", "update", "remove"]
    assert ours[0]["Actor"]["Attributes"] == {"name": service.name}
    assert ours[1]["Actor"]["Attributes"] == {"name": service.name, "replicas.new": "2", "replicas.old": "1"}
    assert all(event["scope"] == "swarm" for event in found)
    assert ("node", "update") in [(event["Type"], event["Action"]) for event in found]


def test_events_with_since_and_until_through_docker_py(swarm: Cluster) -> None:
    host = swarm.workers[1]
    name = swarm.name("c")
    before = host.info()["SystemTime"]
    host.client.containers.run(BUSYBOX, ["true"], name=name, remove=True)
    until(lambda: not host.containers(name=name))
    now = host.info()["SystemTime"]
    answer = host.raw("GET", "/events", params={"since": _epoch(before), "until": _epoch(now), "filters": "{}"})
    events = [json.loads(line) for line in answer.text.splitlines()]
    ours = [event for event in events if event["Actor"]["Attributes"].get("name") == name]
    assert {"create", "start", "die", "destroy"} <= {event["Action"] for event in ours}
    assert ours[0]["scope"] == "local"
    assert ours[0]["timeNano"] // SECOND == ours[0]["time"]


def _epoch(stamp: str) -> str:
    """`2026-01-02T03:04:05.678901234Z` as the API takes it: seconds.nanoseconds."""
    from datetime import datetime

    whole, _, rest = stamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return f"{seconds}.{rest.ljust(9, '0')}"


@requires("docker-cli")
def test_networks_of_a_node(swarm: Cluster) -> None:
    form = "{{.Name}}|{{.Driver}}|{{.Scope}}"
    listed = swarm.cli("network", "ls", "--format", form).lines
    for row in ("ingress|overlay|swarm", "bridge|bridge|local", "host|host|local", "none|null|local"):
        assert row in listed
    ingress = swarm.client.networks.get("ingress", scope="swarm").attrs
    assert ingress["Ingress"] is True
    # The embedded engine's addresses are loopback ones, where something really listens.
    [config] = ingress["IPAM"]["Config"]
    assert ipaddress.ip_address(config["Gateway"]) in ipaddress.ip_network(config["Subnet"])

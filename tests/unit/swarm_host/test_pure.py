"""Decisions that need neither host nor clock: restarts, health, templates, detach keys, create requests, filters."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.host import createrequest, templates
from labkit.embedded.swarm.host.container import Health, Probe
from labkit.embedded.swarm.host.detachkeys import DetachKeys, parse_keys
from labkit.embedded.swarm.host.events import Event, includes
from labkit.embedded.swarm.host.health import Check, judge
from labkit.embedded.swarm.host.restarts import Backoff
from labkit.embedded.swarm.host.swarmevents import attributes
from labkit.embedded.swarm.objects import Node, Service, Task
from labkit.embedded.swarm.store import Change

from .conftest import filters


def test_backoff_doubles_and_starts_over_after_a_long_run() -> None:
    backoff, always = Backoff(), {"Name": "always"}
    assert [backoff.decide(always, 1, False, 1) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert backoff.decide(always, 1, False, 11) == 0.1
    for _ in range(20):
        delay = backoff.decide(always, 1, False, 1)
    assert delay == 60


def test_what_is_stopped_by_hand_stays() -> None:
    assert Backoff().decide({"Name": "always"}, 0, True, 1) is None
    assert Backoff().decide({"Name": "no"}, 1, False, 1) is None


def probe(code: int, start: float = 100.0) -> Probe:
    return Probe(start, start, code, "")


def test_health() -> None:
    check, health = Check(("x",), retries=2), Health()
    assert judge(health, check, probe(0), 0) is True
    assert health.status == "healthy"
    assert judge(health, check, probe(1), 0) is False
    assert judge(health, check, probe(1), 0) is True
    assert (health.status, health.failing_streak, len(health.log)) == ("unhealthy", 2, 3)
    for _ in range(9):
        judge(health, check, probe(0), 0)
    assert (health.status, len(health.log)) == ("healthy", 5)


def test_failures_in_the_start_period_do_not_count() -> None:
    check, health = Check(("x",), retries=1, start_period=30), Health()
    judge(health, check, probe(1, start=20), 0)
    assert (health.status, health.failing_streak) == ("starting", 0)
    judge(health, check, probe(1, start=40), 0)
    assert health.status == "unhealthy"


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (["CMD", "a", "b"], ("a", "b")), (["CMD-SHELL", "a b"], ("/bin/sh", "-c", "a b")), (["NONE"], None), ([], None),
        (["OTHER"], None),
    ],
)  # fmt: skip
def test_kinds_of_health_checks(test: list[str], command: tuple[str, ...] | None) -> None:
    check = Check.of({"Healthcheck": {"Test": test}})
    assert (check.command if check else None) == command


TASK = Task(id="t1", service_id="s1", service_name="web", service_labels={"a": "b"}, slot=2, node_id="n1")
VALUES = templates.context(TASK, {"Hostname": "box", "Platform": {"OS": "linux", "Architecture": "x86_64"}})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("{{.Service.Name}}-{{ .Task.Slot }}", "web-2"),
        ("{{.Task.Name}}", "web.2.t1"),
        ("{{.Node.ID}}/{{.Node.Hostname}}/{{.Node.Platform.OS}}", "n1/box/linux"),
        ("{{.Service.Labels}}", "map[a:b]"),
        ('{{index .Service.Labels "a"}}', "b"),
    ],
)
def test_templates(text: str, expanded: str) -> None:
    assert templates.expand(text, VALUES) == expanded


@pytest.mark.parametrize("text", ["{{.Nope}}", "{{.Node.Nope}}", "{{nope}}", "{{.Node", "{{}}"])
def test_wrong_templates(text: str) -> None:
    with pytest.raises(templates.TemplateError):
        templates.expand(text, VALUES)


def test_files_that_are_templates() -> None:
    text = b'{{ env "HELLO" }}, {{ .Service.Name }}; {{config "other.conf"}}{{ env "NOPE" }}'
    read = {("config", "other.conf"): "x=1"}
    expanded = templates.expand_file(text, VALUES, ["HELLO=Docker", "A"], lambda kind, name: read.get((kind, name)))
    assert expanded == b"Docker, web; x=1"
    with pytest.raises(templates.TemplateError) as caught:
        templates.expand_file(b'A=1\nVAL={{secret "unknowntarget"}}', VALUES, [], lambda kind, name: None)
    assert str(caught.value) == (
        'template: expansion:2:6: executing "expansion" at <secret "unknowntarge...>: error calling secret: '
        "secret target unknowntarget not found"
    )


def test_detach_keys() -> None:
    keys = DetachKeys()
    assert keys.filter(b"a\x10b") == (b"a\x10b", False)
    assert keys.filter(b"a\x10") == (b"a", False)
    assert keys.filter(b"\x10\x11rest") == (b"\x10", True)
    assert parse_keys("ctrl-a,x") == b"\x01x"
    assert parse_keys("ctrl-ä") is None


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("", "invalid volume specification: ''"),
        ("vol:/x:zz", "invalid mode: zz"),
        ("vol:/x:ro,rw", "invalid mode: ro,rw"),
        ("/x:ro", "invalid volume specification: '/x:ro'"),
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        ("v:/x", "includes invalid characters for a local volume name"),
    ],
)
def test_wrong_binds(bind: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        createrequest.parse({"Image": "x", "HostConfig": {"Binds": [bind]}}, cpus=4)


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ({"Type": "volume"}, "field Target must not be empty"),
        ({"Type": "volume", "Target": "/"}, "invalid specification: destination can't be '/'"),
        ({"Type": "volume", "Target": "x"}, "invalid mount path: 'x' mount path must be absolute"),
        ({"Type": "bind", "Target": "/x"}, "field Source must not be empty"),
        ({"Type": "tmpfs", "Source": "a", "Target": "/x"}, "field Source must not be specified"),
        ({"Type": "other", "Target": "/x"}, "mount type unknown"),
    ],
)
def test_wrong_mounts(mount: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        createrequest.parse({"Image": "x", "HostConfig": {"Mounts": [mount]}}, cpus=4)


def test_one_target_only_once() -> None:
    body = {"Image": "x", "HostConfig": {"Binds": ["vol:/x", "other:/x"]}}
    with pytest.raises(BadRequest, match="Duplicate mount point: /x"):
        createrequest.parse(body, cpus=4)


def test_what_comes_from_the_image() -> None:
    image = {"Env": ["PATH=/bin", "A=image"], "Cmd": ["run"], "Entrypoint": ["/init"], "Labels": {"x": "1"}}
    merged = createrequest.merge_image({"Env": ["A=mine"], "Cmd": ["other"]}, image)
    assert merged["Env"] == ["A=mine", "PATH=/bin"]
    assert (merged["Entrypoint"], merged["Cmd"]) == (["/init"], ["other"])
    assert createrequest.merge_image({"Entrypoint": ["/mine"]}, image).get("Cmd") is None
    assert createrequest.merge_image({"Entrypoint": [""], "Cmd": ["x"]}, image)["Entrypoint"] == []
    with pytest.raises(BadRequest, match="no command specified"):
        createrequest.merge_image({}, {})


EVENT = Event(1.0, "container", "health_status: healthy", "abc", {"name": "web", "image": "test/tools:1", "tier": "x"})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"type": "container"}, True),
        ({"type": "network"}, False),
        ({"event": "health_status"}, True),
        ({"event": "health_status: healthy"}, True),
        ({"event": "start"}, False),
        ({"container": "web"}, True),
        ({"container": "ab"}, True),
        ({"container": "x"}, False),
        ({"image": "test/tools"}, True),
        ({"image": "test/tools:2"}, False),
        ({"label": "tier=x"}, True),
        ({"label": "tier=y"}, False),
        ({"scope": "swarm"}, False),
    ],
)
def test_filters_of_events(wanted: dict[str, str], found: bool) -> None:
    assert includes(filters(**wanted), EVENT) is found


def service(replicas: int = 1, image: str = "a", state: str | None = None) -> Service:
    return Service(
        id="s",
        spec={
            "Name": "web",
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": image}},
        },
        update_status={"State": state} if state else None,
    )


def test_what_events_tell_of_an_update() -> None:
    told = attributes(Change("update", service(), service(3, "b", "updating")))
    assert told == {
        "name": "web",
        "replicas.old": "1",
        "replicas.new": "3",
        "image.old": "a",
        "image.new": "b",
        "updatestate.new": "updating",
    }
    before = Node(id="n", spec={"Availability": "active"}, state="ready", description={"Hostname": "box"})
    after = Node(id="n", spec={"Availability": "drain"}, state="down", description={"Hostname": "box"})
    assert attributes(Change("update", before, after)) == {
        "name": "box",
        "availability.old": "active",
        "availability.new": "drain",
        "state.old": "ready",
        "state.new": "down",
    }
    assert attributes(Change("delete", before, None)) == {"name": "box"}

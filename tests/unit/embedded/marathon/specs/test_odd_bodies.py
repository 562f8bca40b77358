"""Bodies nobody would write: they are taken, or refused with a 4xx; nothing else ever happens."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.marathon.matching import Context, Offered, match
from labkit.embedded.marathon.specs import (
    App,
    Config,
    Group,
    SpecError,
    empty_root,
    parse_app,
    prepare,
    read_json,
    update_app,
    update_apps,
    update_group,
)
from labkit.embedded.marathon.specs.raml import APP, CONTAINER, GROUP_UPDATE, HEALTH_CHECK, NETWORK, PORT_MAPPING

Json = dict[str, Any]
CONFIG = Config(default_network_name="dcos", features=frozenset({"secrets", "gpu_resources"}))

words = st.sampled_from(
    [
        "/a",
        "a",
        "..",
        "",
        "x",
        "UNIQUE",
        "hostname",
        "HTTP",
        "COMMAND",
        "MESOS_TCP",
        "DOCKER",
        "MESOS",
        "BRIDGE",
        "USER",
        "host",
        "container",
        "container/bridge",
        "tcp",
        "udp,tcp",
        "disabled",
        "[",
        "1",
        "RW",
        "*",
        "true",
        "unlimited",
    ]
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(-2, 70000), st.floats(0, 2), words)
TYPES = (APP, CONTAINER, GROUP_UPDATE, HEALTH_CHECK, NETWORK, PORT_MAPPING)
OTHERS = ("image", "value", "secret", "shell", "http", "size", "hostPath", "containerPath", "persistent", "external")
names = st.sampled_from([*(name for type in TYPES for name in type.fields), *OTHERS])
bodies = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=5)),
    max_leaves=12,
)
fields = st.sampled_from([name for name in APP.fields if name not in ("id", "cmd")])
app_bodies = st.dictionaries(fields, bodies, max_size=3).map(lambda odd: {"id": "/a", "cmd": "ls -l", **odd})

EXISTING = parse_app({"id": "/a", "cmd": "ls -l", "healthChecks": [{}], "env": {"A": "b"}}, empty_root(), CONFIG, "v1")
ROOT = prepare(empty_root(), empty_root().with_app(EXISTING, "v1"), "v1", CONFIG)


def status(call: Any) -> int:
    try:
        call()
    except SpecError as error:
        return error.status if orjson.dumps(error.body()) else 500
    return 200


def launched(app: App) -> None:
    """What was taken can be launched, stored and read again."""
    root = prepare(ROOT, ROOT.with_app(app, "v2"), "v2", CONFIG)
    found = root.app(app.id)
    assert found is not None
    assert App.from_json(orjson.loads(orjson.dumps(found.to_json()))) == found
    offer = {"id": {"value": "o"}, "agent_id": {"value": "s"}, "hostname": "h", "resources": []}
    resources: list[Json] = [{"name": name, "scalar": {"value": 1e9}} for name in ("cpus", "mem", "disk", "gpus")]
    resources.append({"name": "ports", "ranges": {"range": [{"begin": 1, "end": 65535}]}})
    offered = Offered.of({**offer, "resources": resources})
    result = match(found, offered, (), "a.instance-1._app.1", Context(), random.Random(1))
    assert orjson.dumps(getattr(result, "task_info", {}))


@settings(max_examples=200, deadline=None)
@given(app_bodies)
def test_apps(body: Json) -> None:
    def call() -> None:
        launched(parse_app(body, empty_root(), CONFIG, "v2"))

    assert status(call) in (200, 400, 422)


@settings(max_examples=120, deadline=None)
@given(app_bodies, st.booleans())
def test_updates(body: Json, partial: bool) -> None:
    def call() -> None:
        found = update_app("/a", {k: v for k, v in body.items() if k != "id"}, ROOT, CONFIG, "v2", partial=partial)
        if isinstance(found, App):
            launched(found)

    assert status(call) in (200, 400, 422)


@settings(max_examples=120, deadline=None)
@given(bodies)
def test_anything(body: Any) -> None:
    for call in (
        lambda: parse_app(body, ROOT, CONFIG, "v2"),
        lambda: update_app("/a", body, ROOT, CONFIG, "v2"),
        lambda: update_app("/a", body, ROOT, CONFIG, "v2", partial=False),
        lambda: update_apps(body, ROOT, CONFIG, "v2"),
        lambda: update_group("/", body, ROOT, CONFIG, "v2"),
        lambda: update_group("/g", body, ROOT, CONFIG, "v2", create=True),
    ):
        assert status(call) in (200, 400, 404, 409, 422)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "123456789012345678901234567890", "1.0000000000000001"])
def test_numbers_out_of_this_world(number: str) -> None:
    for name in ("instances", "cpus", "gpus"):
        body = f'{{"id": "a", "cmd": "ls", "{name}": {number}}}'.encode()
        assert status(lambda body=body: parse_app(read_json(body), empty_root(), CONFIG, "v1")) in (200, 400, 422)


def test_depth() -> None:
    deep: Json = {"id": "x", "apps": [{"id": "a", "cmd": "ls"}]}
    for _ in range(300):
        deep = {"id": "x", "groups": [deep]}
    assert status(lambda: update_group("/", deep, empty_root(), CONFIG, "v1")) in (400, 422)
    long = "/".join(["a"] * 400)
    assert status(lambda: parse_app({"id": long, "cmd": "ls"}, empty_root(), CONFIG, "v1")) == 422
    assert status(lambda: update_group("/" + long, {}, empty_root(), CONFIG, "v1")) == 422
    deepest = "/".join(["a"] * 150)
    root = empty_root().with_app(parse_app({"id": deepest, "cmd": "ls"}, empty_root(), CONFIG, "v1"), "v1")
    assert Group.from_json(prepare(empty_root(), root, "v1", CONFIG).to_json()).all_apps

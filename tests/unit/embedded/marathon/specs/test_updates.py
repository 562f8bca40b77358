"""PUT and PATCH of apps, versions and service ports."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.specs import (
    App,
    AppRejected,
    Config,
    Group,
    Malformed,
    NoSuchApp,
    NotJson,
    RollBack,
    SpecError,
    Unprocessable,
    empty_root,
    parse_app,
    prepare,
    read_json,
    timestamp,
    update_app,
    update_apps,
)
from labkit.embedded.marathon.specs.errors import PortRangeExhausted
from labkit.embedded.marathon.specs.raml import APP
from labkit.embedded.marathon.specs.versions import seconds

CONFIG = Config()


def root_with(*apps: dict[str, Any]) -> Group:
    root = empty_root("v0")
    for each in apps:
        root = prepare(root, root.with_app(parse_app(each, root, CONFIG, "v1"), "v1"), "v1", CONFIG)
    return root


SLEEP = {"id": "/a", "cmd": "sleep 1", "env": {"A": "b"}, "labels": {"x": "y"}, "mem": 32}


def changed(root: Group, data: dict[str, Any], app: str = "/a", **options: Any) -> App:
    found = update_app(app, data, root, CONFIG, "v2", **options)
    assert isinstance(found, App)
    return found


def test_parts_are_replaced_and_the_rest_is_kept() -> None:
    app = changed(root_with(SLEEP), {"instances": 3, "env": {}, "labels": {"n": "m"}})
    assert app.instances == 3
    assert app.cmd == "sleep 1"
    assert app.labels == {"n": "m"}
    assert "env" not in app.body
    assert app.body["portDefinitions"][0]["port"] == 10000


def test_the_whole_is_replaced() -> None:
    app = changed(root_with(SLEEP), {"cmd": "sleep 2"}, partial=False)
    assert "env" not in app.body
    assert app.body["mem"] == 128.0


@pytest.mark.parametrize("partial", [True, False])
def test_an_app_that_is_not_there_is_made(partial: bool) -> None:
    app = changed(empty_root(), {"cmd": "sleep 2"}, "/g/new", partial=partial)
    assert app.id == "/g/new"
    assert app.body["portDefinitions"] == [{"port": 0, "name": "default", "protocol": "tcp"}]


def test_patch_makes_nothing() -> None:
    with pytest.raises(NoSuchApp) as caught:
        update_app("/b", {"cmd": "sleep 1"}, empty_root(), CONFIG, "v2", create=False)
    assert caught.value.body() == {"message": "App '/b' does not exist"}


def test_the_result_must_be_valid() -> None:
    with pytest.raises(AppRejected) as caught:
        changed(root_with(SLEEP), {"args": ["x"]})
    assert caught.value.details[0][0] == "/"
    with pytest.raises(Malformed):
        changed(root_with(SLEEP), {"cpus": "x"})


def test_another_network_takes_the_ports_along() -> None:
    app = changed(root_with(SLEEP), {"container": {"docker": {"image": "i", "network": "BRIDGE"}}})
    assert app.networks == [{"mode": "container/bridge"}]
    assert "portDefinitions" not in app.body
    assert app.container is not None
    assert len(app.container["portMappings"]) == 1
    back = changed(empty_root().with_app(app, "v2"), {"networks": [{"mode": "host"}]})
    assert "portMappings" not in (back.container or {})


def test_an_older_version() -> None:
    version = "2021-07-27T20:40:33.123Z"
    assert update_app("/a", {"version": version}, root_with(SLEEP), CONFIG, "v2") == RollBack("/a", version)
    with pytest.raises(AppRejected) as caught:
        update_app("/a", {"version": version, "cmd": "ls"}, root_with(SLEEP), CONFIG, "v2")
    assert caught.value.details == [("/", "The 'version' field may only be combined with the 'id' field.")]


def test_the_id_in_the_body_does_not_count() -> None:
    assert changed(root_with(SLEEP), {"id": "/other", "instances": 2}).id == "/a"


def test_several_at_once() -> None:
    found = update_apps([{"id": "a", "instances": 2}, {"id": "b", "cmd": "ls"}], root_with(SLEEP), CONFIG, "v2")
    assert [each.id for each in found if isinstance(each, App)] == ["/a", "/b"]
    with pytest.raises(Unprocessable):
        update_apps([{"cmd": "ls"}], empty_root(), CONFIG, "v2")
    with pytest.raises(Malformed) as caught:
        update_apps([{"id": "a", "cpus": "x"}], empty_root(), CONFIG, "v2")
    assert caught.value.details == [("(0)/cpus", "error.expected.jsnumber")]
    with pytest.raises(Malformed):
        update_apps({}, empty_root(), CONFIG, "v2")


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"\xff", b"[1,]"])
def test_not_json(body: bytes) -> None:
    with pytest.raises(NotJson) as caught:
        read_json(body)
    assert caught.value.status == 400
    assert caught.value.body()["message"] == "Invalid JSON"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_json(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_no_body_at_all(body: bytes) -> None:
    with pytest.raises(NotJson) as caught:
        read_json(body)
    assert caught.value.status == 400
    assert caught.value.body() == {
        "message": "Please specify data in JSON format",
        "details": "No content to map due to end-of-input",
    }


def test_a_patch_of_several_makes_none() -> None:
    with pytest.raises(NoSuchApp) as caught:
        update_apps(
            [{"id": "/a", "instances": 2}, {"id": "/b", "instances": 2}], root_with(SLEEP), CONFIG, "v2", create=False
        )
    assert caught.value.body() == {"message": "App '/b' does not exist"}


# -- versions


def after(root: Group, app: App, version: str) -> App:
    found = prepare(root, root.with_app(app, version), version, CONFIG).app(app.id)
    assert found is not None
    return found


def test_versions() -> None:
    root = root_with(SLEEP)
    first = root.app("/a")
    assert first is not None
    assert first.to_json()["versionInfo"] == {"lastScalingAt": "v1", "lastConfigChangeAt": "v1"}
    scaled = after(root, changed(root, {"instances": 2}), "v2")
    assert (scaled.version, scaled.versions.scaled, scaled.config_version) == ("v2", "v2", "v1")
    configured = after(root, changed(root, {"cmd": "sleep 9", "instances": 2}), "v2")
    assert (configured.version, configured.versions.scaled, configured.config_version) == ("v2", "v2", "v2")
    restarted = after(root, first.marked_for_restart(), "v2")
    assert (restarted.version, restarted.versions.scaled, restarted.config_version) == ("v2", "v1", "v2")
    same = after(root, changed(root, {"cmd": "sleep 1"}), "v2")
    assert same.versions == first.versions


def test_sets_have_no_order() -> None:
    root = root_with({**SLEEP, "constraints": [["a", "UNIQUE"], ["b", "UNIQUE"]], "dependencies": ["/x", "/y"]})
    app = changed(root, {"constraints": [["b", "UNIQUE"], ["a", "UNIQUE"]], "dependencies": ["/y", "/x"]})
    assert after(root, app, "v2").version == "v1"


def test_times() -> None:
    assert timestamp(1627418433.1239) == "2021-07-27T20:40:33.123Z"
    assert seconds("2021-07-27T20:40:33.123Z") == pytest.approx(1627418433.123)


# -- service ports


def test_service_ports_are_given_out_once() -> None:
    root = root_with(
        {"id": "/a", "cmd": "ls", "ports": [0, 0]},
        {"id": "/b", "cmd": "ls", "ports": [10002]},
        {
            "id": "/c",
            "networks": [{"mode": "container/bridge"}],
            "container": {"docker": {"image": "i"}, "portMappings": [{"containerPort": 80}, {"servicePort": 9000}]},
        },
    )
    assert {key: app.service_ports for key, app in root.all_apps.items()} == {
        "/a": [10000, 10001],
        "/b": [10002],
        "/c": [10003, 9000],
    }


def test_an_app_keeps_its_service_port() -> None:
    root = root_with(SLEEP, {"id": "/b", "cmd": "ls"})
    app = after(root, changed(root, {"cmd": "sleep 2", "ports": [0, 0]}), "v2")
    assert app.service_ports == [10000, 10002]


def test_no_service_port_is_left() -> None:
    config = Config(local_port_min=10000, local_port_max=10001)
    root = empty_root()
    app = parse_app({"id": "a", "cmd": "ls", "ports": [0, 0, 0]}, root, config, "v1")
    with pytest.raises(PortRangeExhausted, match=r"All ports in the range \[10000-10001\) are already in use"):
        prepare(root, root.with_app(app, "v1"), "v1", config)


ODD: list[Any] = [None, "", "x", 0, -1, 1.5, 2**70, True, [], {}, [[]], [{}], {"a": None}, {"a": {"b": 1}}]


def answer(body: dict[str, Any]) -> int:
    try:
        app = parse_app(body, empty_root(), CONFIG, "v1")
        prepare(empty_root(), empty_root().with_app(app, "v1"), "v1", CONFIG)
    except SpecError as error:
        return error.status
    return 201


@pytest.mark.parametrize("name", APP.fields)
def test_only_spec_errors_come_out(name: str) -> None:
    """Whatever is in a body: it is an app, or it is refused."""
    for value in ODD:
        for more in ({"cmd": "ls -l"}, {"container": {"type": "MESOS"}}):
            assert answer({"id": "/a", **more, name: value}) in (201, 422)

"""The pure pieces: names of tasks, the ensemble, back ends, what deploy makes."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import UsageError
from labkit.orchestrators.marathon import apps, deploying, discovery, zookeeper
from labkit.orchestrators.marathon.sources import Places

from .conftest import Machine

UUID = "3b2f6c1e-aaaa-11ee-bbbb-0242ac110002"


@pytest.mark.parametrize(
    ("task", "app"),
    [
        (f"web.instance-{UUID}._app.1", "/web"),
        (f"prod_eu_web.instance-{UUID}._app.12", "/prod/eu/web"),
        (f"web.v2.instance-{UUID}._app.1", "/web.v2"),
        (f"web.{UUID}", "/web"),
        ("odd", "/odd"),
    ],
)
def test_whose_task_it_is(task: str, app: str) -> None:
    assert apps.split_task(task)[0] == app


def test_another_task_for_the_same_instance_has_a_name_of_its_own() -> None:
    first, second = (apps.task_name("/eu/web", f"eu_web.instance-{UUID}._app.{number}") for number in (1, 2))
    assert (first, second) == ("web.3b2f", "web.3b2f·2")


def test_an_underscore_may_be_the_apps_own() -> None:
    naming = apps.marathon_naming([], [{"id": "/my_app"}])
    assert naming.workload({"id": f"my_app.instance-{UUID}._app.1"}) == "/my_app"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"delay": {"overdue": False, "timeLeftSeconds": 12}}, "backs off for 12 s more, because its tasks fail"),
        ({"processedOffersSummary": {"processedOffersCount": 0}}, "no offer has come yet"),
        ({"processedOffersSummary": {"processedOffersCount": 3}}, "waits for the next offer"),
    ],
)
def test_why_an_app_waits_in_a_line(item: dict[str, Any], words: str) -> None:
    assert apps.why_waiting(item) == words


def test_the_members_of_an_ensemble() -> None:
    assert zookeeper.members("zk://u:p@a:2181,b/mesos") == ["a:2181", "b:2181"]
    assert zookeeper.read("Zookeeper version: 3.8.0\nMode: follower\nNode count: 5") == "follower"
    assert zookeeper.read("This ZooKeeper instance is not currently serving requests") == "no quorum"
    assert zookeeper.ask("no-such-host.invalid:2181") == ""
    assert zookeeper.ask("127.0.0.1:1", 0.2) == "down"


def test_members_behind_mapped_ports_are_the_masters_in_order() -> None:
    zk = "127.0.0.1:20001,127.0.0.1:20002,127.0.0.1:20003"
    env = {"MARATHON_URL": "http://m", "ZOOKEEPER": zk}
    machines = [
        Machine(f"master-{i}", "master", {**env, "MESOS_URL": f"http://127.0.0.1:500{i}"})
        for i in (1, 2, 3)
    ]  # fmt: skip
    places = Places.of(machines)
    assert list(places.members.values()) == ["master-1", "master-2", "master-3"]
    assert list(places.masters) == ["master-1", "master-2", "master-3"]


def test_members_go_by_their_address() -> None:
    env = {"MARATHON_URL": "http://127.1.0.10:8080", "ZOOKEEPER": "127.1.0.11:2181,127.1.0.10:2181,10.9.9.9:2181"}
    machines = [Machine(f"master-{i}", "master", {**env, "MESOS_URL": f"http://127.1.0.1{i}:5050"}) for i in (0, 1)]
    assert Places.of(machines).members == {
        "127.1.0.11:2181": "master-1",
        "127.1.0.10:2181": "master-0",
        "10.9.9.9:2181": "10.9.9.9:2181",
    }


def test_a_server_without_an_address_has_it_in_its_name() -> None:
    text = "# pxname,svname,status\nweb_10000,127_1_0_20_31001,UP\nweb_10000,BACKEND,UP\n"
    assert discovery.back_ends(text) == {"web_10000": [("127.1.0.20", 31001, True)]}


def test_tasks_with_one_address_share_the_apps_name() -> None:
    def records(*names: str) -> list[dict[str, str]]:
        return [{"name": f"{name}.marathon.mesos.", "host": "127.1.0.20", "rtype": "A"} for name in names]

    found = discovery.named(
        {"frameworks": [{"name": "marathon", "tasks": [
            {"id": "a", "records": records("web-x1-s1")},
            {"id": "b", "records": records("web", "web-x2-s1")},
            {"id": "of nobody", "records": records("odd")},
        ]}]},
        "marathon",
        {"a": "/web", "b": "/web"},
    )  # fmt: skip
    assert [(e.address, e.tasks) for e in found] == [("web.marathon.mesos", ("a", "b"))]


def test_a_container_and_a_process() -> None:
    made = deploying.app("web", "nginx:1.27", 2, {10000: 80}, health_path="/", constraints=[["rack", "UNIQUE"]])
    assert made["container"]["portMappings"][0]["servicePort"] == 10000
    assert made["labels"] == {"HAPROXY_GROUP": "external"}
    assert made["healthChecks"][0]["path"] == "/"
    process = deploying.app("/p", "$ sleep 100", 1, {10001: 10001})
    assert (process["cmd"], process["portDefinitions"][0]["port"]) == ("sleep 100", 10001)
    assert "container" not in process
    with pytest.raises(UsageError, match="an image or a command"):
        deploying.app("web")
    with pytest.raises(UsageError, match="needs a port"):
        deploying.app("web", "nginx", health_path="/")


def test_another_image() -> None:
    app = {"container": {"type": "DOCKER", "docker": {"image": "a:1", "privileged": False}}}
    assert deploying.with_image(app, "a:2")["container"]["docker"] == {"image": "a:2", "privileged": False}
    assert deploying.with_image({"cmd": "x"}, "$ y") == {"cmd": "y"}
    with pytest.raises(UsageError, match="runs a command"):
        deploying.with_image({"cmd": "x"}, "a:2")

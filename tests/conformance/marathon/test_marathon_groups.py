"""/v2/groups: trees of apps that are made, changed, scaled, taken back and destroyed together."""

from __future__ import annotations

from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.until import until

Json = dict[str, Any]

GROUPS = "marathon/docs/docs/rest-api/public/api/v2/groups.raml"
PAGE = "marathon/docs/docs/application-groups.md"
GROUP = "marathon/docs/docs/rest-api/public/api/v2/types/group.raml"


def _app(id: str, **fields: Any) -> Json:
    return {"id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": 0, **fields}


def _group(marathon: Marathon, **fields: Any) -> Json:
    """A group with two apps, of which one is in a group of its own."""
    inner = {"id": "db", "apps": [_app("mongo")]}
    return {"id": marathon.home, "apps": [_app("web")], "groups": [inner], **fields}


@holds(f"{GROUPS}#post", f"{PAGE}#application-groups", f"{GROUP}#GroupInfo")
def test_a_group_is_made(marathon: Marathon) -> None:
    answer = marathon.call("POST", "/v2/groups", _group(marathon))
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"version", "deploymentId"}
    assert answer.headers["Location"].endswith(marathon.home)
    marathon.deployed(answer)
    shown = marathon.get(f"/v2/groups{marathon.home}")
    assert shown["id"] == marathon.home
    assert [app["id"] for app in shown["apps"]] == [marathon.id("web")]
    (inner,) = shown["groups"]
    assert inner["id"] == marathon.id("db")
    assert [app["id"] for app in inner["apps"]] == [marathon.id("db/mongo")]
    assert shown["version"] == answer.json()["version"]


@holds(f"{GROUPS}#post")
def test_a_group_is_made_once(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", _group(marathon))
    answer = marathon.call("POST", "/v2/groups", _group(marathon))
    assert answer.status_code == 409
    assert answer.json()["message"] == f"Group {marathon.home} is already created. Use PUT to change this group."


@holds(f"{GROUPS}#get", "marathon/docs/docs/rest-api/public/api/traits.raml#objectLocator")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_group_that_there_is_not(marathon: Marathon, method: str) -> None:
    answer = marathon.call(method, f"/v2/groups{marathon.id('none')}")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"Group '{marathon.id('none')}' does not exist"


@holds(f"{GROUPS}#get")
def test_what_of_a_group_is_shown(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", _group(marathon))
    path = f"/v2/groups{marathon.home}"
    assert "groups" not in marathon.get(path, embed="group.apps")
    assert "apps" not in marathon.get(path, embed="group.groups")
    counted = marathon.get(path, embed=["group.apps", "group.apps.counts"])["apps"][0]
    assert counted["tasksRunning"] == 0
    root = marathon.get("/v2/groups")
    assert root["id"] == "/"
    assert marathon.home in [one["id"] for one in root["groups"]]


@holds(f"{GROUPS}#put", "marathon/docs/docs/deployments.md#application-deployments")
def test_put_changes_apps_adds_some_and_takes_some_away(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", {"id": marathon.home, "apps": [_app("stays"), _app("goes")]})
    changed = {"apps": [_app("stays", cpus=0.2), _app("comes")]}
    marathon.done("PUT", f"/v2/groups{marathon.home}", changed)
    apps = {app["id"]: app for app in marathon.get(f"/v2/groups{marathon.home}")["apps"]}
    assert set(apps) == {marathon.id("stays"), marathon.id("comes")}
    assert apps[marathon.id("stays")]["cpus"] == 0.2


@holds(f"{GROUPS}#put", "marathon/docs/docs/rest-api/public/api/v2/types/deploymentSteps.raml#DeploymentSteps")
def test_a_dry_run_tells_the_steps_and_does_nothing(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", {"id": marathon.home, "apps": [_app("web")]})
    body = {"apps": [_app("web", cpus=0.2, instances=1), _app("new", instances=1)]}
    answer = marathon.call("PUT", f"/v2/groups{marathon.home}", body, params={"dryRun": "true"})
    assert answer.status_code == 200
    actions = [
        (action["app"], action.get("action", action.get("type")))
        for step in answer.json()["steps"]
        for action in step["actions"]
    ]
    assert (marathon.id("new"), "StartApplication") in actions
    assert marathon.app("web")["cpus"] == 0.1
    assert marathon.call("GET", f"/v2/apps{marathon.id('new')}").status_code == 404


@holds(f"{PAGE}#group-scaling", f"{GROUPS}#put", f"{GROUP}#GroupUpdate")
def test_a_group_is_scaled(marathon: Marathon) -> None:
    group = {
        "id": marathon.home,
        "apps": [_app("a", instances=1)],
        "groups": [{"id": "g", "apps": [_app("b", instances=2)]}],
    }
    marathon.done("POST", "/v2/groups", group)
    marathon.done("PUT", f"/v2/groups{marathon.home}", {"scaleBy": 2})
    assert (marathon.app("a")["instances"], marathon.app("g/b")["instances"]) == (2, 4)
    assert len(marathon.running(4, "g/b")) == 4


@holds(f"{GROUPS}#put", f"{GROUPS}#versions")
def test_a_group_goes_back_to_a_version(marathon: Marathon) -> None:
    first = marathon.done("POST", "/v2/groups", _group(marathon))["version"]
    second = marathon.done("PUT", f"/v2/groups{marathon.home}", {"apps": [_app("web", cpus=0.5)], "groups": []})[
        "version"
    ]
    versions = marathon.get(f"/v2/groups{marathon.home}/versions")
    assert versions[:2] == [second, first]
    assert marathon.get(f"/v2/groups{marathon.home}/versions/{first}")["apps"][0]["cpus"] == 0.1
    marathon.done("PUT", f"/v2/groups{marathon.home}", {"version": first})
    assert marathon.app("web")["cpus"] == 0.1
    assert marathon.app("db/mongo")["id"] == marathon.id("db/mongo")


@holds(f"{GROUPS}#delete")
def test_a_group_is_destroyed_with_all_below(marathon: Marathon) -> None:
    group = {
        "id": marathon.home,
        "apps": [_app("a", instances=1)],
        "groups": [{"id": "g", "apps": [_app("b", instances=1)]}],
    }
    marathon.done("POST", "/v2/groups", group)
    marathon.done("DELETE", f"/v2/groups{marathon.home}")
    assert marathon.call("GET", f"/v2/groups{marathon.home}").status_code == 404
    assert not [task for task in marathon.get("/v2/tasks")["tasks"] if task["appId"].startswith(marathon.home)]


@holds(f"{PAGE}#dependencies", "marathon/docs/docs/deployments.md#dependencies")
def test_what_is_depended_on_starts_first(marathon: Marathon) -> None:
    apps = [
        _app("web", instances=1, dependencies=["api"]),
        _app("api", instances=1, dependencies=["db"]),
        _app("db", instances=1),
    ]
    started: list[str] = []
    with marathon.events("status_update_event") as events:
        marathon.done("POST", "/v2/groups", {"id": marathon.home, "apps": apps})
        while len(started) < len(apps):
            event = events.next("status_update_event", lambda event: event["appId"].startswith(marathon.home))
            if event["taskStatus"] == "TASK_RUNNING":
                started.append(event["appId"].rpartition("/")[2])
    assert started == ["db", "api", "web"]


@holds(f"{PAGE}#dependencies")
def test_groups_depend_on_groups(marathon: Marathon) -> None:
    group = {
        "id": marathon.home,
        "groups": [
            {"id": "front", "apps": [_app("web", instances=1)], "dependencies": [marathon.id("back")]},
            {"id": "back", "apps": [_app("db", instances=1)]},
        ],
    }
    answer = marathon.call("PUT", "/v2/groups", {"id": "/"} | {"groups": [group]}, params={"dryRun": "true"})
    assert answer.status_code == 200, answer.text
    order = [  # first all are there without an instance, then one after the other is scaled
        action["app"]
        for step in answer.json()["steps"]
        for action in step["actions"]
        if "ScaleApplication" in action.values()
    ]
    assert order.index(marathon.id("back/db")) < order.index(marathon.id("front/web"))


@holds(f"{PAGE}#dependencies", f"{GROUPS}#post")
def test_no_circles(marathon: Marathon) -> None:
    apps = [_app("a", dependencies=["b"]), _app("b", dependencies=["a"])]
    answer = marathon.call("POST", "/v2/groups", {"id": marathon.home, "apps": apps})
    assert answer.status_code == 422
    assert "cyclic" in answer.text.lower()


@holds(f"{GROUPS}#post")
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"apps": [_app("/elsewhere/app")]}, "/apps(0)/id"),
        ({"groups": [{"id": "/elsewhere"}]}, "/groups("),
        ({"apps": [_app("x", cpus=-1)]}, "/apps(0)/cpus"),
        ({"apps": [{"id": "x"}]}, "/"),
        ({"scaleBy": -1}, "/scaleBy"),
    ],
)
def test_groups_that_make_no_sense(marathon: Marathon, fields: Json, path: str) -> None:
    answer = marathon.call("POST", "/v2/groups", {"id": marathon.home, **fields})
    assert answer.status_code == 422, answer.text
    assert any(row["path"].startswith(path) for row in answer.json()["details"]), answer.text


@holds("marathon/docs/docs/multirole.md#using-enforcerole", f"{GROUPS}#patch", f"{GROUP}#GroupPartialUpdate")
def test_a_group_that_gives_its_name_as_role(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", {"id": marathon.home})
    answer = marathon.call("PATCH", f"/v2/groups{marathon.home}", {"enforceRole": True})
    assert answer.status_code == 200, answer.text
    assert marathon.get(f"/v2/groups{marathon.home}")["enforceRole"] is True
    answer = marathon.call("POST", "/v2/apps", marathon.body(instances=0))
    assert answer.json()["role"] == marathon.home.strip("/")


@holds("marathon/docs/docs/multirole.md#using-enforcerole")
def test_only_a_group_at_the_top_does(marathon: Marathon) -> None:
    marathon.done("POST", "/v2/groups", _group(marathon))
    answer = marathon.call("PATCH", f"/v2/groups{marathon.id('db')}", {"enforceRole": True})
    assert answer.status_code == 422


@holds("marathon/docs/docs/application-groups.md#application-groups")
def test_making_an_app_makes_its_groups(marathon: Marathon) -> None:
    marathon.create("deep/down/app", instances=0)
    assert marathon.get(f"/v2/groups{marathon.id('deep/down')}")["apps"][0]["id"] == marathon.id("deep/down/app")
    marathon.done("DELETE", f"/v2/apps{marathon.id('deep/down/app')}")
    until(lambda: marathon.call("GET", f"/v2/apps{marathon.id('deep/down/app')}").status_code == 404)

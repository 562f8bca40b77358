"""/v2/apps: made, looked at, found, changed, started again, taken back, destroyed."""

from __future__ import annotations

from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.until import until

Json = dict[str, Any]

APPS = "marathon/docs/docs/rest-api/public/api/v2/apps.raml"
BASICS = "marathon/docs/docs/application-basics.md"


@holds(f"{APPS}#post", f"{BASICS}#hello-marathon-an-inline-shell-script")
def test_an_app_is_created_and_runs(marathon: Marathon) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(instances=2))
    assert answer.status_code == 201
    body = answer.json()
    assert body["id"] == marathon.id()
    assert answer.headers["Location"].endswith(marathon.id())
    assert [one["id"] for one in body["deployments"]] == [answer.headers["Marathon-Deployment-Id"]]
    marathon.deployed(answer)
    app = marathon.app()
    assert (app["tasksRunning"], app["tasksStaged"], app["deployments"]) == (2, 0, [])
    assert len(app["tasks"]) == 2


@holds(f"{APPS}#post", "marathon/docs/docs/rest-api/public/api/traits.raml#objectCreator")
def test_an_id_is_used_once(marathon: Marathon) -> None:
    marathon.create(instances=0)
    answer = marathon.call("POST", "/v2/apps", marathon.body(instances=0))
    assert answer.status_code == 409
    assert answer.json() == {"message": f"An app with id [{marathon.id()}] already exists."}


@holds("marathon/docs/docs/application-groups.md#application-groups", f"{APPS}#post")
def test_a_group_and_an_app_do_not_share_a_name(marathon: Marathon) -> None:
    marathon.create("a/b", instances=0)
    answer = marathon.call("POST", "/v2/apps", marathon.body("a", instances=0))
    assert answer.status_code in (409, 422)


@holds(f"{APPS}#get")
def test_apps_are_listed_and_found(marathon: Marathon) -> None:
    marathon.create("one", instances=0, cmd="echo first", labels={"tier": "front", "env": "test"})
    marathon.create("two", instances=0, cmd="echo second", labels={"tier": "back"})

    def found(**query: str) -> list[str]:
        shown = [app["id"] for app in marathon.get("/v2/apps", **query)["apps"]]
        return [id.rpartition("/")[2] for id in shown if id.startswith(marathon.home + "/")]

    assert sorted(found()) == ["one", "two"]
    assert found(id=f"{marathon.home}/tw") == ["two"]
    assert found(cmd="FIRST") == ["one"]
    assert found(cmd="third") == []
    assert found(label="tier==front") == ["one"]
    assert found(label="tier!=front") == ["two"]
    assert sorted(found(label="tier")) == ["one", "two"]
    assert found(label="tier in (back, side)") == ["two"]
    assert found(label="tier notin (back)") == ["one"]
    assert found(label="tier==front, env==test") == ["one"]
    assert found(label="tier==front,env==live") == []


@holds(f"{APPS}#get")
@pytest.mark.parametrize("selector", ["tier===x", "tier in", "()", "a==b c"])
def test_selectors_that_cannot_be_read(marathon: Marathon, selector: str) -> None:
    answer = marathon.call("GET", "/v2/apps", params={"label": selector})
    assert answer.status_code in (400, 422)
    assert answer.json()["message"]


@holds(f"{APPS}#get")
def test_what_is_embedded(marathon: Marathon) -> None:
    marathon.create()

    def shown(*embeds: str) -> Json:
        apps = marathon.get("/v2/apps", embed=list(embeds), id=marathon.id())["apps"]
        return next(app for app in apps if app["id"] == marathon.id())

    plain = shown()
    assert plain["tasksRunning"] == 1
    assert "tasks" not in plain
    assert len(shown("apps.tasks")["tasks"]) == 1
    assert "lastTaskFailure" not in shown("apps.lastTaskFailure")
    stats = shown("apps.taskStats")["taskStats"]
    assert stats["totalSummary"]["stats"]["counts"]["running"] == 1
    assert stats["totalSummary"]["stats"]["lifeTime"]["averageSeconds"] >= 0


@holds(f"{APPS}#get", "marathon/docs/docs/rest-api/public/api/v2/types/task.raml#TaskFailure")
def test_the_last_failure(marathon: Marathon) -> None:
    answer = marathon.call("POST", "/v2/apps", marathon.body(cmd="exit 3", backoffSeconds=60))
    assert answer.status_code == 201
    failure = until(lambda: marathon.app()["lastTaskFailure"])
    assert (failure["appId"], failure["state"]) == (marathon.id(), "TASK_FAILED")
    assert "status 3" in failure["message"]
    assert {"host", "taskId", "timestamp", "version", "slaveId"} <= set(failure)


@holds(f"{APPS}#get", "marathon/docs/docs/rest-api/public/api/traits.raml#objectLocator")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/restart"), ("GET", "/tasks"), ("DELETE", "/tasks"),
        ("GET", "/versions"), ("GET", "/versions/2020-01-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_an_app_that_there_is_not(marathon: Marathon, method: str, path: str) -> None:
    body = {"cmd": "true"} if method == "PATCH" else None
    answer = marathon.call(method, f"/v2/apps{marathon.id('none')}{path}", body)
    assert answer.status_code == 404
    assert answer.json()["message"].startswith(f"App '{marathon.id('none')}' does not exist")


# -- changing


@holds(f"{APPS}#put", "marathon/docs/docs/rest-api/public/api/v2/types/deploymentResult.raml#DeploymentResult")
def test_put_changes_what_it_names(marathon: Marathon) -> None:
    before = marathon.create(env={"A": "1"})
    told = marathon.done("PUT", f"/v2/apps{marathon.id()}", {"mem": 24})
    assert set(told) == {"version", "deploymentId"}
    after = marathon.app()
    assert (after["mem"], after["env"], after["version"]) == (24, {"A": "1"}, told["version"])
    assert after["tasks"][0]["id"] != before["tasks"][0]["id"]
    assert after["versionInfo"]["lastConfigChangeAt"] == told["version"]


@holds(f"{APPS}#put")
def test_put_replaces_all_of_it_when_it_is_asked_to(marathon: Marathon) -> None:
    marathon.create(instances=0, env={"A": "1"}, labels={"x": "y"})
    body = marathon.body(instances=0)
    marathon.done("PUT", f"/v2/apps{marathon.id()}", body, partialUpdate="false")
    app = marathon.app()
    assert not app.get("env")
    assert not app.get("labels")


@holds(f"{APPS}#put")
def test_put_creates_what_there_is_not(marathon: Marathon) -> None:
    answer = marathon.call("PUT", f"/v2/apps{marathon.id()}", {"cmd": "exec sleep 1000", "instances": 0})
    assert answer.status_code == 201
    marathon.deployed(answer)
    assert marathon.app()["cmd"] == "exec sleep 1000"


@holds(f"{APPS}#patch")
def test_patch_changes_and_never_creates(marathon: Marathon) -> None:
    marathon.create(instances=0)
    marathon.done("PATCH", f"/v2/apps{marathon.id()}", {"cpus": 0.2})
    assert marathon.app()["cpus"] == 0.2
    answer = marathon.call("PATCH", f"/v2/apps{marathon.id('none')}", {"cmd": "true"})
    assert answer.status_code == 404


@holds(f"{APPS}#put", f"{APPS}#patch")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_a_change_may_not_be(marathon: Marathon, method: str) -> None:
    marathon.create(instances=0)
    answer = marathon.call(method, f"/v2/apps{marathon.id()}", {"instances": -1})
    assert answer.status_code == 422
    assert answer.json()["details"][0]["path"] == "/instances"
    assert marathon.call(method, f"/v2/apps{marathon.id()}", b"{").status_code == 400


@holds(f"{APPS}#put", f"{APPS}#patch")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_many_at_once(marathon: Marathon, method: str) -> None:
    marathon.create("one", instances=0)
    marathon.create("two", instances=0)
    bodies = [{"id": marathon.id(name), "cpus": 0.3} for name in ("one", "two")]
    marathon.done(method, "/v2/apps", bodies)
    assert [marathon.app(name)["cpus"] for name in ("one", "two")] == [0.3, 0.3]


@holds(f"{APPS}#put", f"{APPS}#patch")
def test_many_of_which_some_are_new(marathon: Marathon) -> None:
    marathon.create("old", instances=0)
    bodies = [{"id": marathon.id("old"), "cpus": 0.3}, marathon.body("new", instances=0)]
    assert marathon.call("PATCH", "/v2/apps", bodies).status_code == 404
    nobody = marathon.call("PATCH", "/v2/apps", [{"id": marathon.id("nobody"), "instances": 1}])
    assert nobody.status_code == 404, nobody.text
    assert marathon.app("old")["cpus"] == 0.1
    marathon.done("PUT", "/v2/apps", bodies)
    assert (marathon.app("old")["cpus"], marathon.app("new")["cpus"]) == (0.3, 0.1)


@holds("marathon/docs/docs/rest-api/public/api/v2/types/versionInfo.raml#VersionInfo", f"{APPS}#put")
def test_scaling_starts_no_task_anew(marathon: Marathon) -> None:
    before = marathon.create(instances=1)
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"instances": 3})
    after = marathon.app()
    assert after["tasksRunning"] == 3
    assert before["tasks"][0]["id"] in [task["id"] for task in after["tasks"]]
    info = after["versionInfo"]
    assert info["lastScalingAt"] == after["version"]
    assert info["lastConfigChangeAt"] == before["version"]
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"instances": 0})
    assert marathon.app()["tasks"] == []


@holds("marathon/docs/docs/configure-task-handling.md#kill-selection")
@pytest.mark.parametrize(("selection", "index"), [("YOUNGEST_FIRST", 0), ("OLDEST_FIRST", 1)])
def test_who_goes_first_when_it_is_scaled_down(marathon: Marathon, selection: str, index: int) -> None:
    oldest = marathon.create(killSelection=selection)["tasks"][0]["id"]
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"instances": 2})
    youngest = next(task["id"] for task in marathon.running(2) if task["id"] != oldest)
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"instances": 1})
    (left,) = marathon.running(1)
    assert left["id"] == (oldest, youngest)[index]


@holds(f"{APPS}#restart")
def test_restart_starts_all_tasks_anew(marathon: Marathon) -> None:
    before = {task["id"] for task in marathon.create(instances=2)["tasks"]}
    told = marathon.done("POST", f"/v2/apps{marathon.id()}/restart")
    assert set(told) == {"version", "deploymentId"}
    after = {task["id"] for task in marathon.running(2)}
    assert not before & after


# -- versions


@holds(f"{APPS}#versions")
def test_versions_are_kept(marathon: Marathon) -> None:
    first = marathon.create(instances=0)["version"]
    second = marathon.done("PUT", f"/v2/apps{marathon.id()}", {"cpus": 0.4})["version"]
    assert marathon.get(f"/v2/apps{marathon.id()}/versions") == {"versions": [second, first]}
    assert marathon.get(f"/v2/apps{marathon.id()}/versions/{first}")["cpus"] == 0.1
    assert marathon.get(f"/v2/apps{marathon.id()}/versions/{second}")["cpus"] == 0.4


@holds(f"{APPS}#versions")
def test_a_version_comes_back(marathon: Marathon) -> None:
    first = marathon.create(instances=0)["version"]
    marathon.done("PUT", f"/v2/apps{marathon.id()}", {"cpus": 0.4})
    told = marathon.done("PUT", f"/v2/apps{marathon.id()}", {"version": first})
    assert marathon.app()["cpus"] == 0.1
    assert told["version"] > first


@holds(f"{APPS}#versions")
@pytest.mark.parametrize("version", ["2015-01-01T00:00:00.000Z", "yesterday"])
def test_a_version_that_there_is_not(marathon: Marathon, version: str) -> None:
    marathon.create(instances=0)
    answer = marathon.call("GET", f"/v2/apps{marathon.id()}/versions/{version}")
    assert answer.status_code in (400, 404, 422)
    assert answer.status_code == 404 or version == "yesterday"


# -- destroying


@holds(f"{APPS}#delete")
def test_an_app_is_destroyed_with_its_tasks(marathon: Marathon) -> None:
    marathon.create(instances=2)
    marathon.done("DELETE", f"/v2/apps{marathon.id()}")
    assert marathon.call("GET", f"/v2/apps{marathon.id()}").status_code == 404
    assert not [task for task in marathon.get("/v2/tasks")["tasks"] if task["appId"] == marathon.id()]


@holds(f"{APPS}#get")
def test_all_apps_below_a_group(marathon: Marathon) -> None:
    for name in ("a/one", "a/b/two", "c/three"):
        marathon.create(name, instances=0)
    found = marathon.get(f"/v2/apps{marathon.home}/a/*")["*"]
    assert sorted(app["id"] for app in found) == [marathon.id("a/b/two"), marathon.id("a/one")]

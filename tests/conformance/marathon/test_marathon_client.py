"""The `marathon` package of PyPI, as people's scripts use it."""

from __future__ import annotations

import collections
import collections.abc
import json
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.until import until

pypi = pytest.importorskip("marathon", reason="the marathon client is not installed: pip install 'labkit[test]'")

from marathon.models import MarathonApp, MarathonGroup  # noqa: E402

APPS = "marathon/docs/docs/rest-api/public/api/v2/apps.raml"
GROUPS = "marathon/docs/docs/rest-api/public/api/v2/groups.raml"


@pytest.fixture
def client(marathon: Marathon, monkeypatch: pytest.MonkeyPatch) -> Any:
    # Its last release is older than Python 3.10, which took this name away.
    monkeypatch.setattr(collections, "Iterable", collections.abc.Iterable, raising=False)
    user, password = marathon.cluster.marathon.auth or (None, None)
    marathon.used = True
    return pypi.MarathonClient(marathon.url, username=user, password=password)


def _app(marathon: Marathon, name: str = "app", **fields: Any) -> Any:
    return MarathonApp.from_json(marathon.body(name, **fields))


def _settled(marathon: Marathon) -> None:
    until(lambda: not marathon.deployments())


@holds(f"{APPS}#post", f"{APPS}#get")
def test_an_app(client: Any, marathon: Marathon) -> None:
    made = client.create_app(marathon.id(), _app(marathon, instances=2))
    assert made.id == marathon.id()
    _settled(marathon)
    found = client.get_app(marathon.id(), embed_tasks=True)
    assert (found.tasks_running, len(found.tasks)) == (2, 2)
    assert marathon.id() in [app.id for app in client.list_apps()]
    assert [app.id for app in client.list_apps(cmd="sleep", app_id=marathon.id())] == [marathon.id()]


@holds(f"{APPS}#put", f"{APPS}#versions")
def test_change_scale_restart_and_back(client: Any, marathon: Marathon) -> None:
    client.create_app(marathon.id(), _app(marathon))
    _settled(marathon)
    client.scale_app(marathon.id(), instances=2)
    _settled(marathon)
    client.scale_app(marathon.id(), delta=1)
    _settled(marathon)
    assert client.get_app(marathon.id()).tasks_running == 3
    first = client.list_versions(marathon.id())[-1]
    client.update_app(marathon.id(), MarathonApp(mem=24))
    _settled(marathon)
    assert client.get_app(marathon.id()).mem == 24
    client.rollback_app(marathon.id(), first)
    _settled(marathon)
    found = client.get_app(marathon.id())
    assert (found.mem, found.instances) == (16, 1)
    before = found.version
    client.restart_app(marathon.id())
    _settled(marathon)
    assert client.get_app(marathon.id()).version > before
    assert client.get_version(marathon.id(), first).mem == 16


@holds(f"{APPS}#put")
def test_many_apps(client: Any, marathon: Marathon) -> None:
    client.update_apps([_app(marathon, "one", instances=0), _app(marathon, "two", instances=0)])
    _settled(marathon)
    found = [app.id for app in client.list_apps() if app.id.startswith(marathon.home)]
    assert sorted(found) == [marathon.id("one"), marathon.id("two")]


@holds(f"{APPS}#tasks", "marathon/docs/docs/rest-api/public/api/v2/tasks.raml#delete")
def test_tasks(client: Any, marathon: Marathon) -> None:
    client.create_app(marathon.id(), _app(marathon, instances=3))
    _settled(marathon)
    tasks = client.list_tasks(marathon.id())
    assert {task.app_id for task in tasks} == {marathon.id()}
    assert {task.id for task in tasks} <= {task.id for task in client.list_tasks()}
    killed = client.kill_task(marathon.id(), tasks[0].id, scale=True)
    assert killed
    _settled(marathon)
    assert client.get_app(marathon.id()).instances == 2
    client.kill_given_tasks([tasks[1].id], scale=True)
    _settled(marathon)
    assert [task.id for task in client.list_tasks(marathon.id())] == [tasks[2].id]
    client.kill_tasks(marathon.id())
    until(lambda: tasks[2].id not in [task.id for task in client.list_tasks(marathon.id())])


@holds(f"{GROUPS}#post", f"{GROUPS}#put", f"{GROUPS}#delete")
def test_groups(client: Any, marathon: Marathon) -> None:
    client.create_group(MarathonGroup(id=marathon.home, apps=[_app(marathon, "web")]))
    _settled(marathon)
    group = client.get_group(marathon.home)
    assert [app.id for app in group.apps] == [marathon.id("web")]
    first = group.version
    client.scale_group(marathon.home, 2)
    _settled(marathon)
    assert client.get_app(marathon.id("web")).instances == 2
    # Its rollback_group puts nothing to …/versions/V, which Marathons of today answer with 400.
    marathon.done("PUT", f"/v2/groups{marathon.home}", {"version": first})
    assert client.get_app(marathon.id("web")).instances == 1
    client.delete_group(marathon.home, force=True)
    _settled(marathon)
    with pytest.raises(pypi.exceptions.NotFoundError):
        client.get_group(marathon.home)


@holds(
    "marathon/docs/docs/rest-api/public/api/v2/deployments.raml#delete",
    "marathon/docs/docs/rest-api/public/api/v2/queue.raml#get",
)
def test_deployments_and_the_queue(client: Any, marathon: Marathon) -> None:
    client.create_app(marathon.id(), _app(marathon, constraints=[["rack", "CLUSTER", "none"]]))
    (deployment,) = [one for one in client.list_deployments() if marathon.id() in one.affected_apps]
    item: Any = until(lambda: next((one for one in client.list_queue() if one.app.id == marathon.id()), None))
    assert item.count == 1
    assert item.delay.overdue is True
    until(lambda: next(one for one in client.list_queue(True) if one.app.id == marathon.id()).last_unused_offers)
    with pytest.raises(pypi.exceptions.MarathonHttpError) as refused:
        client.update_app(marathon.id(), MarathonApp(mem=24))
    assert refused.value.status_code == 409
    client.reset_delay(marathon.id())
    client.delete_deployment(deployment.id)
    _settled(marathon)
    with pytest.raises(pypi.exceptions.NotFoundError):
        client.get_app(marathon.id())


@holds(
    "marathon/docs/docs/rest-api/public/api/v2/info.raml#get",
    "marathon/docs/docs/rest-api/public/api/v2/leader.raml#get",
)
def test_what_it_is(client: Any, marathon: Marathon) -> None:
    info = client.get_info()
    assert info.name == "marathon"
    assert info.leader == client.get_leader()["leader"]
    assert client.ping() == b"pong" or client.ping() == "pong"
    assert "gauges" in client.get_metrics()


@holds("marathon/docs/docs/rest-api/public/api/v2/types/error.raml#Error")
def test_what_it_raises(client: Any, marathon: Marathon) -> None:
    with pytest.raises(pypi.exceptions.NotFoundError) as missing:
        client.get_app(marathon.id("none"))
    assert missing.value.error_message == f"App '{marathon.id('none')}' does not exist"
    with pytest.raises(pypi.exceptions.MarathonHttpError) as invalid:
        client.create_app(marathon.id(), _app(marathon, instances=-1))
    assert invalid.value.status_code == 422


@holds(
    "marathon/docs/docs/event-bus.md#subscription-to-events-via-the-event-stream",
    "marathon/docs/docs/event-bus.md#event-types",
)
def test_events(client: Any, marathon: Marathon) -> None:
    events = client.event_stream(event_types=["deployment_success", "event_stream_attached"])
    assert next(events).event_type == "event_stream_attached"
    client.create_app(marathon.id(), _app(marathon, instances=0))
    event = next(events)
    assert event.event_type == "deployment_success"
    events.close()
    assert json.dumps(event.id)

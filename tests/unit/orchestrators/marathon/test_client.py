"""The client: which calls it makes, whom it asks, and what its errors say."""

from __future__ import annotations

import pytest
from support.fakemarathon import FakeServer

from labkit.errors import UsageError
from labkit.orchestrators.marathon import MarathonClient, MarathonError, MesosError, Unreachable
from labkit.orchestrators.marathon.servers import Server
from labkit.orchestrators.marathon.stream import parse


def test_an_app_is_made_scaled_restarted_and_deleted(server: FakeServer, client: MarathonClient) -> None:
    server.put("/v2/apps", {"id": "/web", "instances": 1}, 201, "POST")
    for path, method in (("/v2/apps/web", "PUT"), ("/v2/apps/web/restart", "POST"), ("/v2/apps/web", "DELETE")):
        server.put(path, {"deploymentId": "d1", "version": "v"}, 200, method)
    assert client.create({"id": "/web", "cmd": "sleep 9"})["id"] == "/web"
    assert client.scale("/web", 3, force=True) == "d1"
    assert client.restart("web") == "d1"
    assert client.delete("/web") == "d1"
    scaled = server.changes()[1]
    assert (scaled.body, scaled.query) == ({"instances": 3}, {"force": ["true"]})
    assert server.changes()[2].query == {}


def test_nested_apps_keep_their_slashes(server: FakeServer, client: MarathonClient) -> None:
    server.put("/v2/apps/prod/web", {"app": {"id": "/prod/web"}})
    assert client.app("/prod/web")["id"] == "/prod/web"


def test_killing_names_the_tasks(server: FakeServer, client: MarathonClient) -> None:
    server.put("/v2/tasks/delete", {"tasks": []}, 200, "POST")
    client.kill("web.1", scale=True)
    asked = server.changes()[0]
    assert (asked.body, asked.query) == ({"ids": ["web.1"]}, {"scale": ["true"]})


def test_a_locked_app_names_its_deployments(server: FakeServer, client: MarathonClient) -> None:
    server.put("/v2/apps/web", {"message": "App is locked", "deployments": [{"id": "d1"}]}, 409, "PUT")
    with pytest.raises(MarathonError, match="App is locked") as error:
        client.scale("/web", 2)
    assert (error.value.status, error.value.deployments) == (409, ("d1",))


def test_scaling_an_app_that_is_not_there_says_so(server: FakeServer, client: MarathonClient) -> None:
    """Marathon's PUT makes apps: it would complain that half of one is given."""
    details = [
        {"path": "/", "errors": ["AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."]}
    ]
    server.put("/v2/apps/wbe", {"message": "Object is not valid", "details": details}, 422, "PUT")
    server.put("/v2/apps/wbe", {"message": "App '/wbe' does not exist"}, 404)
    with pytest.raises(MarathonError, match="App '/wbe' does not exist"):
        client.scale("/wbe", 2)
    server.put("/v2/apps/web", {"message": "Object is not valid", "details": details}, 422, "PUT")
    server.put("/v2/apps/web", {"app": {"id": "/web"}})
    with pytest.raises(MarathonError, match="Object is not valid"):
        client.scale("/web", 2)


def test_what_is_not_valid_is_told_path_by_path(server: FakeServer, client: MarathonClient) -> None:
    details = [{"path": "/cpus", "errors": ["error.expected.jsnumber"]}]
    server.put("/v2/apps", {"message": "Object is not valid", "details": details}, 422, "POST")
    with pytest.raises(MarathonError, match=r"Object is not valid \(/cpus: error.expected.jsnumber\)") as error:
        client.create({"id": "/web", "cpus": "many"})
    assert error.value.details == tuple(details)


def test_another_marathon_is_asked_when_one_is_away(server: FakeServer) -> None:
    away = FakeServer()
    away.close()
    server.put("/v2/apps", {"id": "/web"}, 201, "POST")
    server.put("/v2/deployments", [])
    client = MarathonClient([away.url, server.url], timeout=2.0)
    assert client.create({"id": "/web"}) == {"id": "/web"}
    assert client.servers.in_order()[0].url == f"http://{server.netloc}"  # and asked first from now on
    assert client.settled()
    client.close()


def test_a_proxy_without_a_leader_is_passed_over(server: FakeServer) -> None:
    proxy = FakeServer()
    proxy.put("/v2/info", {"message": "no leader"}, 503)
    server.put("/v2/info", {"version": "1.11.24"})
    client = MarathonClient([f"{proxy.url},{server.url}"], timeout=2.0)
    assert client.info()["version"] == "1.11.24"
    client.close()
    proxy.close()


def test_what_changes_something_is_not_asked_for_twice(server: FakeServer) -> None:
    other = FakeServer()
    client = MarathonClient([other.url, server.url], timeout=2.0)
    other.put("/ping", "pong")
    assert client.ping()  # a connection that stays open
    other.close()  # the connection breaks after the request was sent: it may have been done
    with pytest.raises(Unreachable):
        client.create({"id": "/web"})
    assert not server.changes()
    client.close()


def test_nobody_there_is_said_without_the_password() -> None:
    away = FakeServer()
    away.close()
    client = MarathonClient([away.url], timeout=1.0)
    with pytest.raises(Unreachable, match="connection refused") as error:
        client.apps()
    assert "secret" not in str(error.value)
    assert not client.ping()


def test_wrong_credentials(server: FakeServer) -> None:
    client = MarathonClient([f"http://me:wrong@{server.netloc}"], timeout=1.0)
    with pytest.raises(MarathonError, match="Invalid username or password") as error:
        client.apps()
    assert error.value.status == 401


def test_a_redirect_leads_to_the_master_that_leads(server: FakeServer) -> None:
    follower = FakeServer(moved_to=server.netloc)
    server.put("/state", {"leader_info": {"hostname": "h", "port": 5050}})
    server.put("/master/teardown", "", 200, "POST")
    for urls in ([follower.url, server.url], [follower.url]):  # also one that we were not told of
        client = MarathonClient([server.url], urls, timeout=2.0)
        assert client.mesos.leader() == "h:5050"
        client.mesos.teardown("f1")
        client.close()
    assert server.changes()[0].body == "frameworkId=f1"
    follower.close()


def test_masters_that_send_each_other_round(server: FakeServer) -> None:
    server.moved_to = server.netloc
    client = MarathonClient([server.url], [server.url], timeout=1.0)
    with pytest.raises(MesosError, match="no Mesos leads"):
        client.mesos.state()
    client.close()


def test_events(server: FakeServer, client: MarathonClient) -> None:
    server.events = [
        {"eventType": "status_update_event", "taskStatus": "TASK_RUNNING"},
        {"eventType": "app_terminated_event"},
    ]
    found = list(client.events("status_update_event"))
    assert [event["eventType"] for event in found] == ["status_update_event", "app_terminated_event"]
    assert server.asked[-1].query == {"plan-format": ["light"], "event_type": ["status_update_event"]}


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (b"event: a\ndata: {\"x\": 1}", {"eventType": "a", "x": 1}),
        (b"data: {\"eventType\": \"b\"}", {"eventType": "b"}),
        (b"", None),
        (b"event: heartbeat", None),
        (b"data: not json", None),
        (b"data: [1]", None),
    ],
)  # fmt: skip
def test_one_event(text: bytes, event: object) -> None:
    assert parse(text) == event


def test_urls() -> None:
    server = Server.of("https://me:s%40cret@example.org:8443/marathon/")
    assert (server.url, server.auth) == ("https://example.org:8443/marathon", ("me", "s@cret"))
    assert server.with_credentials == "https://me:s%40cret@example.org:8443/marathon"
    assert Server.of("127.0.0.1:8080").url == "http://127.0.0.1:8080"
    for bad in ("ftp://x", "http://", "http://x:port"):
        with pytest.raises(UsageError, match="is no URL"):
            Server.of(bad)

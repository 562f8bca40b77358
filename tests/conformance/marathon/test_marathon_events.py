"""/v2/events: who listens is told what happens, as it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon

Json = dict[str, Any]

PAGE = "marathon/docs/docs/event-bus.md"
RESOURCE = "marathon/docs/docs/rest-api/public/api/v2/events.raml#get"


def _of(marathon: Marathon, key: str = "appId") -> Callable[[Json], bool]:
    return lambda event: event[key] == marathon.id()


@holds(RESOURCE, f"{PAGE}#subscription-to-events-via-the-event-stream", f"{PAGE}#event-subscription")
def test_the_stream(marathon: Marathon) -> None:
    with marathon.events() as events:
        assert events.answer.headers["Content-Type"].startswith("text/event-stream")
        attached = events.next("event_stream_attached")
        assert attached["eventType"] == "event_stream_attached"
        assert {"remoteAddress", "timestamp"} <= set(attached)
        with marathon.events("event_stream_attached"):
            events.next("event_stream_attached")
        events.next("event_stream_detached")


@holds(f"{PAGE}#subscription-to-events-via-the-event-stream")
@pytest.mark.parametrize("accept", [None, "application/json", "*/*"])
def test_who_wants_the_stream_says_so(marathon: Marathon, accept: str | None) -> None:
    answer = marathon.call("GET", "/v2/events", headers={"Accept": accept})
    assert answer.status_code == 405


@holds(f"{PAGE}#filtering-the-event-stream")
def test_only_what_was_asked_for(marathon: Marathon) -> None:
    with marathon.events("deployment_success", "group_change_success") as events:
        told = marathon.done("POST", "/v2/apps", marathon.body(instances=0))
        assert told["id"] == marathon.id()
        events.next("deployment_success")
        assert {kind for kind, _ in events.seen} <= {"deployment_success", "group_change_success"}


@holds(f"{PAGE}#api-request")
def test_a_request_is_told(marathon: Marathon) -> None:
    with marathon.events("api_post_event") as events:
        marathon.done("POST", "/v2/apps", marathon.body(instances=0))
        event = events.next("api_post_event", lambda event: event["appDefinition"]["id"] == marathon.id())
        assert event["uri"] == "/v2/apps"
        assert event["clientIp"]
        assert event["appDefinition"]["cmd"] == "exec sleep 1000"


@holds(f"{PAGE}#status-update", "marathon/docs/docs/task-handling.md#non-terminal-states")
def test_a_task_from_its_beginning_to_its_end(marathon: Marathon) -> None:
    with marathon.events("status_update_event", "instance_changed_event") as events:
        marathon.create()
        (task,) = marathon.tasks()
        event = events.next(
            "status_update_event", lambda e: e["appId"] == marathon.id() and e["taskStatus"] == "TASK_RUNNING"
        )
        assert (event["taskId"], event["host"], event["ports"]) == (task["id"], task["host"], task["ports"])
        assert (event["slaveId"], event["version"]) == (task["slaveId"], task["version"])
        assert {"message", "ipAddresses"} <= set(event)
        marathon.done("DELETE", f"/v2/apps{marathon.id()}")
        events.next("status_update_event", lambda e: e["taskId"] == task["id"] and e["taskStatus"] == "TASK_KILLED")
        conditions = [
            e["condition"]
            for kind, e in events.seen
            if kind == "instance_changed_event" and e["runSpecId"] == marathon.id()
        ]
        assert [one for one in conditions if one in ("Running", "Killed")] == ["Running", "Killed"]


@holds(f"{PAGE}#status-update")
def test_an_app_that_is_gone(marathon: Marathon) -> None:
    with marathon.events("app_terminated_event") as events:
        marathon.create()
        marathon.done("DELETE", f"/v2/apps{marathon.id()}")
        events.next("app_terminated_event", _of(marathon))


@holds(f"{PAGE}#status-update")
def test_what_an_instance_event_says(marathon: Marathon) -> None:
    with marathon.events("instance_changed_event") as events:
        app = marathon.create()
        event = events.next(
            "instance_changed_event", lambda e: e["runSpecId"] == marathon.id() and e["condition"] == "Running"
        )
        assert {"instanceId", "agentId", "host", "timestamp"} <= set(event)
        assert event["runSpecVersion"] == app["version"]


@holds(f"{PAGE}#deployments")
def test_a_deployment_step_by_step(marathon: Marathon) -> None:
    with marathon.events() as events:
        answer = marathon.call("POST", "/v2/apps", marathon.body())
        id = answer.json()["deployments"][0]["id"]

        def mine(event: Json) -> bool:
            return bool((event.get("plan") or event)["id"] == id)

        info = events.next("deployment_info", mine)
        assert {"plan", "currentStep"} <= set(info)
        assert info["plan"]["version"]
        assert info["currentStep"]["actions"][0]["app"] == marathon.id()
        events.next("deployment_step_success", mine)
        done = events.next("deployment_success", mine)
        assert "timestamp" in done
    kinds = [kind for kind, event in events.seen if kind == "group_change_success"]
    assert kinds


@holds(f"{PAGE}#deployments")
def test_a_deployment_that_is_cancelled_has_failed(marathon: Marathon) -> None:
    with marathon.events("deployment_failed") as events:
        answer = marathon.call("POST", "/v2/apps", marathon.body(constraints=[["rack", "CLUSTER", "none"]]))
        id = answer.json()["deployments"][0]["id"]
        marathon.call("DELETE", f"/v2/apps{marathon.id()}", params={"force": "true"})
        events.next("deployment_failed", lambda event: event["id"] == id)


@holds(RESOURCE, "marathon-lb/README.md#sse-mode")
@pytest.mark.parametrize("light", [True, False])
def test_plans_are_light_or_whole(marathon: Marathon, light: bool) -> None:
    """As marathon-lb asks: /v2/events?plan-format=light&event_type=…"""
    query = {"plan-format": "light"} if light else {}
    with marathon.events("deployment_info", **query) as events:
        marathon.done("POST", "/v2/apps", marathon.body(instances=0))
        plan = events.next("deployment_info")["plan"]
        assert "steps" in plan
        if light:
            assert "original" not in plan
            assert "target" not in plan


@holds(f"{PAGE}#health-checks")
def test_health_checks_come_and_go(marathon: Marathon) -> None:
    with marathon.events(
        "add_health_check_event",
        "remove_health_check_event",
        "health_status_changed_event",
        "instance_health_changed_event",
    ) as events:
        check = {
            "protocol": "COMMAND",
            "command": {"value": "true"},
            "intervalSeconds": 1,
            "delaySeconds": 0,
            "gracePeriodSeconds": 1,
        }
        app = marathon.create(healthChecks=[check])
        changed = events.next("instance_health_changed_event", lambda e: e["runSpecId"] == marathon.id())
        assert (changed["healthy"], changed["runSpecVersion"]) == (True, app["version"])
        marathon.done("DELETE", f"/v2/apps{marathon.id()}")
        events.next("remove_health_check_event", _of(marathon))
    added = next(e for kind, e in events.seen if kind == "add_health_check_event" and e["appId"] == marathon.id())
    assert added["healthCheck"]["protocol"] == "COMMAND"

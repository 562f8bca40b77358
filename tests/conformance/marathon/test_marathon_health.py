"""Health checks: by Marathon and by Mesos; what is unhealthy is not counted, and killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import WHOAMI, Marathon
from support.until import until

Json = dict[str, Any]

PAGE = "marathon/docs/docs/health-checks.md"
TYPE = "marathon/docs/docs/rest-api/public/api/v2/types/healthCheck.raml#Health"

SOON: Json = {
    "gracePeriodSeconds": 0,
    "intervalSeconds": 1,
    "timeoutSeconds": 5,
    "delaySeconds": 0,
    "maxConsecutiveFailures": 2,
}
IMAGE: Json = {
    "cmd": None,
    "networks": [{"mode": "container/bridge"}],
    "container": {"type": "DOCKER", "docker": {"image": WHOAMI}, "portMappings": [{"containerPort": 80}]},
}


@holds(f"{PAGE}#marathon-level-health-checks", f"{PAGE}#health-lifecycle", TYPE)
@pytest.mark.parametrize(
    "check",
    [
        {"protocol": "HTTP", "path": "/health"},
        {"protocol": "TCP"},
        {"protocol": "MESOS_HTTP", "path": "/health"},
        {"protocol": "MESOS_TCP"},
    ],
)
def test_healthy(marathon: Marathon, check: Json) -> None:
    if check["protocol"].startswith("MESOS"):
        check = {**check, "portIndex": 0}
    marathon.create(**IMAGE, healthChecks=[{**SOON, "portIndex": 0, "gracePeriodSeconds": 60, **check}])
    app = marathon.app()
    assert (app["tasksHealthy"], app["tasksUnhealthy"]) == (1, 0), "the deployment waits for health"
    (result,) = app["tasks"][0]["healthCheckResults"]
    assert (result["alive"], result["consecutiveFailures"]) == (True, 0)
    assert {"firstSuccess", "lastSuccess", "instanceId"} <= set(result)


@holds(f"{PAGE}#command-health-checks", f"{PAGE}#mesos-level-health-checks")
def test_healthy_by_a_command(marathon: Marathon) -> None:
    marathon.create(healthChecks=[{**SOON, "protocol": "COMMAND", "command": {"value": 'test -n "$MESOS_SANDBOX"'}}])
    assert marathon.app()["tasksHealthy"] == 1


@holds(f"{PAGE}#health-lifecycle", f"{PAGE}#health-check-options")
@pytest.mark.parametrize("protocol", ["HTTP", "TCP", "COMMAND"])
def test_what_fails_too_often_is_killed(marathon: Marathon, protocol: str) -> None:
    """Nothing listens, and the command fails."""
    check = {
        **SOON,
        "protocol": protocol,
        **({"command": {"value": "false"}} if protocol == "COMMAND" else {"portIndex": 0}),
    }
    with marathon.events() as events:
        marathon.call("POST", "/v2/apps", marathon.body(healthChecks=[check]))
        if protocol == "COMMAND":
            events.next(
                "status_update_event",
                lambda e: e["appId"] == marathon.id() and e["taskStatus"] in ("TASK_KILLED", "TASK_FAILED"),
            )
            return
        events.next("failed_health_check_event", lambda e: e["appId"] == marathon.id())
        killed = events.next("unhealthy_instance_kill_event", lambda e: e["appId"] == marathon.id())
        assert {"taskId", "instanceId", "host", "reason", "slaveId", "version"} <= set(killed)
        events.next(
            "status_update_event", lambda e: e["taskId"] == killed["taskId"] and e["taskStatus"] == "TASK_KILLED"
        )


@holds(f"{PAGE}#health-check-options")
def test_no_failures_at_all_means_never_killed(marathon: Marathon) -> None:
    check = {**SOON, "protocol": "TCP", "portIndex": 0, "maxConsecutiveFailures": 0}
    marathon.call("POST", "/v2/apps", marathon.body(healthChecks=[check]))

    def failed() -> Json | None:
        tasks = marathon.tasks()
        results = tasks[0].get("healthCheckResults", []) if tasks else []
        return next((one for one in results if one["consecutiveFailures"] >= 5), None)

    result = until(failed)
    assert result is not None
    assert (result["alive"], "lastFailure" in result) == (False, True)
    assert marathon.app()["tasksUnhealthy"] == 1


@holds(f"{PAGE}#health-check-options")
def test_failures_in_the_grace_period_do_not_count(marathon: Marathon) -> None:
    check = {**SOON, "protocol": "TCP", "portIndex": 0, "gracePeriodSeconds": 3600, "maxConsecutiveFailures": 1}
    with marathon.events("failed_health_check_event", "unhealthy_instance_kill_event") as events:
        marathon.call("POST", "/v2/apps", marathon.body(healthChecks=[check]))
        (task,) = until(marathon.tasks) or [{}]
        with pytest.raises(AssertionError):
            events.next("unhealthy_instance_kill_event", seconds=marathon.cluster.seconds(5))
    assert [one["id"] for one in marathon.tasks()] == [task["id"]]


@holds("marathon/docs/docs/deployments.md#rolling-restarts", f"{PAGE}#health-lifecycle")
def test_a_deployment_waits_for_health(marathon: Marathon, tmp_path: Path) -> None:
    assert marathon.cluster.own
    flag = tmp_path / "healthy"
    check = {**SOON, "protocol": "COMMAND", "command": {"value": f"test -e {flag}"}, "maxConsecutiveFailures": 0}
    answer = marathon.call("POST", "/v2/apps", marathon.body(healthChecks=[check]))
    until(lambda: marathon.app()["tasksRunning"] == 1)
    assert marathon.deployments()
    flag.touch()
    marathon.deployed(answer)
    assert marathon.app()["tasksHealthy"] == 1


@holds("marathon/docs/docs/checks.md#checks", "marathon/docs/docs/checks.md#command-check-options")
def test_a_check_is_told_and_kills_nobody(marathon: Marathon) -> None:
    check = {"exec": {"command": {"shell": "exit 7"}}, "intervalSeconds": 1, "delaySeconds": 0}
    marathon.create(check=check)
    (task,) = marathon.tasks()

    def told() -> Json | None:
        """Mesos' operators' API has it; whether a task of Marathon shows it, its RAML leaves open."""
        tasks = marathon.cluster.operator("GET_TASKS").json()["get_tasks"]["tasks"]
        mine = next(one for one in tasks if one["task_id"]["value"] == task["id"])
        command: Json | None = mine["statuses"][-1].get("check_status", {}).get("command")
        return command if command and "exit_code" in command else None

    assert until(told) == {"exit_code": 7}
    assert [one["id"] for one in marathon.tasks()] == [task["id"]]

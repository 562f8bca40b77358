"""Deployments: how they are told, what they lock, how they are forced, taken back and ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.until import until

Json = dict[str, Any]

PAGE = "marathon/docs/docs/deployments.md"
RESOURCE = "marathon/docs/docs/rest-api/public/api/v2/deployments.raml"
READINESS = "marathon/docs/docs/readiness-checks.md"

NOWHERE = [["rack", "CLUSTER", "no-such-rack"]]  # an app with it waits, and its deployment with it


def _stuck(marathon: Marathon, name: str = "app", **fields: Any) -> str:
    """An app whose deployment does not end; the deployment's id."""
    answer = marathon.call("POST", "/v2/apps", marathon.body(name, constraints=NOWHERE, **fields))
    assert answer.status_code == 201
    return str(answer.headers["Marathon-Deployment-Id"])


@holds(
    f"{PAGE}#the-v2deployments-endpoint",
    f"{RESOURCE}#get",
    "marathon/docs/docs/rest-api/public/api/v2/types/deploymentEventsInfo.raml#DeploymentStepInfo",
)
def test_what_a_deployment_is(marathon: Marathon) -> None:
    id = _stuck(marathon)
    (shown,) = marathon.deployments()
    assert shown["id"] == id
    assert shown["affectedApps"] == [marathon.id()]
    assert (shown["currentStep"], shown["totalSteps"]) == (len(shown["steps"]), len(shown["steps"]))
    assert [(one["action"], one["app"]) for one in shown["currentActions"]] == [("ScaleApplication", marathon.id())]
    assert {"version", "affectedPods"} <= set(shown)
    assert marathon.app()["deployments"] == [{"id": id}]


@holds("marathon/docs/docs/rest-api/public/api/traits.raml#deployable", f"{PAGE}#force-a-deployment")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v2/apps{}", {"cpus": 0.2}),
        ("PATCH", "/v2/apps{}", {"cpus": 0.2}),
        ("POST", "/v2/apps{}/restart", None),
        ("DELETE", "/v2/apps{}?force=false", None),
        ("DELETE", "/v2/groups{home}", None),
    ],
)
def test_an_app_that_is_deployed_is_locked(marathon: Marathon, method: str, path: str, body: Json | None) -> None:
    id = _stuck(marathon)
    where = path.format(marathon.id(), home=marathon.home)
    answer = marathon.call(method, where, body)
    assert answer.status_code == 409
    told = answer.json()
    assert told["deployments"] == [{"id": id}]
    assert told["message"].startswith(
        "App is locked by one or more deployments. Override with the option '?force=true'."
    )
    forced = where.replace("?force=false", "")
    answer = marathon.call(method, forced, body, params={"force": "true"})
    assert answer.status_code == 200
    assert id not in [one["id"] for one in marathon.deployments()]


@holds("marathon/docs/docs/rest-api/public/api/traits.raml#deployable")
def test_others_are_not_locked(marathon: Marathon) -> None:
    _stuck(marathon)
    marathon.create("other")
    assert marathon.app("other")["tasksRunning"] == 1


@holds(f"{PAGE}#force-a-deployment")
def test_a_forced_change_takes_the_place_of_the_deployment(marathon: Marathon) -> None:
    _stuck(marathon)
    answer = marathon.call("PUT", f"/v2/apps{marathon.id()}", {"constraints": []}, params={"force": "true"})
    assert answer.status_code == 200
    marathon.deployed(answer)
    assert marathon.app()["tasksRunning"] == 1


@holds(f"{RESOURCE}#delete", f"{PAGE}#a-failed-deployment")
def test_cancelling_goes_back(marathon: Marathon) -> None:
    before = marathon.create()
    marathon.call("PUT", f"/v2/apps{marathon.id()}", {"constraints": NOWHERE, "instances": 2})
    (deployment,) = marathon.deployments()
    answer = marathon.call("DELETE", f"/v2/deployments/{deployment['id']}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "deploymentId"}
    assert answer.json()["deploymentId"] != deployment["id"]
    marathon.deployed(answer)
    app = marathon.app()
    assert (app["instances"], app.get("constraints", [])) == (1, [])
    assert app["versionInfo"]["lastConfigChangeAt"] >= before["versionInfo"]["lastConfigChangeAt"]
    assert len(marathon.running(1)) == 1


@holds(f"{RESOURCE}#delete")
def test_cancelling_the_making_of_an_app_unmakes_it(marathon: Marathon) -> None:
    id = _stuck(marathon)
    answer = marathon.call("DELETE", f"/v2/deployments/{id}")
    marathon.deployed(answer)
    assert marathon.call("GET", f"/v2/apps{marathon.id()}").status_code == 404


@holds(f"{RESOURCE}#delete")
def test_cancelling_by_force_leaves_all_as_it_is(marathon: Marathon) -> None:
    id = _stuck(marathon)
    answer = marathon.call("DELETE", f"/v2/deployments/{id}", params={"force": "true"})
    assert (answer.status_code, answer.text) == (202, "")
    until(lambda: not marathon.deployments())
    assert marathon.app()["instances"] == 1


@holds(f"{RESOURCE}#delete")
def test_a_deployment_that_there_is_not(marathon: Marathon) -> None:
    answer = marathon.call("DELETE", "/v2/deployments/none")
    assert answer.status_code == 404
    assert answer.json()["message"] == "DeploymentPlan none does not exist"


@holds(f"{PAGE}#rolling-restarts", "marathon/docs/docs/rest-api/public/api/v2/types/app.raml#UpgradeStrategy")
@pytest.mark.parametrize(
    ("minimum", "over", "fewest", "most"), [(1.0, 1.0, 2, 4), (1.0, 0.5, 2, 3), (0.5, 0.0, 1, 2), (0.0, 0.0, 0, 2)]
)
def test_a_rolling_restart_keeps_its_bounds(
    marathon: Marathon, minimum: float, over: float, fewest: int, most: int
) -> None:
    """Counted by the events of tasks, in their order: never fewer, never more run than the strategy says."""
    strategy = {"minimumHealthCapacity": minimum, "maximumOverCapacity": over}
    marathon.create(instances=2, upgradeStrategy=strategy)
    before = {task["id"] for task in marathon.tasks()}
    with marathon.events("status_update_event") as events:
        marathon.done("PUT", f"/v2/apps{marathon.id()}", {"env": {"NEXT": "1"}})
        until(lambda: before <= {e["taskId"] for _, e in events.seen if e["taskStatus"] == "TASK_KILLED"})
        seen = [event for _, event in list(events.seen) if event.get("appId") == marathon.id()]
    alive, counts = set(before), [2]
    for event in seen:
        if event["taskStatus"] == "TASK_RUNNING":
            alive.add(event["taskId"])
        elif event["taskStatus"] in ("TASK_KILLED", "TASK_KILLING"):
            alive.discard(event["taskId"])
        counts.append(len(alive))
    assert min(counts) >= fewest
    assert max(counts) <= most
    assert len(marathon.running(2)) == 2


@holds(
    f"{PAGE}#the-v2deployments-endpoint",
    "marathon/docs/docs/rest-api/public/api/v2/types/deploymentAction.raml#DeploymentAction",
)
@pytest.mark.parametrize(
    ("body", "action"), [({"instances": 5}, "ScaleApplication"), ({"env": {"A": "b"}}, "RestartApplication")]
)
def test_which_action_is_taken(marathon: Marathon, body: Json, action: str) -> None:
    marathon.create(instances=1, cpus=1, constraints=[["hostname", "UNIQUE"]])
    told = marathon.call("PUT", f"/v2/apps{marathon.id()}", {**body, "instances": 5})
    (shown,) = until(marathon.deployments) or [{}]
    assert shown["id"] == told.json()["deploymentId"]
    assert [one["action"] for one in shown["currentActions"]] == [action]


@holds("marathon/docs/docs/recipes.md#running-a-single-instance-application")
def test_a_single_instance_is_never_two(marathon: Marathon) -> None:
    strategy = {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}
    first = marathon.create(labels={"MARATHON_SINGLE_INSTANCE_APP": "true"}, upgradeStrategy=strategy)["tasks"][0]
    with marathon.events("status_update_event") as events:
        marathon.done("POST", f"/v2/apps{marathon.id()}/restart")
        states = [
            (e["taskId"] == first["id"], e["taskStatus"]) for _, e in list(events.seen) if e["appId"] == marathon.id()
        ]
    assert states.index((True, "TASK_KILLED")) < states.index((False, "TASK_RUNNING"))


# -- readiness


class Gate(ThreadingHTTPServer):
    """Answers 503 until it is told to open."""

    daemon_threads = True
    ready = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"warm" if self.server.ready else b"cold"  # type: ignore[attr-defined]
        self.send_response(200 if self.server.ready else 503)  # type: ignore[attr-defined]
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gate() -> Iterator[Gate]:
    server = Gate()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


RELAY = (
    'exec python3 -c "import http.server,os,sys,urllib.request,urllib.error\n'
    "class H(http.server.BaseHTTPRequestHandler):\n"
    " def do_GET(s):\n"
    "  try: r=urllib.request.urlopen('{}'); c=r.status\n"
    "  except urllib.error.HTTPError as e: r=e; c=e.code\n"
    "  b=r.read(); s.send_response(c); s.send_header('Content-Type','text/plain')\n"
    "  s.send_header('Content-Length',str(len(b))); s.end_headers(); s.wfile.write(b)\n"
    " def log_message(s,*a): pass\n"
    "http.server.ThreadingHTTPServer(('0.0.0.0',int(os.environ['PORT0'])),H).serve_forever()\""
)


@holds(
    f"{READINESS}#readiness-checks",
    f"{READINESS}#readiness-check-options",
    "marathon/docs/docs/rest-api/public/api/v2/types/readinessCheck.raml#TaskReadinessCheckResult",
)
def test_a_deployment_waits_until_its_tasks_are_ready(marathon: Marathon, gate: Gate) -> None:
    assert marathon.cluster.own
    check = {"portName": "http-api", "intervalSeconds": 2, "timeoutSeconds": 1, "preserveLastResponse": True}
    answer = marathon.call("POST", "/v2/apps", marathon.body(
        cmd=RELAY.format(f"http://127.0.0.1:{gate.server_port}/"), readinessChecks=[check],
        portDefinitions=[{"port": 0, "name": "http-api"}],
    ))  # fmt: skip
    assert answer.status_code == 201, answer.text

    def told() -> Json | None:
        (deployment,) = marathon.deployments()
        results = deployment["currentActions"][0].get("readinessCheckResults", [])
        return next((one for one in results if one.get("lastResponse", {}).get("status") == 503), None)

    result = until(told)
    assert result is not None
    assert (result["ready"], result["name"]) == (False, "readinessCheck")
    assert result["lastResponse"]["body"] == "cold"
    assert marathon.app()["tasksRunning"] == 1
    assert marathon.app(embed="app.readiness")["readinessCheckResults"][0]["ready"] is False
    gate.ready = True
    marathon.deployed(answer)

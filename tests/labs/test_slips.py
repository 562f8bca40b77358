"""What the labs' checks say to whoever took a wrong turn: a sentence that leads on, not the next step's."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.guide import Context, Lab, NotYet, load_lab
from labkit.orchestrators.marathon import MesosError

Json = dict[str, Any]
ID = "f3712d1b-cd00-4dc3-bff0-fef78325556e-0002"


def context(client: Any) -> Context:
    return Context(SimpleNamespace(client=client, machines=[], components=[], env={}))


def say(lab: Lab, step: str, client: Any, **memory: Any) -> NotYet:
    asked = context(client)
    asked.memory.update(memory)
    verdict = lab.step(step).check(asked)
    assert isinstance(verdict, NotYet)
    return verdict


def masters(*frameworks: Json) -> Any:
    return SimpleNamespace(mesos=SimpleNamespace(state=lambda: {"frameworks": list(frameworks)}))


def framework(name: str, *, connected: bool, framework_id: str = ID) -> Json:
    return {"name": name, "id": framework_id, "connected": connected, "registered_time": 1.0}


@pytest.mark.parametrize(
    "container",
    [
        {"docker": {"image": "traefik/whoami:v1.10"}},
        {"docker": {"image": "traefik/whoami:v1.10"}, "portMappings": [{"containerPort": 8080}]},
    ],
)
def test_a_beacon_that_nobody_can_reach(container: Json) -> None:
    """An image alone gets a port of its agent, and does not listen there."""
    beacon = {"id": "/beacon", "instances": 3, "tasksRunning": 3, "container": container}
    tasks = [{"id": f"beacon.{i}", "host": "127.0.0.1", "ports": [1]} for i in range(3)]
    client = SimpleNamespace(app=lambda app_id: beacon, tasks=lambda app_id: tasks)
    verdict = say(load_lab("mesos/11-zookeeper-and-masters"), "workload", client)
    assert "{10011: 80}" in verdict.try_next


def test_a_quorum_without_a_master_yet_asks_for_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is to start one member: nobody is to be sent to the other one."""
    lab = load_lab("mesos/11-zookeeper-and-masters")
    module = sys.modules[lab.step("quorum-back").check.__module__]
    monkeypatch.setattr(module, "serving", lambda context: ["master-1", "master-2"])
    monkeypatch.setattr(module, "quorum_of", lambda context: 2)

    def nobody(path: str) -> None:
        raise MesosError("No leader elected", 503)

    client = SimpleNamespace(mesos=SimpleNamespace(answer=nobody))
    verdict = say(lab, "quorum-back", client)
    assert "no master leads yet" in verdict.seen
    assert "start(" not in verdict.try_next


def test_a_desk_that_went_with_its_kernel() -> None:
    lab = load_lab("mesos/12-agents-and-offers")
    assert "Tear down" in say(lab, "clean-up", masters(framework("by-hand", connected=True))).try_next
    gone = say(lab, "clean-up", masters(framework("by-hand", connected=False)))
    assert f"teardown('{ID}')" in gone.try_next


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("stopped", "`kube.start('kube-scheduler')`"), ("starting", "twice as long each time")],
)
def test_a_scheduler_that_its_kubelet_puts_off_is_not_to_be_started_again(state: str, wanted: str) -> None:
    parts = [SimpleNamespace(name="kube-scheduler", machine="control-plane", state=state)]
    asked = Context(SimpleNamespace(client=None, machines=[], components=parts, env={}))
    verdict = load_lab("kubernetes/06-control-plane").step("scheduler-back").check(asked)
    assert isinstance(verdict, NotYet)
    assert wanted in verdict.try_next


def test_frameworks_that_a_second_run_left() -> None:
    lab = load_lab("mesos/14-write-your-own-framework")
    one = say(lab, "clean-up", masters(framework("mine", connected=True)))
    assert one.try_next == "`call('TEARDOWN')`"
    other = framework("mine", connected=True, framework_id=ID.replace("0002", "0003"))
    two = say(lab, "clean-up", masters(framework("mine", connected=False), other))
    assert two.seen == "2 frameworks called `mine` are left"
    assert f"teardown('{ID}')" in two.try_next


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lab with agents that serve and an agent without power, as far as its checks look."""
    lab = load_lab("marathon/17-discovery-and-haproxy")
    module = sys.modules[lab.step("agent").check.__module__]
    homes = {"/web": ["agent-2", "agent-3"], "/customers": ["agent-3"]}
    monkeypatch.setattr(module, "places", lambda context, app_id: homes[app_id])
    monkeypatch.setattr(module, "running", lambda context, app_id: [{"host": "127.0.0.2"}] * 3)
    monkeypatch.setattr(module, "app", lambda context, app_id: {"instances": 3})
    off: dict[str, str] = {}
    monkeypatch.setattr(module, "dead", lambda context: off)
    return SimpleNamespace(lab=lab, module=module, off=off)


def test_the_agent_of_the_customers_is_the_wrong_one(pulled: Any) -> None:
    """It runs tasks of the app as well: what is amiss is who else was on it."""
    asked = context(None)
    check = pulled.lab.step("agent").check
    assert "marathon.fail('agent-2')" in check(asked).try_next
    pulled.off["127.0.0.3"] = "agent-3"
    verdict = check(asked)
    assert verdict.seen == "the customers themselves were on agent-3"
    assert "fail `agent-2`" in verdict.try_next


def test_all_run_elsewhere_and_the_door_does_not_know_them_yet(pulled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled.off["127.0.0.3"] = "agent-3"
    monkeypatch.setattr(pulled.module, "serving", lambda context: {("127.0.0.2", 31000)})
    verdict = say(pulled.lab, "elsewhere", None)
    assert verdict.seen == "all 3 run elsewhere; HAProxy sends to 1"
    assert "75" not in verdict.try_next

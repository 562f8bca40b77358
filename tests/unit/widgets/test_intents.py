"""What is asked for is done in order, and whatever comes of it is told."""

from __future__ import annotations

import threading

import pytest
from support.simulated import SimulatedSandbox

from labkit.widgets.actions import buttons
from labkit.widgets.intents import VERBS, Outcome, Worker, parse_label, parse_ports


@pytest.fixture
def sandbox() -> SimulatedSandbox:
    return SimulatedSandbox()


@pytest.fixture
def told() -> list[Outcome]:
    return []


@pytest.fixture
def worker(sandbox: SimulatedSandbox, told: list[Outcome]) -> Worker:
    return Worker(sandbox, told.append, now=lambda: 5.0)


def deploy(worker: Worker) -> None:
    worker.carry_out("deploy", {"name": "web", "image": "nginx", "replicas": "3", "port": "8080:80"})


def test_a_deed_is_announced_and_confirmed(sandbox: SimulatedSandbox, worker: Worker, told: list[Outcome]) -> None:
    deploy(worker)
    assert [(o.text, o.level) for o in told] == [("deploying web…", "working"), ("web deployed", "done")]
    assert sandbox.actions.workloads["w-web"].desired == 3
    assert sandbox.actions.endpoints["w-web:8080"].target_port == 80


def test_every_verb_reaches_the_cluster(sandbox: SimulatedSandbox, worker: Worker, told: list[Outcome]) -> None:
    deploy(worker)
    sandbox.actions.settle()
    task = next(iter(sandbox.actions.tasks))
    everything = {"workload": "web", "replicas": 2, "node": "n4", "task": task, "machine": "worker-1", "name": "it"}
    everything["component"] = "agent"
    for verb in ("scale", *buttons("swarm")):
        if verb != "remove":
            worker.carry_out(verb, everything)
    worker.carry_out("remove", everything)
    assert not [o for o in told if o.level == "error"]
    assert not sandbox.actions.workloads


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("scale", {"workload": "nothing", "replicas": 3}, "scale: service nothing not found"),
        ("scale", {"replicas": 3}, "scale: unknown: 'workload'"),
        ("scale", {"workload": "web", "replicas": "many"}, "scale: invalid literal"),
        ("deploy", {"name": "web", "image": " "}, "deploy: a name and an image are needed"),
        ("deploy", {"name": "a", "image": "b", "port": "http"}, "deploy: 'http' is no port"),
        ("dance", {}, "dance: unknown: 'dance'"),
        ("kill_and_scale", {}, "kill and scale: "),
    ],
)
def test_an_error_never_vanishes(worker: Worker, told: list[Outcome], verb: str, arguments: dict, says: str) -> None:
    worker.carry_out(verb, arguments)
    assert told[-1].level == "error"
    assert told[-1].text.startswith(says)


@pytest.mark.parametrize("orchestrator", ["swarm", "kubernetes", "marathon"])
def test_every_button_has_a_verb(orchestrator: str) -> None:
    assert buttons(orchestrator).keys() <= VERBS.keys()
    assert VERBS.keys() <= {"scale", "deploy", *buttons("swarm"), *buttons("kubernetes"), *buttons("marathon")}


@pytest.mark.parametrize(
    ("text", "label"), [("app=web", ("app", "web")), ("app=", ("app", "")), (" app- ", ("app", None))]
)
def test_labels_are_written_as_for_kubectl(text: str, label: tuple[str, str | None]) -> None:
    assert parse_label(text) == label


@pytest.mark.parametrize("text", ["", "app", "=web", "-"])
def test_what_is_no_label_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no label: write key=value"):
        parse_label(text)


def test_the_engines_words_are_told(sandbox: SimulatedSandbox, worker: Worker, told: list[Outcome]) -> None:
    class ApiError(Exception):
        explanation = "rpc error: update out of sequence"

    def refuse(*args: object) -> None:
        raise ApiError("500 Server Error for http+docker://localhost")

    sandbox.actions.scale = refuse  # type: ignore[assignment,method-assign]
    worker.carry_out("scale", {"workload": "web", "replicas": 1})
    assert told[-1].text == "scale: rpc error: update out of sequence"


def test_the_thread_survives_and_ends(sandbox: SimulatedSandbox) -> None:
    done, told = threading.Event(), []

    def tell(outcome: Outcome) -> None:
        told.append(outcome)
        if outcome.level == "done":
            done.set()

    def bad_idle() -> None:
        raise OSError("no such socket")

    worker = Worker(sandbox, tell, idle=bad_idle)
    worker.start()
    worker.ask("nonsense", {})
    worker.ask("deploy", {"name": "web", "image": "nginx"})
    assert done.wait(5)
    levels = [o.text for o in told if o.level == "error"]
    assert "no such socket" in levels
    assert any("nonsense" in text for text in levels)
    worker.stop()
    assert not worker._thread.is_alive()


@pytest.mark.parametrize(
    ("text", "ports"),
    [("", {}), ("8080:80", {8080: 80}), ("80", {80: 80}), ("8080:80, 9000:90", {8080: 80, 9000: 90})],
)
def test_ports(text: str, ports: dict[int, int]) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["x", "80:y", "0:80", "70000:80", ":", "80:"])
def test_bad_ports(text: str) -> None:
    with pytest.raises(ValueError, match="is no port"):
        parse_ports(text)

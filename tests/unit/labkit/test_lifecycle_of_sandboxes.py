from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.until import until

import labkit
from labkit.errors import EngineFailed, LabkitError, NotFound, UsageError
from labkit.paths import Paths
from labkit.registry import Registry


def test_up_starts_points_and_remembers(engine: Any, registry: Registry) -> None:
    swarm = labkit.up("swarm", managers=1, workers=1)
    assert (swarm.name, swarm.orchestrator, swarm.engine, swarm.state) == ("swarm", "swarm", "embedded", "up")
    assert os.environ["DOCKER_HOST"] == swarm.env["DOCKER_HOST"]
    assert [s.name for s in labkit.sandboxes()] == ["swarm"]
    assert registry.paths.shell_env.exists()
    assert "1 manager, 1 worker" in repr(swarm)
    assert "DOCKER_HOST=unix://" in swarm._repr_html_()


def test_up_again_gives_the_same_one(engine: Any) -> None:
    labkit.up("swarm", managers=1)
    labkit.up("swarm")
    labkit.up("swarm", managers=1, workers=2, engine="embedded")
    assert engine.log == [("up", "swarm")]


def test_two_at_once_make_one(engine: Any) -> None:
    waiting: list[str] = []

    def say(text: str) -> None:
        if "waiting" in text:
            waiting.append(text)

    engine.meanwhile = lambda: until(lambda: len(waiting) == 2, what="the others wait")
    threads = [threading.Thread(target=labkit.up, args=("swarm",), kwargs={"progress": say}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.log == [("up", "swarm")]


def test_up_brings_a_stopped_one_back_with_its_own_sizes(engine: Any, registry: Registry) -> None:
    first = labkit.up("swarm", managers=1, workers=0)
    engine.running.clear()
    assert labkit.sandboxes()[0].state == "stopped"
    assert {m.state for m in labkit.sandboxes()[0].machines} == {"down"}
    said: list[str] = []
    again = labkit.up("swarm", progress=said.append)
    assert again.record.options == first.record.options
    assert again.record.created == first.record.created
    assert "had stopped" in said[0]


def test_a_stopped_one_that_does_not_come_back_keeps_its_state(engine: Any, registry: Registry) -> None:
    labkit.up("swarm")
    precious = registry.paths.state_of("swarm") / "sandbox.db"
    precious.write_text("objects")
    engine.running.clear()
    engine.broken = EngineFailed("no")
    with pytest.raises(EngineFailed):
        labkit.up("swarm")
    assert precious.read_text() == "objects"
    assert registry.get("swarm") is not None


@pytest.mark.parametrize("error", [EngineFailed("broken"), KeyboardInterrupt(), OSError("disk")])
def test_a_start_that_fails_leaves_nothing(engine: Any, paths: Paths, error: BaseException) -> None:
    engine.broken = error
    with pytest.raises(LabkitError if isinstance(error, OSError) else type(error)):
        labkit.up("swarm")
    assert ("down", "swarm") in engine.log
    assert labkit.sandboxes() == []
    assert not paths.state_of("swarm").exists()


def test_a_start_that_was_killed_is_cleaned_up_by_the_next(engine: Any, registry: Registry) -> None:
    swarm = labkit.up("swarm")
    registry.save(type(swarm.record).from_dict({**swarm.record.as_dict(), "ready": False}))
    assert labkit.sandboxes()[0].state == "stopped"
    labkit.up("swarm")
    assert engine.log == [("up", "swarm"), ("down", "swarm"), ("up", "swarm")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"managers": 0}, "managers must be a whole number from 1 to 15, not 0"),
        ({"managers": "three"}, "managers must be a whole number"),
        ({"managers": True}, "managers must be a whole number"),
        ({"workers": 2.5}, "workers must be a whole number"),
        ({"workers": float("nan")}, "workers must be a whole number"),
        ({"managers": float("inf")}, "managers must be a whole number"),
        ({"speed": 0}, "speed must be a number from 0.1 to 1000"),
        ({"speed": float("nan")}, "speed must be a number"),
        ({"engine": "podman"}, "there is no engine 'podman'; there are embedded and docker"),
        ({"name": "A B"}, "cannot name a sandbox"),
        ({"nodes": 3}, r"up\(\) knows no nodes"),
        ({"engine": "docker", "speed": 2}, "a real cluster has no speed"),
    ],
)
def test_wrong_arguments_get_one_line(engine: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        labkit.up("swarm", **arguments)
    assert "\n" not in str(caught.value)
    assert caught.value._render_traceback_() == [f"labkit: {caught.value}"]
    assert engine.log == []


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mesos", "'marathon' starts ZooKeeper, Mesos and Marathon together"),
        ("nomad", "no orchestrator 'nomad'; there is swarm"),
    ],
)
def test_unknown_orchestrators_list_the_known(engine: Any, word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        labkit.up(word)


@pytest.mark.parametrize(("arguments", "says"), [({"managers": 5}, "managers=3"), ({"plain": True}, "plain=False")])
def test_another_size_wants_the_old_one_down_first(engine: Any, arguments: dict[str, Any], says: str) -> None:
    labkit.up("swarm")
    with pytest.raises(UsageError, match=f"{says}; take it down first") as caught:
        labkit.up("swarm", **arguments)
    assert "labkit down swarm" in str(caught.value)


def test_another_engine_wants_the_old_one_down_first(engine: Any) -> None:
    labkit.up("swarm")
    with pytest.raises(UsageError, match="up on the embedded engine already"):
        labkit.up("swarm", engine="docker")


def test_speed_may_change_while_it_is_up(engine: Any, registry: Registry) -> None:
    labkit.up("swarm")
    swarm = labkit.up("swarm", speed=10)
    assert engine.log[-1] == ("speed", 10.0)
    assert swarm.record.options["speed"] == 10.0
    found = registry.get("swarm")
    assert found is not None
    assert found.options["speed"] == 10.0


def test_down_leaves_neither_file_nor_variable(engine: Any, paths: Paths) -> None:
    with labkit.up("swarm"):
        assert "DOCKER_HOST" in os.environ
    assert "DOCKER_HOST" not in os.environ
    assert not Path(paths.state).exists()
    assert not Path(paths.runtime).exists()


def test_down_without_a_name(engine: Any) -> None:
    with pytest.raises(NotFound, match="there is no sandbox"):
        labkit.down()
    labkit.up("swarm")
    labkit.up("swarm", name="two")
    with pytest.raises(UsageError, match="several sandboxes, say which: swarm, two"):
        labkit.down()
    with pytest.raises(NotFound, match="no sandbox “three”; there is swarm, two"):
        labkit.down("three")
    labkit.down("two")
    labkit.down()
    assert labkit.sandboxes() == []


def test_a_sandbox_that_somebody_else_took_down_is_down(engine: Any) -> None:
    swarm = labkit.up("swarm")
    labkit.down("swarm")
    swarm.down()
    assert "DOCKER_HOST" not in os.environ


def test_plugs_reach_the_engine(engine: Any) -> None:
    swarm = labkit.up("swarm")
    swarm.fail("worker-1")
    swarm.partition("manager-1", "worker-2")
    swarm.slow("worker-2", 0.25)
    assert engine.log[1:] == [
        ("fail", "worker-1", {}),
        ("partition", "manager-1", {"others": ["worker-2"]}),
        ("slow", "worker-2", {"seconds": 0.25}),
    ]
    with pytest.raises(NotFound, match="has no machine 'worker-7'"):
        swarm.heal("worker-7")
    with pytest.raises(NotFound, match="has no machine 'worker-7'"):
        swarm.partition("manager-1", "worker-7")


def test_plain_machines_have_joined_nothing(engine: Any) -> None:
    swarm = labkit.up("swarm", plain=True, managers=3, workers=2)
    assert [(m.name, m.role) for m in swarm.machines] == [(f"node-{i}", "") for i in range(1, 6)]
    assert "5 plain hosts" in repr(swarm)


def test_importing_labkit_is_light() -> None:
    import subprocess
    import sys

    heavy = "docker,plotly,requests,rich,typer,ipywidgets,numpy,networkx,psutil"
    code = f"import sys, labkit, labkit.embedded; print([m for m in '{heavy}'.split(',') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

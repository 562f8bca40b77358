"""The form of answers: whatever key the real engine gives, the embedded one gives too, with the same type.

`shapes/*.json` hold the key paths of the real engine's answers at API 1.41. With a real engine here they are compared
with it again; `LABKIT_UPDATE_SHAPES=1` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.cluster import BUSYBOX, WHOAMI, Cluster, Host
from support.shapes import Shape, absent, shape_of

FOLDER = Path(__file__).parent / "shapes"

# Key paths of the real engine that say how that very engine was built or what its kernel and storage driver are.
OWN = {
    "info": (
        "KernelMemory",
        "ContainerdCommit.",
        "RuncCommit.",
        "InitCommit.",
        "Runtimes.",
        "Plugins.",
        "DriverStatus",
        "RegistryConfig.",
    ),
    "version": (),
    "container": ("GraphDriver.", "HostConfig.", "AppArmorProfile"),
    "image": ("GraphDriver.", "ContainerConfig.", "Container", "DockerVersion"),
}


@pytest.fixture
def things(swarm: Cluster, web: str) -> dict[str, tuple[Host, str]]:
    """What is asked of whom, by the name of the shape."""
    task = swarm.running(web, 3)[0]
    host, container = swarm.container_of(task)
    service = swarm.client.services.get(web)
    network = service.attrs["Endpoint"]["VirtualIPs"][0]["NetworkID"]
    return {
        "version": (swarm.manager, "/version"),
        "info": (swarm.manager, "/info"),
        "info-worker": (swarm.workers[0], "/info"),
        "swarm": (swarm.manager, "/swarm"),
        "node-manager": (swarm.manager, f"/nodes/{swarm.node_id('manager-1')}"),
        "node-worker": (swarm.manager, f"/nodes/{swarm.node_id('worker-1')}"),
        "nodes": (swarm.manager, "/nodes"),
        "service": (swarm.manager, f"/services/{web}"),
        "services": (swarm.manager, "/services?status=true&filters=" + json.dumps({"name": [web]})),
        "task": (swarm.manager, f"/tasks/{task['ID']}"),
        "tasks": (swarm.manager, "/tasks?filters=" + json.dumps({"service": [web]})),
        "network": (swarm.manager, f"/networks/{network}"),
        "container": (host, f"/containers/{container}/json"),
        "containers": (host, "/containers/json?filters=" + json.dumps({"id": [container]})),
        "image": (swarm.manager, f"/images/{WHOAMI}/json"),
        "images": (swarm.manager, "/images/json"),
    }


NAMES = [
    *("version", "info", "info-worker", "swarm", "node-manager", "node-worker", "nodes", "service", "services"),
    *("task", "tasks", "network", "container", "containers", "image", "images"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_an_answer(swarm: Cluster, things: dict[str, tuple[Host, str]], name: str) -> None:
    host, path = things[name]
    _compare(swarm, name, shape_of(host.get(path)))


def test_the_form_of_a_task_that_failed(swarm: Cluster) -> None:
    import docker

    policy = docker.types.RestartPolicy("none")
    service = swarm.create(BUSYBOX, command=["false"], restart_policy=policy)
    [task] = swarm.settled(service, "failed")
    _compare(swarm, "task-failed", shape_of(swarm.manager.get(f"/tasks/{task['ID']}")))


def test_the_form_of_a_container_that_ended(swarm: Cluster) -> None:
    host = swarm.workers[0]
    created = host.client.containers.run(BUSYBOX, ["sh", "-c", "exit 3"], detach=True)
    try:
        created.wait()
        _compare(swarm, "container-ended", shape_of(host.get(f"/containers/{created.id}/json")))
    finally:
        created.remove(force=True)


def test_the_form_of_events(swarm: Cluster) -> None:
    host = swarm.workers[0]
    before = host.info()["SystemTime"]
    host.client.containers.run(BUSYBOX, ["true"], remove=True)
    stamp = _seconds(before)
    filters = json.dumps({"type": ["container"], "event": ["die"]})
    until_now = _seconds(host.info()["SystemTime"]) + 1
    answer = host.raw("GET", "/events", params={"since": stamp, "until": until_now, "filters": filters})
    _compare(swarm, "events", shape_of([json.loads(line) for line in answer.text.splitlines()]))


def _seconds(stamp: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(stamp.split(".")[0].rstrip("Z") + "+00:00").timestamp())


def _compare(swarm: Cluster, name: str, shape: Shape) -> None:
    file = FOLDER / f"{name}.json"
    kind = name.split("-")[0].rstrip("s")
    own: tuple[str, ...] = OWN.get(kind, ())
    if swarm.engine == "docker" and os.environ.get("LABKIT_UPDATE_SHAPES"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(json.dumps(shape, indent=1, sort_keys=True) + "\n")
    golden: Shape = json.loads(file.read_text())
    missing = [path for path in absent(golden, shape) if not path.lstrip("[].").startswith(own or ("\0",))]
    assert not missing, f"{name} has not what the real engine gives:\n  " + "\n  ".join(missing)

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from docker_host import DockerHost

import labkit
from labkit.engines.attached import Guarded, check_allow
from labkit.errors import ClusterError, LabkitError, Refused, UsageError
from labkit.paths import Paths

INFO = {"Name": "hub", "Swarm": {"ControlAvailable": True, "LocalNodeState": "active", "NodeAddr": "10.1.2.3"}}


@pytest.fixture
def host(paths: Paths) -> Iterator[DockerHost]:
    folder = Path(tempfile.mkdtemp(prefix="lkF-", dir="/tmp"))
    made = DockerHost(folder / "d.sock")
    made.answers["GET /info"] = INFO
    yield made
    made.close()
    shutil.rmtree(folder)


def service(replicas: int) -> dict[str, Any]:
    return {
        "ID": "s1",
        "Version": {"Index": 1},
        "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": replicas}}, "TaskTemplate": {"ContainerSpec": {}}},
    }


def test_attach_looks_and_remembers(host: DockerHost) -> None:
    swarm = labkit.attach("swarm", host=host.env["DOCKER_HOST"], name="training")
    assert (swarm.name, swarm.engine, swarm.state) == ("training", "attached", "up")
    assert [(m.name, m.address) for m in swarm.machines] == [("hub", "10.1.2.3")]
    assert swarm.snapshot().error == ""
    swarm.down()
    assert labkit.sandboxes() == []
    assert not any(call.startswith(("POST", "DELETE")) for call, _, _ in host.asked)  # it was only looked at


def test_a_docker_context_is_found_by_its_name(
    host: DockerHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = tmp_path / "contexts" / "meta" / sha256(b"Training.Room").hexdigest()
    meta.mkdir(parents=True)
    endpoint = {"Host": host.env["DOCKER_HOST"], "SkipTLSVerify": False}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "Training.Room", "Metadata": {}, "Endpoints": {"docker": endpoint}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    swarm = labkit.attach("swarm", context="Training.Room")
    assert swarm.name == "training-room"
    assert swarm.env == host.env
    with pytest.raises(UsageError, match="there is no docker context 'other'; `docker context ls`"):
        labkit.attach("swarm", context="other")
    (meta / "meta.json").write_text("{}")
    with pytest.raises(LabkitError, match=r"the docker context 'Training\.Room' cannot be read"):
        labkit.attach("swarm", context="Training.Room")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "say where it is"),
        ({"context": "a", "host": "b"}, "say where it is"),
        ({"host": "manager-1"}, "'manager-1' is no Docker host; write ssh://"),
        ({"host": "tcp://m:2376", "tls": "/nowhere"}, "/nowhere has no ca.pem, cert.pem, key.pem"),
        ({"host": "unix:///x", "allow": "fail"}, "nothing called 'fail' to allow; there are drain, kill"),
        ({"socket": "x"}, r"attach\(\) knows no socket"),
    ],
)
def test_wrong_arguments_get_one_line(paths: Paths, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        labkit.attach("swarm", **arguments)


def test_only_managers_can_be_attached(host: DockerHost) -> None:
    host.answers["GET /info"] = {"Name": "w", "Swarm": {"ControlAvailable": False, "LocalNodeState": "active"}}
    with pytest.raises(ClusterError, match=r"is not a swarm manager \(swarm: active\)"):
        labkit.attach("swarm", host=host.env["DOCKER_HOST"])
    with pytest.raises(ClusterError, match="Cannot connect to the Docker daemon"):
        labkit.attach("swarm", host="unix:///nowhere.sock")
    assert labkit.sandboxes() == []


def test_plugs_are_never_pulled(host: DockerHost) -> None:
    swarm = labkit.attach("swarm", host=host.env["DOCKER_HOST"], allow="drain,kill")
    with pytest.raises(Refused, match="“swarm” is attached: labkit did not start its machines, so it cannot fail one"):
        swarm.fail("hub")


def test_drills_want_to_be_allowed_by_name(host: DockerHost) -> None:
    host.answers |= {
        "GET /services": [service(3)],
        "GET /services/web": service(3),
        "POST /services/s1/update": {},
        "DELETE /services/web": {},
        "POST /services/create": {"ID": "new"},
    }
    swarm = labkit.attach("swarm", host=host.env["DOCKER_HOST"], allow=["remove"])
    for drill in (
        lambda: swarm.actions.drain("hub"),
        lambda: swarm.actions.kill("web.1"),
        lambda: swarm.actions.scale("web", 2),
        lambda: swarm.actions.update("web", "nginx:2"),
    ):
        with pytest.raises(Refused, match=r"may be somebody's production: to .*, attach it with allow="):
            drill()
    swarm.actions.scale("web", 4)  # more takes nothing away
    swarm.actions.deploy("new", "nginx")
    swarm.actions.remove("web")
    done = [call for call, _, _ in host.asked if not call.startswith("GET")]
    assert done == ["POST /services/s1/update", "POST /services/create", "DELETE /services/web"]
    swarm.close()


def test_when_it_cannot_be_seen_whether_it_takes_away_it_is_refused() -> None:
    class Blind:
        def snapshot(self, previous: object) -> labkit.model.Snapshot:  # type: ignore[name-defined]
            from labkit.model import Snapshot

            return Snapshot(0.0, "swarm", error="no leader")

    with pytest.raises(Refused):
        Guarded(Blind(), "training", ()).scale("web", 100)  # type: ignore[arg-type]


def test_what_may_be_allowed() -> None:
    assert check_allow("drain, kill") == ("drain", "kill")
    assert check_allow(["scale"]) == ("scale",)
    assert check_allow(()) == ()


def test_an_own_sandbox_is_not_overwritten(engine: Any, host: DockerHost) -> None:
    labkit.up("swarm")
    with pytest.raises(UsageError, match="“swarm” is a sandbox of labkit's own"):
        labkit.attach("swarm", host=host.env["DOCKER_HOST"])

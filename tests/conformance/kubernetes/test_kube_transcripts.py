"""Sessions with kubectl, line by line as the real cluster answered them (`transcripts/*.txt`).

The sessions are played on kind and on the embedded engine with the kubectl that they were recorded with, and on the
embedded engine with newer ones. What must differ each time is made alike (`support.kube_normal`); what differs by
version stands in `kube_versions`. `LABKIT_TRANSCRIPTS=record` writes what the real cluster answers into the files.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kube_versions import RECORDED, ROWS, Differences, Version
from support.kube_cluster import KubeCluster, kubectls
from support.kube_normal import normal
from support.transcripts import Player, Step, parse, render

FOLDER = Path(__file__).parent / "transcripts"
SESSIONS = sorted(path.stem for path in FOLDER.glob("*.txt"))
CLIENTS = ((1, 27), (1, 32), (1, 37))
RUNS = [("docker", RECORDED["client"]), *(("embedded", client) for client in CLIENTS)]
RECORD = os.environ.get("LABKIT_TRANSCRIPTS") == "record"


def text(version: Version) -> str:
    return ".".join(map(str, version))


@pytest.fixture(scope="session")
def needed() -> Iterator[dict[str, set[object]]]:
    """Which rows of the table of differences changed something: "played" counts the sessions."""
    yield {"rows": set(), "played": set()}


@pytest.fixture(scope="session")
def binary(client: Version) -> str:
    """The kubectl of a version."""
    found = kubectls().get(text(client))
    if found is None:
        pytest.skip(f"kubectl {text(client)} is not on this machine: put it beside the other as kubectl.{text(client)}")
    return found


@pytest.fixture
def player(kube: KubeCluster, ns: str, binary: str, tmp_path: Path) -> Iterator[Player]:
    """A folder with the sessions' files and kubectl on the PATH, in a namespace that is the context's own."""
    home, tools = tmp_path / "home", tmp_path / "tools"
    for folder in (home, tools):
        folder.mkdir()
    (tools / "kubectl").symlink_to(binary)
    for file in (FOLDER / "files").iterdir():
        shutil.copy(file, tmp_path)
    kubeconfig = yaml.safe_load(Path(kube.kubeconfig).read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    # Names that both engines share, for `kubectl config`.
    kubeconfig["clusters"][0]["name"] = kubeconfig["users"][0]["name"] = "lab"
    context = {"cluster": "lab", "user": "lab", "namespace": ns}
    kubeconfig |= {"contexts": [{"name": "lab", "context": context}], "current-context": "lab"}
    (home / "config").write_text(yaml.safe_dump(kubeconfig))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    first, second = kube.workers[:2]
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(home),
        "KUBECONFIG": str(home / "config"),
        "LC_ALL": "C.UTF-8",
        "NS": ns,
        "PORT": port,
        "WORKER": first,
        "WORKER2": second,
        "CONTROL_PLANE": kube.control_plane,
    }
    names = {
        server: "https://SERVER", server.removeprefix("https://"): "SERVER", ns: "NS", port: "PORT",
        str(tmp_path): "FOLDER", first: "worker-1", second: "worker-2", kube.control_plane: "control-plane",
    }  # fmt: skip
    player = Player(tmp_path, environment, lambda said: normal(said, names))
    yield player
    player.close()


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize(
    ("engine", "client"), RUNS, indirect=["engine"], ids=lambda v: v if isinstance(v, str) else text(v), scope="session"
)
def test_a_session_is_answered_as_recorded(
    kube: KubeCluster, client: Version, session: str, player: Player, needed: dict[str, set[object]]
) -> None:
    path = FOLDER / f"{session}.txt"
    recorded = parse(path.read_text())
    answered = [player.play(step) for step in recorded]
    running = {"server": kube.version, "client": client}
    if RECORD and kube.engine == "docker":
        assert running == RECORDED, "kube_versions.RECORDED names the versions that are recorded with"
        path.write_text(render(answered))
        return
    differences = Differences(running)
    wrong = []
    for was, now in zip(recorded, answered, strict=True):
        wanted, got = differences.expected(was.text, was.said), differences.answered(was.text, now.said)
        if wanted != got:
            wrong.append(
                "\n".join([f"{was.sign} {was.text}", *list(difflib.unified_diff(wanted, got, lineterm="", n=2))[2:]])
            )
    needed["rows"] |= differences.used
    needed["played"].add((session, kube.engine, client))
    assert not wrong, f"{len(wrong)} of {sum(bool(s.sign) for s in recorded)}:\n" + "\n\n".join(wrong)


def test_enough_is_typed() -> None:
    typed = [step for session in SESSIONS for step in parse((FOLDER / f"{session}.txt").read_text()) if step.sign]
    assert sum("kubectl" in step.text for step in typed if step.sign in "$&") >= 110


def test_no_difference_is_excused_that_there_is_not(needed: dict[str, set[object]]) -> None:
    if len(needed["played"]) < len(SESSIONS) * len(CLIENTS):
        pytest.skip("not every session was played with every kubectl")
    assert not [row for row in ROWS if row not in needed["rows"]]


def test_what_is_recorded_is_of_no_machine() -> None:
    for session in SESSIONS:
        found = (FOLDER / f"{session}.txt").read_text()
        assert not re.search(r"/tmp/|/home/|/root/|labkit-|\b\d+\.\d+\.\d+\.\d+\b", found), session

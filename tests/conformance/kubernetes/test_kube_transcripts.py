"""Sessions with kubectl, line by line as the real cluster answered them (`transcripts/*.txt`).

The sessions are played on kind and on the embedded engine with the kubectl that they were recorded with, and on the
embedded engine with newer ones. A real cluster under load has its weather (a kubelet that waits for a Secret, two
controllers that meet): there a session that differs is played a second time, and that counts; the embedded engine has
one try. What must differ each time is made alike (`support.kube_normal`); what differs by
version stands in `kube_versions`. `LABKIT_TRANSCRIPTS=record` writes what the real cluster answers into the files.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

import pytest
import yaml
from kube_versions import RECORDED, ROWS, Differences, Row, Version
from support.kube_cluster import KubeCluster, kubectls
from support.kube_normal import normal
from support.transcripts import Player, Step, parse, render

FOLDER = Path(__file__).parent / "transcripts"
SESSIONS = sorted(path.stem for path in FOLDER.glob("*.txt"))
# What takes nodes away from the others is played when they have ended.
ALONE = "nodes"
CLIENTS = ((1, 27), (1, 32), (1, 37))
RUNS = [("docker", RECORDED["client"]), *(("embedded", client) for client in CLIENTS)]
RECORD = os.environ.get("LABKIT_TRANSCRIPTS") == "record"


class Play(Protocol):
    """Plays a session; `again`, once more and when all others have ended."""

    def __call__(self, session: str, again: bool = False) -> list[Step]: ...


def text(value: str | Version) -> str:
    return value if isinstance(value, str) else ".".join(map(str, value))


@pytest.fixture(scope="session")
def needed() -> set[Row | tuple[str, Version]]:
    """Which rows of the table of differences changed something, and which sessions were played on embedded."""
    return set()


@pytest.fixture(scope="session")
def play(
    request: pytest.FixtureRequest, cluster: KubeCluster, client: Version, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Play]:
    """Plays sessions with one kubectl. All that are wanted begin at once, as most of their time is waiting."""
    binary = kubectls().get(text(client))
    if binary is None:
        pytest.skip(f"kubectl {text(client)} is not on this machine: put it beside the other as kubectl.{text(client)}")
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {params["session"] for params in calls if params.get("client") == client and "session" in params}

    def played(session: str) -> list[Step]:
        folder = tmp_path_factory.mktemp(session)
        namespace = cluster.namespace()
        player = stage(cluster, namespace, folder, binary)
        try:
            return [player.play(step) for step in parse((FOLDER / f"{session}.txt").read_text())]
        finally:
            player.close()
            cluster.drop(namespace)

    with ThreadPoolExecutor(3) as pool:
        plays = {session: pool.submit(played, session) for session in sorted(wanted - {ALONE})}

        def result(session: str, again: bool = False) -> list[Step]:
            if session != ALONE and not again:
                return plays[session].result()
            wait(plays.values())
            return played(session)

        yield result


def stage(cluster: KubeCluster, namespace: str, folder: Path, binary: str) -> Player:
    """A folder with the sessions' files and kubectl on the PATH, in a namespace that is the context's own."""
    home, tools = folder / "home", folder / "tools"
    for made in (home, tools):
        made.mkdir()
    (tools / "kubectl").symlink_to(binary)
    for file in (FOLDER / "files").iterdir():
        shutil.copy(file, folder)
    kubeconfig = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    # Names that both engines share, for `kubectl config`.
    kubeconfig["clusters"][0]["name"] = kubeconfig["users"][0]["name"] = "lab"
    context = {"cluster": "lab", "user": "lab", "namespace": namespace}
    kubeconfig |= {"contexts": [{"name": "lab", "context": context}], "current-context": "lab"}
    (home / "config").write_text(yaml.safe_dump(kubeconfig))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    first, second = cluster.workers[:2]
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(home),
        "KUBECONFIG": str(home / "config"),
        "LC_ALL": "C.UTF-8",
        "NS": namespace,
        "PORT": port,
        "WORKER": first,
    }
    names = {
        server: "https://SERVER", server.removeprefix("https://"): "SERVER", namespace: "NS", port: "PORT",
        str(folder): "FOLDER", first: "worker-1", second: "worker-2", cluster.control_plane: "control-plane",
    }  # fmt: skip
    return Player(folder, environment, lambda said: normal(said, names))


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize(("engine", "client"), RUNS, indirect=["engine"], ids=text, scope="session")
def test_a_session_is_answered_as_recorded(
    kube: KubeCluster, client: Version, session: str, play: Play, needed: set[Row | tuple[str, Version]]
) -> None:
    path = FOLDER / f"{session}.txt"
    recorded = parse(path.read_text())
    answered = play(session)
    embedded = kube.engine == "embedded"
    running = {"server": kube.version, "client": client, "embedded": (int(embedded), 0)}
    if RECORD and not embedded:
        assert running == RECORDED, "kube_versions.RECORDED names the versions that are recorded with"
        path.write_text(render(answered))
        return
    differences = Differences(running)
    wrong = compared(recorded, answered, differences)
    if wrong and not embedded:
        wrong = compared(recorded, play(session, again=True), differences)
    needed |= differences.used
    if embedded:
        needed.add((session, client))
    if wrong:
        typed = sum(bool(step.sign) for step in recorded)
        pytest.fail(f"{len(wrong)} of {typed} differ:\n" + "\n\n".join(wrong), pytrace=False)


def compared(recorded: list[Step], answered: list[Step], differences: Differences) -> list[str]:
    """What was answered otherwise than recorded, a step each."""
    wrong = []
    for was, now in zip(recorded, answered, strict=True):
        wanted, got = differences.expected(was.text, was.said), differences.answered(was.text, now.said)
        if wanted != got:
            changes = list(difflib.unified_diff(wanted, got, lineterm="", n=2))[2:]
            wrong.append("\n".join([f"{was.sign} {was.text}", *changes]))
    return wrong


def test_no_difference_is_excused_that_there_is_not(needed: set[Row | tuple[str, Version]]) -> None:
    if not needed.issuperset((session, client) for session in SESSIONS for client in CLIENTS):
        pytest.skip("not every session was played with every kubectl")
    assert not [row for row in ROWS if row not in needed]


def test_enough_is_typed() -> None:
    typed = [step for session in SESSIONS for step in parse((FOLDER / f"{session}.txt").read_text())]
    assert sum("kubectl" in step.text for step in typed if step.sign in ("$", "&")) >= 300


@pytest.mark.parametrize("session", SESSIONS)
def test_what_is_recorded_is_of_no_machine(session: str) -> None:
    found = re.sub(r"^    [$%&>] .*$", "", (FOLDER / f"{session}.txt").read_text(), flags=re.MULTILINE)
    assert not re.search(r"/tmp/(?!greeting|nothing)|(?<!FOLDER)/home/|/root/|labkit-|\b\d+\.\d+\.\d+\.\d+\b", found)

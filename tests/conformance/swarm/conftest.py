"""One suite for every engine: what the real one does is right.

Each test takes `swarm` and runs once on the embedded engine and once on a real swarm of dockerds. Services that a test
makes are removed after it, and nodes are put back. Tests of `test_quorum.py` run last: they take the swarm apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
import words as table
from support import present, workloads
from support.cluster import BUSYBOX, GRACE, KEEP, WHOAMI, WHOAMI_NEXT, Cluster

import labkit
from labkit.sandbox import Sandbox

ENGINES = ("embedded", "docker")
# Every delay of the embedded engine is shorter by this; real ones are what they are.
SPEED = 10.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == "test_quorum.py")


def start(engine: str, name: str, **options: object) -> Sandbox:
    """A sandbox of that engine, or a skip that says what is missing."""
    if engine == "docker":
        present.demand("docker")
        for image in (WHOAMI, WHOAMI_NEXT, BUSYBOX):
            workloads.provide(image)
        os.environ.setdefault("LABKIT_SWARM_NODE_IMAGE", present.node_image())
        os.environ.setdefault("LABKIT_SWARM_MIRROR", "none")  # tests run on what this machine has, the same each time
    else:
        options["speed"] = SPEED
    return labkit.up("swarm", engine=engine, name=name, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def cluster(engine: str) -> Iterator[Cluster]:
    """Three managers and two workers, started once."""
    # While one writes cases, a real swarm may stay up from run to run; `infra/swarm/down --name conf-kept` ends it.
    kept = engine == "docker" and bool(os.environ.get("LABKIT_CONFORMANCE_KEEP"))
    sandbox = start(engine, "conf-kept" if kept else f"conf-{engine[0]}{os.getpid()}", managers=3, workers=2)
    try:
        cluster = Cluster(sandbox)
        yield cluster
        cluster.close()
    finally:
        if not kept:
            sandbox.down()


@pytest.fixture(scope="session")
def plain(engine: str) -> Iterator[Cluster]:
    """Three Docker hosts that have joined nothing."""
    sandbox = start(engine, f"plain-{engine[0]}{os.getpid()}", managers=2, workers=1, plain=True)
    try:
        cluster = Cluster(sandbox)
        yield cluster
        cluster.close()
    finally:
        sandbox.down()


@pytest.fixture
def swarm(cluster: Cluster) -> Iterator[Cluster]:
    """The swarm, put back in order afterwards."""
    yield cluster
    cluster.reset()


@pytest.fixture(scope="module")
def _web(cluster: Cluster) -> Iterator[str]:
    name = "web"
    cluster.cli(
        *("service", "create", "-d", "-q", "--no-resolve-image", "--name", name, "--replicas", "3"),
        *("--label", f"{KEEP}=yes", "--label", "tier=front", "--env", "COLOUR=blue", "-p", "8080:80"),
        *("--stop-grace-period", f"{GRACE}ns", WHOAMI),
    )
    cluster.running(name, 3)
    yield name
    cluster.api.remove_service(name)


@pytest.fixture
def web(_web: str, swarm: Cluster) -> str:
    """A service of three replicas on ingress port 8080, to look at and not to change."""
    return _web


@pytest.fixture
def words(cluster: Cluster) -> table.Words:
    """The engine's words by name, for its version: `words("unknown filter", name="x")`."""
    return table.Words(cluster.version)


@pytest.fixture
def same(words: table.Words):  # type: ignore[no-untyped-def]
    """Asserts that a message is what the engine's version says: `same(message, "unknown filter", name="x")`."""

    return _checker(words)


def _checker(words: table.Words):  # type: ignore[no-untyped-def]
    def check(message: str, key: str, **values: object) -> None:
        pattern = words(key, **values)
        assert re.fullmatch(pattern, message.strip(), re.DOTALL), f"\nexpected: {pattern}\n     got: {message.strip()}"

    return check


@pytest.fixture
def plain_same(plain: Cluster):  # type: ignore[no-untyped-def]
    """`same` for the hosts that are in no swarm."""
    return _checker(table.Words(plain.version))


@pytest.fixture
def ipvs(cluster: Cluster) -> None:
    """Skips where the kernel under a real swarm cannot forward virtual IPs and ingress ports."""
    notes = cluster.sandbox._engine.describe(cluster.sandbox.record)["notes"]
    found = [note for note in notes if "IPVS" in note]
    if cluster.engine == "docker" and found:
        pytest.skip(f"docker: {found[0]}; run it where the module ip_vs can be loaded")

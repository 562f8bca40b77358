"""One suite for every Marathon: the embedded one, and a real one if LABKIT_MARATHON_URL and LABKIT_MESOS_URL name it.

The documents are right: every case names the page that it holds to (`support.documents.holds`). A test has a group of
its own for its apps (`marathon.home`), which goes afterwards. Modules that stop leaders have sandboxes of their own
(`lone`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.marathon_cluster import Marathon
from support.mesos_cluster import ENGINES, SPEED, MesosCluster, opened


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def cluster(engine: str) -> Iterator[MesosCluster]:
    """Three masters, of which two have a Marathon, and three agents, started once."""
    with opened(engine, "conf-a") as cluster:
        yield cluster


@pytest.fixture
def marathon(cluster: MesosCluster) -> Iterator[Marathon]:
    """Marathon, and a group of the test's own."""
    one = Marathon(cluster, f"/{cluster.name()}")
    yield one
    one.clear()


@pytest.fixture(scope="module")
def lone(engine: str, request: pytest.FixtureRequest) -> Iterator[MesosCluster]:
    """A cluster of the module's own, which it may hurt; as fast as its ``SPEED`` says."""
    name = f"conf-{request.module.__name__.rpartition('_')[2]}"
    with opened(engine, name, speed=getattr(request.module, "SPEED", SPEED)) as cluster:
        yield cluster

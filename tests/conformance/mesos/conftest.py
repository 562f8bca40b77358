"""One suite for every Mesos: the embedded one, and a real one if LABKIT_MESOS_URL and LABKIT_MARATHON_URL name it.

The documents are right: every case names the page that it holds to (`support.documents.holds`). A test has a framework
of its own, which is torn down afterwards. Modules that stop masters or agents have sandboxes of their own (`lone`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.mesos_cluster import ENGINES, SPEED, MesosCluster, Scheduler, opened


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def cluster(engine: str) -> Iterator[MesosCluster]:
    """Three masters and three agents, started once."""
    with opened(engine, "conf-m") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def lone(engine: str, request: pytest.FixtureRequest) -> Iterator[MesosCluster]:
    """A cluster of the module's own, whose machines it may hurt; as fast as its ``SPEED`` says."""
    name = f"conf-{request.module.__name__.rpartition('_')[2]}"
    with opened(engine, name, speed=getattr(request.module, "SPEED", SPEED)) as cluster:
        yield cluster


@pytest.fixture
def frameworks(cluster: MesosCluster) -> Iterator[Callable[..., Scheduler]]:
    """Makes frameworks, not subscribed yet; all are torn down after the test."""
    made: list[Scheduler] = []

    def make(**info: object) -> Scheduler:
        made.append(Scheduler(cluster, **info))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def scheduler(frameworks: Callable[..., Scheduler]) -> Scheduler:
    """A framework that has subscribed."""
    one = frameworks()
    one.subscribe()
    return one

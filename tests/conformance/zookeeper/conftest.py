"""One suite for both ensembles, through kazoo: the embedded one, and Debian's real ZooKeeper 3.8.

The real one is right.

Each test has a folder of nodes of its own (`root`). Tests that stop members start them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient
from support import present
from support.zookeepers import EmbeddedZoo, RealZoo, Zoo


@pytest.fixture(scope="session", params=("embedded", "real"))
def zoo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """Three members, started once."""
    if request.param == "real":
        present.demand("zookeeper")
    made: Zoo = EmbeddedZoo() if request.param == "embedded" else RealZoo(tmp_path_factory.mktemp("zoo"))
    try:
        made.complete()
        yield made
    finally:
        made.close()


@pytest.fixture
def connect(zoo: Zoo) -> Iterator[Callable[..., KazooClient]]:
    """Connects another client; all are closed after the test."""
    clients: list[KazooClient] = []

    def one(timeout: float = 10.0, hosts: str | None = None, **rest: object) -> KazooClient:
        client = KazooClient(hosts or zoo.hosts, timeout=timeout, **rest)
        client.start(timeout=30)
        clients.append(client)
        return client

    yield one
    for client in clients:
        client.stop()
        client.close()


@pytest.fixture
def zk(connect: Callable[..., KazooClient]) -> KazooClient:
    return connect()


@pytest.fixture
def root(zk: KazooClient, request: pytest.FixtureRequest) -> str:
    """A node of the test's own."""
    path = "/" + re.sub(r"\W+", "-", request.node.name)
    zk.create(path)
    return path

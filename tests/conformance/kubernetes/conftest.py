"""One suite for every engine: what the real one does is right.

Each test takes `kube` and runs once on the embedded engine and once on a real cluster that kind made, each in a
namespace of its own (`ns`), which goes afterwards. Tests that touch nodes put them back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import kube_words as table
import pytest
from support import present, workloads
from support.kube_cluster import BUSYBOX, WHOAMI, WHOAMI_NEXT, KubeCluster

import labkit

ENGINES = ("embedded", "docker")
# Every delay of the embedded engine is shorter by this; real ones are what they are.
SPEED = 10.0

# Modules that take parts of the cluster away come last, so that nobody waits for what they leave behind.
LAST = ("test_kube_nodes.py", "test_kube_components.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) + 1 if item.path.name in LAST else 0)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def cluster(engine: str) -> Iterator[KubeCluster]:
    """One control plane and two workers, started once."""
    options: dict[str, object] = {"workers": 2}
    if engine == "docker":
        present.demand("kind")
        for image in (WHOAMI, WHOAMI_NEXT, BUSYBOX):
            workloads.provide(image)
        if image := present.kind_image():
            os.environ.setdefault("LABKIT_KIND_NODE_IMAGE", image)
        os.environ.setdefault("LABKIT_KIND_IMAGES", " ".join((WHOAMI, WHOAMI_NEXT, BUSYBOX)))
    else:
        options["speed"] = SPEED
    # While one writes cases, a real cluster may stay up from run to run; `infra/kind/down --name conf-kept` ends it.
    kept = engine == "docker" and bool(os.environ.get("LABKIT_CONFORMANCE_KEEP"))
    name = "conf-kept" if kept else f"conf-k{engine[0]}{os.getpid()}"
    sandbox = labkit.up("kubernetes", engine=engine, name=name, **options)  # type: ignore[arg-type]
    try:
        cluster = KubeCluster(sandbox)
        yield cluster
        cluster.close()
    finally:
        if not kept:
            sandbox.down()


@pytest.fixture
def kube(cluster: KubeCluster) -> KubeCluster:
    return cluster


@pytest.fixture(scope="module")
def home(cluster: KubeCluster) -> Iterator[str]:
    """A namespace of the module's own, for tests whose objects have names of their own (`kube.name()`)."""
    name = cluster.namespace()
    yield name
    cluster.drop(name)


@pytest.fixture
def same(kube: KubeCluster) -> Callable[..., None]:
    """Asserts that a message is what the engine's version says: ``same(message, "field is unknown", field="x")``."""
    words = table.Words(kube.version)

    def check(message: str, key: str, **values: object) -> None:
        pattern = words(key, **values)
        assert re.fullmatch(pattern, message, re.DOTALL), f"\nexpected: {pattern}\n     got: {message}"

    return check


@pytest.fixture
def ns(kube: KubeCluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = kube.namespace()
    yield name
    kube.drop(name)

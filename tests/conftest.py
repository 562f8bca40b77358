"""For all tests: what a test may need of the machine, and folders of their own for every sandbox that they start."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `support`

from support import lanes, present

from labkit.engines.hosts import host_engine
from labkit.environment import VARIABLES

# What whoever runs the tests may have set for their own sandboxes; `./lab test` itself sets the first.
_WISHES = ("LABKIT_CALLED_AS", "LABKIT_ENGINE", "LABKIT_SPEED", "LABKIT_PROGRESS", "LABKIT_LABS")

# The markers that pyproject.toml declares stand for a need, too.
_MARKS = {"docker": "docker", "browser": "browser"}


# The same examples each time: a suite that guards changes must not fail by chance. Whoever hunts for more sets
# HYPOTHESIS_PROFILE=hunt.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.register_profile("hunt", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(what): needs docker, browser, kind, zookeeper… (see LABKIT_REQUIRE)")
    config.addinivalue_line("markers", "holds(page…): where it is written that it must be so (support.documents)")
    present.required()


# What fails soonest comes first. The browser comes last: Playwright keeps an event loop running for as long as it is
# open, and tests that start one of their own could not run beside it.
_ORDER = ("unit", "conformance", "labs", "browser")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    config.option.loadscopereorder = False  # they are in their order already
    return lanes.Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    items.sort(key=lambda item: _ORDER.index(item.path.relative_to(here).parts[0]))
    if "PYTEST_XDIST_WORKER" in os.environ:
        lanes.share_out(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires"):
        present.demand(mark.args[0])
    for name, what in _MARKS.items():
        if item.get_closest_marker(name):
            present.demand(what)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither see nor touch the sandboxes of whoever runs them, and leave the environment as it was."""
    # Looked up first: the folders are what tells a sandbox's DOCKER_HOST from that of the machine's own engine.
    client = host_engine(os.environ)
    before = {name: os.environ.get(name) for name in VARIABLES}
    runtime = tempfile.mkdtemp(prefix="lk-", dir="/tmp")  # short, because the path of a unix socket must be
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        patch.setenv("LABKIT_RUNTIME_DIR", runtime)
        patch.setenv("DOCKER_CLI_HINTS", "false")
        for name in _WISHES:
            patch.delenv(name, raising=False)
        _put({name: client.get(name) for name in VARIABLES})
        yield
    _put(before)
    shutil.rmtree(runtime, ignore_errors=True)


def _put(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

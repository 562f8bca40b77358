"""Unit tests leave nothing behind that another test could see."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from labkit.environment import VARIABLES


@pytest.fixture(scope="module", autouse=True)
def _the_environment_stays_as_it_was(_own_folders: None) -> Iterator[None]:
    """A DOCKER_HOST that is left behind would send all tests after it to an engine that is gone."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    yield
    assert {name: os.environ.get(name) for name in VARIABLES} == before

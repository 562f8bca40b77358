"""A machine for the balancer, two for tasks, and a Marathon to be played; each test on both balancers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import present

from .fakes import Lab, lab


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("lb")
    async with lab(folder) as made:
        yield made


@pytest.fixture(
    params=[
        pytest.param("haproxy", marks=present.requires("haproxy")),
        "labkit",
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)

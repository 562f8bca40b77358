"""The API server of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.apiserver import Served, certificates


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates."""
    return certificates(tmp_path_factory.mktemp("pki"))


@pytest_asyncio.fixture
async def served(folder: Path) -> AsyncIterator[Served]:
    async with Served(folder) as made:
        yield made

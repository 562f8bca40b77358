"""JupyterLab in a real Chromium. Skipped, with the way to get one, where there is none (see tests/support/present.py).

`LABKIT_SHOTS=folder` keeps the screenshots; otherwise they are in pytest's temporary folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import present
from support.jupyter import FLAGS, LabPage, Server, start_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab server for all browser tests."""
    server = start_server(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=present.chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def lab(jupyter: Server, chromium: Any, tmp_path: Path) -> Iterator[Callable[..., LabPage]]:
    """`lab("notebook.ipynb", theme="dark", width=1280)` opens a notebook of the server in a window of its own."""
    contexts = []

    def open_notebook(notebook: str, theme: str = "light", width: int = 1360, height: int = 1180) -> LabPage:
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        shots = Path(os.environ.get("LABKIT_SHOTS") or tmp_path)
        return LabPage(context.new_page(), jupyter, shots).open(notebook, theme)

    yield open_notebook
    for context in contexts:
        context.close()

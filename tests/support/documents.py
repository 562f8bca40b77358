"""Which page of the public documentation a conformance case holds to.

A page is named as ``REPOSITORY/PATH#PLACE``: ``mesos/docs/scheduler-http-api.md#subscribe``. A place is a heading as a
browser's address shows it, or a name that the file declares (a message of a proto file, a type or a resource of a
RAML). ``documents.json`` has the places of every page that is named; what has been read there can be found again at
:data:`REPOSITORIES`.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORIES = {
    # docs/endpoints/ are made from the sources: https://mesos.apache.org/documentation/latest/endpoints/
    "mesos": "https://github.com/apache/mesos/blob/1.11.0",
    "marathon": "https://github.com/mesosphere/marathon/blob/v1.11.24",
    "marathon-lb": "https://github.com/mesosphere/marathon-lb/blob/v1.15.1",
    "mesos-dns": "https://github.com/mesosphere/mesos-dns/blob/v0.8.0",
    "labkit": "labkit",  # what a sandbox promises beyond the real ones, or lacks: its FIDELITY.md
}


def holds(*pages: str) -> pytest.MarkDecorator:
    """``@holds("mesos/docs/scheduler-http-api.md#subscribe")``: where it is written that it must be so."""
    return pytest.mark.holds(*pages)


def places() -> dict[str, list[str]]:
    """The places of each page."""
    found: dict[str, list[str]] = json.loads((Path(__file__).parent / "documents.json").read_text())
    return found


def cases(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every test function below a folder, with the pages that it names."""
    sys.path.insert(0, str(folder))
    try:
        for path in sorted(folder.glob("test_*.py")):
            module = importlib.import_module(path.stem)
            of_module = getattr(module, "pytestmark", [])
            for name, function in vars(module).items():
                if name.startswith("test_") and getattr(function, "__module__", None) == path.stem:
                    yield f"{path.name}::{name}", _pages(of_module, function)
    finally:
        sys.path.remove(str(folder))


def _pages(of_module: Any, function: Callable[..., object]) -> tuple[str, ...]:
    marks = [*(of_module if isinstance(of_module, list) else [of_module]), *getattr(function, "pytestmark", [])]
    return tuple(page for each in marks if (mark := getattr(each, "mark", each)).name == "holds" for page in mark.args)

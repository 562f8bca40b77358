"""FIDELITY.md names every route that there is, and no other; what is named as missing says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import labkit.embedded.swarm
from labkit.embedded.swarm.api import absent
from labkit.embedded.swarm.api.app import Table, all_routes

PAGE = (Path(labkit.embedded.swarm.__file__).parent / "FIDELITY.md").read_text()
_ROUTE = re.compile(r"`(GET|HEAD|POST|PUT|DELETE) (/[^`]*)`")

Name = tuple[str, str]


def plain(path: str) -> str:
    """``/images/{name:.+}/json`` as the page writes it."""
    return re.sub(r"\{(\w+):[^}]+\}", r"{\1}", path)


def named(heading: str) -> set[Name]:
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return {(match[1], match[2]) for match in _ROUTE.finditer(section)}


ABSENT = {(method, plain(path)) for method, path, _ in absent.ABSENT}
THERE = {(method, plain(path)) for method, path, _ in all_routes()} - ABSENT


def test_every_route_is_named_and_every_name_is_a_route() -> None:
    assert named("Routes") == THERE


def test_what_is_missing_is_named_as_missing() -> None:
    assert named("Not there") == ABSENT


def test_nothing_that_is_there_is_shadowed_by_what_is_missing() -> None:
    table = Table(all_routes())
    refusing = {handler for _, _, handler in absent.ABSENT}
    for method, path in THERE:
        found = table.find(method, re.sub(r"\{\w+\}", "x", path))
        assert found is not None, (method, path)
        assert found[0] not in refusing, (method, path)


@pytest.mark.parametrize("heading", ["Faithful", "Simplified", "Not there", "Routes"])
def test_the_page_has_its_parts(heading: str) -> None:
    assert f"## {heading}\n" in PAGE

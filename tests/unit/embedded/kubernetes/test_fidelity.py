"""FIDELITY.md names every resource that there is, and no other; what is missing is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import labkit.embedded.kubernetes
from labkit.embedded.kubernetes import VERSION, kinds

PAGE = (Path(labkit.embedded.kubernetes.__file__).parent / "FIDELITY.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_resource_is_named_and_every_name_is_one() -> None:
    named = set()
    for line in section("Resources").splitlines():
        row = re.fullmatch(r"\| (\S+) \| (.*) \|", line)
        if row is not None and row[2] != "resources":
            named |= {(row[1], name) for name in re.findall(r"`([^`]+)`", row[2])}
    there = {(kind.api_version, kind.plural) for kind in kinds.KINDS}
    there |= {(kind.api_version, f"{kind.plural}/{part}") for kind in kinds.KINDS for part in kind.subresources}
    assert named == there


def test_the_version_is_told() -> None:
    assert f"**{VERSION}**" in PAGE


@pytest.mark.parametrize("heading", ["Faithful", "Simplified", "Not there", "Resources"])
def test_the_page_has_its_parts(heading: str) -> None:
    assert section(heading).strip()

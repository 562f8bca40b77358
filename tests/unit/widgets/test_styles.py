"""Style sheets of widgets share one page: in a notebook the dashboard stands above the panels of its steps."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import labkit

SHEETS = sorted(Path(labkit.__file__).parent.glob("*/static/*.css"))


def test_no_sheet_dresses_what_another_one_names() -> None:
    named: dict[str, set[str]] = defaultdict(set)
    for sheet in SHEETS:
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        for name in re.findall(r"\.((?:lk|labkit)-[a-z-]+)", text):
            named[name].add(f"{sheet.parent.parent.name}/{sheet.name}")
    assert len(SHEETS) >= 4
    assert len(named) > 50
    assert {name: sheets for name, sheets in named.items() if len(sheets) > 1} == {}

"""What commands print: results on stdout, progress on stderr; tables for people, aligned columns for pipes, or JSON."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any


def called() -> str:
    """How labkit was called, for commands that are suggested to be typed next: "labkit", or "./lab"."""
    return shlex.quote(os.environ.get("LABKIT_CALLED_AS") or "labkit")


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def as_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Columns under headers. On a terminal rich draws them; elsewhere they are only aligned, for `awk` and logs."""
    if sys.stdout.isatty():
        _rich_table(headers, rows, indent)
        return
    widths = [max(len(str(row[i])) for row in (headers, *rows)) for i in range(len(headers))]
    for row in (headers, *rows):
        cells = (str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        print((indent + "   ".join(cells)).rstrip())


def _rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]], indent: str) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell), style=_STYLES.get(str(cell), "")) for cell in row))
    Console().print(Padding(drawn, (0, 0, 0, len(indent))))


# Colour repeats what the word says; nothing is told by colour alone.
_STYLES = {
    "up": "green",
    "ok": "green",
    "stopped": "yellow",
    "starting": "yellow",
    "paused": "yellow",
    "slow": "yellow",
    "missing": "yellow",
    "limited": "yellow",
    "down": "red",
    "partitioned": "red",
    "unknown": "red",
}


def ago(seconds: float) -> str:
    """ "5 s", "12 min", "3 h", "2 d"."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
